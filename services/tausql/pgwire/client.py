"""The client's side of the protocol: builds what clients send, reads what servers answer.

The HTTP SQL front and the tests talk to sessions through this. It favours clarity over speed: nothing on the path of
a native client goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from struct import error as StructError

import msgspec

from tausql.pgwire.limits import SERVER_MESSAGE_BYTES_MAX
from tausql.pgwire.rows import Column
from tausql.pgwire.startup import CANCEL_CODE, GSS_CODE, PROTOCOL_3_0, SSL_CODE

_HEADER = Struct(">BI")
_INT32 = Struct(">I")
_COLUMN = Struct(">IhIhih")

SYNC = b"S\0\0\0\x04"
FLUSH = b"H\0\0\0\x04"
TERMINATE = b"X\0\0\0\x04"
COPY_DONE = b"c\0\0\0\x04"


class ProtocolBroken(Exception):
    """The server sent bytes that are no message."""


class Authentication(msgspec.Struct, frozen=True):
    kind: int  # 0 = ok, 3 = cleartext password
    data: bytes = b""


class ParameterStatus(msgspec.Struct, frozen=True):
    name: str
    value: str


class BackendKeyData(msgspec.Struct, frozen=True):
    process_id: int
    secret: int


class ReadyForQuery(msgspec.Struct, frozen=True):
    status: str  # I, T or E


class RowDescription(msgspec.Struct, frozen=True):
    columns: tuple[Column, ...]


class DataRow(msgspec.Struct, frozen=True):
    values: tuple[bytes | None, ...]


class CommandComplete(msgspec.Struct, frozen=True):
    tag: str


class ErrorResponse(msgspec.Struct, frozen=True):
    fields: dict[str, str]  # by letter: S V C M D H P W s t c n


class NoticeResponse(msgspec.Struct, frozen=True):
    fields: dict[str, str]


class ParameterDescription(msgspec.Struct, frozen=True):
    types: tuple[int, ...]


class CopyInResponse(msgspec.Struct, frozen=True):
    formats: tuple[int, ...]


class CopyOutResponse(msgspec.Struct, frozen=True):
    formats: tuple[int, ...]


class CopyChunk(msgspec.Struct, frozen=True):
    data: bytes


class NegotiateProtocolVersion(msgspec.Struct, frozen=True):
    version: int
    options: tuple[str, ...]


class Mark(msgspec.Struct, frozen=True):
    """A message without content."""

    name: str  # parse_complete bind_complete close_complete no_data portal_suspended empty_query copy_done


BackendMessage = (
    Authentication
    | ParameterStatus
    | BackendKeyData
    | ReadyForQuery
    | RowDescription
    | DataRow
    | CommandComplete
    | ErrorResponse
    | NoticeResponse
    | ParameterDescription
    | CopyInResponse
    | CopyOutResponse
    | CopyChunk
    | NegotiateProtocolVersion
    | Mark
)


def _text(value: str) -> bytes:
    raw = value.encode()
    if 0 in raw:
        raise ValueError("a text of the protocol cannot hold a zero byte")
    return raw + b"\0"


def _message(kind: str, body: bytes) -> bytes:
    return _HEADER.pack(ord(kind), len(body) + 4) + body


def _packet(body: bytes) -> bytes:
    return _INT32.pack(len(body) + 4) + body


def ssl_request() -> bytes:
    return _packet(_INT32.pack(SSL_CODE))


def gss_request() -> bytes:
    return _packet(_INT32.pack(GSS_CODE))


def cancel_request(process_id: int, secret: int) -> bytes:
    return _packet(Struct(">III").pack(CANCEL_CODE, process_id, secret))


def startup(user: str, database: str, parameters: Mapping[str, str] | None = None, minor: int = 0) -> bytes:
    """A startup packet for protocol 3.`minor`."""
    fields = {"user": user, "database": database, **(parameters or {})}
    body = b"".join(_text(name) + _text(value) for name, value in fields.items())
    return _packet(_INT32.pack(PROTOCOL_3_0 | minor) + body + b"\0")


def password(text: str) -> bytes:
    return _message("p", _text(text))


def query(sql: str) -> bytes:
    return _message("Q", _text(sql))


def parse(sql: str, statement: str = "", types: Sequence[int] = ()) -> bytes:
    return _message("P", _text(statement) + _text(sql) + Struct(f">H{len(types)}I").pack(len(types), *types))


def bind(
    parameters: Sequence[bytes | None],
    portal: str = "",
    statement: str = "",
    parameter_formats: Sequence[int] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    """Formats: none (all text), one for all, or one each."""
    values = b"".join(b"\xff\xff\xff\xff" if value is None else _INT32.pack(len(value)) + value for value in parameters)
    return _message(
        "B",
        _text(portal)
        + _text(statement)
        + _int16s(parameter_formats)
        + Struct(">H").pack(len(parameters))
        + values
        + _int16s(result_formats),
    )


def _int16s(values: Sequence[int]) -> bytes:
    return Struct(f">H{len(values)}H").pack(len(values), *values)


def describe_statement(name: str = "") -> bytes:
    return _message("D", b"S" + _text(name))


def describe_portal(name: str = "") -> bytes:
    return _message("D", b"P" + _text(name))


def close_statement(name: str) -> bytes:
    return _message("C", b"S" + _text(name))


def close_portal(name: str) -> bytes:
    return _message("C", b"P" + _text(name))


def execute(portal: str = "", row_limit: int = 0) -> bytes:
    return _message("E", _text(portal) + _INT32.pack(row_limit))


def copy_data(data: bytes) -> bytes:
    return _message("d", data)


def copy_fail(message: str) -> bytes:
    return _message("f", _text(message))


class BackendReader:
    """Reads one server's messages from chunks of any size."""

    __slots__ = ("_data", "_message_bytes_max", "_needed")

    def __init__(self, message_bytes_max: int = SERVER_MESSAGE_BYTES_MAX) -> None:
        self._data = bytearray()
        self._needed = 5
        self._message_bytes_max = message_bytes_max

    def feed(self, data: bytes) -> list[BackendMessage]:
        """The messages `data` completes. Raises `ProtocolBroken`; the reader is then of no more use."""
        self._data += data
        if len(self._data) < self._needed:
            return []
        buffer = bytes(self._data)
        messages: list[BackendMessage] = []
        position = 0
        self._needed = 5
        while position + 5 <= len(buffer):
            kind, length = _HEADER.unpack_from(buffer, position)
            read = _READERS.get(kind)
            if read is None:
                raise ProtocolBroken(f"unknown message type {kind}")
            if not 4 <= length <= self._message_bytes_max:
                raise ProtocolBroken(f"message of {length} bytes")
            end = position + 1 + length
            if end > len(buffer):
                self._needed = end - position
                break
            try:
                messages.append(read(buffer[position + 5 : end]))
            except (ValueError, IndexError, StructError) as error:
                raise ProtocolBroken(f"message of type {chr(kind)}: {error}") from error
            position = end
        del self._data[:position]
        return messages


def _cut(body: bytes, position: int = 0) -> tuple[str, int]:
    stop = body.index(0, position)
    return body[position:stop].decode(), stop + 1


def _authentication(body: bytes) -> BackendMessage:
    (kind,) = _INT32.unpack_from(body)
    return Authentication(kind, body[4:])


def _parameter_status(body: bytes) -> BackendMessage:
    name, position = _cut(body)
    return ParameterStatus(name, _cut(body, position)[0])


def _backend_key_data(body: bytes) -> BackendMessage:
    return BackendKeyData(*Struct(">II").unpack(body))


def _ready_for_query(body: bytes) -> BackendMessage:
    if body not in (b"I", b"T", b"E"):
        raise ValueError("unknown transaction status")
    return ReadyForQuery(body.decode())


def _row_description(body: bytes) -> BackendMessage:
    (count,) = Struct(">H").unpack_from(body)
    position = 2
    columns: list[Column] = []
    for _ in range(count):
        name, position = _cut(body, position)
        table_oid, attnum, type_oid, type_length, type_modifier, code = _COLUMN.unpack_from(body, position)
        columns.append(Column(name, type_oid, type_length, type_modifier, table_oid, attnum, code))
        position += _COLUMN.size
    return RowDescription(tuple(columns))


def _data_row(body: bytes) -> BackendMessage:
    (count,) = Struct(">H").unpack_from(body)
    position = 2
    values: list[bytes | None] = []
    for _ in range(count):
        (length,) = Struct(">i").unpack_from(body, position)
        position += 4
        if length < 0:
            values.append(None)
            continue
        if position + length > len(body):
            raise ValueError("a value is longer than its row")
        values.append(body[position : position + length])
        position += length
    if position != len(body):
        raise ValueError("a row is longer than its values")
    return DataRow(tuple(values))


def _command_complete(body: bytes) -> BackendMessage:
    return CommandComplete(_cut(body)[0])


def _fields(body: bytes) -> dict[str, str]:
    if not body.endswith(b"\0"):
        raise ValueError("no end of fields")
    parts = body.rstrip(b"\0").split(b"\0")
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in parts if part}


def _error_response(body: bytes) -> BackendMessage:
    return ErrorResponse(_fields(body))


def _notice_response(body: bytes) -> BackendMessage:
    return NoticeResponse(_fields(body))


def _parameter_description(body: bytes) -> BackendMessage:
    (count,) = Struct(">H").unpack_from(body)
    return ParameterDescription(Struct(f">{count}I").unpack(body[2:]))


def _copy_formats(body: bytes) -> tuple[int, ...]:
    _, count = Struct(">BH").unpack_from(body)
    return Struct(f">{count}H").unpack(body[3:])


def _copy_in_response(body: bytes) -> BackendMessage:
    return CopyInResponse(_copy_formats(body))


def _copy_out_response(body: bytes) -> BackendMessage:
    return CopyOutResponse(_copy_formats(body))


def _copy_chunk(body: bytes) -> BackendMessage:
    return CopyChunk(body)


def _negotiate_protocol_version(body: bytes) -> BackendMessage:
    version, count = Struct(">II").unpack_from(body)
    position = 8
    options: list[str] = []
    for _ in range(min(count, len(body))):
        option, position = _cut(body, position)
        options.append(option)
    return NegotiateProtocolVersion(version, tuple(options))


def _mark(name: str) -> Callable[[bytes], BackendMessage]:
    mark = Mark(name)

    def read(body: bytes) -> BackendMessage:
        if body:
            raise ValueError("content where none belongs")
        return mark

    return read


_READERS: dict[int, Callable[[bytes], BackendMessage]] = {
    ord("R"): _authentication,
    ord("S"): _parameter_status,
    ord("K"): _backend_key_data,
    ord("Z"): _ready_for_query,
    ord("T"): _row_description,
    ord("D"): _data_row,
    ord("C"): _command_complete,
    ord("E"): _error_response,
    ord("N"): _notice_response,
    ord("t"): _parameter_description,
    ord("G"): _copy_in_response,
    ord("H"): _copy_out_response,
    ord("d"): _copy_chunk,
    ord("v"): _negotiate_protocol_version,
    ord("1"): _mark("parse_complete"),
    ord("2"): _mark("bind_complete"),
    ord("3"): _mark("close_complete"),
    ord("n"): _mark("no_data"),
    ord("s"): _mark("portal_suspended"),
    ord("I"): _mark("empty_query"),
    ord("c"): _mark("copy_done"),
}
