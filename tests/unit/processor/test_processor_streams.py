"""Commits that several streams judge, streams and ranges that move, and what becomes of commits meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from processor_fleet import TestFleet, conflict_keys
from test_processor_transactions import TABLE, begin, failure, put, put_and_commit, read, row_key, run

from tausql.protocol.adjudicator import Outcome, Part, Reason
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import identity_key

ROWS = [row_key([number]) for number in range(10)]
FIRST, SECOND, THIRD = ROWS[1], ROWS[4], ROWS[7]


def three_streams(**settings: Any) -> TestFleet:
    """Stream 0 judges rows 0 to 2 and everything before and after, stream 1 rows 3 to 5, stream 2 rows 6 to 8."""
    fleet = TestFleet(streams=3, **settings)
    fleet.adjudicators[1].own((ROWS[3], ROWS[6]))
    fleet.adjudicators[2].own((ROWS[6], ROWS[9]))
    fleet.adjudicators[0].own((b"", ROWS[3]), (ROWS[9], b""))
    fleet.run(0.1)
    return fleet


async def put_all(fleet: TestFleet, keys: list[bytes], value: bytes, announced: list[Outcome] | None = None) -> None:
    transaction = begin(fleet)
    for key in keys:
        await put(transaction, key, value)
    await transaction.commit(announced.append if announced is not None else None)


def requests(fleet: TestFleet) -> list[int]:
    return [len(adjudicator.requests) for adjudicator in fleet.adjudicators]


def test_a_commit_within_one_stream_asks_nobody_else() -> None:
    fleet = three_streams()
    for number, key in enumerate((FIRST, SECOND, THIRD)):
        run(fleet, put_and_commit(fleet, key, b"1"))
        request = fleet.adjudicators[number].requests[0]
        assert (request.stream, request.parts) == (number, ())
        assert request.writes == [key, identity_key(key)]
    assert fleet.processor.metrics.commit_streams == {"1": 3, "2": 0, "3": 0, "more": 0}


def test_a_commit_over_several_streams_has_one_coordinator_and_parts() -> None:
    fleet = three_streams()
    run(fleet, put_all(fleet, [THIRD, SECOND], b"1"))
    (request,) = fleet.adjudicators[1].requests
    assert request.writes == [SECOND, identity_key(SECOND)]
    assert request.parts == (Part(2, [THIRD, identity_key(THIRD)], []),)
    assert (request.low, request.high) == (SECOND, THIRD)  # the body is whole
    run(fleet, put_all(fleet, [THIRD, SECOND, FIRST], b"2"))
    assert requests(fleet) == [1, 1, 0]
    assert [part.stream for part in fleet.adjudicators[0].requests[0].parts] == [1, 2]
    assert [run(fleet, read(fleet, key)) for key in (FIRST, SECOND, THIRD)] == [b"2"] * 3
    assert fleet.processor.metrics.commit_streams == {"1": 0, "2": 1, "3": 1, "more": 0}


def test_locks_alone_are_judged_where_their_rows_are() -> None:
    fleet = three_streams()

    async def body() -> None:
        transaction = begin(fleet)
        view = transaction.statement(((TABLE, 0),), True)
        view.share_row(TABLE, SECOND)
        view.lock_row(TABLE, THIRD)
        await transaction.commit()

    run(fleet, body())
    (request,) = fleet.adjudicators[1].requests
    assert (request.writes, request.shares) == ([], [SECOND])
    assert request.parts == (Part(2, [THIRD, identity_key(THIRD)], []),)
    assert request.low == request.high == SECOND


def test_conflicts_are_found_whichever_stream_finds_them() -> None:
    fleet = three_streams()

    async def body() -> None:
        first, second = begin(fleet), begin(fleet)
        for key in (SECOND, THIRD):
            await put(first, key, b"1")
        for key in (FIRST, THIRD):
            await put(second, key, b"2")
        await first.commit()
        await second.commit()

    assert "OC000" in failure(fleet, body()).message


# --- schema changes --------------------------------------------------------------------------------------------------


async def change_schema(fleet: TestFleet, key: bytes) -> None:
    transaction = begin(fleet)
    view = transaction.statement((), True)
    view.insert_row(TABLE, key, b"1")
    view.change_schema(TABLE)
    await transaction.commit()


def test_every_stream_votes_for_a_schema_change() -> None:
    fleet = three_streams()
    run(fleet, change_schema(fleet, THIRD))
    (request,) = fleet.adjudicators[0].requests
    assert (request.stream, request.writes, request.shares) == (0, [], [])
    assert request.parts == (Part(1, [], []), Part(2, [THIRD, identity_key(THIRD)], []))


def test_a_schema_change_waits_for_a_stream_without_a_holder() -> None:
    fleet = three_streams()
    fleet.adjudicators[1].hold(False, (1, 1))
    fleet.run(0.1)
    fleet.world.at(1.0, None, fleet.adjudicators[1].hold, True, (2, 2))
    began = fleet.world.now
    run(fleet, change_schema(fleet, FIRST))
    assert 0.9 < fleet.world.now - began < 1.5


def test_a_schema_change_fails_where_a_stream_finds_no_holder() -> None:
    fleet = three_streams(holder_seconds=1.0)
    fleet.adjudicators[2].hold(False, (1, 1))
    fleet.run(0.1)
    assert failure(fleet, change_schema(fleet, FIRST)).code is Code.serialization_failure
    assert requests(fleet) == [0, 0, 0]
    run(fleet, put_and_commit(fleet, FIRST, b"1"))  # others need it not


def test_streams_come_and_go() -> None:
    fleet = three_streams()
    fleet.adjudicators[2].own()
    fleet.adjudicators[1].own((ROWS[3], ROWS[9]))
    fleet.adjudicators[2].hold(False, (1, 1))
    fleet.adjudicators[0].streams = (0, 1)
    fleet.adjudicators[0].hold(True, (1, 1))
    fleet.run(0.1)
    run(fleet, change_schema(fleet, THIRD))
    assert [part.stream for part in fleet.adjudicators[0].requests[0].parts] == [1]
    list(fleet.processor.metrics.collect())
    assert fleet.processor.metrics.unheld_streams == 0


# --- what moves ------------------------------------------------------------------------------------------------------


def move(fleet: TestFleet, told_after: float) -> None:
    """Rows 3 to 5 go from stream 1 to stream 2; processors hear of it later."""
    giver, taker = fleet.adjudicators[1], fleet.adjudicators[2]
    giver.owned, taker.owned = (), ((ROWS[3], ROWS[9]),)
    fleet.world.at(told_after, None, giver.own)
    fleet.world.at(told_after, None, taker.own, (ROWS[3], ROWS[9]))


@pytest.mark.parametrize("keys", [[SECOND], [FIRST, SECOND]])
def test_a_commit_that_comes_too_late_for_a_range_goes_where_it_went(keys: list[bytes]) -> None:
    fleet = three_streams()
    announced: list[Outcome] = []
    move(fleet, 0.03)
    run(fleet, put_all(fleet, keys, b"1", announced))
    assert [run(fleet, read(fleet, key)) for key in keys] == [b"1"] * len(keys)
    assert len(announced) == len(fleet.data.received) >= 2
    assert len({question.txn for question in announced}) == len(announced)
    assert [question.txn for question in announced] == fleet.data.received
    metrics = fleet.processor.metrics
    assert metrics.commit_resends == len(announced) - 1
    assert (metrics.refusals, metrics.outcomes_asked) == (0, 0)
    assert fleet.world.now < 0.6


def test_a_range_that_nobody_owns_for_a_moment_is_waited_for() -> None:
    fleet = three_streams()
    fleet.adjudicators[1].own()
    fleet.run(0.1)
    fleet.world.at(0.5, None, fleet.adjudicators[2].own, (ROWS[3], ROWS[9]))
    run(fleet, put_all(fleet, [FIRST, SECOND], b"1"))
    assert len(fleet.data.received) == 1


def test_a_range_that_never_arrives_is_40001_in_bounded_time() -> None:
    fleet = three_streams()
    fleet.adjudicators[1].owned = ()
    began = fleet.world.now
    error = failure(fleet, put_and_commit(fleet, SECOND, b"1"))
    assert error.code is Code.serialization_failure
    assert "moved" in error.message
    assert 2 <= len(fleet.data.received) <= 10
    assert fleet.world.now - began < 2.0


@pytest.mark.parametrize("keys", [[FIRST], [FIRST, THIRD]])
def test_a_commit_refused_by_who_holds_the_stream_no_longer_goes_to_the_next(keys: list[bytes]) -> None:
    fleet = three_streams()
    old = fleet.adjudicators[0]
    old.mood = Reason.not_holder
    fleet.world.at(0.02, None, setattr, old, "mood", "judge")
    fleet.world.at(0.02, None, old.hold, True, (2, 2))
    run(fleet, put_all(fleet, keys, b"1"))
    assert old.requests[-1].epoch == (2, 2)
    assert fleet.processor.metrics.commit_resends >= 1


def test_a_refusal_that_may_be_about_another_stream_does_not_lose_the_coordinator() -> None:
    fleet = three_streams()
    coordinator = fleet.adjudicators[0]
    coordinator.mood = Reason.not_holder  # as it passes on what it was told of another stream
    fleet.world.at(0.05, None, setattr, coordinator, "mood", "judge")
    run(fleet, put_all(fleet, [FIRST, THIRD], b"1"))
    assert coordinator.epoch == (1, 1)


def test_a_commit_there_was_no_room_for_is_sent_again() -> None:
    fleet = three_streams()
    fleet.adjudicators[0].mood = Reason.overloaded
    fleet.world.at(0.05, None, setattr, fleet.adjudicators[0], "mood", "judge")
    run(fleet, put_and_commit(fleet, FIRST, b"1"))
    assert fleet.processor.metrics.commit_resends >= 1


@pytest.mark.parametrize("reason", [Reason.conflict, Reason.schema, Reason.floor, Reason.deadline, Reason.full])
def test_a_commit_that_was_judged_is_never_sent_again(reason: Reason) -> None:
    fleet = three_streams()
    fleet.adjudicators[0].mood = reason
    failure(fleet, put_all(fleet, [FIRST, SECOND], b"1"))
    assert len(fleet.data.received) == 1


def test_nothing_is_sent_again_after_the_deadline() -> None:
    fleet = three_streams(commit_seconds=0.05)
    fleet.adjudicators[1].owned = ()
    began = fleet.world.now
    failure(fleet, put_and_commit(fleet, SECOND, b"1"))
    assert len(fleet.data.received) <= 3
    assert fleet.world.now - began < 0.2


@pytest.mark.parametrize("mood", ["mute", "vanish"])
def test_the_outcome_of_a_commit_sent_again_is_asked_for_under_its_own_name(mood: str) -> None:
    fleet = three_streams()
    announced: list[Outcome] = []
    move(fleet, 0.02)
    fleet.adjudicators[2].mood = mood
    fleet.adjudicators[2].decides = True
    if mood == "mute":
        run(fleet, put_all(fleet, [SECOND], b"1", announced))
    else:
        assert failure(fleet, put_all(fleet, [SECOND], b"1", announced)).code is Code.serialization_failure
    assert fleet.processor.metrics.outcomes_asked == 1
    assert [question.txn for question in announced] == fleet.data.received
    assert announced[-1].stream == 2
    assert announced[-1].txn in fleet.data.verdicts
    assert len(fleet.adjudicators[2].requests) == 1  # nothing is sent after a commit whose fate was unknown
    assert len(fleet.data.commits) == (mood == "mute")


def test_an_outcome_that_says_never_judged_is_not_tried_again() -> None:
    fleet = three_streams()
    holder = fleet.adjudicators[0]
    holder.mood = "vanish"
    holder.decides, holder.decision = True, Reason.not_holder
    failure(fleet, put_and_commit(fleet, FIRST, b"1"))
    assert len(fleet.data.received) == 1


@pytest.mark.parametrize("seed", range(4))
def test_transfers_between_moving_ranges_lose_nothing(seed: int) -> None:
    """Money moves between rows of all streams while the ranges do; each session goes on until it has its transfers."""
    fleet = TestFleet(seed, processors=2, streams=3)
    chance = fleet.world.random
    starting = b"100"
    assert run(fleet, put_all(fleet, ROWS[:9], starting)) is None

    def shuffle() -> None:
        cuts = sorted(chance.sample(range(10), 2))
        bounds = [b"", ROWS[cuts[0]], ROWS[cuts[1]], b""]
        streams = chance.sample(range(3), 3)
        for number, stream in enumerate(streams):
            fleet.adjudicators[stream].owned = ((bounds[number], bounds[number + 1]),)
            told = ((bounds[number], bounds[number + 1]),)
            fleet.world.at(chance.uniform(0, 0.02), None, fleet.adjudicators[stream].own, *told)
        if fleet.world.now < 5:
            fleet.world.at(chance.uniform(0.02, 0.1), None, shuffle)

    done: list[int] = []

    async def transfer(at: int) -> None:
        source, target = chance.sample(range(9), 2)
        transaction = begin(fleet, at)
        view = transaction.statement(((TABLE, 0),), True)
        old = [int(value or b"0") for value in await view.get(TABLE, [ROWS[source], ROWS[target]])]
        view.update_row(TABLE, ROWS[source], b"%d" % (old[0] - 1), False)
        view.update_row(TABLE, ROWS[target], b"%d" % (old[1] + 1), False)
        await transaction.commit()

    shuffle()
    while fleet.world.now < 5:
        try:
            run(fleet, transfer(len(done) % 2))
        except SqlError as error:
            if error.code is not Code.serialization_failure:
                raise
        else:
            done.append(1)
    total = sum(int(run(fleet, read(fleet, key)) or b"0") for key in ROWS[:9])
    assert total == 900
    assert len(done) > 50
    assert len(fleet.data.received) == len(set(fleet.data.received))
    for _, request in fleet.data.commits:
        writes, shares = conflict_keys(request)
        assert len(set(writes + shares)) == len(writes + shares)
    assert fleet.processors[0].metrics.commit_resends + fleet.processors[1].metrics.commit_resends > 0
