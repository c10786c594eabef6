"""Sort keys and hash keys follow PostgreSQL's comparison."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from tausql.protocol.errors import SqlError
from tausql.sql.types import hash_key, sort_key, sort_rows_key, type_by_name


def ordered(name: str, values: list) -> list:
    return sorted(values, key=sort_key(type_by_name(name)))


def test_nan_sorts_above_infinity():
    assert [repr(v) for v in ordered("float8", [math.nan, math.inf, -1.0])] == ["-1.0", "inf", "nan"]
    assert ordered("numeric", [Decimal("NaN"), Decimal("Infinity"), Decimal(1)])[0] == 1


def test_text_sorts_by_utf8_bytes():
    assert ordered("text", ["é", "z", "Z", "a"]) == ["Z", "a", "z", "é"]


def test_intervals_sort_by_thirty_day_months():
    assert ordered("interval", [(1, 0, 0), (0, 29, 0), (0, 31, 0)]) == [(0, 29, 0), (1, 0, 0), (0, 31, 0)]


def test_hash_keys_equal_where_values_are_equal():
    numeric = hash_key(type_by_name("numeric"))
    assert numeric(Decimal("1.0")) == numeric(Decimal("1.00"))
    assert numeric(Decimal("NaN")) == numeric(Decimal("NaN"))
    floats = hash_key(type_by_name("float8"))
    assert floats(0.0) == floats(-0.0)
    assert floats(math.nan) == floats(float("nan"))
    padded = hash_key(type_by_name("bpchar"))
    assert padded("a  ") == padded("a")
    arrays = hash_key(type_by_name("_numeric"))
    assert arrays([Decimal("1.0"), None]) == arrays([Decimal("1.00"), None])
    assert arrays([Decimal(1)]) != arrays([None])


def test_rows_sort_descending_with_nulls_where_asked():
    rows = [[1, "b"], [None, "a"], [2, "c"], [1, "a"]]
    int4, text = type_by_name("int4"), type_by_name("text")
    key = sort_rows_key([(0, int4, True, True), (1, text, False, False)])
    assert sorted(rows, key=key) == [[None, "a"], [2, "c"], [1, "a"], [1, "b"]]
    key = sort_rows_key([(1, text, True, False)])
    assert [row[1] for row in sorted(rows, key=key)] == ["c", "b", "a", "a"]


def test_json_has_no_order():
    with pytest.raises(SqlError) as caught:
        sort_key(type_by_name("json"))
    assert caught.value.sqlstate == "42883"
