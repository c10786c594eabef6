"""Workloads whose invariant says it all."""

from __future__ import annotations

import pytest
from histories import append, get, history, read, write

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.check import check_history
from tausql.checker.workloads import (
    check_bank,
    check_index,
    check_inserts,
    check_long_fork,
    check_no_write_skew,
    some,
    write_skews,
)


def test_a_bank_keeps_its_money() -> None:
    check_bank([(1, {"a": 60, "b": 40}), (2, {"a": 100, "b": 0})], 100)
    check_bank([(1, {"a": 110, "b": -10})], 100, floor=None)
    with pytest.raises(Anomaly, match="T2 saw 90 in all accounts") as caught:
        check_bank([(1, {"a": 60, "b": 40}), (2, {"a": 50, "b": 40})], 100)
    assert (caught.value.name, caught.value.transactions) == (Name.wrong_total, (2,))
    with pytest.raises(Anomaly, match="T3 saw -10 in b") as caught:
        check_bank([(3, {"a": 110, "b": -10})], 100)
    assert caught.value.name is Name.lost_update


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ([1, 2], None),
        ([1, 2, 4], None),  # of unknown outcome
        ([1], Name.lost_write),
        ([1, 2, 3], Name.undead_write),
        ([1, 2, 9], Name.invented),
        ([1, 2, 2], Name.duplicate),
    ],
)
def test_unique_inserts_are_all_there_and_once(found: list[int], name: Name | None) -> None:
    if name is None:
        check_inserts(found, {1, 2}, {3}, {4})
        return
    with pytest.raises(Anomaly) as caught:
        check_inserts(found, {1, 2}, {3}, {4})
    assert caught.value.name is name


def test_readers_of_a_group_saw_its_writes_in_one_order() -> None:
    check_long_fork(
        [(1, "abc", ""), (2, "abc", "a"), (3, "abc", "ab"), (4, "abc", "ab"), (5, "xy", "y"), (6, "xy", "")]
    )
    with pytest.raises(Anomaly, match="T2 saw b and not a, T1 saw a and not b") as caught:
        check_long_fork([(2, "ab", "b"), (1, "ab", "a")])
    assert caught.value.name is Name.long_fork
    with pytest.raises(Anomaly):
        check_long_fork([(1, "abc", "a"), (2, "abc", "bc")])


SKEWED = history(
    (0, 5, "ok", [get("x"), get("y"), write("x", 1)]),
    (0, 5, "ok", [get("x"), get("y"), write("y", 2)]),
)
IN_TURN = history(
    (0, 5, "ok", [get("x"), get("y"), write("x", 1)]),
    (0, 5, "ok", [get("x", 1), get("y"), write("y", 2)]),
)


def test_write_skew_is_counted_where_it_may_happen_and_refused_where_it_may_not() -> None:
    assert write_skews(SKEWED) == [(0, 1)]
    check_history(SKEWED)  # it is allowed
    assert write_skews(IN_TURN) == []
    check_no_write_skew(IN_TURN)
    with pytest.raises(Anomaly, match="T0 and T1") as caught:
        check_no_write_skew(SKEWED)
    assert caught.value.name is Name.write_skew


def test_a_skew_of_which_one_was_refused_is_none() -> None:
    one_failed = history((0, 5, "ok", [read("x"), append("y", 1)]), (0, 5, "fail", [read("y"), append("x", 2)]))
    assert write_skews(one_failed) == []


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ([(2, "b"), (1, "a")], None),
        ([(1, "a")], Name.torn_index),
        ([(1, "a"), (2, "old")], Name.torn_index),
        ([(1, "a"), (2, "b"), (2, "b")], Name.duplicate),
    ],
)
def test_an_index_has_the_rows_of_its_table(index: list[tuple[int, str]], name: Name | None) -> None:
    table = [(1, "a"), (2, "b")]
    if name is None:
        check_index(7, table, index)
        return
    with pytest.raises(Anomaly, match="T7 found") as caught:
        check_index(7, table, index)
    assert caught.value.name is name


def test_a_few_are_shown() -> None:
    assert some([]) == "none"
    assert some(range(12, 0, -1)) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ..."
