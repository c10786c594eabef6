from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.pgwire import backend
from tausql.pgwire.notes import NOTE_BYTES_MAX, NoteBroken, NoteReader, frame, split
from tausql.pgwire.tail import CountingTail, RelayTail

MESSAGES = [
    backend.READY_IDLE,
    backend.READY_TRANSACTION,
    backend.PARSE_COMPLETE,
    backend.data_row([b"x" * 50, None]),
    backend.data_row([b"~\0\0\0\0", b"Z\0\0\0\x05I"]),
    backend.copy_in_response(1),
]
NOTES = [frame(b""), frame(b"a note"), frame(b"Z\0\0\0\x05I" * 20)]
streams = st.lists(st.sampled_from(MESSAGES + NOTES), min_size=1, max_size=10)
sizes = st.lists(st.integers(1, 25), max_size=30)


def relayed(tail: RelayTail, chunks: list[bytes]) -> tuple[bytes, list[bytes]]:
    """What a relay passes on, and the notes it takes out."""
    passed = b""
    notes: list[bytes] = []
    reader = NoteReader()
    for chunk in chunks:
        data = chunk
        while data:
            at = tail.advance(data)
            if at < 0:
                passed += data
                break
            passed += data[:at]
            body, data = reader.feed(data[at:])
            if body is None:
                tail.hold()
            else:
                tail.release()
                notes.append(body)
    return passed, notes


def cut(raw: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(raw[:size])
        raw = raw[size:]
    return [*chunks, raw]


@given(streams, sizes)
@settings(max_examples=300, deadline=None)
def test_notes_are_taken_out_however_the_bytes_are_cut(stream: list[bytes], sizes: list[int]) -> None:
    messages = [each for each in stream if each not in NOTES]
    bodies = [each[9:] for each in stream if each in NOTES]
    tail = RelayTail()
    assert relayed(tail, cut(b"".join(stream), sizes)) == (b"".join(messages), bodies)
    assert tail.at_boundary
    last = messages[-1] if messages else b""
    assert tail.status == (last[-1] if last[:1] == b"Z" else 0)
    assert split(b"".join(stream)) == (b"".join(messages), bodies)


@given(streams, streams, sizes)
@settings(max_examples=200, deadline=None)
def test_counting_goes_on_where_the_usual_tail_left_off(
    before: list[bytes], after: list[bytes], sizes: list[int]
) -> None:
    raw = b"".join(before + after)
    place = len(b"".join(before))
    chunks = cut(raw, sizes)
    position = 0
    tail = RelayTail()
    counting: CountingTail | None = None
    reader = NoteReader()
    whole = [each for each in before + after if each not in NOTES]
    for chunk in chunks:
        if counting is None and position >= place and tail.at_boundary and not tail._head:
            counting = CountingTail(tail, tail.status)
            tail = counting
            counted_from = position
        position += len(chunk)
        data = chunk
        while data:
            at = tail.advance(data)
            if at < 0:
                break
            body, data = reader.feed(data[at:])
            if body is None:
                tail.hold()
            else:
                tail.release()
    assert tail.at_boundary
    if counting is not None:
        ends = []
        at = 0
        for each in before + after:
            at += len(each)
            ends.append((at, each))
        readies = [each for at, each in ends if each[:1] == b"Z" and at > counted_from]
        assert counting.readies == len(readies)
        assert counting.copies_in == sum(each[:1] == b"G" for at, each in ends if at > counted_from)
        if readies:
            assert counting.last == readies[-1][-1]
        assert counting.unanswered == (whole[-1][:1] == b"Z" if whole else False)


def test_a_note_that_is_too_long_is_refused_at_both_ends() -> None:
    with pytest.raises(NoteBroken):
        frame(bytes(NOTE_BYTES_MAX + 1))
    with pytest.raises(NoteBroken):
        NoteReader().feed(b"~\0\0\0\0\xff\xff\xff\xff")
    with pytest.raises(NoteBroken):
        NoteReader().feed(b"~\0\0\0\x01\0\0\0\x00")
    with pytest.raises(NoteBroken):
        split(frame(b"abc")[:-1])
