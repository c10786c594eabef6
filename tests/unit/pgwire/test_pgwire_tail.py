from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.pgwire import backend
from tausql.pgwire.tail import RelayTail, tail_status

MESSAGES = [
    backend.READY_IDLE,
    backend.READY_TRANSACTION,
    backend.PARSE_COMPLETE,
    backend.data_row([b"x" * 50, None]),
    backend.data_row([backend.READY_IDLE]),
    backend.command_complete("SELECT 1"),
]
messages = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8)


def test_ready_at_the_end_is_seen() -> None:
    assert tail_status(backend.PARSE_COMPLETE + backend.READY_FAILED) == ord("E")
    assert tail_status(backend.READY_IDLE) == ord("I")


def test_row_that_ends_like_ready_is_not_believed() -> None:
    assert tail_status(backend.data_row([backend.READY_IDLE])) == 0
    assert tail_status(b"") == 0
    assert tail_status(backend.READY_IDLE[:-1]) == 0


@given(messages)
@settings(max_examples=80, deadline=None)
def test_tail_is_the_last_messages_status(sent: list[bytes]) -> None:
    expected = sent[-1][-1] if sent[-1] in (backend.READY_IDLE, backend.READY_TRANSACTION) else 0
    assert tail_status(b"".join(sent)) == expected
    tail = RelayTail()
    tail.advance(b"".join(sent))
    assert tail.status == expected
    assert tail.at_boundary


@given(messages, st.lists(st.integers(1, 20), max_size=20))
@settings(max_examples=150, deadline=None)
def test_relay_tail_knows_every_boundary_however_the_bytes_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    boundaries = {0: 0}
    position = 0
    for message in sent:
        position += len(message)
        boundaries[position] = message[-1] if message[:1] == b"Z" else 0
    raw = b"".join(sent)
    tail = RelayTail()
    position = 0
    for size in [*cuts, len(raw)]:
        tail.advance(raw[position : position + size])
        position = min(position + size, len(raw))
        assert tail.at_boundary == (position in boundaries)
        assert tail.status == boundaries.get(position, 0)


@given(st.lists(st.binary(max_size=40), max_size=8))
@settings(max_examples=100, deadline=None)
def test_garbage_never_raises_and_is_not_kept(chunks: list[bytes]) -> None:
    tail = RelayTail()
    for chunk in chunks:
        tail_status(chunk)
        tail.advance(chunk)
