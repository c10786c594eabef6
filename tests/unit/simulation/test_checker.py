"""The checker itself, on histories known to be good and known to be bad."""

from __future__ import annotations

import pytest

from tausql.simulation.checker import Anomaly, check_history
from tausql.simulation.history import Attempt, Operation


def read(key: str, *values: int) -> Operation:
    return Operation("read", key, values=values)


def append(key: str, value: int) -> Operation:
    return Operation("append", key, value)


def history(*rows: tuple[float, float, str, list[Operation]]) -> list[Attempt]:
    return [
        Attempt(number, f"c{number}", invoked, completed, status, operations)  # type: ignore[arg-type]
        for number, (invoked, completed, status, operations) in enumerate(rows)
    ]


GOOD = {
    "serial": history(
        (0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x", 1), append("x", 2)]), (4, 5, "ok", [read("x", 1, 2)])
    ),
    "write skew is allowed": history(
        (0, 5, "ok", [read("x"), append("y", 1)]),
        (0, 5, "ok", [read("y"), append("x", 2)]),
        (6, 7, "ok", [read("x", 2), read("y", 1)]),
    ),
    "unknown outcome, seen": history((0, 9, "info", [append("x", 1)]), (2, 3, "ok", [read("x", 1)])),
    "unknown outcome, never seen": history((0, 9, "info", [append("x", 1)]), (20, 30, "ok", [read("x")])),
    "failed, never seen": history((0, 1, "fail", [append("x", 1)]), (2, 3, "ok", [read("x")])),
    "own appends": history((0, 1, "ok", [read("x"), append("x", 1), read("x", 1), append("x", 2), read("x", 1, 2)])),
}

BAD = {
    "lost update": (
        history(
            (0, 5, "ok", [read("x"), append("x", 1)]),
            (0, 5, "ok", [read("x"), append("x", 2)]),
            (6, 7, "ok", [read("x", 1, 2)]),
        ),
        True,
    ),
    "read skew": (
        history(
            (0, 5, "ok", [append("x", 1), append("y", 1)]),
            (0, 5, "ok", [read("x", 1), read("y")]),
            (6, 7, "ok", [read("x", 1), read("y", 1)]),
        ),
        True,
    ),
    "long fork": (
        history(
            (0, 5, "ok", [append("x", 1)]),
            (0, 5, "ok", [append("y", 1)]),
            (0, 5, "ok", [read("x", 1), read("y")]),
            (0, 5, "ok", [read("x"), read("y", 1)]),
        ),
        True,
    ),
    "aborted read": (history((0, 1, "fail", [append("x", 1)]), (2, 3, "ok", [read("x", 1)])), True),
    "intermediate read": (
        history((0, 5, "ok", [append("x", 1), append("x", 2)]), (0, 5, "ok", [read("x", 1)])),
        True,
    ),
    "element twice": (history((0, 5, "ok", [append("x", 1)]), (0, 5, "ok", [read("x", 1, 1)])), True),
    "order disputed": (
        history(
            (0, 5, "ok", [append("x", 1)]),
            (0, 5, "ok", [append("x", 2)]),
            (0, 5, "ok", [read("x", 1, 2)]),
            (0, 5, "ok", [read("x", 2, 1)]),
        ),
        True,
    ),
    "own append unseen": (history((0, 1, "ok", [append("x", 1), read("x")])), True),
    "two snapshots": (history((0, 5, "ok", [append("x", 1)]), (0, 5, "ok", [read("x"), read("x", 1)])), True),
    "from nowhere": (history((0, 1, "ok", [read("x", 7)])), True),
    "lost": (history((0, 1, "ok", [append("x", 1)]), (2, 3, "ok", [read("x")])), False),
    "stale read between others": (
        history(
            (0, 1, "ok", [append("x", 1)]),
            (2, 3, "ok", [read("x")]),
            (4, 5, "ok", [read("x", 1)]),
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_history_passes(name: str) -> None:
    check_history(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_history_is_found(name: str) -> None:
    attempts, _ = BAD[name]
    with pytest.raises(Anomaly):
        check_history(attempts)


@pytest.mark.parametrize("name", ["stale read between others"])
def test_stale_read_is_only_a_matter_of_strength(name: str) -> None:
    attempts, _ = BAD[name]
    check_history(attempts, strong=False)


def test_witness_names_the_transactions() -> None:
    with pytest.raises(Anomaly, match=r"T0.*T1|T1.*T0"):
        check_history(BAD["lost update"][0])
