"""The witness is the shortest there is, and says in words who did what and why that cannot be."""

from __future__ import annotations

import pytest
from histories import append, get, history, read, write

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.check import check_history
from tausql.checker.history import Attempt


def witness(attempts: list[Attempt], strong: bool = True) -> Anomaly:
    with pytest.raises(Anomaly) as caught:
        check_history(attempts, strong)
    return caught.value


def test_a_lost_update_is_told_like_this() -> None:
    found = witness(
        history(
            (0, 5, "ok", [read("x"), append("x", 1)]),
            (0, 5, "ok", [read("x"), append("x", 2)]),
            (6, 7, "ok", [read("x", 1, 2)]),
        )
    )
    assert str(found).splitlines() == [
        "lost update: T0, T1 must each come before the next, and the last before the first",
        "  T0 of c0 from 0.000000: read x = []; append 1 to x; committed, told at 5.000000",
        "  T1 of c1 from 0.000000: read x = []; append 2 to x; committed, told at 5.000000",
        "  T0 before T1: in x 1 of T0 comes before 2 of T1",
        "  T1 before T0: T1 read x = [], without x 1 of T0",
    ]


def test_a_stale_read_is_told_like_this() -> None:
    found = witness(history((0, 1, "info", [write("x", 1)]), (2, 3, "ok", [get("x", 1), write("x", 2)]),
                            (4, 5, "ok", [get("x", 1)])))  # fmt: skip
    assert str(found).splitlines()[-2:] == [
        "  T1 before T2: T1 was over at 3.000000, before T2 began at 4.000000",
        "  T2 before T1: T2 read x = 1, without x 2 of T1",
    ]


def long_and_short() -> list[Attempt]:
    """Two cycles: four transactions around, and two. Enough of real time to hide them in one component."""
    rows = history(
        (0, 50, "ok", [append("a", 1)]),
        (0, 50, "ok", [append("b", 1)]),
        (0, 50, "ok", [read("a", 1), read("b")]),
        (0, 50, "ok", [read("a"), read("b", 1)]),
        (0, 50, "ok", [append("x", 1), append("y", 1)]),
        (0, 50, "ok", [read("x", 1), read("y"), append("b", 2)]),
        (60, 70, "ok", [read("a", 1), read("b", 1, 2), read("x", 1), read("y", 1)]),
    )
    return rows


def test_the_shortest_cycle_is_the_witness() -> None:
    found = witness(long_and_short())
    assert found.name is Name.read_skew
    assert sorted(found.transactions) == [4, 5]


def test_of_two_as_short_the_one_without_real_time_is_told() -> None:
    found = witness(
        history(
            (0, 1, "ok", [append("x", 1), append("y", 1)]),
            (2, 3, "ok", [read("x", 1), read("y")]),
            (4, 5, "ok", [read("y", 1)]),
        )
    )
    assert found.name is Name.read_skew


def test_long_lists_and_long_transactions_are_told_in_short() -> None:
    rows = [(0.0, 1.0, "ok", [append("x", value) for value in range(100)])]
    rows += [(0.0, 5.0, "ok", [read("x", *range(100)), read("y")]), (0.0, 5.0, "ok", [append("y", 1), read("z", 1)])]
    rows += [(0.0, 5.0, "ok", [append("z", 1), *(append(f"q{other}", 1) for other in range(40))])]
    rows += [(0.0, 6.0, "ok", [read("y", 1), read("z")])]
    text = str(witness(history(*rows)))  # type: ignore[arg-type]
    assert max(len(line) for line in text.splitlines()) < 400
    skewed = history(
        (0, 1, "ok", [append("x", value) for value in range(100)] + [append("y", 1)]),
        (0, 5, "ok", [read("x", *range(100)), read("y")]),
        (0, 5, "ok", [read("y", 1)]),
    )
    text = str(witness(skewed))
    assert "89 more" in text
    assert "(92 more)" in text
