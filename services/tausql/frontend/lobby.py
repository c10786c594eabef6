"""Strangers: those whose connection is accepted and who have not shown a token yet.

Nothing else can be had from us without one, so this is where an attack meets us, and where a burst of good clients
does, too. Only so many are talked to at once (`startups_max`); the others wait in turn, and the turns go round by
address, so that whoever opens a thousand connections stands in his own way and nobody else's. While somebody waits,
nobody may dawdle. An address that has only shown bad tokens of late is not kept waiting where many wait: it is cut off
before a byte of it was read. Good clients behind one proxy are one address, so without bad tokens nobody is ever cut
off: the kernel's backlog holds the rest.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

from tausql.frontend.metrics import FrontendMetrics
from tausql.runtime.host import Host, Timer

WAITING_FACTOR = 4  # so many times `startups_max` may wait; at 256, more than a cluster's burst of 1,000 has room
DESCRIPTORS_SHARE = 8  # and no more than this part of what descriptors there are: sessions need theirs
SILENT_SECONDS = 1.0  # from accept to the first byte, while others wait
HANDSHAKE_SECONDS = 3.0  # from accept to the end of TLS's handshake, while others wait: two round trips
PRESSED_SECONDS = 5.0  # from accept to the token, while others wait: 10 round trips across the world
LATE_SECONDS = 0.2  # a look that comes so late finds a busy loop: the strangers wait for us, and not we for them
SUSPECT_FAILURES = 100  # of an address within a window, with no success in between
WINDOW_SECONDS = 60.0
ADDRESSES_MAX = 4096  # whose failures are remembered


class Stranger(Protocol):
    """One connection that is being talked to."""

    @property
    def silent(self) -> bool:
        """It has not said anything yet."""
        ...

    @property
    def connected(self) -> bool:
        """It has come so far that it could be told something: under TLS, its handshake is done."""
        ...

    @property
    def welcome(self) -> bool | None:
        """It turned out to be a client, once it has ended. None: nobody knows."""
        ...

    def time_out(self) -> None: ...

    def close(self) -> None: ...


Talk = Callable[[], Stranger]


class Visitor:
    """A connection that waits. `talk` begins to talk to it, `drop` closes it unread."""

    __slots__ = ("address", "drop", "talk")

    def __init__(self, address: str, talk: Talk, drop: Callable[[], None]) -> None:
        self.address = address
        self.talk = talk
        self.drop = drop


class Lobby:
    """Of all listeners of a frontend. `on_room`: called when strangers are taken again after `full`."""

    def __init__(self, host: Host, metrics: FrontendMetrics, startups_max: int, waiting_max: int) -> None:
        self._host = host
        self._metrics = metrics
        self._max = startups_max
        self._waiting_max = waiting_max
        self._talking: dict[Stranger, tuple[str, float]] = {}  # address and since when, oldest first
        self._by_address: dict[str, int] = {}  # of those
        self._queues: OrderedDict[str, deque[Visitor]] = OrderedDict()  # whose turn is next comes first
        self._waiting = 0
        self._suspects = Suspects(host.monotonic)
        self._timer: Timer | None = None
        self._due = 0.0  # when it should go off
        self.on_room: list[Callable[[], None]] = []

    @property
    def full(self) -> bool:
        """Nobody should be accepted: the kernel holds what comes."""
        return self._waiting >= self._waiting_max

    def __len__(self) -> int:
        """How many are talked to."""
        return len(self._talking)

    @property
    def waiting(self) -> int:
        return self._waiting

    def arrive(self, visitor: Visitor) -> None:
        """Somebody is at the door."""
        queue = self._queues.get(visitor.address)
        if queue is None and self._may_talk(visitor.address):
            self._begin(visitor)
            return
        if self._waiting >= self._max and self._suspects.suspect(visitor.address):
            self._metrics.refused_unseen += 1
            visitor.drop()
            return
        if queue is None:
            queue = self._queues[visitor.address] = deque()
        queue.append(visitor)
        self._waiting += 1
        self._press()

    def ended(self, stranger: Stranger) -> None:
        """It is a client now, or gone."""
        entry = self._talking.pop(stranger, None)
        if entry is None:
            return
        address = entry[0]
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]
        welcome = stranger.welcome
        if welcome is not None:
            self._suspects.note(address, good=welcome)
        self._metrics.startups = len(self._talking)
        self._next()

    def close(self) -> None:
        """End everybody who is not a client yet."""
        queues, self._queues = self._queues, OrderedDict()
        self._waiting = 0
        for queue in queues.values():
            for visitor in queue:
                visitor.drop()
        for stranger in list(self._talking):
            stranger.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _may_talk(self, address: str) -> bool:
        # Half of the places are enough for any address, and leave the other half to others, however slow it is.
        return len(self._talking) < self._max and self._by_address.get(address, 0) < max(self._max // 2, 1)

    def _begin(self, visitor: Visitor) -> None:
        address = visitor.address
        stranger = visitor.talk()
        self._talking[stranger] = (address, self._host.monotonic())
        self._by_address[address] = self._by_address.get(address, 0) + 1
        self._metrics.startups = len(self._talking)

    def _next(self) -> None:
        """Those whose turn it is. An address that has its share already is passed over."""
        was_full = self.full
        for address in list(self._queues):
            if len(self._talking) >= self._max:
                break
            if not self._may_talk(address):
                continue
            queue = self._queues[address]
            visitor = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues.move_to_end(address)
            else:
                del self._queues[address]
            self._begin(visitor)
            break  # one has ended, so one comes in: turns stay turns
        if was_full and not self.full:
            for function in self.on_room:
                function()

    def _press(self) -> None:
        if self._timer is None and self._waiting:
            self._due = self._host.monotonic() + SILENT_SECONDS / 2
            self._timer = self._host.later(SILENT_SECONDS / 2, self._look)

    def _look(self) -> None:
        """Somebody waits: those who take too long have to go."""
        self._timer = None
        now = self._host.monotonic()
        if self._waiting and now - self._due < LATE_SECONDS:
            for stranger, (_, since) in list(self._talking.items()):
                age = now - since
                if age < SILENT_SECONDS:
                    break
                if age >= (PRESSED_SECONDS if stranger.connected else HANDSHAKE_SECONDS) or stranger.silent:
                    stranger.time_out()
        self._press()


def waiting_max(startups_max: int, descriptors: int) -> int:
    """How many may wait."""
    return max(min(WAITING_FACTOR * startups_max, descriptors // DESCRIPTORS_SHARE), 1)


class Suspects:
    """Addresses that have shown nothing but bad tokens of late. Bounded: the one not heard of for longest goes."""

    __slots__ = ("_failures", "_monotonic")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, and how many

    def note(self, address: str, *, good: bool) -> None:
        if good:
            self._failures.pop(address, None)
            return
        now = self._monotonic()
        since, count = self._failures.pop(address, (now, 0))
        if now - since > WINDOW_SECONDS:
            since, count = now, 0
        self._failures[address] = (since, count + 1)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def suspect(self, address: str) -> bool:
        since, count = self._failures.get(address, (0.0, 0))
        return count >= SUSPECT_FAILURES and self._monotonic() - since <= 2 * WINDOW_SECONDS


def address_of(host: str) -> str:
    """What counts as one address: an IPv6 host has a whole network of them, and may use a new one each time."""
    if ":" not in host:
        return host
    address = ipaddress.ip_address(host.partition("%")[0])
    assert isinstance(address, ipaddress.IPv6Address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
