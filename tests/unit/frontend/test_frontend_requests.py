"""What is known of a client's unanswered requests, however its bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.frontend.requests import KEPT_BYTES_MAX, Requests, may_end_block, only_reads, texts
from tausql.pgwire import client
from tausql.protocol.processor import CarriedStatement

PIPELINE = client.parse("select 1") + client.bind([]) + client.execute()
REQUESTS = [client.query("select 1"), PIPELINE + client.SYNC, client.SYNC]


def sent(*pieces: bytes) -> Requests:
    requests = Requests()
    for piece in pieces:
        requests.sent(piece)
    return requests


@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6),
    st.sampled_from([b"", PIPELINE, client.query("x" * 50)[:-7], b"P\0"]),
    st.lists(st.integers(1, 40), max_size=20),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_each_request_is_given_up_for_itself(
    whole: list[bytes], begun: bytes, sizes: list[int], data: st.DataObject
) -> None:
    raw = b"".join(whole) + begun
    requests = Requests()
    rest = raw
    for size in [*sizes, len(raw)]:
        requests.sent(rest[:size])
        rest = rest[size:]
    answered = data.draw(st.integers(0, len(whole)))
    requests.answered(answered)
    assert requests.all() == b"".join(whole[answered:]) + begun
    assert requests.settled == (answered == len(whole) and not begun)
    if answered < len(whole):
        assert requests.first() == whole[answered]
        assert requests.terminated
        assert requests.remainder() == (True, 0, False, b"".join(whole[answered + 1 :]) + begun, 0)


def test_request_begun_goes_on_from_its_last_whole_message() -> None:
    cut = client.bind([b"x" * 100])
    requests = sent(client.parse("select $1") + cut[:50])
    assert requests.remainder() == (False, 0, True, cut[:50], 0)


@pytest.mark.parametrize("pieces", [1, 7])
def test_beyond_the_limit_only_counts_are_left(pieces: int) -> None:
    large = client.query("x" * KEPT_BYTES_MAX)
    step = len(large) // pieces + 1
    requests = sent(*(large[at : at + step] for at in range(0, len(large), step)), PIPELINE + client.SYNC, PIPELINE[:3])
    assert requests.all() is None
    assert requests.first() is None
    assert requests.remainder() == (True, 1, False, PIPELINE[:3], 0)
    requests.answered(2)
    assert not requests.settled
    requests.sent(PIPELINE[3:] + client.SYNC)
    requests.answered(1)
    assert requests.settled
    requests.sent(client.SYNC)
    assert requests.all() == client.SYNC  # all was answered in between: it is kept again


def test_large_query_in_the_making_is_answered_now_and_its_rest_dropped() -> None:
    large = client.query("x" * (2 * KEPT_BYTES_MAX))
    requests = sent(large[: KEPT_BYTES_MAX + 100])
    assert requests.remainder() == (True, 0, False, b"", len(large) - KEPT_BYTES_MAX - 100)


def test_syncs_among_copy_data_end_nothing() -> None:
    requests = sent(PIPELINE + client.SYNC)
    requests.copy_begun(by_query=False)
    requests.sent(client.copy_data(b"1\n") + client.SYNC + client.copy_data(b"2\n"))
    assert requests.copying
    assert not requests.terminated
    requests.sent(client.COPY_DONE)
    assert not requests.copying
    requests.sent(client.SYNC)
    assert requests.terminated
    requests.answered(1)
    assert requests.settled
    requests.answered(1)  # of nothing
    assert requests.settled


def test_goodbye_is_told_from_bytes_that_look_like_it() -> None:
    assert not sent(client.query("x" * 10 + "\x01X\x01")).goodbye
    assert sent(client.TERMINATE[:2], client.TERMINATE[2:]).goodbye


@pytest.mark.parametrize(
    ("request_", "said", "reads", "ends"),
    [
        (client.query("select 1 ;"), ["select 1 ;"], True, False),
        (client.query("SELECT 1; DELETE FROM t"), ["SELECT 1; DELETE FROM t"], False, False),
        (client.query("insert into t values (1)"), ["insert into t values (1)"], False, False),
        (client.query("/* */ COMMIT"), ["/* */ COMMIT"], False, True),
        (client.query("insert into t values (1); end"), ["insert into t values (1); end"], False, True),
        (PIPELINE, ["select 1"], True, False),
        (client.execute("portal"), None, False, True),
        (client.bind([], statement="known"), ["commit"], False, True),
        (client.bind([], statement="other"), None, False, True),
        (client.bind([]), None, False, True),
        (b"Q\0\0\0\x06\xff\0", None, False, True),
        (client.SYNC, [], True, False),
    ],
)
def test_what_a_request_says(request_: bytes, said: list[str] | None, reads: bool, ends: bool) -> None:
    found = texts(request_, {"known": CarriedStatement("known", "commit", [])})
    assert found == said
    assert only_reads(found) == reads
    assert may_end_block(found) == ends
