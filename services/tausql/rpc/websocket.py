"""The transport between processes: one WebSocket, many messages a frame.

picows parses and writes in C and hands a frame over synchronously; everything above it is the same core that runs over
memory. Liveness is told by pings of the client side only, every few seconds: TCP alone notices a vanished machine
after minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from tausql.rpc import frames
from tausql.rpc.answering import Answerer
from tausql.rpc.calling import Caller
from tausql.rpc.frames import BrokenFrame, Codec
from tausql.rpc.interface import Message
from tausql.rpc.outlet import Outlet
from tausql.runtime import logs
from tausql.runtime.host import Host

PATH = "/rpc"
BACKLOG_BYTES_MAX = 32 * 1024 * 1024  # written but not taken by the kernel: above it nothing is added without need
SILENT_TICKS_MAX = 3

log = logs.get("rpc")

_BINARY = WSMsgType.BINARY
_PING = WSMsgType.PING
_CLOSE = WSMsgType.CLOSE


class Socket(WSListener):
    """One WebSocket, either end: packs what the outlet transmits, unpacks what arrives."""

    def __init__(
        self,
        host: Host,
        codec: Codec,
        half: Caller | Answerer,
        on_opened: Callable[[Socket], None],
        on_gone: Callable[[Socket], None],
    ) -> None:
        self._host = host
        self._codec = codec
        self._unpack = codec.unpack
        self._half = half
        self._outlet: Outlet = half.outlet
        self._receive = half.receive
        self._on_opened = on_opened
        self._on_gone = on_gone
        self._transport: WSTransport | None = None
        self.wanted = True  # False: it came after its attempt had been given up
        self.heard = True
        self.silent_ticks = 0

    # What picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        if not self.wanted:
            transport.disconnect(False)
            return
        self._transport = transport
        try:
            self._on_opened(self)
            self._half.opened(self._transmit, self._congested)
        except BaseException as error:
            self._escaped(error)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != _BINARY:
            self._control(transport, frame)
            return
        self.heard = True
        outlet = self._outlet
        outlet.marked = True  # flushed below, not by the turn
        entries: list[Any] = []
        try:
            entries = self._unpack(frame.get_payload_as_memoryview())
            self._receive(entries, frame.payload_size)
            if frame.last_in_buffer:
                outlet.flush()
            elif outlet.entries:
                outlet.turn.mark(outlet)  # should what follows be no more than a ping
            else:
                outlet.marked = False
        except BrokenFrame as error:
            log.error("broken frame", peer=self._peer, reason=str(error))
            self.abort()
        except BaseException as error:
            if isinstance(error, TypeError | ValueError) and not frames.well_formed(entries):
                log.error("broken frame", peer=self._peer, reason="not an array of pairs")
                self.abort()
            else:
                self._escaped(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._transport is None:
            return
        self._transport = None
        try:
            self._on_gone(self)
        except BaseException as error:
            self._escaped(error)

    def pause_writing(self) -> None:
        self._outlet.paused = True

    def resume_writing(self) -> None:
        self._outlet.paused = False

    # What the node calls

    def tick(self, *, ping: bool) -> None:
        """A keepalive interval has passed. `ping`: this end is the one that asks."""
        self.silent_ticks = 0 if self.heard else self.silent_ticks + 1
        self.heard = False
        if self.silent_ticks >= SILENT_TICKS_MAX:
            log.warning("peer is silent", peer=self._peer)
            self.abort()
        elif ping and self._transport is not None:
            self._transport.send_ping()

    def abort(self) -> None:
        """Close without waiting for anything to be sent. What is in flight fails in the next turn."""
        self._outlet.transmit = None
        if self._transport is not None:
            self._transport.disconnect(False)

    def close(self) -> None:
        """Send what is waiting, then close."""
        self._outlet.flush()
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.GOING_AWAY)
            self._transport.disconnect()

    # Within

    def _escaped(self, error: BaseException) -> None:
        log.critical("a handler let an exception escape", peer=self._peer, error=error)
        self._host.die(f"an exception escaped a handler: {error!r}")

    @property
    def _peer(self) -> str:
        half = self._half
        return half.address if isinstance(half, Caller) else half.name

    def _congested(self) -> bool:
        transport = self._transport
        if transport is None:
            return False
        size: int = transport.underlying_transport.get_write_buffer_size()
        return size > BACKLOG_BYTES_MAX

    def _transmit(self, entries: list[Any]) -> None:
        transport = self._transport
        if transport is None:
            return
        packed = self._codec.pack(entries)
        if len(packed) <= frames.MESSAGE_BYTES_MAX:
            transport.send(_BINARY, packed)
            return
        for run in self._divide(entries):
            transport.send(_BINARY, self._codec.pack(run))

    def _divide(self, entries: list[Any]) -> list[list[Any]]:
        """What does not fit one frame, as several; what fits none is told to its half."""
        fitting: list[Any] = []
        sizes: list[int] = []
        for head, message in zip(entries[::2], entries[1::2], strict=True):
            packed = self._codec.pack([message])[1:]  # without the array's own byte
            if len(packed) > frames.MESSAGE_BYTES_MAX:
                self._half.oversized(head, len(packed))
            else:
                fitting += (head, msgspec.Raw(packed))
                sizes.append(len(packed) + 9)
        return frames.split(fitting, sizes, frames.MESSAGE_BYTES_MAX)

    def _control(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        if frame.msg_type == _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == _CLOSE:
            transport.disconnect()


def measure_with(codec: Codec) -> Callable[[Message], tuple[Any, int]]:
    """For a sink: an item in its bytes, packed once."""

    def measure(message: Message) -> tuple[Any, int]:
        packed = codec.pack_message(message)
        return msgspec.Raw(packed), len(packed)

    return measure
