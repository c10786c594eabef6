"""Crossbar and storage together: commits arrive everywhere, once, whatever dies, lags or is wiped on the way."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from storage_fleet import Ground, commit_some, key, settle
from storage_model import Model

from tausql.protocol.storage import Read, ReadSchema, Rows, Scan, StaleSchema, StorageClient
from tausql.protocol.tau import closing
from tausql.rpc.interface import Cause, Failure
from tausql.storage.memory_engine import MemoryEngine

STORAGES = ("storage-a", "storage-b", "storage-c")


def check_everywhere(ground: Ground, names=STORAGES) -> None:
    """Every replica answers with the whole history, and they agree on the state hash."""
    model = Model(sorted(ground.history, key=lambda one: one[0]))
    newest = max((tau for tau, _ in ground.history), default=0)
    last = max(newest, min(ground.service(name).applier.watermark for name in names))
    for name in names:
        answer = ground.read(name, Read(last, (), [], [Scan(b"", b"", page_rows=5000)]))
        assert isinstance(answer, Rows), answer
        page = answer.pages[0]
        assert list(zip(page.keys, page.values, strict=True)) == model.scan(b"", b"", last)
    assert len({ground.service(name).status()["state_hash"] for name in names}) == 1


@pytest.mark.parametrize("streams", [1, 3])
def test_commits_reach_every_replica(streams):
    ground = Ground(1, streams)
    ground.world.run(0.5)
    commit_some(ground, Random(1), 100)
    check_everywhere(ground)
    assert all(ground.service(name).ready() == (True, "") for name in (*STORAGES, "crossbar-a"))
    for name in (*STORAGES, "crossbar-a", "crossbar-b"):
        msgspec.json.encode(ground.service(name).status())
        families = [family.name for family in ground.service(name).metrics.collect()]
        assert len(families) == len(set(families))
    assert all(ground.service(f"storage-{zone}").subscription.crossbar == f"crossbar-{zone}" for zone in "abc")


def test_a_read_of_now_is_answered_at_once_though_nothing_happens():
    ground = Ground(2)
    ground.world.run(3.3)
    nudges = ground.service("adjudicator-a").nudges
    for _ in range(5):
        ground.world.run(0.2)
        began = ground.world.now
        tau = closing(ground.reader.clock.now().latest)
        assert isinstance(ground.read("storage-b", Read(tau, (), [key(1)], [])), Rows)
        assert ground.world.now - began < 0.03
    counts = ground.service("storage-b").metrics
    list(counts.collect())
    assert counts.read_seconds.count == 5
    assert counts.read_wait_seconds.count == counts.parked
    assert counts.read_wait_seconds.sum < 5 * 0.03
    assert counts.reads_waiting == 0
    assert counts.lag_seconds is not None
    assert counts.lag_seconds < 0.5
    lags = ground.service("crossbar-b").metrics
    list(lags.collect())
    assert lags.stream_lag_seconds.keys() == {0}
    assert max(lags.stream_lag_seconds.values()) == pytest.approx(lags.lag_seconds, abs=1e-5)
    assert ground.service("adjudicator-a").nudges - nudges <= 10


def test_many_reads_of_one_instant_cost_one_nudge():
    ground = Ground(3)
    ground.world.run(3.3)
    nudges = ground.service("adjudicator-a").nudges
    answers: list = []
    tau = closing(ground.reader.clock.now().latest)
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    for number in range(50):
        client.read(Read(tau, (), [key(number)], []), 5.0, answers.append)
    ground.world.run(0.03)
    assert len(answers) == 50
    assert all(isinstance(answer, Rows) for answer in answers)
    assert ground.service("adjudicator-a").nudges - nudges <= 2


def test_a_read_that_nothing_can_answer_fails_in_time():
    ground = Ground(4, storage={"park_seconds_max": 1.0, "parked_max": 2})
    ground.world.run(1.0)
    ground.kill("adjudicator-a")
    tau = closing(ground.reader.clock.now().latest) + (10**7 << 10)
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    answers: list = []
    for _ in range(3):
        client.read(Read(tau, (), [key(1)], []), 5.0, answers.append)
    ground.world.run(2.0)
    assert sorted(answer.cause.value for answer in answers) == ["deadline", "deadline", "overloaded"]


def test_schema_versions_are_read_and_checked():
    ground = Ground(5)
    ground.world.run(0.5)
    tau = ground.commit({key(1): b"x"}, changes=(0, 5))
    settle(ground, 1.5)
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    answers: list = []
    client.read_schema(ReadSchema(1, tau), 1.0, answers.append)
    ground.world.run(0.1)
    assert answers[0].versions == [(0, tau), (5, tau)]
    assert isinstance(ground.read("storage-b", Read(tau, ((5, tau),), [key(1)], [])), Rows)
    assert ground.read("storage-b", Read(tau, ((5, 1),), [key(1)], [])) == StaleSchema(5, tau)


def test_a_read_far_ahead_pushes_no_time_ahead():
    ground = Ground(17)
    ground.world.run(0.5)
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    answers: list = []
    latest = ground.reader.clock.now().latest
    client.read(Read(closing(latest + 3_000_000), (), [key(1)], []), 9.0, answers.append)
    ground.world.run(0.5)
    assert ground.service("storage-a").applier.watermark < closing(latest + 600_000)
    assert isinstance(ground.read("storage-a", Read(closing(latest + 500_000), (), [key(1)], [])), Rows)
    assert not answers
    ground.world.run(3.0)
    assert isinstance(answers[0], Rows)


@pytest.mark.parametrize("seed", range(6))
def test_deaths_of_crossbars_and_storages_lose_and_repeat_nothing(seed):
    ground = Ground(100 + seed, streams=1 + seed % 3, storage={"report_seconds": 1.0})
    chance = Random(seed)
    ground.world.run(0.5)
    down: list[str] = []
    for _ in range(12):
        commit_some(ground, chance, 15)
        if down and chance.random() < 0.7:
            ground.start(down.pop(chance.randrange(len(down))))
        victim = chance.choice([*STORAGES, "crossbar-a", "crossbar-b", "crossbar-c"])
        if victim not in down and len(down) < 4:
            ground.kill(victim)
            down.append(victim)
        ground.world.run(chance.uniform(0, 1.5))
    for name in down:
        ground.start(name)
    settle(ground, 8.0)
    check_everywhere(ground)


def test_a_journal_replica_that_lags_is_left_for_another():
    ground = Ground(7)
    ground.world.run(0.5)
    commit_some(ground, Random(7), 10)
    ground.deaf.add("journal-a")
    commit_some(ground, Random(8), 10)
    ground.world.run(0.5)
    reader = ground.service("crossbar-a")._main.readers[0]
    assert reader.replica != "journal-a"
    assert ground.service("crossbar-b")._main.readers[0].replica == "journal-b"
    check_everywhere(ground)


def test_a_dead_journal_replica_is_left_for_another():
    ground = Ground(8)
    ground.world.run(0.5)
    ground.kill("journal-b")
    commit_some(ground, Random(7), 20)
    settle(ground)
    check_everywhere(ground)


def test_a_slow_replica_falls_out_of_the_ring_and_catches_up():
    ground = Ground(9, crossbar={"ring_records_max": 50})
    ground.world.run(0.5)
    ground.world.processes["storage-a"].pause(2.0)
    commit_some(ground, Random(9), 400, pause=0.004)
    crossbar = ground.service("crossbar-a")
    assert len(crossbar._main.ring.entries) <= 50
    settle(ground, 5.0)
    assert crossbar._aside == []
    check_everywhere(ground)


@pytest.mark.parametrize("dead", ["", "journal-b"])
def test_a_wiped_replica_behind_the_trim_point_takes_a_checkpoint(dead):
    ground = Ground(10, storage={"report_seconds": 0.5}, crossbar={"ring_records_max": 20})
    ground.world.run(0.5)
    commit_some(ground, Random(10), 200)
    settle(ground)
    ground.trimmed[0] = len(ground.logs[0]) - 5
    if dead:
        ground.kill(dead)
    ground.kill("storage-c")
    ground.engines["storage-c"] = MemoryEngine()
    ground.start("storage-c")
    ground.world.run(0.02)
    commit_some(ground, Random(11), 50)
    settle(ground, 5.0)
    assert ground.service("storage-c").keeper.taken == 1
    check_everywhere(ground)
    assert ground.service("storage-c").ready() == (True, "")


def test_a_checkpoint_survives_the_death_of_its_source(monkeypatch):
    monkeypatch.setattr("tausql.storage.peers.PART_BYTES", 2000)  # more parts than the sink takes at once
    ground = Ground(11, crossbar={"ring_records_max": 20})
    ground.world.run(0.5)
    for number in range(300):
        ground.commit({key(number): b"v" * 3000})
        ground.world.run(0.001)
    settle(ground)
    ground.trimmed[0] = len(ground.logs[0])
    ground.kill("storage-a")
    ground.engines["storage-a"] = MemoryEngine()
    ground.start("storage-a")
    for _ in range(10_000):
        fetcher = ground.service("storage-a").keeper.fetcher
        if fetcher is not None and fetcher.entries:
            break
        ground.world.run(0.0001)
    assert 0 < fetcher.entries < 300
    ground.kill(fetcher.peer)
    settle(ground, 5.0)
    assert ground.service("storage-a").keeper.taken == 1
    ground.start(fetcher.peer)
    settle(ground, 5.0)
    check_everywhere(ground)


def test_reports_trim_the_journal_but_never_inside_the_window():
    ground = Ground(
        12, storage={"report_seconds": 1.0}, crossbar={"trim_seconds": 1.0, "window_seconds": 20, "hold_seconds": 5.0}
    )
    ground.world.run(0.5)
    commit_some(ground, Random(12), 20)
    early = len(ground.logs[0])
    ground.world.run(10.0)
    commit_some(ground, Random(13), 20)
    ground.world.run(5.0)
    assert ground.trims == []
    ground.world.run(9.0)
    assert {name for name, _, _ in ground.trims} == {"journal-a", "journal-b", "journal-c"}
    assert max(seq for _, _, seq in ground.trims) == early
    ground.world.run(20.0)
    assert max(seq for _, _, seq in ground.trims) == len(ground.logs[0])


def test_old_versions_go_and_old_reads_are_refused():
    ground = Ground(13, storage={"window_seconds": 5, "sweep_seconds": 1.0})
    ground.world.run(0.5)
    first = ground.commit({key(1): b"0"})
    for number in range(50):
        ground.commit({key(1): b"%d" % number, key(2): None})
        ground.world.run(0.01)
    ground.world.run(20.0)
    service = ground.service("storage-a")
    assert service.metrics.dropped > 40
    assert len([one for one in ground.engines["storage-a"].content if one[:1] == b"d"]) == 1
    assert type(ground.read("storage-a", Read(first, (), [key(1)], []))).__name__ == "TooOld"
    check_everywhere(ground)


def test_another_fleet_is_refused_by_both_sides(caplog):
    ground = Ground(14)
    ground.world.run(0.5)
    ground.kill("storage-a")
    engine = ground.engines["storage-a"]
    batch = engine.batch()
    state = ground.service("storage-b").applier.state
    from tausql.storage.applier import STATE_KEY, State, encoded_state

    batch.put(STATE_KEY, encoded_state(State("other", state.watermark, state.cursors)))
    engine.write(batch)
    ground.start("storage-a")
    ground.world.run(2.0)
    assert "stranger" in ground.service("storage-a").status()["refusal"]
    assert any(record.levelname == "ERROR" for record in caplog.records)
    commit_some(ground, Random(1), 5)
    ground.world.run(2.0)
    assert ground.service("storage-a").applier.watermark == state.watermark


def test_a_full_disk_is_not_ready_and_leaves(caplog):
    ground = Ground(15, storage={"full_seconds": 2.0})
    ground.world.run(0.5)
    ground.engines["storage-a"].capacity_bytes = 3000
    commit_some(ground, Random(15), 300)
    assert ground.service("storage-a").ready()[0] is False
    assert "full" in ground.service("storage-a").ready()[1]
    ground.world.run(3.0)
    assert not ground.world.processes["storage-a"].alive
    assert any(record.levelname == "ERROR" for record in caplog.records)
    check_everywhere(ground, ("storage-b", "storage-c"))


def test_leaving_in_good_order_keeps_everything():
    ground = Ground(16)
    ground.world.run(0.5)
    commit_some(ground, Random(16), 20)
    ground.world.run(0.2)
    service = ground.service("storage-a")
    answers: list = []
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    ground.kill("adjudicator-a")
    client.read(Read(closing(ground.reader.clock.now().latest) + (10**7 << 10), (), [key(1)], []), 9.0, answers.append)
    ground.world.run(0.01)
    watermark = service.applier.watermark
    service.retire()
    service.stop()
    ground.world.run(0.1)
    assert isinstance(answers[0], Failure)
    assert answers[0].cause is Cause.unavailable
    ground.kill("storage-a")
    ground.start("storage-a")
    ground.start("adjudicator-a")
    assert ground.service("storage-a").applier.watermark >= watermark
    crossbar = ground.service("crossbar-b")
    crossbar.drain()
    crossbar.stop()
    settle(ground)
    assert ground.service("storage-b").subscription.crossbar != "crossbar-b"
    check_everywhere(ground)


def test_a_retiring_replica_tells_its_readers_before_it_closes():
    ground = Ground(17)
    ground.world.run(0.5)
    commit_some(ground, Random(17), 5)
    ground.world.run(0.2)
    service = ground.service("storage-a")
    told: list = []
    client = StorageClient(ground.reader.network.connect("storage-a:1", "storage"))
    client.read(Read(closing(ground.reader.clock.now().latest) + (10**7 << 10), (), [key(1)], []), 9.0, told.append)
    ground.world.run(0.01)
    assert not told
    service.retire()
    client.read(Read(service.applier.watermark, (), [key(1)], []), 9.0, told.append)
    ground.world.run(0.01)
    assert [answer.cause for answer in told] == [Cause.unavailable] * 2
    assert not service.ready()[0]
    before = service.applier.watermark
    commit_some(ground, Random(18), 5)
    ground.world.run(0.2)
    assert service.applier.watermark > before, "it applies what comes until it is closed"
    check_everywhere(ground, ("storage-b", "storage-c"))
