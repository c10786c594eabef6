"""Availability, which errors are explained, and that a bad history is found out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tausql.chaos.availability import away, longest_away, usual_gap
from tausql.chaos.errors import Errors, Met
from tausql.chaos.faults import Struck, Victim
from tausql.chaos.judgement import explained, history_violations, unexpected_errors
from tausql.chaos.sessions import ClientError
from tausql.checker.history import Attempt, Operation

INF = float("inf")


def every(step: float, begun: float, until: float) -> list[float]:
    return [begun + step * number for number in range(round((until - begun) / step))]


def test_a_steady_stream_is_never_away() -> None:
    assert usual_gap(every(0.5, 0, 20)) == 0.5
    assert longest_away(every(0.5, 0, 20), 5.0, 15.0) == pytest.approx(0.0)


def test_away_is_the_longest_gap_beyond_the_usual() -> None:
    successes = every(0.5, 0, 5) + every(0.5, 8, 20)
    assert longest_away(successes, 4.6, 15.0) == pytest.approx(8 - 4.5 - 0.5)
    assert longest_away(successes, 10.0, 15.0) == pytest.approx(0.0)


def test_a_fault_is_charged_what_lies_in_its_window() -> None:
    successes = every(0.5, 0, 5) + every(0.5, 8, 20)
    assert longest_away(successes, 0.0, 6.0) == pytest.approx(1.0)
    assert longest_away(successes, 6.0, 20.0) == pytest.approx(2.0)
    before_the_next = longest_away(successes, 0.0, 4.9)
    assert before_the_next == pytest.approx(0.0)


def test_a_database_that_never_comes_back_is_away_to_the_end() -> None:
    assert longest_away(every(0.5, 0, 5), 4.0, 60.0) == pytest.approx(60 - 4.5 - 0.5)
    assert longest_away([], 10.0, 60.0) == pytest.approx(50.0)


def test_one_client_can_be_away_while_the_database_is_not() -> None:
    found = away([every(0.5, 0, 20), every(0.5, 0, 5) + every(0.5, 12, 20)], 4.0, 20.0)
    assert found.database == pytest.approx(0.25, abs=0.3)
    assert found.client == pytest.approx(7.0)


def struck(kind: str, *services: str) -> Struck:
    return Struck(kind, services[0], (Victim("v", services),), 10.0, 20.0)


def met(code: str, begun: float = 12.0, ended: float = 13.0) -> Met:
    return Met("lists", code, "", begun, ended)


@pytest.mark.parametrize(
    ("code", "blow", "fine"),
    [
        ("40001", struck("kill", "journal"), True),
        ("40003", struck("kill", "adjudicator"), True),
        ("lost", struck("kill", "frontend"), True),
        ("lost", struck("kill", "storage", "processor", "frontend"), True),
        ("connect", struck("restart", "frontend"), True),
        ("57P01", struck("restart", "frontend"), True),
        ("08006", struck("kill", "frontend"), True),
        ("deadline", struck("kill", "frontend"), True),
        ("deadline", struck("stop", "processor"), True),
        ("lost", struck("kill", "processor"), False),
        ("57P01", struck("kill", "processor"), False),
        ("deadline", struck("stop", "storage"), False),
        ("deadline", struck("kill", "processor"), False),
        ("connect", struck("kill", "journal"), False),
        ("XX000", struck("kill", "frontend"), False),
        ("57014", struck("kill", "frontend"), False),
    ],
)
def test_an_error_is_explained_by_what_was_broken(code: str, blow: Struck, fine: bool) -> None:
    assert explained(met(code), [blow]) is fine


def test_an_error_is_explained_by_what_was_broken_while_it_came_about() -> None:
    blow = [struck("kill", "frontend")]
    assert explained(met("lost", 1.0, 10.5), blow)
    assert explained(met("lost", 19.0, 25.0), blow)
    assert not explained(met("lost", 1.0, 9.0), blow)
    assert not explained(met("lost", 21.0, 22.0), blow)


def test_what_the_user_tolerates_is_no_failure() -> None:
    errors = Errors()
    for code in ("lost", "lost", "XX000"):
        errors.note("reads", 14.0, 15.0, ClientError(code, "a\n  b", usable=False))
    one, two = unexpected_errors(errors, [], begun=10.0)
    assert (one.code, one.count, one.text, one.at) == ("lost", 2, "a b", 5.0)
    assert unexpected_errors(errors, [], frozenset({"lost"}), 10.0) == [two]


def recorded() -> list[Attempt]:
    """Four clients and the kill of an adjudicator, a journal and a storage, on a real fleet."""
    lines = Path(__file__).with_name("recorded.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Attempt) for line in lines]


def test_the_recorded_history_holds() -> None:
    assert history_violations(recorded()) == []


def _written(attempts: list[Attempt]) -> Attempt:
    """An acknowledged append that others have read."""
    return next(one for one in attempts[len(attempts) // 3 :] if one.status == "ok" and one.appends())


def _change(attempts: list[Attempt], change: Callable[[Attempt, Operation], Operation]) -> None:
    for attempt in attempts:
        attempt.operations = [change(attempt, one) if one.kind == "read" else one for one in attempt.operations]


def lose_an_append(attempts: list[Attempt]) -> None:
    key, value = _written(attempts).appends()[0]

    def without(_: Attempt, one: Operation) -> Operation:
        values = tuple(each for each in one.values if (one.key, each) != (key, value))
        return msgspec.structs.replace(one, values=values)

    _change(attempts, without)


def refuse_what_was_read(attempts: list[Attempt]) -> None:
    _written(attempts).status = "fail"


def read_an_old_snapshot(attempts: list[Attempt]) -> None:
    """A reader of the second half sees one of its lists as it was two appends earlier, and the others as they are."""
    for attempt in attempts[len(attempts) // 2 :]:
        reads = [number for number, one in enumerate(attempt.operations) if len(one.values) > 4]
        if attempt.status == "ok" and not attempt.appends() and reads:
            one = attempt.operations[reads[0]]
            attempt.operations[reads[0]] = msgspec.structs.replace(one, values=one.values[:-2])
            return
    raise AssertionError("no such reader")


def swap_two_items(attempts: list[Attempt]) -> None:
    final = attempts[-1]
    number = next(number for number, one in enumerate(final.operations) if len(one.values) > 4)
    one = final.operations[number]
    values = (one.values[1], one.values[0], *one.values[2:])
    final.operations[number] = msgspec.structs.replace(one, values=values)


def lose_an_update(attempts: list[Attempt]) -> None:
    """Two transactions that both appended after reading the same list."""
    later = [one for one in attempts[len(attempts) // 3 :] if one.status == "ok" and one.appends()]
    writer = next(one for one in later if len(one.operations) == 2)
    read, append = writer.operations
    writer.operations = [msgspec.structs.replace(read, values=read.values[:-1]), append]


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lose_an_append, "lost write: T"),
        (refuse_what_was_read, "which was told that it had failed"),
        (read_an_old_snapshot, "stale read: T"),
        (swap_two_items, "disputed order: T"),
        (lose_an_update, "lost update: T"),
    ],
)
def test_a_history_that_cannot_be_is_found_out(tamper: Callable[[list[Attempt]], None], said: str) -> None:
    attempts = recorded()
    tamper(attempts)
    (violation,) = history_violations(attempts)
    assert said in violation
