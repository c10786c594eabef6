"""Links between processes that are cut or slow on purpose, for chaos on one machine.

Real networks are broken by firewalls and namespaces, which not every user may touch. So each process can be told to
hold up what it sends to, and hears from, the processes it connects to. It is held up and not lost, as TCP holds up
bytes behind a cut: what waits arrives in order once the link is well, unless the connection is given up before. Only
the end that connected holds up, both directions, so that the two ends need not agree on anything.

Off unless a process is told where the rules are (`TAUSQL_LINKS`): without, connections are made by the class that
knows nothing of this. A rule ends by itself, so that a chaos run that was killed leaves no fleet apart for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
from picows import WSFrame, WSTransport

from tausql.rpc.answering import Answerer
from tausql.rpc.calling import Caller
from tausql.rpc.frames import Codec
from tausql.rpc.websocket import Socket
from tausql.runtime import logs
from tausql.runtime.file_watch import FileWatch
from tausql.runtime.host import Host, Timer

LOOK_SECONDS = 0.03
CONNECT_SECONDS = 2.0  # as long as a connection attempt into a cut takes to fail
HELD_MAX = 20_000  # frames of one direction: more is a connection that is given up
CONGESTED = 200
CUT = float("inf")

log = logs.get("links")


class Rule(msgspec.Struct, frozen=True):
    """What processes at `sources` send to those at `targets` (`host:port`) takes `delay_seconds` longer; None: it does
    not arrive. Until `until`, an instant of the machine's monotonic clock."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    delay_seconds: float | None
    until: float


def write_rules(path: Path, rules: list[Rule]) -> None:
    """Atomically."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(msgspec.json.encode(rules))
    aside.replace(path)


class Links:
    """The rules that concern one process. `here`: its address."""

    def __init__(
        self, host: Host, path: Path, here: Callable[[], str], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._path = path
        self._here = here
        self._now = now
        self._rules: list[Rule] = []
        self._watch = FileWatch(host, [path], self._read, LOOK_SECONDS)
        self._sockets: set[HeldSocket] = set()
        self._over: Timer | None = None

    def start(self) -> None:
        self._read()
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop()
        if self._over is not None:
            self._over.cancel()

    def look(self) -> None:
        """Whether the rules were changed."""
        self._watch.look()

    def delay_to(self, address: str) -> float:
        """Seconds; CUT."""
        return self._delay(self._here(), address)

    def delay_from(self, address: str) -> float:
        return self._delay(address, self._here())

    async def reach(self, address: str) -> None:
        """Before a connection is made. Raises TimeoutError where the link stays cut."""
        end = self._now() + CONNECT_SECONDS
        while (delay := self.delay_to(address) + self.delay_from(address)) == CUT:
            if self._now() > end:
                raise TimeoutError("the link is cut")
            await asyncio.sleep(LOOK_SECONDS)
        if delay:
            await asyncio.sleep(delay)

    def socket(
        self,
        host: Host,
        codec: Codec,
        half: Caller,
        on_opened: Callable[[Socket], None],
        on_gone: Callable[[Socket], None],
    ) -> Socket:
        """In place of `Socket`."""
        return HeldSocket(self, host, codec, half, on_opened, on_gone)

    def opened(self, socket: HeldSocket) -> None:
        self._sockets.add(socket)

    def gone(self, socket: HeldSocket) -> None:
        self._sockets.discard(socket)

    def _delay(self, source: str, target: str) -> float:
        if not self._rules:
            return 0.0
        now = self._now()
        return sum(
            CUT if rule.delay_seconds is None else rule.delay_seconds
            for rule in self._rules
            if source in rule.sources and target in rule.targets and now < rule.until
        )

    def _read(self) -> None:
        try:
            rules = msgspec.json.decode(self._path.read_bytes(), type=list[Rule])
        except FileNotFoundError:
            rules = []
        except msgspec.DecodeError as error:
            log.error("rules for links cannot be read", path=str(self._path), reason=str(error))
            return
        here, now = self._here(), self._now()
        self._rules = [rule for rule in rules if now < rule.until and here in (*rule.sources, *rule.targets)]
        log.warning("links", rules=len(self._rules))
        self._apply()

    def _apply(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._over = None
        if self._rules:
            left = max(0.0, min(rule.until for rule in self._rules) - self._now())
            self._over = self._host.later(left + LOOK_SECONDS, self._expire)
        for socket in list(self._sockets):
            socket.release()

    def _expire(self) -> None:
        self._over = None
        now = self._now()
        self._rules = [rule for rule in self._rules if now < rule.until]
        self._apply()


class _Held:
    """A frame that arrived and was not let in yet, with the face of one that just came."""

    __slots__ = ("_payload", "arrived", "last_in_buffer", "msg_type", "payload_size")

    def __init__(self, frame: WSFrame, arrived: float) -> None:
        self.arrived = arrived
        self.msg_type = frame.msg_type
        self._payload = frame.get_payload_as_bytes()
        self.payload_size = len(self._payload)
        self.last_in_buffer = True

    def get_payload_as_bytes(self) -> bytes:
        return self._payload

    def get_payload_as_memoryview(self) -> memoryview:
        return memoryview(self._payload)


class HeldSocket(Socket):
    """The connecting end of a WebSocket over a link that can be cut or slow."""

    def __init__(
        self,
        links: Links,
        host: Host,
        codec: Codec,
        half: Caller | Answerer,
        on_opened: Callable[[Socket], None],
        on_gone: Callable[[Socket], None],
    ) -> None:
        super().__init__(host, codec, half, on_opened, on_gone)
        self._links = links
        self._address = self._peer
        self._out: deque[tuple[float, list[Any]]] = deque()
        self._in: deque[_Held] = deque()
        self._timer: Timer | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._links.opened(self)
        super().on_ws_connected(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._links.gone(self)
        self._out.clear()
        self._in.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().on_ws_disconnected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if not self._in and not self._links.delay_from(self._address):
            super().on_ws_frame(transport, frame)
            return
        self._in.append(_Held(frame, self._host.monotonic()))
        self._wake()

    def tick(self, *, ping: bool) -> None:
        super().tick(ping=ping and self._links.delay_to(self._address) != CUT)

    def _transmit(self, entries: list[Any]) -> None:
        if not self._out and not self._links.delay_to(self._address):
            super()._transmit(entries)
            return
        self._out.append((self._host.monotonic(), entries))
        self._wake()

    def _congested(self) -> bool:
        return len(self._out) > CONGESTED or super()._congested()

    def release(self) -> None:
        """Let through what is due by now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._host.monotonic()
        delay = self._links.delay_to(self._address)
        while self._out and self._out[0][0] + delay <= now:
            super()._transmit(self._out.popleft()[1])
        delay = self._links.delay_from(self._address)
        while self._in and self._in[0].arrived + delay <= now and self._transport is not None:
            super().on_ws_frame(self._transport, cast(WSFrame, self._in.popleft()))
        if self._out or self._in:
            self._wake()

    def _wake(self) -> None:
        if max(len(self._out), len(self._in)) > HELD_MAX:
            self.abort()
            return
        if self._timer is not None:
            return
        due = [first + self._links.delay_to(self._address) for first, _ in list(self._out)[:1]]
        due += [held.arrived + self._links.delay_from(self._address) for held in list(self._in)[:1]]
        earliest = min(due, default=CUT)
        if earliest != CUT:  # a cut ends with its rule, which then says so
            self._timer = self._host.later(max(0.0, earliest - self._host.monotonic()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self.release()
