"""The client's half of a connection: calls and streams by number, whatever carries them.

It outlives connections: the transport is plugged in (`opened`) and pulled out (`lost`) as it comes and goes. What was
in flight when it was pulled fails at once and is never sent again, because only the caller knows whether that is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.rpc import frames
from tausql.rpc.frames import ANSWER, BIND, CALL, CANCEL, CAST, CREDIT, END, FAIL, HELLO, ID_MAX, ITEM, STREAM
from tausql.rpc.interface import Cause, Done, Failure, Message
from tausql.rpc.outlet import Outlet, Turn
from tausql.rpc.wheel import DeadlineWheel, Slot
from tausql.runtime.host import Host

CALLS_MAX = 8_192  # in flight on one connection
STREAMS_MAX = 1_024
CREDIT_ITEMS = 256  # consumed items are told the server in portions of so many,
CREDIT_BYTES = 256 * 1024  # or of frames of so many bytes: a quarter of its window


class StreamEnd:
    """The client's end of a stream."""

    __slots__ = ("_caller", "consumed_bytes", "consumed_items", "number", "on_end", "on_item", "service", "touched")

    def __init__(
        self,
        caller: Caller,
        service: int,
        number: int,
        on_item: Callable[[Any], None],
        on_end: Callable[[Failure | None], None],
    ) -> None:
        self._caller = caller
        self.service = service
        self.number = number
        self.on_item = on_item
        self.on_end = on_end
        self.consumed_items = 0
        self.consumed_bytes = 0
        self.touched = False

    def cancel(self) -> None:
        self._caller.cancel(self)


class Caller:
    """All calls and streams from this process to one address."""

    def __init__(self, host: Host, turn: Turn, address: str) -> None:
        self.host = host
        self.address = address
        self.connected = False
        self.waiting = True  # an attempt to connect is under way: calls may wait for it
        self.closed = False
        self.losses = 0
        self.peer_name = ""
        self.outlet = Outlet(turn)
        self.calls: dict[int, Slot] = {}
        self.streams: dict[int, StreamEnd] = {}
        self.services: list[str] = []
        self.number = 0
        self.wheel = DeadlineWheel(host, self._on_expired)
        self._touched: list[StreamEnd] = []

    # What channels do

    def bind(self, service: str) -> int:
        """The number that stands for `service` on this connection."""
        if service in self.services:
            return self.services.index(service)
        if len(self.services) >= frames.SERVICES_MAX:
            raise ValueError(f"more than {frames.SERVICES_MAX} services at {self.address}")
        self.services.append(service)
        number = len(self.services) - 1
        if self.connected:
            self.outlet.put(number << 3 | BIND, service)
        return number

    def call(self, service: int, request: Message, deadline_seconds: float, done: Done) -> None:
        calls = self.calls
        outlet = self.outlet
        if (not self.connected or outlet.paused or len(calls) >= CALLS_MAX) and self._refuses():
            self.host.soon(done, self._refusal())
            return
        number = self.number + 1
        while number in calls or number > ID_MAX:
            number = 1 if number >= ID_MAX else number + 1
        self.number = number
        calls[number] = self.wheel.put(number, done, deadline_seconds)
        outlet.put(number << 8 | service << 3 | CALL, request)

    def cast(self, service: int, message: Message) -> None:
        if self.connected and not self.outlet.full:
            self.outlet.put(service << 3 | CAST, message)

    def stream(
        self,
        service: int,
        request: Message,
        on_item: Callable[[Any], None],
        on_end: Callable[[Failure | None], None],
    ) -> StreamEnd:
        # While the peer is down a stream waits for the next attempt: a subscriber that opens its stream again as soon
        # as it ends would otherwise run in circles.
        number = self.number + 1
        while number in self.streams or number > ID_MAX:
            number = 1 if number >= ID_MAX else number + 1
        self.number = number
        end = StreamEnd(self, service, number, on_item, on_end)
        if self.closed or len(self.streams) >= STREAMS_MAX or self.outlet.full:
            self.host.soon(self._end_refused, end, self._refusal())
            return end
        self.streams[number] = end
        self.outlet.put(number << 8 | service << 3 | STREAM, request)
        return end

    def cancel(self, end: StreamEnd) -> None:
        end.on_item = _ignore
        end.on_end = _ignore
        if self.streams.get(end.number) is end:
            del self.streams[end.number]
            # Also while there is no connection: the request itself may be waiting for one.
            self.outlet.put(end.number << 8 | CANCEL, None)

    def end_service(self, service: int) -> None:
        """Its channel was closed: end its streams. Its calls still get their answers."""
        for end in [end for end in self.streams.values() if end.service == service]:
            on_end = end.on_end
            self.cancel(end)
            on_end(_closed())

    # What the transport does

    def opened(self, transmit: Callable[[list[Any]], None], congested: Callable[[], bool]) -> None:
        """A connection stands; everything that waited for it is sent."""
        outlet = self.outlet
        introduction: list[Any] = [HELLO, frames.RpcHello(frames.VERSION, self.host.name)]
        for number, service in enumerate(self.services):
            introduction += (number << 3 | BIND, service)
        outlet.entries[:0] = introduction
        outlet.transmit = transmit
        outlet.paused = False
        outlet.congested = congested
        self.connected = True
        self.waiting = False
        outlet.flush()

    def receive(self, entries: list[Any], size: int) -> None:
        """Take a frame of `size` bytes. Raises `BrokenFrame`."""
        calls = self.calls
        pairs = iter(entries)
        for head, message in zip(pairs, pairs, strict=True):
            kind = head & 7
            if kind == ANSWER:
                slot = calls.pop(head >> 8, None)
                if slot is not None:
                    done = slot.pop(head >> 8)
                    done(message if type(message) is not frames.Unreadable else frames.failure_of(message))
            elif kind == ITEM:
                stream = self.streams.get(head >> 8)
                if stream is not None:
                    self._item(stream, message)
            elif kind == FAIL:
                slot = calls.pop(head >> 8, None)
                if slot is not None:
                    slot.pop(head >> 8)(frames.failure_of(message))
            elif kind == END:
                stream = self.streams.pop(head >> 8, None)
                if stream is not None:
                    stream.on_end(None if message is None else frames.failure_of(message))
            elif kind == HELLO:
                self._greet(message)
            else:
                raise frames.BrokenFrame(f"kind {kind}")
        if self._touched:
            self._give_credit(size)

    def lost(self, cause: Cause, message: str) -> None:
        """The connection broke, or the attempt failed: everything in flight fails now."""
        self.losses += 1
        self.connected = False
        self.waiting = False
        self.outlet.transmit = None
        self.outlet.paused = False
        self.outlet.clear()
        self._touched.clear()
        failure = Failure(cause, message)
        calls, self.calls = self.calls, {}
        streams, self.streams = self.streams, {}
        # All are taken out before the first one hears of it: what it does then is already a new life.
        dones = [slot.pop(number) for number, slot in calls.items()]
        self.wheel.release()
        for done in dones:
            done(failure)
        for end in streams.values():
            end.on_end(failure)

    def oversized(self, head: int, size: int) -> None:
        """A message of ours was too large to be sent."""
        failure = Failure(Cause.refused, f"a message of {size} bytes exceeds {frames.MESSAGE_BYTES_MAX}")
        kind = head & 7
        number = head >> 8
        if kind == CALL:
            slot = self.calls.pop(number, None)
            if slot is not None:
                slot.pop(number)(failure)
        elif kind == STREAM:
            end = self.streams.pop(number, None)
            if end is not None:
                end.on_end(failure)

    # Within

    def _item(self, stream: StreamEnd, message: Any) -> None:
        stream.consumed_items += 1
        if not stream.touched:
            stream.touched = True
            self._touched.append(stream)
        if type(message) is frames.Unreadable:
            end, stream.on_item = stream.on_end, _ignore
            self.cancel(stream)
            end(Failure(Cause.refused, f"an item could not be read: {message.reason}"))
            return
        stream.on_item(message)

    def _give_credit(self, size: int) -> None:
        for stream in self._touched:
            stream.touched = False
            # Counting the whole frame for each of its streams tells the server too early, never too late.
            stream.consumed_bytes += size
            if stream.consumed_items >= CREDIT_ITEMS or stream.consumed_bytes >= CREDIT_BYTES:
                if self.streams.get(stream.number) is stream:
                    self.outlet.put(stream.number << 8 | CREDIT, stream.consumed_items)
                stream.consumed_items = 0
                stream.consumed_bytes = 0
        self._touched.clear()

    def _greet(self, hello: Any) -> None:
        if type(hello) is not frames.RpcHello or hello.version != frames.VERSION:
            raise frames.BrokenFrame(f"{self.address} speaks another version: {hello!r}")
        self.peer_name = hello.name

    def _refuses(self) -> bool:
        return not (self.connected or self.waiting) or len(self.calls) >= CALLS_MAX or self.outlet.full

    def _refusal(self) -> Failure:
        if self.closed:
            return _closed()
        if not (self.connected or self.waiting):
            return Failure(Cause.unavailable, f"no connection to {self.address}")
        return Failure(Cause.overloaded, f"too much in flight to {self.address}")

    def _end_refused(self, end: StreamEnd, failure: Failure) -> None:
        end.on_end(failure)

    def _on_expired(self, number: int, done: Done) -> None:
        self.calls.pop(number, None)
        done(Failure(Cause.deadline, f"no answer from {self.address} in time"))


class ServiceChannel:
    """A `Channel`: one service at one address."""

    __slots__ = ("_caller", "_number", "_on_close", "closed", "service")

    def __init__(self, caller: Caller, service: str, on_close: Callable[[ServiceChannel], None]) -> None:
        self._caller = caller
        self._number = caller.bind(service)
        self._on_close = on_close
        self.service = service
        self.closed = False

    @property
    def address(self) -> str:
        return self._caller.address

    @property
    def connected(self) -> bool:
        return self._caller.connected

    def call(self, request: Message, deadline_seconds: float, done: Done) -> None:
        if self.closed:
            self._caller.host.soon(done, _closed())
            return
        self._caller.call(self._number, request, deadline_seconds, done)

    def cast(self, message: Message) -> None:
        if not self.closed:
            self._caller.cast(self._number, message)

    def stream(
        self, request: Message, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]
    ) -> StreamEnd:
        if self.closed:
            self._caller.host.soon(on_end, _closed())
            return StreamEnd(self._caller, self._number, 0, on_item, on_end)
        return self._caller.stream(self._number, request, on_item, on_end)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._caller.end_service(self._number)
            self._on_close(self)


def _closed() -> Failure:
    return Failure(Cause.cancelled, "the channel was closed")


def _ignore(_: Any) -> None:
    pass
