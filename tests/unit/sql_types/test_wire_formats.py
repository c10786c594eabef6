"""Encoders and decoders: text and binary agree with each other and with the general reader."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.errors import SqlError
from tausql.sql.types import SessionFormat, decoder, encoder, type_by_name
from tausql.sql.types.calendar import TIMESTAMP_INFINITY, TIMESTAMP_MAX_EXCLUSIVE, TIMESTAMP_MIN

BERLIN = SessionFormat("Europe/Berlin")

numerics = st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**30), max_value=10**30)


def plain(value: Decimal) -> Decimal:
    return type_by_name("numeric").text_in(format(value, "f"), BERLIN, -1)


def survives(name: str, value: object) -> bool:
    kind = type_by_name(name)
    return all(decoder(kind, code, BERLIN)(encoder(kind, code, BERLIN)(value)) == value for code in (0, 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), numerics, st.floats(allow_nan=False), st.binary(min_size=16, max_size=16))
def test_numbers_and_uuids_survive_both_formats(integer, decimal, floating, uuid):
    assert survives("int8", integer)
    number = plain(decimal)
    assert survives("numeric", number)
    kind = type_by_name("numeric")
    assert kind.text_out(kind.binary_in(kind.binary_out(number)), BERLIN) == kind.text_out(number, BERLIN)
    assert survives("float8", floating)
    assert survives("uuid", uuid)
    assert survives("bytea", uuid)


@settings(max_examples=100, deadline=None)
@given(st.integers(TIMESTAMP_MIN, TIMESTAMP_MAX_EXCLUSIVE - 1), st.integers(-730_000, 2_000_000))
def test_moments_survive_both_formats(us, day):
    assert survives("timestamp", us)
    assert survives("date", day)
    if abs(us) < 10**18:
        assert survives("timestamptz", us)


@settings(max_examples=60, deadline=None)
@given(st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(2**31) + 1, 2**31 - 1), st.integers(-(10**17), 10**17))
def test_intervals_survive_both_formats(months, days, us):
    assert survives("interval", (months, days, us))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))))
def test_text_arrays_survive_both_formats(items):
    assert survives("_text", items)


def test_infinite_timestamptz_prints_as_word():
    assert encoder(type_by_name("timestamptz"), 0, BERLIN)(TIMESTAMP_INFINITY) == b"infinity"


def test_timestamptz_encoder_follows_a_changed_zone():
    format = SessionFormat("UTC")
    encode = encoder(type_by_name("timestamptz"), 0, format)
    assert encode(0) == b"2000-01-01 00:00:00+00"
    format.set_timezone("America/New_York")
    assert encode(0) == b"1999-12-31 19:00:00-05"
    assert encode(500_000) == b"1999-12-31 19:00:00.5-05"


@pytest.mark.parametrize(
    ("name", "data", "sqlstate"),
    [
        ("int4", b"12x", "22P02"),
        ("int4", b"9999999999", "22003"),
        ("uuid", b"zz0e8400-e29b-41d4-a716-446655440000", "22P02"),
        ("text", b"\xff\xfe", "22021"),
        ("numeric", b"1..2", "22P02"),
    ],
)
def test_bad_parameters_raise_sqlstates(name, data, sqlstate):
    with pytest.raises(SqlError) as caught:
        decoder(type_by_name(name), 0, BERLIN)(data)
    assert caught.value.sqlstate == sqlstate


def test_binary_of_wrong_length_is_22p03():
    for name in ("int4", "int8", "uuid", "bool", "timestamptz", "float8", "interval"):
        with pytest.raises(SqlError) as caught:
            decoder(type_by_name(name), 1, BERLIN)(b"123")
        assert caught.value.sqlstate == "22P03"
