"""Partial totals: the same whatever pieces the rows came in."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tausql.protocol.totals import Aggregation, Folding, Total, TotalKind

KINDS = (
    Total(TotalKind.count_rows),
    Total(TotalKind.count, 1),
    Total(TotalKind.sum, 1),
    Total(TotalKind.min, 1),
    Total(TotalKind.max, 1),
    Total(TotalKind.sum, 2, numeric=True),
    Total(TotalKind.min, 2, numeric=True),
    Total(TotalKind.max, 2, numeric=True),
    Total(TotalKind.bool_and, 3),
    Total(TotalKind.bool_or, 3),
    Total(TotalKind.min, 4),
    Total(TotalKind.max, 4),
)
numbers = st.sampled_from(["1.0", "1.00", "-3", "NaN", "12.5", "100000000000000000000.25"])
rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | numbers,
        st.none() | st.booleans(),
        st.none() | st.floats(),
    ).map(list),
    max_size=30,
)


def results(folding: Folding) -> list[str]:
    return [repr(part) for part in folding.results()]


@given(rows, st.lists(st.integers(0, 30), max_size=4), st.sampled_from([(), (0,), (0, 3)]))
def test_pieces_make_the_same_totals_as_the_whole(rows, cuts, groups):
    aggregation = Aggregation(KINDS, groups)
    whole = Folding(aggregation)
    whole.add(rows)
    merged = Folding(aggregation)
    edges = [0, *sorted(cuts), len(rows)]
    for low, high in pairwise(edges):
        piece = Folding(aggregation)
        piece.add(rows[low:high])
        for partial in piece.partials():
            merged.add_partial(partial)
    assert results(merged) == results(whole)


def test_totals_of_known_rows():
    folding = Folding(Aggregation(KINDS))
    folding.add([["a", 2**63 - 1, "1.0", True, 1.5], ["a", 1, "2.25", None, float("nan")], ["b"]])
    ((keys, totals),) = folding.results()
    assert keys == []
    assert totals[:5] == [3, 2, 2**63, 1, 2**63 - 1]
    assert totals[5:8] == [Decimal("3.25"), "1.0", "2.25"]
    assert totals[8:11] == [True, True, 1.5]
    assert totals[11] != totals[11]  # NaN is the greatest


def test_counting_needs_no_rows():
    folding = Folding(Aggregation((Total(TotalKind.count_rows),)))
    assert not folding.needs_rows
    folding.count(0)
    assert folding.partials() == []
    folding.count(7)
    folding.count(5)
    assert list(folding.results()) == [([], [12])]
    assert Folding(Aggregation((Total(TotalKind.count_rows),), (0,))).needs_rows
