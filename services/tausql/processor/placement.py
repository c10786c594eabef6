"""Who judges which keys now: streams, their holders, epochs and ranges.

Every adjudicator process may hold any stream, and a stream changes hands within a second when its holder dies, so
nothing of this is configured: each process is asked to tell what it holds, as it changes. Several may claim a stream
for a moment; the highest epoch is right, and a wrong guess is harmless (the old holder answers `not_holder`, or is
fenced).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tausql.processor.coroutines import Wait
from tausql.processor.owners import Holder, Owners
from tausql.protocol.adjudicator import AdjudicatorClient, Holding
from tausql.protocol.errors import Code, SqlError
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import Host

REWATCH_SECONDS_MIN = 0.02
REWATCH_SECONDS_MAX = 0.5
WAITERS_MAX = 100_000


class _Watch:
    """What one adjudicator process says it holds."""

    __slots__ = ("client", "delay_seconds", "holders", "name", "stream")

    def __init__(self, name: str, client: AdjudicatorClient) -> None:
        self.name = name
        self.client = client
        self.holders: dict[int, Holder] = {}  # by stream
        self.delay_seconds = REWATCH_SECONDS_MIN
        self.stream: Stream | None = None


class Placement:
    """Looks up holders, and lets commits wait for one where a stream has none."""

    def __init__(self, host: Host, network: Network, fleet: Directory) -> None:
        self._host = host
        neighbours = Neighbours(
            fleet,
            "adjudicator",
            host.zone,
            lambda address: AdjudicatorClient(network.connect(address, "adjudicator")),
            joined=self._joined,
            left=self._left,
        )
        self._watches = [_Watch(one.member.name, one.client) for one in neighbours.all]
        self.owners = Owners({})  # replaced at every change
        self.changes = 0  # of what is known
        self._waiting: list[Wait[None]] = []
        self._started = False
        self._stopped = False
        self.on_change: Callable[[], None] = lambda: None  # called before those who wait for a change go on

    def start(self) -> None:
        self._started = True
        for watch in self._watches:
            self._watch(watch)

    def stop(self) -> None:
        self._stopped = True
        for watch in self._watches:
            if watch.stream is not None:
                watch.stream.cancel()
                watch.stream = None
        self._changed()

    @property
    def holders(self) -> dict[int, Holder]:
        """By stream. Never changed in place."""
        return self.owners.holders

    def changed(self, seconds: float) -> Wait[None]:
        """Resolved at the next change of holders, or after `seconds`."""
        wait: Wait[None] = Wait()
        if len(self._waiting) >= WAITERS_MAX:
            raise SqlError(Code.cannot_connect_now, "too many transactions wait for an adjudicator")
        self._waiting.append(wait)
        self._host.later(seconds, self._give_up, wait)
        return wait

    def lose(self, holder: Holder) -> None:
        """It said it holds the stream no longer. Its own stream will say what is true."""
        if self.owners.holders.get(holder.stream) is holder:
            for watch in self._watches:
                if watch.holders.get(holder.stream) is holder:
                    del watch.holders[holder.stream]
            self._merge()

    def _give_up(self, wait: Wait[None]) -> None:
        if not wait.done:
            self._waiting.remove(wait)
            wait.resolve(None)

    def _joined(self, adjudicator: Neighbour[AdjudicatorClient]) -> None:
        watch = _Watch(adjudicator.member.name, adjudicator.client)
        self._watches = [*self._watches, watch]
        if self._started:
            self._watch(watch)

    def _left(self, adjudicator: Neighbour[AdjudicatorClient]) -> None:
        gone = [watch for watch in self._watches if watch.client is adjudicator.client]
        self._watches = [watch for watch in self._watches if watch.client is not adjudicator.client]
        for watch in gone:
            if watch.stream is not None:
                watch.stream.cancel()
                watch.stream = None
            if watch.holders:
                watch.holders.clear()
                self._merge()

    def _watch(self, watch: _Watch) -> None:
        if self._stopped or watch not in self._watches:
            return

        def on_item(holding: Holding) -> None:
            watch.delay_seconds = REWATCH_SECONDS_MIN
            if holding.held:
                watch.holders[holding.stream] = Holder(watch.name, watch.client, holding, self.changes)
            else:
                watch.holders.pop(holding.stream, None)
            self._merge()

        def on_end(failure: Failure | None) -> None:
            watch.stream = None
            if watch.holders:
                watch.holders.clear()
                self._merge()
            if not self._stopped:
                self._host.later(watch.delay_seconds, self._watch, watch)
                watch.delay_seconds = min(watch.delay_seconds * 2, REWATCH_SECONDS_MAX)

        watch.stream = watch.client.watch_holdings(on_item, on_end)

    def _merge(self) -> None:
        self.changes += 1
        self.owners = Owners(_newest(holder for watch in self._watches for holder in watch.holders.values()))
        self.on_change()
        self._changed()

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for wait in waiting:
            wait.resolve(None)


def _newest(holders: Iterable[Holder]) -> dict[int, Holder]:
    newest: dict[int, Holder] = {}
    for holder in holders:
        known = newest.get(holder.stream)
        if known is None or holder.epoch > known.epoch:
            newest[holder.stream] = holder
    return newest
