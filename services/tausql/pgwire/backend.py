"""What a server sends, as bytes.

Every function returns one whole message, so that answers are joined and written once per Sync. What never changes is
a constant; what changes little (command tags, backend errors' severities) is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from tausql.pgwire.rows import Column, data_row, data_rows, row_description
from tausql.protocol.errors import SqlError

__all__ = [
    "AUTHENTICATION_CLEARTEXT_PASSWORD",
    "AUTHENTICATION_OK",
    "BIND_COMPLETE",
    "CLOSE_COMPLETE",
    "COPY_DONE",
    "EMPTY_QUERY_RESPONSE",
    "NO_DATA",
    "PARSE_COMPLETE",
    "PORTAL_SUSPENDED",
    "READY_FAILED",
    "READY_IDLE",
    "READY_TRANSACTION",
    "Column",
    "backend_key_data",
    "command_complete",
    "command_complete_count",
    "copy_data",
    "copy_in_response",
    "copy_out_response",
    "data_row",
    "data_rows",
    "error_response",
    "negotiate_protocol_version",
    "notice_response",
    "parameter_description",
    "parameter_status",
    "ready_for_query",
    "row_description",
]

_INT32 = Struct(">I")
_HEAD = Struct(">BI")

AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0"
AUTHENTICATION_CLEARTEXT_PASSWORD = b"R\0\0\0\x08\0\0\0\x03"
PARSE_COMPLETE = b"1\0\0\0\x04"
BIND_COMPLETE = b"2\0\0\0\x04"
CLOSE_COMPLETE = b"3\0\0\0\x04"
NO_DATA = b"n\0\0\0\x04"
PORTAL_SUSPENDED = b"s\0\0\0\x04"
EMPTY_QUERY_RESPONSE = b"I\0\0\0\x04"
COPY_DONE = b"c\0\0\0\x04"
READY_IDLE = b"Z\0\0\0\x05I"
READY_TRANSACTION = b"Z\0\0\0\x05T"
READY_FAILED = b"Z\0\0\0\x05E"

_READY = {"I": READY_IDLE, "T": READY_TRANSACTION, "E": READY_FAILED}


def _message(kind: str, body: bytes) -> bytes:
    return _HEAD.pack(ord(kind), len(body) + 4) + body


def ready_for_query(status: str) -> bytes:
    """`status` is I (idle), T (in a transaction) or E (in a failed one)."""
    return _READY[status]


def parameter_status(name: str, value: str) -> bytes:
    return _message("S", name.encode() + b"\0" + value.encode() + b"\0")


def backend_key_data(process_id: int, secret: int) -> bytes:
    """The key a client cancels with. Both are unsigned 32-bit; clients show the process id as a signed number."""
    return b"K\0\0\0\x0c" + _INT32.pack(process_id) + _INT32.pack(secret)


def negotiate_protocol_version(version: int, options: Sequence[str]) -> bytes:
    """`version`: the newest one spoken here, as major << 16 | minor. `options`: the `_pq_.` ones not known here."""
    names = b"".join(option.encode() + b"\0" for option in options)
    return _message("v", _INT32.pack(version) + _INT32.pack(len(options)) + names)


def parameter_description(oids: Sequence[int]) -> bytes:
    count = len(oids)
    return _message("t", Struct(f">H{count}I").pack(count, *oids))


def command_complete(tag: str) -> bytes:
    """The `C` message, for example with `SELECT 1` or `BEGIN`."""
    known = _TAGS.get(tag)
    if known is not None:
        return known
    return _message("C", tag.encode() + b"\0")


def command_complete_count(verb: str, count: int) -> bytes:
    """The `C` message of a counting verb: `SELECT`, `INSERT 0`, `UPDATE`, `DELETE`, `MERGE`, `COPY`, `FETCH`."""
    if count < _COUNTED:
        known = _COUNTED_TAGS.get(verb)
        if known is not None:
            return known[count]
    return _message("C", b"%b %d\0" % (verb.encode(), count))


def copy_in_response(columns: int, binary: bool = False) -> bytes:
    return _copy_response("G", columns, binary)


def copy_out_response(columns: int, binary: bool = False) -> bytes:
    return _copy_response("H", columns, binary)


def copy_data(data: bytes) -> bytes:
    return _HEAD.pack(ord("d"), len(data) + 4) + data


def error_response(error: SqlError) -> bytes:
    return _diagnostics("E", error, error.severity)


def notice_response(notice: SqlError) -> bytes:
    """A notice is an error object whose `severity` is WARNING, NOTICE, INFO, LOG or DEBUG; ERROR counts as NOTICE."""
    return _diagnostics("N", notice, "NOTICE" if notice.severity == "ERROR" else notice.severity)


def _copy_response(kind: str, columns: int, binary: bool) -> bytes:
    code = 1 if binary else 0
    return _message(kind, Struct(f">BH{columns}H").pack(code, columns, *(code,) * columns))


def _diagnostics(kind: str, error: SqlError, severity: str) -> bytes:
    fields = [f"S{severity}", f"V{severity}", f"C{error.sqlstate}", f"M{error.message}"]
    for letter, value in (
        ("D", error.detail),
        ("H", error.hint),
        ("P", error.position),
        ("W", error.where),
        ("s", error.schema),
        ("t", error.table),
        ("c", error.column),
        ("n", error.constraint),
    ):
        if value is not None:
            fields.append(f"{letter}{value}")
    # A zero byte inside a text would end it early and make the rest look like fields of their own.
    body = b"".join(field.replace("\0", "").encode(errors="replace") + b"\0" for field in fields)
    return _message(kind, body + b"\0")


_COUNTED = 16
_COUNTED_TAGS = {
    verb: tuple(_message("C", f"{verb} {count}\0".encode()) for count in range(_COUNTED))
    for verb in ("SELECT", "INSERT 0", "UPDATE", "DELETE")
}
_TAGS = {
    tag: _message("C", tag.encode() + b"\0")
    for tag in (
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SET",
        "START TRANSACTION",
        "SELECT 0",
        "SELECT 1",
        "INSERT 0 1",
        "UPDATE 1",
    )
}
