"""Connections between processes: calls, casts and streams over `links`.

Calls travel one by one and may overtake each other; a lost request or answer shows as `deadline`, as it would on a
link that drops everything for a while. Streams keep their order, and break when something of theirs is lost. Nothing
is duplicated, because no connection of the real transport duplicates: what arrives twice was sent twice, over a
connection made anew, and that happens here as it does there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tausql.rpc.interface import Cause, Failure, Message, Routes
from tausql.simulation.links import KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from tausql.simulation.world import Process, World

SINK_ITEMS_HIGH = 64
DEADLINE_GRAIN = 8  # deadlines of a process that lie closer together than an eighth of their length pass at once

_Serve = Callable[["Routes", "Process", "SimulatedPeer", int, Any], None]


class SimulatedPeer:
    """The server's view of one connection."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._connected = True

    @property
    def name(self) -> str:
        return self._name

    @property
    def connected(self) -> bool:
        return self._connected

    def gone(self) -> None:
        self._connected = False


class SimulatedReply:
    def __init__(self, channel: SimulatedChannel, server: Process, call: int, peer: SimulatedPeer) -> None:
        self._channel, self._server, self._call, self._peer = channel, server, call, peer
        self._used = False

    @property
    def peer(self) -> SimulatedPeer:
        return self._peer

    def answer(self, message: Message) -> None:
        self._send(self._channel.world.links.copied(self._server, message))

    def fail(self, cause: Cause, message: str = "") -> None:
        self._send(Failure(cause, message))

    def _send(self, answer: Any) -> None:
        assert not self._used, "answered twice"
        self._used = True
        if not self._peer.connected:
            return
        channel = self._channel
        delay = channel.world.links.latency(self._server, channel.process)
        if delay is not None:
            channel.world.at(delay, channel.process, channel.settle, self._call, answer)


class SimulatedSink:
    def __init__(self, channel: SimulatedChannel, server: Process, number: int, peer: SimulatedPeer) -> None:
        self._channel, self._server, self._number, self._peer = channel, server, number, peer
        self._open = True
        self._under_way: deque[tuple[bool, Any]] = deque()
        self._arrives = 0.0
        self._ready: Callable[[], None] | None = None
        self._closed: Callable[[], None] | None = None

    @property
    def peer(self) -> SimulatedPeer:
        return self._peer

    @property
    def open(self) -> bool:
        return self._open

    def push(self, item: Message) -> bool:
        if not self._open:
            return True
        self._transmit(False, self._channel.world.links.copied(self._server, item))
        return len(self._under_way) < SINK_ITEMS_HIGH

    def when_ready(self, function: Callable[[], None]) -> None:
        if len(self._under_way) < SINK_ITEMS_HIGH:
            self._server.soon(function)
        else:
            self._ready = function

    def when_closed(self, function: Callable[[], None]) -> None:
        if self._open:
            self._closed = function
        else:
            self._server.soon(function)

    def end(self, failure: Failure | None = None) -> None:
        if self._open:
            self._transmit(True, failure)
            self._open = False

    def _transmit(self, last: bool, item: Any) -> None:
        world = self._channel.world
        delay = world.links.latency(self._server, self._channel.process)
        if delay is None:  # a stream that loses something is a broken connection
            self.break_off()
            world.at(KEEPALIVE_SECONDS * 0.1, self._channel.process, self._channel.stream_broke, self._number)
            return
        self._arrives = max(self._arrives + 1e-9, world.now + delay)
        self._under_way.append((last, item))
        world.at(self._arrives - world.now, None, self._deliver)

    def _deliver(self) -> None:
        """The oldest item under way arrives: whichever event brings it, the order is kept."""
        world, client = self._channel.world, self._channel.process
        if client.alive and client.paused_until > world.now:
            world.at(client.paused_until - world.now, None, self._deliver)
            return
        last, item = self._under_way.popleft()
        try:
            self._channel.stream_item(self._number, last, item)
        except world.died as death:
            client.kill(f"died: {death}")
        if self._ready is not None and len(self._under_way) < SINK_ITEMS_HIGH // 2:
            ready, self._ready = self._ready, None
            if self._server.alive and self._open:
                self._server.soon(ready)

    def break_off(self) -> None:
        if self._open:
            self._open = False
            if self._closed is not None and self._server.alive:
                self._server.soon(self._closed)


class _Subscription:
    def __init__(self, channel: SimulatedChannel, number: int) -> None:
        self._channel, self._number = channel, number

    def cancel(self) -> None:
        self._channel.cancel(self._number)


class SimulatedChannel:
    """The client's end. Connects when it is used, and again after each break."""

    def __init__(self, world: World, process: Process, address: str, service: str) -> None:
        self.world, self.process = world, process
        self._address, self._service = address, service
        self._generation = process.generation
        self._peer: SimulatedPeer | None = None
        self._server_generation = 0
        self._next = 0
        self._calls: dict[int, Callable[[Any], None]] = {}
        self._streams: dict[int, tuple[Callable[[Any], None], Callable[[Failure | None], None]]] = {}
        self._sinks: dict[int, SimulatedSink] = {}
        world.links.channels[self] = None

    @property
    def address(self) -> str:
        return self._address

    @property
    def connected(self) -> bool:
        server = self.world.by_address.get(self._address)
        return server is not None and server.alive and (self.process.name, server.name) not in self.world.links.cut

    def call(self, request: Message, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self._next += 1
        number = self._next
        self._calls[number] = done
        self.process.network.expect(self, number, deadline_seconds)
        payload = self.world.links.copied(self.process, request)
        self._send(self._serve_call, payload, number, None)

    def cast(self, message: Message) -> None:
        self._send(self._serve_cast, self.world.links.copied(self.process, message), None, None)

    def stream(
        self, request: Message, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]
    ) -> _Subscription:
        self._next += 1
        number = self._next
        self._streams[number] = (on_item, on_end)
        self._send(self._serve_stream, self.world.links.copied(self.process, request), None, number)
        return _Subscription(self, number)

    def close(self) -> None:
        self.disconnect()

    # the way there

    def _send(self, serve: _Serve, payload: Any, call: int | None, stream: int | None) -> None:
        world = self.world
        server = world.by_address.get(self._address)
        delay = world.links.latency(self.process, server) if server is not None else None
        if server is None or delay is None:
            if stream is not None:
                world.at(KEEPALIVE_SECONDS * 0.1, self.process, self.stream_broke, stream)
            return
        world.at(delay, None, self._arrive, server, serve, payload, call, stream)

    def _arrive(self, server: Process, serve: _Serve, payload: Any, call: int | None, stream: int | None) -> None:
        world = self.world
        if server.alive and server.paused_until > world.now:
            world.at(server.paused_until - world.now, None, self._arrive, server, serve, payload, call, stream)
            return
        routes = server.network.routes.get(self._service) if server.alive else None
        if routes is None:
            back = world.random.random() * 0.001
            if call is not None:
                refused = Failure(Cause.unavailable, f"{self._address} does not answer")
                world.at(back, self.process, self.settle, call, refused)
            if stream is not None:
                world.at(back, self.process, self.stream_broke, stream)
            return
        if self._peer is None or not self._peer.connected or self._server_generation != server.generation:
            self._peer = SimulatedPeer(self.process.name)
            self._server_generation = server.generation
            server.network.peers.append((self._peer, routes))
        number = call if call is not None else stream
        try:
            serve(routes, server, self._peer, number or 0, payload)
        except world.died as death:
            server.kill(f"died: {death}")
        if self._generation != self.process.generation:  # the last words of a dead client
            world.at(0.0, None, self._drop_server_side)

    def _serve_call(self, routes: Routes, server: Process, peer: SimulatedPeer, number: int, payload: Any) -> None:
        reply = SimulatedReply(self, server, number, peer)
        handler = routes.calls.get(type(payload))
        if handler is None:
            reply.fail(Cause.refused, f"{self._service} has no call {type(payload).__name__}")
        else:
            handler(payload, reply)

    def _serve_cast(self, routes: Routes, server: Process, peer: SimulatedPeer, number: int, payload: Any) -> None:
        handler = routes.casts.get(type(payload))
        if handler is not None:
            handler(payload, peer)

    def _serve_stream(self, routes: Routes, server: Process, peer: SimulatedPeer, number: int, payload: Any) -> None:
        if number not in self._streams:
            return
        sink = self._sinks[number] = SimulatedSink(self, server, number, peer)
        handler = routes.streams.get(type(payload))
        if handler is None:
            sink.end(Failure(Cause.refused, f"{self._service} has no stream {type(payload).__name__}"))
        else:
            handler(payload, sink)

    # the way back

    def expired(self, number: int, seconds: float) -> None:
        if number in self._calls:
            self._calls.pop(number)(Failure(Cause.deadline, f"no answer within {seconds} s"))

    def settle(self, number: int, answer: Any) -> None:
        done = self._calls.pop(number, None)
        if done is not None:
            done(answer)

    def stream_item(self, number: int, last: bool, item: Any) -> None:
        callbacks = self._streams.get(number)
        if callbacks is None or not self.process.alive or self.process.generation != self._generation:
            return
        if last:
            del self._streams[number]
            self._sinks.pop(number, None)
            callbacks[1](item)
        else:
            callbacks[0](item)

    def stream_broke(self, number: int) -> None:
        callbacks = self._streams.pop(number, None)
        self._sinks.pop(number, None)
        if callbacks is not None:
            callbacks[1](Failure(Cause.unavailable, f"the connection to {self._address} broke"))

    def cancel(self, number: int) -> None:
        self._streams.pop(number, None)
        sink = self._sinks.pop(number, None)
        if sink is not None:
            self.world.at(0.0005, None, sink.break_off)

    # breaks

    def _drop_server_side(self) -> None:
        peer, self._peer = self._peer, None
        sinks, self._sinks = list(self._sinks.values()), {}
        for sink in sinks:
            sink.break_off()
        server = self.world.by_address.get(self._address)
        if peer is not None and peer.connected:
            peer.gone()
            if server is not None and server.alive and server.generation == self._server_generation:
                for known, routes in list(server.network.peers):
                    if known is peer:
                        server.network.peers.remove((known, routes))
                        if routes.on_disconnect is not None:
                            server.soon(routes.on_disconnect, peer)

    def disconnect(self) -> None:
        """Both ends learn that the connection is gone."""
        self._drop_server_side()
        calls, self._calls = self._calls, {}
        streams, self._streams = self._streams, {}
        failure = Failure(Cause.unavailable, f"the connection to {self._address} broke")
        for done in calls.values():
            self.world.at(0.0, self.process, done, failure)
        for _, on_end in streams.values():
            self.world.at(0.0, self.process, on_end, failure)

    def abandon(self) -> None:
        """The client's process died: only the server is left to learn of it."""
        self._calls.clear()
        self._streams.clear()
        self.world.links.channels.pop(self, None)
        self.world.at(self.world.random.uniform(0.0, 0.002), None, self._drop_server_side)


class SimulatedNetwork:
    """One process's access, made anew at each of its starts."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self.routes: dict[str, Routes] = {}
        self.peers: list[tuple[SimulatedPeer, Routes]] = []
        self._channels: dict[tuple[str, str], SimulatedChannel] = {}
        self._late: dict[float, list[tuple[SimulatedChannel, int, float]]] = {}  # instant -> calls with that deadline

    def expect(self, channel: SimulatedChannel, call: int, seconds: float) -> None:
        """Fail the call after so many seconds, or up to an eighth more, unless it was answered."""
        grain = 0.001
        while grain * 2 * DEADLINE_GRAIN <= seconds:
            grain *= 2
        when = (int((self._world.now + seconds) / grain) + 1) * grain
        waiting = self._late.get(when)
        if waiting is None:
            waiting = self._late[when] = []
            self._world.at(when - self._world.now, self._process, self._expire, when)
        waiting.append((channel, call, seconds))

    def _expire(self, when: float) -> None:
        for channel, call, seconds in self._late.pop(when):
            channel.expired(call, seconds)

    def serve(self, service: str, routes: Routes) -> None:
        self.routes[service] = routes

    def connect(self, address: str, service: str) -> SimulatedChannel:
        known = self._channels.get((address, service))
        if known is None:
            known = self._channels[address, service] = SimulatedChannel(self._world, self._process, address, service)
        return known
