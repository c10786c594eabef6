"""The server's half of a connection: dispatch by type, answers, and streams that mind their consumer.

TCP's own back-pressure is not enough: one slow stream would fill the connection's buffers and every call would queue
behind it. So a stream has a window of its own, opened by what the client says it consumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tausql.rpc import frames
from tausql.rpc.frames import ANSWER, BIND, CALL, CANCEL, CAST, CREDIT, END, FAIL, HELLO, ITEM, STREAM
from tausql.rpc.interface import Cause, Failure, Message, Routes
from tausql.rpc.outlet import Outlet, Turn
from tausql.runtime.host import Host

CALLS_MAX = 8_192  # unanswered, on one connection
STREAMS_MAX = 1_024
WINDOW_BYTES = 1024 * 1024  # pushed but not consumed: above it a sink asks for a pause
WINDOW_ITEMS = 1_024
UNCONSUMED_BYTES_MAX = 64 * 1024 * 1024  # a sink that pushes on regardless is ended

Measure = Callable[[Message], tuple[Any, int]]  # a message as it goes into an outlet, and its size in bytes


class ReplyEnd:
    """Where the answer to one call goes."""

    __slots__ = ("_answerer", "_number", "_used")

    def __init__(self, answerer: Answerer, number: int) -> None:
        self._answerer = answerer
        self._number = number
        self._used = False

    @property
    def peer(self) -> Answerer:
        return self._answerer

    def answer(self, message: Message) -> None:
        if self._used:
            raise RuntimeError("a call was answered twice")
        self._used = True
        answerer = self._answerer
        answerer.calls -= 1
        if answerer.connected:
            answerer.outlet.put(self._number << 8 | ANSWER, message)

    def fail(self, cause: Cause, message: str = "") -> None:
        if self._used:
            raise RuntimeError("a call was answered twice")
        self._used = True
        answerer = self._answerer
        answerer.calls -= 1
        if answerer.connected:
            answerer.outlet.put(self._number << 8 | FAIL, frames.RpcFailure(cause, message))


class SinkEnd:
    """The server's end of a stream."""

    __slots__ = ("_answerer", "_bytes", "_number", "_on_closed", "_on_ready", "_sizes", "open")

    def __init__(self, answerer: Answerer, number: int) -> None:
        self._answerer = answerer
        self._number = number
        self._sizes: deque[int] = deque()  # of the items the client has not told us it consumed
        self._bytes = 0
        self._on_ready: Callable[[], None] | None = None
        self._on_closed: Callable[[], None] | None = None
        self.open = True

    @property
    def peer(self) -> Answerer:
        return self._answerer

    def push(self, item: Message) -> bool:
        if not self.open:
            return False
        answerer = self._answerer
        packed, size = answerer.measure(item)
        if size > frames.MESSAGE_BYTES_MAX:
            self._break(Cause.refused, f"an item of {size} bytes exceeds {frames.MESSAGE_BYTES_MAX}")
            return False
        self._sizes.append(size)
        self._bytes += size
        answerer.outlet.put(self._number << 8 | ITEM, packed)
        if self._bytes <= WINDOW_BYTES and len(self._sizes) <= WINDOW_ITEMS:
            return True
        if self._bytes > UNCONSUMED_BYTES_MAX:
            self._break(Cause.overloaded, f"{self._bytes} bytes were not consumed")
        return False

    def when_ready(self, function: Callable[[], None]) -> None:
        if not self.open:
            return
        if self._bytes <= WINDOW_BYTES and len(self._sizes) <= WINDOW_ITEMS:
            self._answerer.host.soon(function)
        else:
            self._on_ready = function

    def when_closed(self, function: Callable[[], None]) -> None:
        if self.open:
            self._on_closed = function
        else:
            self._answerer.host.soon(function)

    def end(self, failure: Failure | None = None) -> None:
        if self.open:
            self.open = False
            self._on_ready = self._on_closed = None
            self._answerer.end_sink(self._number, failure)

    def consumed(self, items: int) -> None:
        """The client has taken so many items more."""
        sizes = self._sizes
        for _ in range(min(items, len(sizes))):
            self._bytes -= sizes.popleft()
        ready = self._on_ready
        if ready is not None and self._bytes <= WINDOW_BYTES // 2 and len(sizes) <= WINDOW_ITEMS // 2:
            self._on_ready = None
            ready()

    def closed(self) -> None:
        """The client cancelled, or is gone."""
        self.open = False
        function, self._on_closed, self._on_ready = self._on_closed, None, None
        if function is not None:
            function()

    def _break(self, cause: Cause, message: str) -> None:
        # Like a broken connection, this is not the service's own doing: it must hear of it.
        function = self._on_closed
        self.end(Failure(cause, message))
        if function is not None:
            self._answerer.host.soon(function)


class Answerer:
    """One client, as the server sees it: a `Peer`.

    services: all that this process serves, looked up when first asked for.
    """

    def __init__(self, host: Host, turn: Turn, services: Mapping[str, Routes], measure: Measure) -> None:
        self.host = host
        self.name = ""
        self.connected = False
        self.calls = 0
        self.outlet = Outlet(turn)
        self.measure = measure
        self._services = services
        self._names: list[str] = []
        self._routes: list[Routes | None] = []
        self._sinks: dict[int, SinkEnd] = {}

    def opened(self, transmit: Callable[[list[Any]], None], congested: Callable[[], bool]) -> None:
        """The connection stands."""
        self.connected = True
        self.outlet.transmit = transmit
        self.outlet.congested = congested
        self.outlet.put(HELLO, frames.RpcHello(frames.VERSION, self.host.name))

    def receive(self, entries: list[Any], size: int) -> None:
        """Take a frame. Raises `BrokenFrame`."""
        routes = self._routes
        pairs = iter(entries)
        for head, message in zip(pairs, pairs, strict=True):
            kind = head & 7
            service = head >> 3 & 31
            if kind == CALL:
                if service < len(routes) and (route := routes[service]) is not None and self.calls < CALLS_MAX:
                    handler = route.calls.get(type(message))
                    if handler is not None:
                        self.calls += 1
                        handler(message, ReplyEnd(self, head >> 8))
                        continue
                self._refuse_call(head >> 8, service, message)
            elif kind == CAST:
                if (found := self._route(service)) is not None:
                    cast = found.casts.get(type(message))
                    if cast is not None:
                        cast(message, self)
            elif kind == CREDIT:
                sink = self._sinks.get(head >> 8)
                if sink is not None:
                    sink.consumed(message if type(message) is int else 0)
            elif kind == STREAM:
                self._open_stream(head >> 8, service, message)
            elif kind == CANCEL:
                sink = self._sinks.pop(head >> 8, None)
                if sink is not None:
                    sink.closed()
            else:
                self._control(kind, service, message)

    def lost(self) -> None:
        """The connection broke: every stream closes, every service hears of it."""
        if not self.connected:
            return
        self.connected = False
        self.outlet.transmit = None
        self.outlet.clear()
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.closed()
        for routes in self._routes:
            if routes is not None and routes.on_disconnect is not None:
                routes.on_disconnect(self)

    def oversized(self, head: int, size: int) -> None:
        """A message of ours was too large to be sent."""
        if head & 7 == ANSWER:
            text = f"an answer of {size} bytes exceeds {frames.MESSAGE_BYTES_MAX}"
            self.outlet.put(head & ~7 | FAIL, frames.RpcFailure(Cause.refused, text))

    def end_sink(self, number: int, failure: Failure | None) -> None:
        self._sinks.pop(number, None)
        if self.connected:
            self.outlet.put(
                number << 8 | END, None if failure is None else frames.RpcFailure(failure.cause, failure.message)
            )

    def _control(self, kind: int, service: int, message: Any) -> None:
        if kind == HELLO and type(message) is frames.RpcHello and message.version == frames.VERSION:
            self.name = message.name
        elif kind == BIND and type(message) is str and service == len(self._names):
            self._names.append(message)
            self._routes.append(self._services.get(message))
        else:
            raise frames.BrokenFrame(f"kind {kind} with {message!r}")

    def _route(self, service: int) -> Routes | None:
        """The routes of a bound service; it may have begun to be served after it was bound."""
        if service >= len(self._routes):
            raise frames.BrokenFrame(f"service {service} is not bound")
        routes = self._routes[service]
        if routes is None:
            routes = self._routes[service] = self._services.get(self._names[service])
        return routes

    def _refuse_call(self, number: int, service: int, message: Any) -> None:
        reply = ReplyEnd(self, number)
        self.calls += 1
        routes = self._route(service)
        if routes is None:
            reply.fail(Cause.unavailable, f"{self._names[service]} is not served here")
        elif self.calls > CALLS_MAX:
            reply.fail(Cause.overloaded, f"{CALLS_MAX} calls are unanswered")
        elif (handler := routes.calls.get(type(message))) is not None:
            handler(message, reply)  # the service came after the bind
        else:
            reply.fail(Cause.refused, f"{self._names[service]} does not answer {_name_of(message)}")

    def _open_stream(self, number: int, service: int, message: Any) -> None:
        routes = self._route(service)
        handler = None if routes is None else routes.streams.get(type(message))
        sink = SinkEnd(self, number)
        if handler is not None and len(self._sinks) < STREAMS_MAX and number not in self._sinks:
            self._sinks[number] = sink
            handler(message, sink)
        elif routes is None:
            sink.end(Failure(Cause.unavailable, f"{self._names[service]} is not served here"))
        elif handler is None:
            sink.end(Failure(Cause.refused, f"{self._names[service]} does not stream {_name_of(message)}"))
        else:
            sink.end(Failure(Cause.overloaded, f"{STREAMS_MAX} streams are open"))


def _name_of(message: Any) -> str:
    return message.reason if type(message) is frames.Unreadable else type(message).__name__
