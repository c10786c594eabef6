"""A session in another process: a TCP connection to its processor, bytes relayed as they come.

Of the processor's answers only message headers are looked at (`pgwire.tail`), for two reasons: a frontend that drains
may close a session only while it waits for its client, and when a processor dies the client must be told so between
two messages, never in the middle of one. Both directions stop reading when the other side does not drain, so a
session holds at most two write buffers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from tausql.frontend import refusals
from tausql.frontend.metrics import FrontendMetrics
from tausql.pgwire.backend import error_response
from tausql.pgwire.client import TERMINATE
from tausql.pgwire.tail import RelayTail
from tausql.protocol.processor import GREETING_BYTES_MAX, ClientOut, Greeting

_IDLE = ord("I")
_ERROR = ord("E")


class GreetingTooLong(Exception):
    """The client's startup parameters do not fit a greeting."""


def greeting_frame(greeting: Greeting) -> bytes:
    """Length (4 bytes) and MessagePack. Raises `GreetingTooLong`."""
    packed = msgspec.msgpack.encode(greeting)
    if len(packed) > GREETING_BYTES_MAX:
        raise GreetingTooLong(f"{len(packed)} bytes")
    return len(packed).to_bytes(4, "big") + packed


class RemoteSession(asyncio.Protocol):
    """A `SessionIn` whose processor is at the other end of a TCP connection."""

    __slots__ = ("_ended", "_greeting", "_leaving", "_metrics", "_on_idle", "_out", "_tail", "_transport", "_write")

    _transport: asyncio.Transport

    def __init__(self, greeting: bytes, out: ClientOut, write_buffer_bytes: int, metrics: FrontendMetrics) -> None:
        self._greeting = (greeting, write_buffer_bytes)
        self._out = out
        self._write = out.write
        self._metrics = metrics
        self._tail = RelayTail()
        self._on_idle: Callable[[], None] | None = None
        self._ended = False  # by us, or the connection is gone
        self._leaving = False  # the client seems to have said goodbye: a closed connection is no surprise any more

    @property
    def at_boundary(self) -> bool:
        """True if the client has received whole messages only."""
        return self._tail.at_boundary

    def when_idle(self, function: Callable[[], None]) -> None:
        """Call `function` once the session waits for its client outside a transaction; at once if it does. A client
        that sends its next statement before the answer to the last may seem to wait while that one runs."""
        if self._tail.status == _IDLE:
            function()
        else:
            self._on_idle = function

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._transport = transport
        greeting, write_buffer_bytes = self._greeting
        transport.set_write_buffer_limits(write_buffer_bytes)
        transport.write(greeting)
        self._metrics.relays += 1

    def feed(self, data: bytes) -> None:
        if self._ended:
            return
        self._tail.status = 0  # whatever it is, the session has something to do
        self._metrics.received_bytes += len(data)
        if len(data) == 5 and data == TERMINATE:
            self._leaving = True  # seems: it may be a piece of something longer
        self._transport.write(data)

    def lost(self) -> None:
        self._ended = True
        self._on_idle = None
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        tail = self._tail
        tail.advance(data)
        self._metrics.sent_bytes += len(data)
        self._write(data)
        if not self._out.when_writable(self._resume):
            self._transport.pause_reading()
        if self._on_idle is not None and tail.status == _IDLE:
            on_idle = self._on_idle
            self._on_idle = None
            on_idle()

    def _resume(self) -> None:
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._out.pause_reading()

    def resume_writing(self) -> None:
        self._out.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._metrics.relays -= 1
        expected = self._ended or self._leaving
        self._ended = True
        if expected:
            self._out.close()
            return
        # A processor that ends a session in good order says why, and then closes.
        if not (self._tail.at_boundary and self._tail.kind == _ERROR):
            self._metrics.processors_lost += 1
            if self._tail.at_boundary:
                self._write(error_response(refusals.processor_lost()))
        self._out.close()
