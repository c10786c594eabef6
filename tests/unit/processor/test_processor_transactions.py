"""Transactions against a fleet in virtual time: snapshots, reads from replicas, commits and their outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from processor_fleet import TestFleet

from tausql.processor.coroutines import start
from tausql.processor.reads import StaleSchemaError
from tausql.processor.transaction import Transaction
from tausql.protocol.adjudicator import Reason
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import KeyKind, identity_key, key_encoder, relation_prefix
from tausql.protocol.tau import micros_of
from tausql.simulation.world import EPOCH_MICROS

TABLE = 16384
row_key = key_encoder(relation_prefix(1, TABLE), [KeyKind.integer])
A, B = row_key([1]), row_key([2])


def run(fleet: TestFleet, coroutine: Any, seconds: float = 60.0) -> Any:
    ended: list[Any] = []
    start(coroutine, lambda value, error: ended.append((value, error)))
    fleet.until(lambda: bool(ended), seconds)
    value, error = ended[0]
    if error is not None:
        raise error
    return value


def begin(fleet: TestFleet, at: int = 0) -> Transaction:
    return Transaction(fleet.processors[at].tenants.first.transactions, False)


async def put(transaction: Transaction, key: bytes, value: bytes) -> None:
    view = transaction.statement(((TABLE, 0),), True)
    (old,) = await view.get(TABLE, [key])
    if old is None:
        view.insert_row(TABLE, key, value)
    else:
        view.update_row(TABLE, key, value, False)


async def put_and_commit(fleet: TestFleet, key: bytes, value: bytes, at: int = 0) -> Transaction:
    transaction = begin(fleet, at)
    await put(transaction, key, value)
    await transaction.commit()
    return transaction


async def read(fleet: TestFleet, key: bytes, at: int = 0) -> bytes | None:
    (value,) = await begin(fleet, at).statement(((TABLE, 0),), False).get(TABLE, [key])
    return value


def failure(fleet: TestFleet, coroutine: Any, seconds: float = 120.0) -> SqlError:
    with pytest.raises(SqlError) as caught:
        run(fleet, coroutine, seconds)
    return caught.value


@pytest.mark.parametrize("seed", range(5))
def test_a_commit_is_seen_by_whoever_starts_after_its_answer(seed: int) -> None:
    fleet = TestFleet(seed, processors=2)
    for number in range(20):
        value = b"%d" % number
        run(fleet, put_and_commit(fleet, A, value, number % 2))
        assert run(fleet, read(fleet, A, (number + 1) % 2)) == value


def test_rows_that_one_answer_cannot_hold_are_asked_for_again() -> None:
    fleet = TestFleet()
    keys = [row_key([number]) for number in range(7)]
    for key in keys:
        run(fleet, put_and_commit(fleet, key, b"row " + key))
    for storage in fleet.storages:
        storage.gets_max = 3

    async def get() -> list[bytes | None]:
        return await begin(fleet).statement(((TABLE, 0),), False).get(TABLE, keys)

    assert run(fleet, get()) == [b"row " + key for key in keys]


def test_a_read_is_shown_only_once_every_clock_has_passed_it() -> None:
    fleet = TestFleet()
    transaction = run(fleet, put_and_commit(fleet, A, b"1"))
    ahead = micros_of(transaction.tau_commit) + 3_000
    fleet.data.versions[A].append((ahead << 10, b"2"))
    fleet.processor.reads.snapshots.committed(ahead << 10)  # so that tau_start lies above it
    assert run(fleet, read(fleet, A)) == b"2"
    assert EPOCH_MICROS + fleet.world.now * 1_000_000 >= ahead


def test_a_statement_sees_its_transaction_and_not_itself() -> None:
    fleet = TestFleet()

    async def body() -> None:
        transaction = begin(fleet)
        await put(transaction, A, b"1")
        view = transaction.statement((), True)
        assert await view.get(TABLE, [A, B]) == [b"1", None]
        view.update_row(TABLE, A, b"2", False)
        view.insert_row(TABLE, B, b"3")
        assert await view.get(TABLE, [A, B]) == [b"1", None]
        assert await transaction.statement((), False).get(TABLE, [A, B]) == [b"2", b"3"]

    run(fleet, body())


def test_the_second_of_two_writers_is_refused_and_sees_the_first_when_it_retries() -> None:
    fleet = TestFleet(processors=2)

    async def body() -> None:
        first, second = begin(fleet, 0), begin(fleet, 1)
        await put(first, A, b"1")
        await put(second, A, b"2")
        await first.commit()
        with pytest.raises(SqlError, match="OC000"):
            await second.commit()

    run(fleet, body())
    assert run(fleet, read(fleet, A)) == b"1"


def test_conflict_keys_follow_what_is_done_to_a_row() -> None:
    fleet = TestFleet()

    async def body() -> tuple[list[bytes], list[bytes]]:
        transaction = begin(fleet)
        view = transaction.statement((), True)
        keys = [row_key([n]) for n in range(7)]
        view.insert_row(TABLE, keys[0], b"x")
        view.update_row(TABLE, keys[1], b"x", False)
        view.update_row(TABLE, keys[2], b"x", True)
        view.delete_row(TABLE, keys[3])
        view.lock_row(TABLE, keys[4])
        view.share_key(TABLE, keys[5])
        view.share_row(TABLE, keys[6])
        view.put_entry(TABLE, b"unique", b"", True)
        view.put_entry(TABLE, b"plain", b"", False)
        view.share_key(TABLE, keys[0])
        assert transaction.buffer is not None
        return transaction.buffer.conflict_keys()

    writes, shares = run(fleet, body())
    key = [row_key([n]) for n in range(7)]
    both = [k for n in (0, 2, 3, 4) for k in (key[n], identity_key(key[n]))]
    assert sorted(writes) == sorted([*both, key[1], b"unique"])
    assert sorted(shares) == sorted([identity_key(key[5]), key[6]])


def test_a_row_inserted_and_deleted_again_leaves_its_conflict_keys_only() -> None:
    fleet = TestFleet()

    async def body() -> Transaction:
        transaction = begin(fleet)
        transaction.statement((), True).insert_row(TABLE, A, b"x")
        transaction.statement((), True).delete_row(TABLE, A)
        await transaction.commit()
        return transaction

    run(fleet, body())
    ((_, request),) = fleet.data.commits
    assert request.body == b"\x90"
    assert request.writes == [A, identity_key(A)]


def test_limits_of_rows_and_bytes() -> None:
    fleet = TestFleet()
    view = begin(fleet).statement((), True)
    for number in range(3_000):
        view.insert_row(TABLE, row_key([number]), b"x")
    view.update_row(TABLE, row_key([0]), b"y", False)
    with pytest.raises(SqlError, match="transaction row limit exceeded"):
        view.insert_row(TABLE, row_key([3_000]), b"x")
    view = begin(fleet).statement((), True)
    view.insert_row(TABLE, A, bytes(9 << 20))
    with pytest.raises(SqlError, match="transaction size limit 10mb exceeded") as caught:
        view.insert_row(TABLE, B, bytes(2 << 20))
    assert caught.value.detail == "Current transaction size 12mb 10mb"


def test_a_transaction_grows_too_old() -> None:
    fleet = TestFleet()
    transaction = begin(fleet)
    run(fleet, put(transaction, A, b"1"))
    fleet.run(301)
    assert failure(fleet, put(transaction, B, b"1")).message == "transaction age limit of 300s exceeded"
    assert failure(fleet, transaction.commit()).code is Code.program_limit_exceeded


# --- replicas --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mood", ["drop", "refuse", "elsewhere"])
def test_another_zone_answers_where_the_own_one_does_not(mood: str) -> None:
    fleet = TestFleet()
    run(fleet, put_and_commit(fleet, A, b"1"))
    fleet.storages[0].mood = mood
    began = fleet.world.now
    assert run(fleet, read(fleet, A)) == b"1"
    assert fleet.world.now - began < 0.1


def test_a_replica_that_failed_is_not_asked_first_for_a_while() -> None:
    fleet = TestFleet()
    fleet.storages[0].mood = "refuse"
    run(fleet, read(fleet, A))
    fleet.data.reads.clear()
    run(fleet, read(fleet, A))
    assert [name for name, _ in fleet.data.reads] == ["storage-b"]


def test_reads_end_with_a_clear_error_where_no_storage_answers() -> None:
    fleet = TestFleet(read_seconds=3.0)
    for mood in ("drop", "refuse"):
        for storage in fleet.storages:
            storage.mood = mood
        began = fleet.world.now
        error = failure(fleet, read(fleet, A))
        assert error.code is Code.cannot_connect_now
        assert fleet.world.now - began < 3.5
    for storage in fleet.storages:
        storage.mood = "answer"
    assert run(fleet, read(fleet, A)) is None
    assert fleet.processor.reads.in_flight == 0


def test_a_stale_plan_is_told_so() -> None:
    fleet = TestFleet()
    fleet.data.schema[TABLE] = [5]
    with pytest.raises(StaleSchemaError):
        run(fleet, read(fleet, A))


def test_a_blind_write_with_a_stale_plan_is_refused() -> None:
    fleet = TestFleet()
    fleet.data.schema[TABLE] = [5]

    async def body() -> None:
        transaction = begin(fleet)
        transaction.statement(((TABLE, 0),), True).insert_row(TABLE, A, b"1")
        await transaction.commit()

    assert "OC001" in failure(fleet, body()).message
    assert not fleet.data.commits


# --- outcomes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.conflict, Code.serialization_failure),
        (Reason.schema, Code.serialization_failure),
        (Reason.floor, Code.serialization_failure),
        (Reason.deadline, Code.serialization_failure),
        (Reason.not_holder, Code.serialization_failure),
        (Reason.wrong_shard, Code.serialization_failure),
        (Reason.overloaded, Code.serialization_failure),
        (Reason.votes, Code.serialization_failure),
        (Reason.full, Code.disk_full),
    ],
)
def test_every_refusal_is_told_as_what_it_is(reason: Reason, code: Code) -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].mood = reason
    assert failure(fleet, put_and_commit(fleet, A, b"1")).code is code


def test_the_retry_after_a_floor_starts_above_it() -> None:
    fleet = TestFleet()
    adjudicator = fleet.adjudicators[0]
    adjudicator.mood, adjudicator.floor = Reason.floor, (EPOCH_MICROS + 2_000_000) << 10
    failure(fleet, put_and_commit(fleet, A, b"1"))
    transaction = begin(fleet)
    assert transaction.take_snapshot() > adjudicator.floor


def hand_over(fleet: TestFleet) -> None:
    fleet.adjudicators[0].hold(False, (1, 1))
    fleet.adjudicators[1].hold(True, (2, 2))


def kill_holder(fleet: TestFleet) -> None:
    fleet.world.processes["adjudicator-a"].kill()
    fleet.adjudicators[1].hold(True, (2, 2))


@pytest.mark.parametrize("change", [hand_over, kill_holder])
@pytest.mark.parametrize(("mood", "committed"), [("mute", True), ("vanish", False)])
def test_a_lost_answer_is_settled_with_the_next_holder(
    change: Callable[[TestFleet], None], mood: str, committed: bool
) -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].mood = mood
    fleet.world.at(0.05, None, change, fleet)
    if committed:
        transaction = run(fleet, put_and_commit(fleet, A, b"1"))
        assert transaction.tau_commit == fleet.data.commits[0][0]
    else:
        assert failure(fleet, put_and_commit(fleet, A, b"1")).code is Code.serialization_failure
    assert len(fleet.data.received) == 1
    assert fleet.processor.metrics.outcomes_asked == 1


def test_a_holder_that_sleeps_is_not_waited_for_once_it_has_a_successor() -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].mood = "mute"
    fleet.world.at(0.05, None, fleet.adjudicators[1].hold, True, (2, 2))
    began = fleet.world.now
    assert run(fleet, put_and_commit(fleet, A, b"1")).tau_commit == fleet.data.commits[0][0]
    assert fleet.world.now - began < 1.0
    assert len(fleet.data.received) == 1


def test_a_lost_answer_of_a_holder_that_stays_is_asked_for() -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].mood = "mute"
    assert run(fleet, put_and_commit(fleet, A, b"1")).tau_commit
    assert run(fleet, read(fleet, A)) == b"1"


def test_an_outcome_nobody_can_tell_is_40003_and_not_40001() -> None:
    fleet = TestFleet(outcome_seconds=10.0)
    fleet.adjudicators[0].mood = "mute"
    fleet.adjudicators[0].knows = False
    began = fleet.world.now
    assert failure(fleet, put_and_commit(fleet, A, b"1")).code is Code.statement_completion_unknown
    assert fleet.world.now - began < 20


def test_commits_wait_for_a_takeover() -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].hold(False, (1, 1))
    fleet.run(0.1)
    fleet.world.at(1.0, None, fleet.adjudicators[1].hold, True, (2, 2))
    assert run(fleet, put_and_commit(fleet, A, b"1")).tau_commit


def test_a_stream_without_a_holder_is_40001_and_nothing_is_sent() -> None:
    fleet = TestFleet(holder_seconds=1.0)
    fleet.adjudicators[0].hold(False, (1, 1))
    fleet.run(0.1)
    assert failure(fleet, put_and_commit(fleet, A, b"1")).code is Code.serialization_failure
    assert not fleet.data.received


def test_the_higher_epoch_is_believed() -> None:
    fleet = TestFleet()
    fleet.adjudicators[1].hold(True, (2, 2))
    fleet.run(0.1)
    assert fleet.processor.placement.holders[0].name == "adjudicator-b"
    assert run(fleet, put_and_commit(fleet, A, b"1")).tau_commit


def test_rows_that_nobody_judges_are_40001() -> None:
    fleet = TestFleet()
    fleet.adjudicators[0].ranges = ((b"", B),)
    fleet.adjudicators[0].hold(True, (1, 1))
    fleet.run(0.1)
    run(fleet, put_and_commit(fleet, A, b"1"))
    # nobody judges B
    assert failure(fleet, put_and_commit(fleet, B, b"1")).code is Code.serialization_failure
