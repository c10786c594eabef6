"""What a client sends after authentication, one struct a message.

`gc=False`: none can be part of a cycle, and a busy session makes thousands a second. They are never changed after
they were read; the ones without content, and the two usual forms of Execute and Describe, are the same object always.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import SqlError


class Parse(msgspec.Struct, gc=False):
    statement: str  # "" = the unnamed one
    sql: str
    types: tuple[int, ...]  # type oids, 0 = to be inferred; may be shorter than the parameters


class Bind(msgspec.Struct, gc=False):
    """Formats are as sent: none (all text), one for all, or one each. See `reader.formats`."""

    portal: str
    statement: str
    parameter_formats: tuple[int, ...]
    parameters: list[bytes | None]
    result_formats: tuple[int, ...]


class Describe(msgspec.Struct, gc=False):
    portal: bool  # else a statement
    name: str


class Close(msgspec.Struct, gc=False):
    portal: bool  # else a statement
    name: str


class Execute(msgspec.Struct, gc=False):
    portal: str
    row_limit: int  # 0 = all rows


class Query(msgspec.Struct, gc=False):
    sql: str


class CopyData(msgspec.Struct, gc=False):
    data: bytes


class CopyDone(msgspec.Struct, gc=False):
    pass


class CopyFail(msgspec.Struct, gc=False):
    message: str


class Password(msgspec.Struct, gc=False):
    data: bytes  # without the closing zero byte


class Sync(msgspec.Struct, gc=False):
    pass


class Flush(msgspec.Struct, gc=False):
    pass


class Terminate(msgspec.Struct, gc=False):
    pass


class Malformed(msgspec.Struct, gc=False):
    """Bytes that are no message.

    `error.severity` says what follows. FATAL: the stream is lost; send the error and close, no more messages come.
    ERROR: the message's borders were sound, so the session goes on as if that message had failed.
    """

    error: SqlError
    kind: int  # the message's type byte, 0 if there was none


FrontendMessage = (
    Parse
    | Bind
    | Describe
    | Close
    | Execute
    | Query
    | CopyData
    | CopyDone
    | CopyFail
    | Password
    | Sync
    | Flush
    | Terminate
    | Malformed
)

SYNC = Sync()
FLUSH = Flush()
TERMINATE = Terminate()
COPY_DONE = CopyDone()
EXECUTE_UNNAMED = Execute("", 0)
DESCRIBE_UNNAMED = Describe(True, "")
