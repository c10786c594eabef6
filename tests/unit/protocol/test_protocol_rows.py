"""Rows come back as they were stored, and pushed-down tests decide as PostgreSQL would."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.pushdown import compile_projection, compile_tests
from tausql.protocol.rows import ColumnKind, RowCodec, decode_stored, encode_stored
from tausql.protocol.storage import Comparison
from tausql.protocol.storage import Test as ColumnTest

DATUMS = {
    ColumnKind.plain: st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=5),
        st.binary(max_size=5),
        st.booleans(),
        st.floats(allow_nan=False),
    ),
    ColumnKind.numeric: st.decimals(allow_nan=False),
    ColumnKind.interval: st.tuples(st.integers(-5, 5), st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)),
    ColumnKind.jsonb: st.recursive(
        st.one_of(
            st.booleans(),
            st.integers(),
            st.text(max_size=3),
            st.decimals(allow_nan=False, allow_infinity=False, places=3),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
        max_leaves=5,
    ),
    ColumnKind.array: st.lists(st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=3)), max_size=3),
}


@st.composite
def rows(draw):
    kinds = draw(st.lists(st.sampled_from(list(ColumnKind)), min_size=1, max_size=5))
    return kinds, [draw(st.one_of(st.none(), DATUMS[kind])) for kind in kinds]


@settings(max_examples=300, deadline=None)
@given(rows(), st.data())
def test_rows_come_back(case, data):
    kinds, row = case
    codec = RowCodec(kinds)
    stored = codec.encode(row)
    assert codec.decode(stored) == row
    columns = data.draw(st.lists(st.integers(0, len(kinds) - 1), max_size=4))
    assert codec.decode_columns(columns)(stored) == [row[column] for column in columns]
    projected = compile_projection(columns)(decode_stored(stored))
    assert codec.projected(columns).decode(projected) == [row[column] for column in columns]


def test_scale_is_kept():
    codec = RowCodec([ColumnKind.numeric] * 4)
    texts = ["1.00", "NaN", "-Infinity", "0E-10"]
    assert [str(value) for value in codec.decode(codec.encode([Decimal(text) for text in texts]))] == texts


def test_shorter_rows_are_padded_with_nulls():
    codec = RowCodec([ColumnKind.plain, ColumnKind.numeric, ColumnKind.interval])
    assert codec.decode(encode_stored([1])) == [1, None, None]
    assert RowCodec([ColumnKind.plain] * 3).decode(encode_stored([])) == [None] * 3
    assert codec.decode_columns([2, 0])(encode_stored([1])) == [None, 1]
    assert decode_stored(compile_projection([3, 0])([7])) == [None, 7]


def test_jsonb_goes_through_the_given_functions():
    codec = RowCodec([ColumnKind.plain, ColumnKind.jsonb], dump_jsonb=lambda value: f'"{value}"', load_jsonb=str.upper)
    assert codec.decode(codec.encode([1, "a"])) == [1, '"A"']
    assert codec.decode(codec.encode([1, None])) == [1, None]


NAN = math.nan


@pytest.mark.parametrize(
    ("test", "row", "passes"),
    [
        (ColumnTest(0, Comparison.equal, 1), [1], True),
        (ColumnTest(0, Comparison.equal, 1), [None], False),
        (ColumnTest(0, Comparison.equal, 1), [], False),
        (ColumnTest(0, Comparison.equal, None), [None], False),
        (ColumnTest(0, Comparison.not_equal, 1), [2], True),
        (ColumnTest(0, Comparison.not_equal, 1), [None], False),
        (ColumnTest(1, Comparison.is_null, None), [1], True),
        (ColumnTest(0, Comparison.is_null, None), [None], True),
        (ColumnTest(0, Comparison.is_not_null, None), [None], False),
        (ColumnTest(0, Comparison.is_not_null, None), [0], True),
        (ColumnTest(0, Comparison.less, "b"), ["a"], True),
        (ColumnTest(0, Comparison.less, "\U0001f600"), ["\uffff"], True),
        (ColumnTest(0, Comparison.greater_equal, b"b"), [b"a"], False),
        (ColumnTest(0, Comparison.is_in, [1, None, 3]), [3], True),
        (ColumnTest(0, Comparison.is_in, [1, None, 3]), [2], False),
        (ColumnTest(0, Comparison.is_in, [1, None, 3]), [None], False),
        (ColumnTest(0, Comparison.is_in, [1.0, NAN]), [NAN], True),
        (ColumnTest(0, Comparison.greater, 1.0), [NAN], True),
        (ColumnTest(0, Comparison.less, NAN), [math.inf], True),
        (ColumnTest(0, Comparison.equal, NAN), [NAN], True),
        (ColumnTest(0, Comparison.equal, "1.0", numeric=True), ["1.00"], True),
        (ColumnTest(0, Comparison.less, "10", numeric=True), ["9"], True),
        (ColumnTest(0, Comparison.greater, "10", numeric=True), ["NaN"], True),
        (ColumnTest(0, Comparison.equal, "NaN", numeric=True), ["NaN"], True),
        (ColumnTest(0, Comparison.is_in, ["1.50", None], numeric=True), ["1.5"], True),
        (ColumnTest(0, Comparison.less_equal, "Infinity", numeric=True), ["NaN"], False),
    ],
)
def test_single_tests(test, row, passes):
    assert compile_tests([test])(row) is passes


def test_conjunctions():
    low, high, seen = (
        ColumnTest(0, Comparison.greater, 1),
        ColumnTest(0, Comparison.less, 5),
        ColumnTest(1, Comparison.is_not_null, None),
    )
    assert compile_tests([])([])
    assert compile_tests([low, high])([3])
    assert not compile_tests([low, high])([5])
    assert compile_tests([low, high, seen])([3, 1])
    assert not compile_tests([low, high, seen])([3])


def test_an_unknown_comparison_is_refused():
    with pytest.raises(ValueError, match="unknown comparison"):
        compile_tests([ColumnTest(0, 99, 1)])
