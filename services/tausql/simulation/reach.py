"""Whom a client of the simulation asks: who judges which keys now, and which replica keeps them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tausql.protocol import adjudicator, storage
from tausql.protocol.journal import Epoch
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.simulation.world import Process

AGAIN_SECONDS = 0.05

Ranges = tuple[tuple[bytes, bytes], ...]


def within(key: bytes, ranges: Ranges) -> bool:
    return any(low <= key and (not high or key < high) for low, high in ranges)


class Claim(NamedTuple):
    """What an adjudicator said it holds."""

    client: adjudicator.AdjudicatorClient
    epoch: Epoch
    ranges: Ranges


class Holders:
    """The newest claim to every stream, old ones included: whoever has it wrong is told so when he asks."""

    def __init__(self, process: Process, fleet: Directory) -> None:
        self._process = process
        self._adjudicators = Neighbours(
            fleet,
            "adjudicator",
            process.zone,
            lambda address: adjudicator.AdjudicatorClient(process.network.connect(address, "adjudicator")),
            joined=lambda one: self._watch(one.client),
        )
        self.newest: dict[int, Claim] = {}
        self._waiting: list[Callable[[], None]] = []
        for one in self._adjudicators.all:
            self._watch(one.client)

    def owner(self, key: bytes) -> int | None:
        """The stream whose holder says that it judges `key`."""
        return next((stream for stream, one in sorted(self.newest.items()) if within(key, one.ranges)), None)

    def when_changed(self, function: Callable[[], None]) -> None:
        """Call `function` once, at the next change."""
        self._waiting.append(function)

    def _watch(self, one: adjudicator.AdjudicatorClient) -> None:
        def on_holding(holding: adjudicator.Holding) -> None:
            known = self.newest.get(holding.stream)
            if holding.held and (known is None or holding.epoch >= known.epoch):
                self.newest[holding.stream] = Claim(one, holding.epoch, holding.ranges)
                waiting, self._waiting = self._waiting, []
                for function in waiting:
                    function()

        one.watch_holdings(on_holding, lambda _: self._again(one))

    def _again(self, one: adjudicator.AdjudicatorClient) -> None:
        if any(known.client is one for known in self._adjudicators.all):
            self._process.later(AGAIN_SECONDS, self._watch, one)


class _Gathered:
    """The answers of several replicas to parts of one read, put together."""

    def __init__(self, count: int, parts: int, done: Callable[[Any], None]) -> None:
        self._values: list[bytes | None] = [None] * count
        self._missing = parts
        self._done = done
        self._newest = 0
        self._over = False

    def told(self, places: list[int], answer: Any) -> None:
        if self._over:
            return
        if not isinstance(answer, storage.Rows):
            self._over = True
            self._done(answer)
            return
        for place, value in zip(places, answer.values, strict=True):
            self._values[place] = value
        self._newest = max(self._newest, answer.newest)
        self._missing -= 1
        if not self._missing:
            self._over = True
            self._done(storage.Rows(self._newest, self._values, []))


class Replicas:
    """Storage processes, nearest first, and what each says it serves."""

    def __init__(self, process: Process, fleet: Directory) -> None:
        self._process = process
        self._near = Neighbours(
            fleet,
            "storage",
            process.zone,
            lambda address: storage.StorageClient(process.network.connect(address, "storage")),
            joined=self._joined,
        )
        self._serving: dict[storage.StorageClient, Ranges] = {}
        for one in self._near.all:
            self._joined(one)

    def near(self, own_region: bool) -> list[storage.StorageClient]:
        return [one.client for one in self._near.all if not (own_region and one.member.region)]

    def read(
        self,
        tau: int,
        gets: list[bytes],
        first: storage.StorageClient,
        order: list[storage.StorageClient],
        seconds: float,
        done: Callable[[Any], None],
    ) -> None:
        """Ask `first` for what it serves, and others, in `order`, for the rest. `done` gets `Rows`, or the first answer
        that is none."""
        asked: dict[storage.StorageClient, list[int]] = {}
        for place, key in enumerate(gets):
            able = (one for one in (first, *order) if one not in self._serving or within(key, self._serving[one]))
            asked.setdefault(next(able, first), []).append(place)
        if len(asked) > 1:
            self._process.world.mark("a read over several shards")
        gathered = _Gathered(len(gets), len(asked), done)
        for client, places in asked.items():
            request = storage.Read(tau, (), [gets[place] for place in places], [])
            client.read(request, seconds, partial(gathered.told, places))

    def _joined(self, one: Neighbour[storage.StorageClient]) -> None:
        self._watch(one.client)

    def _watch(self, client: storage.StorageClient) -> None:
        def on_serving(serving: storage.Serving) -> None:
            self._serving[client] = serving.ranges

        client.watch_serving(on_serving, lambda _: self._again(client))

    def _again(self, client: storage.StorageClient) -> None:
        self._serving.pop(client, None)
        if any(known.client is client for known in self._near.all):
            self._process.later(AGAIN_SECONDS, self._watch, client)
