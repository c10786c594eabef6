"""Requests, streams and casts between services: what every transport offers.

The same three shapes over one WebSocket a pair of processes (`rpc.websocket`), over memory within a process
(`rpc.memory`) and in the simulation (`simulation.network`). Callbacks instead of awaitables: on the hot path a Task or
a Future an exchange would cost more than the work itself.

    call      one request, one answer or `Failure`, always within the deadline the caller states
    stream    one request, items until one side ends it; the server sees back-pressure and must mind it
    cast      one message, no answer, dropped where there is no connection

Messages are msgspec structs and never changed once sent: over memory the receiver gets the very same object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import msgspec


class Cause(Enum):
    """Why a call or a stream failed."""

    unavailable = "unavailable"  # no connection, or it broke: the request may or may not have been served
    deadline = "deadline"  # no answer in time: the request may or may not have been served
    overloaded = "overloaded"  # refused before it was looked at, for want of room
    refused = "refused"  # the service looked and said no; `message` says why
    cancelled = "cancelled"  # the caller itself went away


class Failure(msgspec.Struct, frozen=True):
    """What a caller gets in place of an answer."""

    cause: Cause
    message: str = ""

    @property
    def unsent(self) -> bool:
        """True when the request was certainly not served."""
        return self.cause is Cause.overloaded


class Encoded:
    """A message with its bytes, made once for several receivers (a journal append, a delivery)."""

    __slots__ = ("message", "packed")

    def __init__(self, message: msgspec.Struct) -> None:
        self.message = message
        self.packed: bytes | None = None  # filled by the first transport that needs bytes


Message = msgspec.Struct | Encoded
Done = Callable[[Any], None]  # gets the answer struct, or a Failure


class Stream(Protocol):
    """The client's end of a stream."""

    def cancel(self) -> None:
        """No more items are wanted; `on_end` is not called. Safe to call twice."""
        ...


class Channel(Protocol):
    """The client's end of the connection to one service of one process. Reconnects by itself."""

    @property
    def address(self) -> str: ...

    @property
    def connected(self) -> bool: ...

    def call(self, request: Message, deadline_seconds: float, done: Done) -> None:
        """Send `request`; `done` gets the answer or a `Failure`, exactly once, never from within `call`."""
        ...

    def cast(self, message: Message) -> None: ...

    def stream(
        self, request: Message, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]
    ) -> Stream:
        """Items arrive in order until `on_end` (None = the server ended it in good order)."""
        ...

    def close(self) -> None: ...


class Peer(Protocol):
    """The server's view of who called: one object a connection, usable as a dictionary key."""

    @property
    def name(self) -> str: ...

    @property
    def connected(self) -> bool: ...


class Reply(Protocol):
    """Where a call's answer goes. Use it exactly once; answering a caller that has gone does nothing."""

    @property
    def peer(self) -> Peer: ...

    def answer(self, message: Message) -> None: ...

    def fail(self, cause: Cause, message: str = "") -> None: ...


class Sink(Protocol):
    """The server's end of a stream."""

    @property
    def peer(self) -> Peer: ...

    @property
    def open(self) -> bool:
        """False once the client cancelled or the connection broke."""
        ...

    def push(self, item: Message) -> bool:
        """Send an item. False: it was taken, but the buffer is above its high-water mark; push no more before
        `on_ready` (set it with `when_ready`) says so."""
        ...

    def when_ready(self, function: Callable[[], None]) -> None:
        """Call `function` once, when there is room again (at once, by `soon`, if there already is)."""
        ...

    def when_closed(self, function: Callable[[], None]) -> None:
        """Call `function` once when the client cancels or the connection breaks."""
        ...

    def end(self, failure: Failure | None = None) -> None: ...


@dataclass(slots=True)
class Routes:
    """What a service answers, by request type. Each handler runs to completion, without awaiting."""

    calls: Mapping[type, Callable[[Any, Reply], None]] = field(default_factory=dict)
    streams: Mapping[type, Callable[[Any, Sink], None]] = field(default_factory=dict)
    casts: Mapping[type, Callable[[Any, Peer], None]] = field(default_factory=dict)
    on_disconnect: Callable[[Peer], None] | None = None


class Network(Protocol):
    """One process's access to the others."""

    def serve(self, service: str, routes: Routes) -> None:
        """Answer for `service` at this process's address. One process may serve several."""
        ...

    def connect(self, address: str, service: str) -> Channel:
        """A channel to `service` at `address` (`host:port`). The same pair gives the same channel."""
        ...
