from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.pgwire import client
from tausql.pgwire.messages import (
    COPY_DONE,
    DESCRIBE_UNNAMED,
    EXECUTE_UNNAMED,
    FLUSH,
    SYNC,
    TERMINATE,
    Bind,
    Close,
    CopyData,
    CopyFail,
    Describe,
    Execute,
    FrontendMessage,
    Malformed,
    Parse,
    Password,
    Query,
)
from tausql.pgwire.reader import FrontendReader, formats
from tausql.protocol.errors import SqlError

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
oids = st.integers(0, 2**32 - 1)
values = st.none() | st.binary(max_size=40)
codes = st.lists(st.integers(0, 1), max_size=70)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[FrontendMessage, bytes]:
    """A message as the reader should give it, and as a client sends it."""
    kind = draw(st.integers(0, 12))
    name = draw(texts)
    if kind == 0:
        sql, types = draw(texts), draw(st.lists(oids, max_size=5))
        return Parse(name, sql, tuple(types)), client.parse(sql, name, types)
    if kind == 1:
        portal, parameters, first, second = draw(texts), draw(st.lists(values, max_size=5)), draw(codes), draw(codes)
        return Bind(portal, name, tuple(first), parameters, tuple(second)), client.bind(
            parameters, portal, name, first, second
        )
    if kind == 2:
        return Describe(True, name), client.describe_portal(name)
    if kind == 3:
        return Describe(False, name), client.describe_statement(name)
    if kind == 4:
        return Close(True, name), client.close_portal(name)
    if kind == 5:
        return Close(False, name), client.close_statement(name)
    if kind == 6:
        limit = draw(st.integers(0, 2**31 - 1))
        return Execute(name, limit), client.execute(name, limit)
    if kind == 7:
        return Query(name), client.query(name)
    if kind == 8:
        data = draw(st.binary(max_size=50))
        return CopyData(data), client.copy_data(data)
    if kind == 9:
        return CopyFail(name), client.copy_fail(name)
    if kind == 10:
        return Password(name.encode()), client.password(name)
    return draw(
        st.sampled_from(
            [(SYNC, client.SYNC), (FLUSH, client.FLUSH), (COPY_DONE, client.COPY_DONE), (TERMINATE, client.TERMINATE)]
        )
    )


@given(st.lists(exchanges(), max_size=12), st.lists(st.integers(1, 40), max_size=30))
@settings(max_examples=150, deadline=None)
def test_messages_are_the_same_however_the_bytes_are_cut(
    exchange: list[tuple[FrontendMessage, bytes]], cuts: list[int]
) -> None:
    data = b"".join(raw for _, raw in exchange)
    expected = [message for message, _ in exchange]
    assert FrontendReader().feed(data) == expected
    reader = FrontendReader()
    got: list[FrontendMessage] = []
    for size in cuts:
        got += reader.feed(data[:size])
        data = data[size:]
    for byte in data:
        got += reader.feed(bytes((byte,)))
    assert got == expected
    assert reader.buffered == 0


@given(st.lists(st.binary(max_size=60), max_size=10))
@settings(max_examples=200, deadline=None)
def test_garbage_gives_messages_or_one_fatal_error_and_nothing_after_it(chunks: list[bytes]) -> None:
    reader = FrontendReader()
    seen: list[FrontendMessage] = []
    for chunk in chunks:
        seen += reader.feed(chunk)
    fatal = [index for index, message in enumerate(seen) if type(message) is Malformed and is_fatal(message)]
    assert fatal in ([], [len(seen) - 1])


@given(st.sampled_from(b"BESPDCHQdcfp"), st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_garbage_within_sound_borders_never_reaches_the_next_message(kind: int, body: bytes) -> None:
    """The queries around it hold what a count or a length that is too large would run into."""
    framed = pack(">BI", kind, len(body) + 4) + body
    got = FrontendReader().feed(client.query("before") + framed + client.query("after") + client.SYNC * 40)
    assert got[0] == Query("before")
    assert got[2] == Query("after")
    assert got[3:] == [SYNC] * 40
    alone = FrontendReader().feed(framed)
    assert [type(message) for message in alone] == [type(got[1])]


def is_fatal(message: Malformed) -> bool:
    return message.error.severity == "FATAL"


def test_usual_messages_without_content_are_shared_objects() -> None:
    raw = client.describe_portal() + client.execute() + client.SYNC
    first, second, third = FrontendReader().feed(raw)
    assert first is DESCRIBE_UNNAMED
    assert second is EXECUTE_UNNAMED
    assert third is SYNC


def test_negative_row_limit_means_all_rows() -> None:
    assert FrontendReader().feed(b"E\0\0\0\x0aa\0\xff\xff\xff\xff") == [Execute("a", 0)]


@pytest.mark.parametrize("length", [0, 3, 10 * 1024 * 1024 + 1, 2**31, 2**32 - 1])
def test_impossible_length_is_fatal(length: int) -> None:
    reader = FrontendReader()
    (message,) = reader.feed(pack(">BI", ord("Q"), length))
    assert type(message) is Malformed
    assert is_fatal(message)
    assert (message.error.sqlstate, message.error.message) == ("08P01", "invalid message length")
    assert reader.feed(client.query("select 1")) == []


def test_message_of_exactly_the_limit_is_taken_and_buffered_once() -> None:
    sql = "x" * (10 * 1024 * 1024 - 5)
    raw = client.query(sql)
    reader = FrontendReader()
    got: list[FrontendMessage] = []
    for start in range(0, len(raw), 65536):
        assert not got
        got = reader.feed(raw[start : start + 65536])
    assert got == [Query(sql)]


def test_unknown_message_type_is_fatal_after_the_messages_before_it() -> None:
    query, broken = FrontendReader().feed(client.query("select 1") + b"GET / HTTP/1.1\r\n\r\n")
    assert query == Query("select 1")
    assert type(broken) is Malformed
    assert broken.error.message == f"invalid frontend message type {ord('G')}"


def test_text_that_is_not_utf8_fails_alone() -> None:
    broken, sync = FrontendReader().feed(b"Q\0\0\0\x06\xff\0" + client.SYNC)
    assert type(broken) is Malformed
    assert not is_fatal(broken)
    assert broken.kind == ord("Q")
    assert broken.error.sqlstate == "22021"
    assert broken.error.message == 'invalid byte sequence for encoding "UTF8": 0xff'
    assert sync is SYNC


def test_bind_with_a_parameter_beyond_its_end_fails_alone() -> None:
    raw = bytearray(client.bind([b"abc"]))
    raw[14] = 200
    broken, sync = FrontendReader().feed(bytes(raw) + client.SYNC)
    assert type(broken) is Malformed
    assert broken.error.message == "invalid message format"
    assert sync is SYNC


def test_formats_expand_to_one_code_each() -> None:
    assert formats((), 3) == (0, 0, 0)
    assert formats((1,), 3) == (1, 1, 1)
    assert formats((1, 0), 2) == (1, 0)
    with pytest.raises(SqlError, match="2 format codes but 3"):
        formats((1, 0), 3)
    with pytest.raises(SqlError, match="unsupported format code: 2"):
        formats((2,), 3)
