"""The other adjudicators, and the moment one of them lets go of a stream.

A stream without a holder is found by looking at the journal, and looking often would cost an idle fleet most of its
CPU. A holder that leaves tells its watchers so, and one that dies breaks its connections; either is heard within a
round trip, and then looking often for a moment is cheap. Nothing rests on what is heard here: the journal decides.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.adjudicator import AdjudicatorClient, Holding
from tausql.protocol.fleet import Member
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host, Timer

REWATCH_SECONDS_MIN = 0.02
REWATCH_SECONDS_MAX = 1.0


class _Watch:
    """One other adjudicator: what it says it holds."""

    __slots__ = ("client", "delay_seconds", "held", "name", "stream", "timer")

    def __init__(self, name: str, client: AdjudicatorClient) -> None:
        self.name = name
        self.client = client
        self.held: dict[int, Holding] = {}  # by stream
        self.delay_seconds = REWATCH_SECONDS_MIN
        self.stream: Stream | None = None
        self.timer: Timer | None = None


class Others:
    """Watches all adjudicators of the map but the one named `own`. `let_go(stream, name)`: that one holds the stream
    no more, by its own word or because it cannot be heard. `told(holding)`: one says what it holds."""

    __slots__ = ("_directory", "_host", "_let_go", "_network", "_own", "_stopped", "_told", "_watches")

    def __init__(
        self,
        host: Host,
        network: Network,
        directory: Directory,
        own: str,
        let_go: Callable[[int, str], None],
        told: Callable[[Holding], None],
    ) -> None:
        self._host, self._network, self._directory, self._own = host, network, directory, own
        self._let_go, self._told = let_go, told
        self._stopped = False
        self._watches: dict[tuple[str, str], _Watch] = {}

    def start(self) -> None:
        self._directory.follow("adjudicator", self._host.zone, self._joined, self._left)

    def stop(self) -> None:
        self._stopped = True
        for watch in self._watches.values():
            _forget(watch)

    def heard(self, name: str) -> bool:
        """Whether there is a connection to this one."""
        return any(watch.name == name and watch.client.channel.connected for watch in self._watches.values())

    def holder(self, stream: int) -> AdjudicatorClient | None:
        """Whoever says it holds `stream`: of several, the newest epoch. None: nobody that can be heard."""
        best: _Watch | None = None
        for watch in self._watches.values():
            claim = watch.held.get(stream)
            if claim is not None and (best is None or claim.epoch > best.held[stream].epoch):
                best = watch
        return best.client if best is not None else None

    def _joined(self, member: Member) -> None:
        key = (member.name, member.address)
        if member.name == self._own or self._stopped or key in self._watches:
            return
        client = AdjudicatorClient(self._network.connect(member.address, "adjudicator"))
        self._watches[key] = watch = _Watch(member.name, client)
        self._watch(watch)

    def _left(self, member: Member) -> None:
        fleet = self._directory.fleet
        key = (member.name, member.address)
        if any((one.name, one.address) == key for one in fleet.adjudicator):
            return  # only what else the map says of it has changed
        watch = self._watches.pop(key, None)
        if watch is not None:
            _forget(watch)
            watch.client.channel.close()
            self._lost(watch)

    def _watch(self, watch: _Watch) -> None:
        watch.timer = None

        def on_item(holding: Holding) -> None:
            watch.delay_seconds = REWATCH_SECONDS_MIN
            if holding.held:
                watch.held[holding.stream] = holding
                self._told(holding)
            elif watch.held.pop(holding.stream, None) is not None:
                self._let_go(holding.stream, watch.name)

        def on_end(_: Failure | None) -> None:
            watch.stream = None
            if self._stopped:
                return
            watch.timer = self._host.later(watch.delay_seconds, self._watch, watch)
            watch.delay_seconds = min(watch.delay_seconds * 2, REWATCH_SECONDS_MAX)
            self._lost(watch)

        watch.stream = watch.client.watch_holdings(on_item, on_end)

    def _lost(self, watch: _Watch) -> None:
        held, watch.held = watch.held, {}
        for stream in sorted(held):
            self._let_go(stream, watch.name)


def _forget(watch: _Watch) -> None:
    if watch.timer is not None:
        watch.timer.cancel()
        watch.timer = None
    if watch.stream is not None:
        watch.stream.cancel()
        watch.stream = None
