"""What a frontend needs of a processor: to attach a session, to cancel a statement, to know its load.

A session travels as PostgreSQL protocol bytes *after* authentication: over the processor's session port (a plain TCP
connection that starts with one framed `SessionStart` or `CancelSession`), or, where both share a process, by calling
`SessionHost.attach` and passing bytes from function to function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from tausql.rpc.interface import Channel, Stream

PROCESSOR_SHIFT = 22  # a cancel key's process id = processor index << 22 | session number: any frontend can route it
GREETING_BYTES_MAX = 64 * 1024


class SessionStart(msgspec.Struct, tag="session_start", array_like=True, gc=False):
    """The first frame on a session connection: 4 bytes of length (big-endian), then this, as MessagePack."""

    user: str
    database: str
    parameters: dict[str, str]  # the startup packet's, `user` and `database` left out
    client: str = ""  # address, for logs
    encrypted: bool = False


class CancelSession(msgspec.Struct, tag="cancel_session", array_like=True, gc=False):
    """Instead of `SessionStart`: stop the running statement of that session; the connection is then closed."""

    process_id: int
    secret: int


Greeting = SessionStart | CancelSession


class WatchLoad(msgspec.Struct, tag="watch_load", array_like=True, gc=False):
    """Stream request: `Load` now and whenever it changes (at most every 100 ms)."""


class Load(msgspec.Struct, tag="load", array_like=True, gc=False):
    sessions: int
    sessions_max: int
    draining: bool


class ClientOut(Protocol):
    """Where a session's bytes go."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """After what was written has been sent."""
        ...

    def when_writable(self, function: Callable[[], None]) -> bool:
        """True if the send buffer is below its limit; else False, and `function` is called once it is again. A session
        that streams a large result must stop at False."""
        ...

    def pause_reading(self) -> None:
        """Feed the session nothing more for now: what it has not worked off yet is at its limit. At most what is
        already under way (one socket read) is still fed."""
        ...

    def resume_reading(self) -> None: ...


class SessionIn(Protocol):
    """Where a client's bytes go."""

    def feed(self, data: bytes) -> None: ...

    def lost(self) -> None:
        """The client is gone: roll back."""
        ...


class SessionHost(Protocol):
    """A processor, to a frontend in the same process."""

    def attach(self, start: SessionStart, out: ClientOut) -> SessionIn: ...

    def cancel(self, process_id: int, secret: int) -> None: ...


class ProcessorClient:
    """Typed calls to one processor."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch_load(self, on_load: Callable[[Load], None], on_end: Callable[[object], None]) -> Stream:
        return self.channel.stream(WatchLoad(), on_load, on_end)


MESSAGES = WatchLoad | Load
