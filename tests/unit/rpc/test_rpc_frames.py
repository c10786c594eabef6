from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rpc_pair import MESSAGES, Count, Number, Say

from tausql.rpc import frames
from tausql.rpc.frames import BrokenFrame, Codec, RpcFailure, RpcHello, Unreadable, split, well_formed
from tausql.rpc.interface import Cause, Encoded

CODEC = Codec(MESSAGES)
HEADS = st.integers(0, (frames.ID_MAX << 8) | 255)
PAYLOADS = st.one_of(
    st.none(),
    st.integers(0, 1 << 40),
    st.text(max_size=20),
    st.builds(Say, st.text(max_size=20), st.binary(max_size=200)),
    st.builds(Number, st.integers(-(1 << 62), 1 << 62)),
    st.builds(Count, st.integers(0, 1000)),
    st.builds(RpcHello, st.integers(0, 9), st.text(max_size=9)),
    st.builds(RpcFailure, st.sampled_from(Cause), st.text(max_size=9)),
)


@given(st.lists(st.tuples(HEADS, PAYLOADS), max_size=30))
def test_frames_come_back_as_they_were(pairs):
    entries = [part for pair in pairs for part in pair]
    assert CODEC.unpack(CODEC.pack(entries)) == entries


@given(st.binary(max_size=300))
def test_garbage_is_a_broken_frame_or_harmless(garbage):
    try:
        entries = CODEC.unpack(garbage)
    except BrokenFrame:
        return
    assert isinstance(entries, list)


@given(st.lists(st.tuples(HEADS, PAYLOADS), min_size=1, max_size=5), st.data())
def test_frame_cut_short_is_broken(pairs, data):
    packed = CODEC.pack([part for pair in pairs for part in pair])
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(BrokenFrame):
        CODEC.unpack(packed[:cut])


@pytest.mark.parametrize("garbage", [b"\x91" * 100_000, b"\x92\x01" + b"\x91" * 100_000])
def test_nesting_without_end_is_a_broken_frame(garbage):
    with pytest.raises(BrokenFrame):
        CODEC.unpack(garbage)


def test_text_that_is_no_text_spoils_only_its_message():
    entries = CODEC.unpack(b"\x94\x01\xa1\xff\x02\xa1a")
    assert isinstance(entries[1], Unreadable)
    assert [entries[0], *entries[2:]] == [1, 2, "a"]


def test_unknown_message_leaves_the_others_readable():
    packed = msgspec.msgpack.encode([1, Say("a"), 2, ["never_heard_of", 1], 3, Say("b")])
    entries = CODEC.unpack(packed)
    assert entries[:3] == [1, Say("a"), 2]
    assert isinstance(entries[3], Unreadable)
    assert entries[4:] == [3, Say("b")]


def test_encoded_travels_as_its_message():
    encoded = Encoded(Say("a", b"b"))
    assert CODEC.unpack(CODEC.pack([7, encoded, 8, Say("c")])) == [7, Say("a", b"b"), 8, Say("c")]
    assert encoded.packed == msgspec.msgpack.encode(Say("a", b"b"))


def test_what_is_no_message_cannot_be_sent():
    with pytest.raises(TypeError, match="cannot be sent"):
        CODEC.pack([1, object()])


@pytest.mark.parametrize(("entries", "expected"), [([], True), ([1, "a"], True), ([1], False), (["a", 1], False)])
def test_well_formed_wants_pairs_that_begin_with_a_number(entries, expected):
    assert well_formed(entries) is expected


@given(st.lists(st.integers(1, 120), max_size=40), st.integers(1, 100))
def test_split_keeps_order_and_bounds(sizes, bytes_max):
    entries = [part for number in range(len(sizes)) for part in (number, f"m{number}")]
    runs = split(entries, sizes, bytes_max)
    assert [part for run in runs for part in run] == entries
    for run in runs:
        assert len(run) == 2 or sum(sizes[number] for number in run[::2]) <= bytes_max
