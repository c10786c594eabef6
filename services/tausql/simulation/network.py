"""What lies between processes: delay, jitter, loss, cut links, connections that break.

Calls travel one by one and may overtake each other; a lost request or answer shows as `deadline`, as it would on a
link that drops everything for a while. Streams keep their order, and break when something of theirs is lost. Every
message is encoded and decoded, so that nobody shares an object by mistake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tausql.protocol.messages import ALL
from tausql.rpc.interface import Cause, Encoded, Failure, Message, Routes

if TYPE_CHECKING:
    from tausql.simulation.world import Process, World

KEEPALIVE_SECONDS = 2.0  # after so long a cut link breaks the connections over it
SINK_ITEMS_HIGH = 64

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ALL).decode


def _copy(message: Message) -> Any:
    if isinstance(message, Encoded):
        if message.packed is None:
            message.packed = _encode(message.message)
        return _decode(message.packed)
    return _decode(_encode(message))


class Links:
    """The network between all processes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.delay = (0.00005, 0.0005)
        self.slow: dict[str, float] = {}  # extra seconds to and from a process
        self.loss = 0.0
        self.cut: set[tuple[str, str]] = set()  # (from, to): nothing passes
        self.channels: list[SimulatedChannel] = []
        self.sent = 0
        self.lost = 0

    def latency(self, source: Process, target: Process) -> float | None:
        """Seconds a message takes, or None when it is lost."""
        chance = self.world.random
        self.sent += 1
        if (source.name, target.name) in self.cut or (self.loss and chance.random() < self.loss):
            self.lost += 1
            return None
        low, high = self.delay
        extra = self.slow.get(source.name, 0.0) + self.slow.get(target.name, 0.0)
        if source is target:
            return chance.uniform(0.0, 0.00002)
        return chance.uniform(low, high) * (10.0 if chance.random() < 0.02 else 1.0) + extra

    def sever(self, group: set[str], one_way: bool = False) -> None:
        """Cut every link between `group` and the rest (or only from `group` to the rest)."""
        rest = set(self.world.processes) - group
        pairs = {(a, b) for a in group for b in rest}
        if not one_way:
            pairs |= {(b, a) for a, b in pairs}
        self.cut |= pairs
        self.world.note(f"links cut around {sorted(group)}{' one way' if one_way else ''}")
        self.world.at(KEEPALIVE_SECONDS, None, self._give_up, pairs)

    def heal(self) -> None:
        if self.cut:
            self.world.note("links healed")
        self.cut.clear()

    def _give_up(self, pairs: set[tuple[str, str]]) -> None:
        for channel in list(self.channels):
            target = self.world.by_address.get(channel.address)
            if target is None:
                continue
            ends = (channel.process.name, target.name)
            if (ends in pairs and ends in self.cut) or (ends[::-1] in pairs and ends[::-1] in self.cut):
                channel.disconnect()

    def broken(self, process: Process) -> None:
        """A process has died: the other ends notice a little later."""
        for channel in list(self.channels):
            if channel.process is process:
                channel.abandon()
            elif channel.address == process.address:
                self.world.at(self.world.random.uniform(0.0, 0.002), None, channel.disconnect)


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
        self._send(_copy(message))

    def fail(self, cause: Cause, message: str = "") -> None:
        self._send(Failure(cause, message))

    def _send(self, answer: Any) -> None:
        assert not self._used, "answered twice"
        self._used = True
        if not self._peer.connected:
            return
        delay = self._channel.world.links.latency(self._server, self._channel.process)
        if delay is not None:
            self._channel.world.at(delay, self._channel.process, self._channel.settle, self._call, answer)


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
        self._transmit(False, _copy(item))
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
        world.within(client, self._channel.stream_item, self._number, last, item)
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
        world.links.channels.append(self)

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
        late = Failure(Cause.deadline, f"no answer within {deadline_seconds} s")
        self.world.at(deadline_seconds, self.process, self.settle, number, late)
        payload = _copy(request)
        self._send(lambda routes, server, peer: self._serve_call(routes, server, peer, number, payload), number)

    def cast(self, message: Message) -> None:
        payload = _copy(message)

        def serve(routes: Routes, server: Process, peer: SimulatedPeer) -> None:
            handler = routes.casts.get(type(payload))
            if handler is not None:
                handler(payload, peer)

        self._send(serve, None)

    def stream(
        self, request: Message, on_item: Callable[[Any], None], on_end: Callable[[Failure | None], None]
    ) -> _Subscription:
        self._next += 1
        number = self._next
        payload = _copy(request)
        self._streams[number] = (on_item, on_end)

        def serve(routes: Routes, server: Process, peer: SimulatedPeer) -> None:
            if number not in self._streams:
                return
            sink = self._sinks[number] = SimulatedSink(self, server, number, peer)
            handler = routes.streams.get(type(payload))
            if handler is None:
                sink.end(Failure(Cause.refused, f"{self._service} has no stream {type(payload).__name__}"))
            else:
                handler(payload, sink)

        self._send(serve, None, number)
        return _Subscription(self, number)

    def close(self) -> None:
        self.disconnect()

    # the way there

    def _send(self, serve: Callable[..., None], call: int | None, stream: int | None = None) -> None:
        server = self.world.by_address.get(self._address)
        delay = self.world.links.latency(self.process, server) if server is not None else None
        if server is None or delay is None:
            if stream is not None:
                self.world.at(KEEPALIVE_SECONDS * 0.1, self.process, self.stream_broke, stream)
            return
        self.world.at(delay, None, self._arrive, server, serve, call, stream)

    def _arrive(self, server: Process, serve: Callable[..., None], call: int | None, stream: int | None) -> None:
        world = self.world
        if server.alive and server.paused_until > world.now:
            world.at(server.paused_until - world.now, None, self._arrive, server, serve, call, stream)
            return
        routes = server.network.routes.get(self._service) if server.alive else None
        if routes is None:
            back = world.random.uniform(0.0, 0.001)
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
        world.within(server, serve, routes, server, self._peer)

    def _serve_call(self, routes: Routes, server: Process, peer: SimulatedPeer, number: int, payload: Any) -> None:
        reply = SimulatedReply(self, server, number, peer)
        handler = routes.calls.get(type(payload))
        if handler is None:
            reply.fail(Cause.refused, f"{self._service} has no call {type(payload).__name__}")
        else:
            handler(payload, reply)

    # the way back

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
        if self in self.world.links.channels:
            self.world.links.channels.remove(self)
        self.world.at(self.world.random.uniform(0.0, 0.002), None, self._drop_server_side)


class SimulatedNetwork:
    """One process's access, made anew at each of its starts."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process
        self.routes: dict[str, Routes] = {}
        self.peers: list[tuple[SimulatedPeer, Routes]] = []
        self._channels: dict[tuple[str, str], SimulatedChannel] = {}

    def serve(self, service: str, routes: Routes) -> None:
        self.routes[service] = routes

    def connect(self, address: str, service: str) -> SimulatedChannel:
        known = self._channels.get((address, service))
        if known is None:
            known = self._channels[address, service] = SimulatedChannel(self._world, self._process, address, service)
        return known
