from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.pgwire import backend, client
from tausql.pgwire.rows import Column
from tausql.protocol.errors import Code, SqlError

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
int32 = st.integers(0, 2**32 - 1)
rows = st.lists(st.none() | st.binary(max_size=2000), max_size=6)
columns = st.builds(
    Column,
    name=texts,
    type_oid=int32,
    type_length=st.integers(-2, 2**15 - 1),
    type_modifier=st.integers(-1, 2**31 - 1),
    table_oid=int32,
    attnum=st.integers(0, 2000),
    format=st.integers(0, 1),
)


def read(raw: bytes) -> list[client.BackendMessage]:
    """Read whole and byte by byte: both must agree."""
    whole = client.BackendReader().feed(raw)
    reader = client.BackendReader()
    pieces: list[client.BackendMessage] = []
    for byte in raw:
        pieces += reader.feed(bytes((byte,)))
    assert pieces == whole
    return whole


@given(rows)
@settings(max_examples=60, deadline=None)
def test_row_comes_back(values: list[bytes | None]) -> None:
    assert client.BackendReader().feed(backend.data_row(values)) == [client.DataRow(tuple(values))]


@given(st.lists(rows, max_size=5))
@settings(max_examples=60, deadline=None)
def test_rows_in_a_block_are_the_rows_one_by_one(block: list[list[bytes | None]]) -> None:
    assert backend.data_rows(block) == b"".join(backend.data_row(values) for values in block)


@given(st.lists(columns, max_size=5))
@settings(max_examples=60, deadline=None)
def test_row_description_comes_back(described: list[Column]) -> None:
    assert read(backend.row_description(described)) == [client.RowDescription(tuple(described))]


@given(st.lists(int32, max_size=5), texts, texts, int32, int32)
@settings(max_examples=60, deadline=None)
def test_other_messages_come_back(oids: list[int], name: str, value: str, process_id: int, secret: int) -> None:
    raw = (
        backend.parameter_description(oids)
        + backend.parameter_status(name, value)
        + backend.backend_key_data(process_id, secret)
        + backend.negotiate_protocol_version(3 << 16, [name])
        + backend.copy_in_response(2)
        + backend.copy_out_response(3, binary=True)
        + backend.copy_data(value.encode())
        + backend.command_complete(value)
    )
    assert read(raw) == [
        client.ParameterDescription(tuple(oids)),
        client.ParameterStatus(name, value),
        client.BackendKeyData(process_id, secret),
        client.NegotiateProtocolVersion(3 << 16, (name,)),
        client.CopyInResponse((0, 0)),
        client.CopyOutResponse((1, 1, 1)),
        client.CopyChunk(value.encode()),
        client.CommandComplete(value),
    ]


def test_constants_are_what_clients_read() -> None:
    raw = (
        backend.AUTHENTICATION_CLEARTEXT_PASSWORD
        + backend.AUTHENTICATION_OK
        + backend.PARSE_COMPLETE
        + backend.BIND_COMPLETE
        + backend.CLOSE_COMPLETE
        + backend.NO_DATA
        + backend.PORTAL_SUSPENDED
        + backend.EMPTY_QUERY_RESPONSE
        + backend.COPY_DONE
        + backend.ready_for_query("I")
        + backend.ready_for_query("T")
        + backend.ready_for_query("E")
    )
    marks = ("parse_complete", "bind_complete", "close_complete", "no_data", "portal_suspended", "empty_query")
    assert read(raw) == [
        client.Authentication(3),
        client.Authentication(0),
        *map(client.Mark, marks),
        client.Mark("copy_done"),
        client.ReadyForQuery("I"),
        client.ReadyForQuery("T"),
        client.ReadyForQuery("E"),
    ]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 3000])
@pytest.mark.parametrize("verb", ["SELECT", "INSERT 0", "COPY", "MERGE"])
def test_counted_tags(verb: str, count: int) -> None:
    assert read(backend.command_complete_count(verb, count)) == [client.CommandComplete(f"{verb} {count}")]


def test_error_carries_every_field() -> None:
    error = SqlError(
        Code.unique_violation,
        "duplicate\0 key",
        detail="Key (a)=(1) already exists.",
        hint="h",
        position=7,
        schema="public",
        table="t",
        column="a",
        constraint="t_pkey",
        where="COPY t, line 1",
    )
    (message,) = read(backend.error_response(error))
    assert message == client.ErrorResponse(
        {
            "S": "ERROR",
            "V": "ERROR",
            "C": "23505",
            "M": "duplicate key",
            "D": "Key (a)=(1) already exists.",
            "H": "h",
            "P": "7",
            "W": "COPY t, line 1",
            "s": "public",
            "t": "t",
            "c": "a",
            "n": "t_pkey",
        }
    )


def test_notice_has_a_notices_severity() -> None:
    (message,) = read(backend.notice_response(SqlError(Code.successful_completion, "skipping")))
    assert message == client.NoticeResponse({"S": "NOTICE", "V": "NOTICE", "C": "00000", "M": "skipping"})


@given(st.binary(max_size=80))
@settings(max_examples=200, deadline=None)
def test_client_meets_garbage_with_its_own_error_only(data: bytes) -> None:
    with contextlib.suppress(client.ProtocolBroken):
        client.BackendReader().feed(data)
