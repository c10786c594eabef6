"""Reads of keys that no single replica serves: split, put together, and asked for elsewhere when shards move."""

from __future__ import annotations

from typing import Any

import pytest
from processor_fleet import FakeStorage, TestFleet
from processor_shards import HIGH, LOW, asked, get, load, row_key, row_of, scan_all, view
from test_processor_transactions import TABLE, begin, failure, put_and_commit, run

from tausql.processor.reads import StaleSchemaError
from tausql.protocol.errors import Code
from tausql.protocol.storage import Scan
from tausql.simulation.world import EPOCH_MICROS

ROWS = [row_key([number]) for number in range(100)]
VALUES = [row_of(number, 7) for number in range(100)]
CUT = ROWS[50]


def two_shards(storages: str = "aab", **settings: Any) -> TestFleet:
    """The first storage serves rows 0 to 49 and the catalogue, the second one the others, further ones everything."""
    fleet = TestFleet(storages=storages, **settings)
    load(fleet, 100)
    fleet.storages[0].serve((b"", CUT))
    fleet.storages[1].serve((CUT, b""))
    fleet.run(0.1)
    asked(fleet)
    return fleet


def test_keys_of_one_shard_are_asked_for_once_where_they_are() -> None:
    fleet = two_shards()
    assert get(fleet, ROWS[3], ROWS[4]) == VALUES[3:5]
    assert asked(fleet) == ["storage-a"]
    assert get(fleet, ROWS[70]) == [VALUES[70]]
    assert scan_all(fleet, Scan(ROWS[60], ROWS[62])) == list(zip(ROWS, VALUES, strict=True))[60:62]
    assert asked(fleet) == ["storage-a1", "storage-a1"]
    assert fleet.processor.metrics.reads_split == 0


def test_keys_of_several_shards_are_asked_for_side_by_side() -> None:
    fleet = two_shards()
    numbers = [70, 3, 99, 50, 49, 3]
    assert get(fleet, *(ROWS[number] for number in numbers)) == [VALUES[number] for number in numbers]
    assert sorted(asked(fleet)) == ["storage-a", "storage-a1"]
    assert fleet.processor.metrics.reads_split == 1
    assert fleet.processor.reads.in_flight == 0


def test_a_near_replica_that_serves_everything_is_asked_alone() -> None:
    fleet = two_shards("aba")
    fleet.storages[0].serve((b"", b""))
    fleet.run(0.1)
    fleet.storages[2].serve((CUT, b""))
    fleet.run(0.1)
    get(fleet, ROWS[3], ROWS[70])
    assert len(asked(fleet)) == 1


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 60])
def test_a_scan_goes_on_at_the_next_shard(reverse: bool, limit: int) -> None:
    fleet = two_shards()
    rows = list(zip(ROWS, VALUES, strict=True))
    if reverse:
        rows.reverse()
    assert scan_all(fleet, Scan(LOW, HIGH, reverse, limit, page_rows=20)) == rows[: limit or None]
    assert scan_all(fleet, Scan(LOW, b"" if not reverse else HIGH, reverse, 10)) == rows[:10]
    assert fleet.processor.metrics.not_here == 0


def test_many_scans_are_read_wherever_they_begin() -> None:
    fleet = two_shards()
    scans = [Scan(ROWS[low], ROWS[low + 5], low % 2 == 1) for low in (3, 45, 48, 50, 71, 94)]

    async def body() -> list[list[tuple[bytes, bytes]]]:
        return await view(fleet).scan_many(TABLE, scans)

    found = run(fleet, body())
    for scan, rows in zip(scans, found, strict=True):
        assert rows == scan_all(fleet, scan)
        assert len(rows) == 5


def test_parts_that_one_answer_cannot_hold_are_asked_for_again() -> None:
    fleet = two_shards()
    for storage in fleet.storages:
        storage.gets_max = 3
    numbers = [1, 60, 2, 61, 3, 62, 4, 63, 5, 6, 7, 8]
    assert get(fleet, *(ROWS[number] for number in numbers)) == [VALUES[number] for number in numbers]


# --- shards that move ------------------------------------------------------------------------------------------------


def test_a_scan_goes_on_while_shards_move() -> None:
    fleet = two_shards()
    cuts = [ROWS[number] for number in (10, 90, 30, 55, 20)]

    async def body() -> list[bytes]:
        scanner = view(fleet).scan(TABLE, Scan(LOW, HIGH, page_rows=7))
        keys: list[bytes] = []
        while page := await scanner.next_page():
            keys += [key for key, _ in page]
            cut = cuts[len(keys) % len(cuts)]
            fleet.storages[len(keys) % 2].serve((b"", cut))
            fleet.storages[1 - len(keys) % 2].serve((cut, b""))
        return keys

    assert run(fleet, body()) == ROWS


@pytest.mark.parametrize("storages", ["aab", "aa"])
def test_a_replica_that_serves_a_key_no_longer_is_old_news(storages: str) -> None:
    fleet = two_shards(storages)
    fleet.storages[0].ranges = ((b"", ROWS[10]),)  # it has not said so yet
    fleet.world.at(0.05, None, fleet.storages[1].serve, (ROWS[10], b""))
    fleet.world.at(0.06, None, fleet.storages[0].serve, (b"", ROWS[10]))
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert fleet.processor.metrics.not_here >= 1
    assert fleet.processor.metrics.read_failures == 0
    fleet.run(0.1)
    asked(fleet)
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert asked(fleet) == ["storage-a1"]


def test_a_shard_that_nobody_serves_is_waited_for() -> None:
    fleet = two_shards("aa")
    fleet.storages[1].serve()
    fleet.world.at(1.0, None, fleet.storages[1].serve, (CUT, b""))
    began = fleet.world.now
    fleet.run(0.1)
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert 0.9 < fleet.world.now - began < 1.5
    assert fleet.processor.metrics.not_here == 0


def test_a_shard_that_nobody_serves_at_all_is_a_clear_error() -> None:
    fleet = two_shards("aa", read_seconds=2.0)
    fleet.storages[1].serve()
    fleet.run(0.1)
    for keys in ([ROWS[70]], [ROWS[20], ROWS[70]]):
        began = fleet.world.now

        async def body(keys: list[bytes] = keys) -> None:
            await view(fleet).get(TABLE, keys)

        assert failure(fleet, body()).code is Code.cannot_connect_now
        assert fleet.world.now - began < 2.5
    assert fleet.processor.reads.in_flight == 0
    assert get(fleet, ROWS[20]) == [VALUES[20]]


def test_a_replica_that_has_told_nothing_yet_is_asked_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStorage, "tells", False)
    fleet = TestFleet(storages="aab")
    load(fleet, 100)
    fleet.storages[0].ranges, fleet.storages[1].ranges = ((b"", CUT),), ((CUT, b""),)
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert get(fleet, ROWS[70]) == [VALUES[70]]
    assert fleet.processor.metrics.not_here >= 1


def test_what_a_replica_served_is_believed_until_it_is_back() -> None:
    fleet = two_shards("aab")
    process = fleet.world.processes["storage-a1"]
    process.kill("for the test")
    fleet.run(1.0)
    asked(fleet)
    assert get(fleet, ROWS[20]) == [VALUES[20]]
    assert asked(fleet) == ["storage-a"]
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    process.start()
    fleet.run(2.0)
    assert fleet.storages[-1].name == "storage-a1"
    asked(fleet)
    get(fleet, ROWS[20], ROWS[70])
    assert "storage-a1" in asked(fleet)


# --- replicas that fail ----------------------------------------------------------------------------------------------


def test_a_slow_part_is_asked_of_another_zone_and_no_other() -> None:
    fleet = two_shards()
    fleet.storages[1].mood = "drop"
    began = fleet.world.now
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert fleet.world.now - began < 0.1
    assert sorted(asked(fleet)) == ["storage-a", "storage-a1", "storage-b"]
    assert fleet.processor.metrics.hedges == 1
    assert fleet.processor.reads.in_flight == 0


def test_a_slow_replica_is_helped_by_several_that_serve_it_together() -> None:
    fleet = two_shards("bca")
    near = fleet.storages[2]
    near.mood = "drop"
    assert near.name == "storage-a"
    began = fleet.world.now
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert fleet.world.now - began < 0.1
    assert sorted(asked(fleet)) == ["storage-a", "storage-b", "storage-c"]
    assert fleet.processor.metrics.hedges == 1
    assert fleet.processor.reads.in_flight == 0
    near.mood = "refuse"
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    near.mood = "answer"
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert fleet.processor.reads.in_flight == 0


def test_a_slow_answer_still_counts_when_its_helpers_fail() -> None:
    fleet = two_shards("bca")
    fleet.storages[0].mood = "drop"
    fleet.storages[2].mood = "slow"
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert sorted(asked(fleet)) == ["storage-a", "storage-b", "storage-c"]
    assert fleet.processor.reads.in_flight == 0


def test_a_replica_that_failed_is_avoided_for_its_shard_only() -> None:
    fleet = two_shards()
    fleet.storages[1].mood = "refuse"
    get(fleet, ROWS[70])
    assert asked(fleet) == ["storage-a1", "storage-b"]
    get(fleet, ROWS[70])
    get(fleet, ROWS[20])
    assert asked(fleet) == ["storage-b", "storage-a"]


def test_a_read_that_nobody_could_help_goes_on_where_its_shard_goes() -> None:
    fleet = two_shards("aa")
    fleet.storages[1].mood = "drop"
    fleet.world.at(0.5, None, fleet.storages[0].serve, (b"", b""))
    began = fleet.world.now
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]
    assert fleet.world.now - began < 1.0


@pytest.mark.parametrize("mood", ["drop", "refuse", "elsewhere"])
def test_a_shard_that_fails_for_a_while_is_waited_for(mood: str) -> None:
    fleet = two_shards("aa")
    fleet.storages[1].mood = mood
    fleet.world.at(0.7, None, setattr, fleet.storages[1], "mood", "answer")
    if mood == "drop":
        fleet.world.at(0.7, None, fleet.world.processes["storage-a1"].kill)
        fleet.world.at(0.8, None, fleet.world.processes["storage-a1"].start)
    assert get(fleet, ROWS[20], ROWS[70]) == [VALUES[20], VALUES[70]]


def test_a_stale_plan_is_told_by_any_part() -> None:
    fleet = two_shards()
    fleet.data.schema[TABLE] = [5]
    with pytest.raises(StaleSchemaError):
        get(fleet, ROWS[20], ROWS[70])
    fleet.storages[1].mood = fleet.storages[2].mood = "drop"
    with pytest.raises(StaleSchemaError):
        get(fleet, ROWS[20], ROWS[70])
    assert fleet.processor.reads.in_flight == 0  # the other part is given up


# --- what must hold over shards --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_in", [20, 70])
def test_an_answer_is_shown_once_every_clock_has_passed_the_newest_of_its_parts(ahead_in: int) -> None:
    fleet = two_shards()
    ahead = EPOCH_MICROS + int(fleet.world.now * 1_000_000) + 30_000
    fleet.data.versions[ROWS[ahead_in]].append((ahead << 10, b"new"))
    fleet.processor.reads.snapshots.committed(ahead << 10)  # so that tau_start lies above it
    assert b"new" in get(fleet, ROWS[20], ROWS[70])
    assert EPOCH_MICROS + fleet.world.now * 1_000_000 >= ahead


def test_the_schema_is_read_from_who_serves_anything() -> None:
    fleet = two_shards("aab")
    fleet.storages[0].serve()
    fleet.storages[1].serve((CUT, b""))
    fleet.run(0.1)
    fleet.data.schema[0] = [5]
    wait = fleet.processor.reads.read_schema(1, begin(fleet).take_snapshot())
    fleet.until(lambda: wait.done)
    assert wait._value is not None
    assert wait._value.versions == [(0, 5)]


def test_a_blind_write_is_verified_where_its_key_is_served() -> None:
    fleet = two_shards("aa")

    async def body() -> None:
        transaction = begin(fleet)
        transaction.statement(((TABLE, 0),), True).insert_row(TABLE, row_key([1000]), b"1")
        await transaction.commit()

    run(fleet, body())
    assert asked(fleet) == ["storage-a1"]
    assert fleet.processor.metrics.not_here == 0


def test_the_status_tells_who_serves_and_who_judges_what() -> None:
    fleet = two_shards("aa")
    run(fleet, put_and_commit(fleet, ROWS[1], b"1"))
    status = fleet.processor.status()
    assert status["served_by"] == [
        {"low": "", "high": CUT.hex(), "replicas": ["storage-a"]},
        {"low": CUT.hex(), "high": "", "replicas": ["storage-a1"]},
    ]
    assert status["judged_by"] == [{"low": "", "high": "", "stream": 0}]
