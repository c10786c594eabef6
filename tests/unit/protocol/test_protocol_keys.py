"""The order of keys is the order of tuples, for every kind and every mixture of them."""

from __future__ import annotations

import math
from decimal import Decimal
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.keys import (
    KeyKind,
    entry_key,
    identity_key,
    key_decoder,
    key_encoder,
    nulls_end,
    nulls_start,
    prefix_end,
    relation_prefix,
    values_end,
)

PREFIX = relation_prefix(3, 0x00FF00)
NUMERICS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(min_value=-100, max_value=100, places=2),
    st.sampled_from([Decimal(text) for text in ("0", "-0.00", "1.0", "1.00", "10", "9.99", "-1E-30", "1E+50", "NaN")]),
)
VALUES = {
    KeyKind.integer: st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3)),
    KeyKind.float: st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan])),
    KeyKind.text: st.one_of(st.text(max_size=6), st.text("a\x00\x01b\u00ff\U0001f600 ", max_size=4)),
    KeyKind.bpchar: st.text("ab \t", max_size=4),
    KeyKind.uuid: st.binary(min_size=16, max_size=16),
    KeyKind.boolean: st.booleans(),
    KeyKind.numeric: NUMERICS,
    KeyKind.bytes: st.one_of(
        st.binary(max_size=5), st.text("\x00\x01\xff", max_size=4).map(lambda t: t.encode("latin1"))
    ),
}


def rank(kind: KeyKind, value):
    """What PostgreSQL compares."""
    if kind is KeyKind.float:
        return (1, 0.0) if math.isnan(value) else (0, value)
    if kind is KeyKind.numeric:
        return (1, Decimal(0)) if value.is_nan() else (0, value)
    if kind is KeyKind.text:
        return value.encode()
    if kind is KeyKind.bpchar:
        return value.rstrip(" ").encode()
    return value


def compare(kinds, nulls_first, one, other) -> int:
    for kind, first, a, b in zip(kinds, nulls_first, one, other, strict=True):
        if a is None or b is None:
            if a is b:
                continue
            return (-1 if a is None else 1) * (1 if first else -1)
        x, y = rank(kind, a), rank(kind, b)
        if x != y:
            return -1 if x < y else 1
    return 0


@st.composite
def tuples(draw):
    kinds = draw(st.lists(st.sampled_from(list(KeyKind)), min_size=1, max_size=3))
    nulls_first = [draw(st.booleans()) for _ in kinds]
    row = st.tuples(*[st.one_of(st.none(), VALUES[kind]) for kind in kinds])
    return kinds, nulls_first, draw(st.lists(row, min_size=2, max_size=8))


@settings(max_examples=400, deadline=None)
@given(tuples())
def test_order_of_keys_is_order_of_tuples(case):
    kinds, nulls_first, rows = case
    encode = key_encoder(PREFIX, kinds, nulls_first)
    by_key = sorted(rows, key=encode)
    by_value = sorted(rows, key=cmp_to_key(lambda a, b: compare(kinds, nulls_first, a, b)))
    for one, other in zip(by_key, by_value, strict=True):
        assert compare(kinds, nulls_first, one, other) == 0
    for one in rows:
        for other in rows:
            assert (encode(one) == encode(other)) == (compare(kinds, nulls_first, one, other) == 0)


@settings(max_examples=200, deadline=None)
@given(tuples())
def test_identity_keys_are_no_row_keys(case):
    kinds, nulls_first, rows = case
    encode = key_encoder(PREFIX, kinds, nulls_first)
    keys = {encode(row) for row in rows}
    assert not keys & {identity_key(key) for key in keys}


@settings(max_examples=200, deadline=None)
@given(tuples(), st.integers(0, 2))
def test_partial_tuples_bound_exactly_the_keys_that_start_with_their_values(case, width):
    kinds, nulls_first, rows = case
    width = min(width, len(kinds))
    encode = key_encoder(PREFIX, kinds, nulls_first)
    bound = encode(rows[0][:width])
    for row in rows:
        equal = compare(kinds[:width], nulls_first[:width], rows[0][:width], row[:width]) == 0
        assert (bound <= encode(row) < values_end(bound)) == equal


@settings(max_examples=200, deadline=None)
@given(tuples())
def test_decoded_keys_compare_equal_to_what_was_encoded(case):
    kinds, nulls_first, rows = case
    encode, decode = key_encoder(PREFIX, kinds, nulls_first), key_decoder(PREFIX, kinds)
    for row in rows:
        decoded = decode(encode(row))
        assert compare(kinds, nulls_first, decoded, row) == 0


def test_null_bounds():
    encode = key_encoder(PREFIX, [KeyKind.integer, KeyKind.text])
    head = encode([7])
    assert encode([7, "\U0010ffff"]) < nulls_start(head) <= encode([7, None]) < values_end(head)
    first = key_encoder(PREFIX, [KeyKind.integer, KeyKind.text], [False, True])
    assert first([7, None]) < nulls_end(head) <= first([7, ""])


def test_prefix_end():
    assert prefix_end(relation_prefix(0, 1)) == relation_prefix(0, 2)
    assert prefix_end(relation_prefix(1, 2**32 - 1)) == bytes([0, 0, 0, 2])
    assert prefix_end(b"\xff\xff") == b""
    assert prefix_end(b"") == b""


def test_unique_entries_meet_at_one_key_unless_a_value_is_null():
    rows = key_encoder(relation_prefix(1, 5), [KeyKind.integer])
    entries = key_encoder(relation_prefix(1, 6), [KeyKind.text])
    assert entry_key(entries, ["a"], rows([1]), True) == entry_key(entries, ["a"], rows([2]), True)
    assert entry_key(entries, [None], rows([1]), True) != entry_key(entries, [None], rows([2]), True)
    one, two = (entry_key(entries, ["a"], rows([n]), False) for n in (1, 2))
    assert entries(["a"]) < one < two < values_end(entries(["a"]))


def test_too_many_values_are_refused():
    for kinds in ([KeyKind.integer], [KeyKind.text], [KeyKind.integer, KeyKind.integer]):
        with pytest.raises(ValueError, match="values for a key"):
            key_encoder(PREFIX, kinds)([1, 2, 3])
