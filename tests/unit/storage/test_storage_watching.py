"""What replicas and crossbars notice of one another: rows that differ, lag, zones, what is still to come."""

from __future__ import annotations

from random import Random

import msgspec
from storage_fleet import Ground, commit_some, settle
from storage_model import Model

from tausql.protocol.fleet import Shard
from tausql.storage.memory_engine import MemoryEngine

STORAGES = ("storage-a", "storage-b", "storage-c")


def model_rows(ground: Ground) -> list[tuple[bytes, bytes]]:
    return Model(sorted(ground.history, key=lambda one: one[0])).scan(b"", b"", 1 << 62)


def test_replicas_that_differ_are_told(caplog):
    ground = Ground(18, storage={"scrub_seconds": 1.0, "scrub_tick_seconds": 0.001})
    ground.world.run(0.5)
    commit_some(ground, Random(18), 50)
    ground.world.run(8.0)
    assert all(ground.service(name).metrics.scrubbed >= 3 for name in STORAGES)
    assert all(ground.service(name).metrics.differences == 0 for name in STORAGES)
    told = [ground.service(name).status()["shards"][0]["digest"] for name in STORAGES]
    assert all(one["equal"] and one["peer"] for one in told)
    assert {one["rows"] for one in told} == {len(model_rows(ground))}
    assert len({one["state_hash"] for one in told}) == 1, "nothing was written meanwhile"
    engine = ground.engines["storage-b"]
    stored = next(one for one in engine.content if one[:1] == b"d" and engine.content[one][:1] == b"\x01")
    engine.content[stored] = b"\x01something else"
    ground.world.run(8.0)
    service = ground.service("storage-b")
    assert service.metrics.differences > 0
    assert service.status()["differences"][0]["peer"] in STORAGES
    assert service.ready() == (True, "")
    assert any("do not hold the same rows" in record.getMessage() for record in caplog.records)


def test_adjudicators_hear_of_a_replica_that_stays_far_behind():
    ground = Ground(19, storage={"report_seconds": 0.5}, crossbar={"lag_told_seconds": 2.0})
    ground.world.run(5.0)
    adjudicator = ground.service("adjudicator-a")
    assert adjudicator.lags == []
    service = ground.service("storage-c")
    service.subscription.stop()  # it reports on, and gets nowhere
    ground.world.run(8.0)
    assert adjudicator.lags
    assert adjudicator.lags[-1].micros > 4_000_000
    service.subscription.start()
    ground.world.run(3.0)
    adjudicator.lags.clear()
    ground.world.run(3.0)
    assert adjudicator.lags == []


def test_one_zone_is_not_enough_to_forget_whatever_the_map_shows():
    ground = Ground(
        20, storages=1, storage={"report_seconds": 0.5}, crossbar={"trim_seconds": 0.5, "window_seconds": 1}
    )
    ground.world.run(0.5)
    commit_some(ground, Random(20), 20)
    ground.world.run(8.0)
    assert ground.trims == []


def test_a_replica_that_catches_up_serves_nothing_and_holds_the_log():
    ground = Ground(21, storage={"report_seconds": 0.3}, crossbar={"ring_records_max": 20, "lag_told_seconds": 3.0})
    ground.world.run(0.5)
    commit_some(ground, Random(21), 100)
    ground.kill("storage-c")
    ground.engines["storage-c"] = MemoryEngine()
    ground.world.run(15.0)
    ground.start("storage-c")
    service = ground.service("storage-c")
    last = ground.history[-1][0]

    def deliver(delivery) -> None:
        if delivery.records:
            service._deliver(msgspec.structs.replace(delivery, watermark=delivery.records[-1].tau))

    service.subscription._on_delivery = deliver
    ground.world.run(0.5)
    assert 0 < service.applier.watermark <= last
    assert service.reader.served.ranges == ()
    assert not service.ready()[0]
    ground.world.run(5.0)
    assert ground.service("adjudicator-a").lags == [], "it slows nobody down"


def test_readiness_waits_for_what_is_wanted():
    ground = Ground(22, crossbar={"ring_records_max": 5})
    ground.remap(Shard(b"", b"m", STORAGES), Shard(b"m", b"", STORAGES))
    ground.world.run(3.0)
    commit_some(ground, Random(22), 20)
    settle(ground)
    assert ground.service("storage-c").ready() == (True, "")
    ground.trimmed[0] = len(ground.logs[0])
    ground.kill("storage-c")
    ground.engines["storage-c"] = MemoryEngine()
    ground.start("storage-c")
    ground.kill("storage-a")
    seen = set()
    for _ in range(3000):
        ground.world.run(0.001)
        service = ground.service("storage-c")
        if len(service.applier.shards.all) < 2 or not all(one.whole for one in service.applier.shards.all):
            assert not service.ready()[0]
        seen.add(service.ready()[1])
    assert "not all rows that are wanted here have come from the peers" in seen
    assert service.ready() == (True, "")
