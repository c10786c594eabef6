"""Client messages out of a byte stream, from chunks cut anywhere.

A driver's round trip is nearly always one chunk holding whole messages (Bind, Describe, Execute, Sync), so that case
is read in place, in one pass, without a copy or a buffer object. Only an unfinished message is kept back, and it is
joined once, when its last byte is there: appending every chunk to a growing `bytes` would make a 10 MiB COPY chunk
quadratic.

The obvious alternative, a generator yielding a message at a time, costs a resumption a message; a list a chunk does
not, and the session can see at once whether it has reached the last Sync of what has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError

from tausql.pgwire.limits import MESSAGE_BYTES_MAX, protocol_violation
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
from tausql.protocol.errors import Code, SqlError

_HEADER = Struct(">BI")
_INT16 = Struct(">H")
_INT32 = Struct(">i")
_FORMATS = tuple(Struct(f">{count}H") for count in range(64))
_NO_FORMATS: tuple[int, ...] = ()
_ALL_TEXT = (0,)
_ALL_BINARY = (1,)

Reader = Callable[[bytes, int, int], FrontendMessage]


class FrontendReader:
    """Reads one client's messages. `message_bytes_max` counts a message's length field but not its type byte."""

    __slots__ = ("_broken", "_message_bytes_max", "_needed", "_pending")

    def __init__(self, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._message_bytes_max = message_bytes_max
        self._pending: bytearray | None = None  # the beginning of a message
        self._needed = 0  # bytes `_pending` must reach before it is worth looking at again
        self._broken = False

    @property
    def buffered(self) -> int:
        """Bytes held of a message that has not come to its end."""
        return 0 if self._pending is None else len(self._pending)

    def feed(self, data: bytes) -> list[FrontendMessage]:
        """The messages that `data` completes, in order. Never raises: see `Malformed`."""
        pending = self._pending
        if pending is not None:
            pending += data
            if len(pending) < self._needed:
                return []
            data = bytes(pending)
            self._pending = None
        messages: list[FrontendMessage] = []
        if self._broken:
            return messages
        position = 0
        available = len(data)
        header = _HEADER.unpack_from
        while position + 5 <= available:
            kind, length = header(data, position)
            end = position + 1 + length
            read = _READERS.get(kind)
            if read is None or length < 4 or length > self._message_bytes_max:
                messages.append(self._break(kind, read is not None))
                return messages
            if end > available:
                self._needed = end - position
                self._pending = bytearray(data[position:])
                return messages
            try:
                messages.append(read(data, position + 5, end))
            except _Malformed as malformed:
                messages.append(Malformed(malformed.error, kind))
            except (ValueError, IndexError, StructError):
                messages.append(Malformed(protocol_violation("invalid message format", "ERROR"), kind))
            position = end
            if kind == _BIND and available - end <= _ENDING_BYTES_MAX:
                ending = _ENDINGS.get(data[end:])
                if ending is not None:
                    messages += ending
                    return messages
        if position < available:
            self._needed = 5
            self._pending = bytearray(data[position:])
        return messages

    def _break(self, kind: int, known: bool) -> Malformed:
        self._broken = True
        text = "invalid message length" if known else f"invalid frontend message type {kind}"
        return Malformed(protocol_violation(text), kind)


class _Malformed(Exception):
    """A message with sound borders and unusable content, of which more can be said than that."""

    def __init__(self, error: SqlError) -> None:
        super().__init__(error.message)
        self.error = error


def formats(codes: tuple[int, ...], count: int) -> Sequence[int]:
    """One format code for each of `count` parameters or columns. Raises SqlError 08P01 if the numbers disagree, and
    22023 for a code other than 0 (text) and 1 (binary)."""
    given = len(codes)
    if given == 0:
        return (0,) * count
    for code in codes:
        if code > 1:
            raise SqlError(Code.invalid_parameter_value, f"unsupported format code: {code}")
    if given == 1:
        return codes * count
    if given != count:
        raise protocol_violation(f"bind message has {given} format codes but {count} are needed", "ERROR")
    return codes


def _text(data: bytes, start: int, end: int) -> str:
    raw = data[start:end]
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in raw[error.start : min(error.end, error.start + 4)])
        raise _Malformed(
            SqlError(Code.character_not_in_repertoire, f'invalid byte sequence for encoding "UTF8": {shown}')
        ) from None


def _end_here(position: int, end: int) -> None:
    if position != end:
        raise ValueError("the message is longer than its content")


def _parse(data: bytes, position: int, end: int) -> FrontendMessage:
    stop = data.index(0, position, end)
    name = _text(data, position, stop) if stop > position else ""
    position = stop + 1
    stop = data.index(0, position, end)
    sql = _text(data, position, stop)
    (count,) = _INT16.unpack_from(data, stop + 1)
    position = stop + 3
    _end_here(position + 4 * count, end)
    types = Struct(f">{count}I").unpack_from(data, position) if count else _NO_FORMATS
    return Parse(name, sql, types)


def _bind(data: bytes, position: int, end: int) -> FrontendMessage:
    int16 = _INT16.unpack_from
    int32 = _INT32.unpack_from
    portal = statement = ""
    if data[position] == 0:
        position += 1
    else:
        stop = data.index(0, position, end)
        portal = _text(data, position, stop)
        position = stop + 1
    if data[position] == 0:
        position += 1
    else:
        stop = data.index(0, position, end)
        statement = _text(data, position, stop)
        position = stop + 1
    parameter_formats, position = _format_codes(data, position)
    (count,) = int16(data, position)
    position += 2
    parameters: list[bytes | None] = []
    append = parameters.append
    for _ in range(count):
        (length,) = int32(data, position)
        position += 4
        if length >= 0:
            stop = position + length
            if stop > end:
                raise ValueError("a parameter is longer than its message")
            append(data[position:stop])
            position = stop
        elif length == -1:
            append(None)
        else:
            raise ValueError("a negative length")
    result_formats, position = _format_codes(data, position)
    if position != end:
        raise ValueError("the message is longer than its content")
    return Bind(portal, statement, parameter_formats, parameters, result_formats)


def _format_codes(data: bytes, position: int) -> tuple[tuple[int, ...], int]:
    """The codes and where they end. Reading on into the next message is found out by the caller's last check."""
    (count,) = _INT16.unpack_from(data, position)
    if count == 0:
        return _NO_FORMATS, position + 2
    if count == 1:
        (code,) = _INT16.unpack_from(data, position + 2)
        return (_ALL_TEXT if code == 0 else _ALL_BINARY if code == 1 else (code,)), position + 4
    layout = _FORMATS[count] if count < 64 else Struct(f">{count}H")
    return layout.unpack_from(data, position + 2), position + 2 + 2 * count


def _describe(data: bytes, position: int, end: int) -> FrontendMessage:
    if end - position == 2 and data[position] == 80 and data[position + 1] == 0:
        return DESCRIBE_UNNAMED
    portal, name = _portal_or_statement(data, position, end, "DESCRIBE")
    return Describe(portal, name)


def _close(data: bytes, position: int, end: int) -> FrontendMessage:
    portal, name = _portal_or_statement(data, position, end, "CLOSE")
    return Close(portal, name)


def _portal_or_statement(data: bytes, position: int, end: int, verb: str) -> tuple[bool, str]:
    stop = data.index(0, position + 1, end)
    _end_here(stop + 1, end)
    kind = data[position]
    if kind not in b"SP":
        raise _Malformed(protocol_violation(f"invalid {verb} message subtype {kind}", "ERROR"))
    return kind == 80, _text(data, position + 1, stop)


def _execute(data: bytes, position: int, end: int) -> FrontendMessage:
    if end - position == 5 and data[position:end] == b"\0\0\0\0\0":
        return EXECUTE_UNNAMED
    stop = data.index(0, position, end)
    _end_here(stop + 5, end)
    (row_limit,) = _INT32.unpack_from(data, stop + 1)
    # PostgreSQL takes a negative limit for no limit.
    return Execute(_text(data, position, stop), max(row_limit, 0))


def _query(data: bytes, position: int, end: int) -> FrontendMessage:
    stop = data.index(0, position, end)
    _end_here(stop + 1, end)
    return Query(_text(data, position, stop))


def _sync(data: bytes, position: int, end: int) -> FrontendMessage:
    _end_here(position, end)
    return SYNC


def _flush(data: bytes, position: int, end: int) -> FrontendMessage:
    _end_here(position, end)
    return FLUSH


def _terminate(data: bytes, position: int, end: int) -> FrontendMessage:
    return TERMINATE


def _password(data: bytes, position: int, end: int) -> FrontendMessage:
    stop = data.index(0, position, end)
    _end_here(stop + 1, end)
    return Password(data[position:stop])


def _copy_data(data: bytes, position: int, end: int) -> FrontendMessage:
    return CopyData(data[position:end])


def _copy_done(data: bytes, position: int, end: int) -> FrontendMessage:
    _end_here(position, end)
    return COPY_DONE


def _copy_fail(data: bytes, position: int, end: int) -> FrontendMessage:
    stop = data.index(0, position, end)
    _end_here(stop + 1, end)
    return CopyFail(_text(data, position, stop))


_READERS: dict[int, Reader] = {
    ord("B"): _bind,
    ord("E"): _execute,
    ord("S"): _sync,
    ord("P"): _parse,
    ord("D"): _describe,
    ord("C"): _close,
    ord("H"): _flush,
    ord("Q"): _query,
    ord("X"): _terminate,
    ord("d"): _copy_data,
    ord("c"): _copy_done,
    ord("f"): _copy_fail,
    ord("p"): _password,
}

# What drivers send behind a Bind, as whole chunk endings: looked up at once instead of read message by message.
_BIND = ord("B")
_DESCRIBE = b"D\0\0\0\x06P\0"
_EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"
_SYNC = b"S\0\0\0\x04"
_ENDINGS: dict[bytes, tuple[FrontendMessage, ...]] = {
    _EXECUTE + _SYNC: (EXECUTE_UNNAMED, SYNC),
    _DESCRIBE + _EXECUTE + _SYNC: (DESCRIBE_UNNAMED, EXECUTE_UNNAMED, SYNC),
}
_ENDING_BYTES_MAX = max(map(len, _ENDINGS))
