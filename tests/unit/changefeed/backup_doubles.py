"""A cluster that changes while it is read, a store and a new cluster in memory, for tests of backups."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import msgspec

from tausql.changefeed.backup_restoring import Restoring
from tausql.changefeed.backup_stores import NoSuchFile
from tausql.changefeed.backup_taking import Taking
from tausql.changefeed.storages import Collected
from tausql.protocol.backup import Job
from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.tau import closing, commit_tau

BEGIN_MICROS = 1_700_000_000_000_000
OLD, NEW = 7, 9


def tau_of(number: int) -> int:
    """Of the transaction of that number, from 1."""
    return commit_tau(BEGIN_MICROS + number * 10, 0)


def at(history, tau: int) -> dict[bytes, bytes]:
    """What was there then, one transaction after the other."""
    found: dict[bytes, bytes] = {}
    for number, images in enumerate(history, 1):
        if tau_of(number) <= tau:
            for key, value in images:
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
    return found


class MemoryStore:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.manifests: list[bytes] = []

    async def put(self, name, body):
        if name == "manifest.json":
            self.manifests.append(body)
        self.files[name] = body

    async def get(self, name):
        if name not in self.files:
            raise NoSuchFile(f"{name} is not there")
        return self.files[name]


class NewCluster:
    """A loader that takes what it is told. `seen`: how often the catalogue came."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.batches: list[int] = []
        self.finished = 0

    async def begin(self):
        return not self.finished

    async def put(self, pairs, last=False):
        assert not self.finished
        self.batches.append(len(pairs))
        for key, value in pairs:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self.finished += last


class Cluster:
    """`history`: lists of images, a transaction each. It goes on by `steps` of it each time somebody looks at the
    clock. A storage and a crossbar in one: the crossbar is `lag` transactions behind at first, and ends a subscription
    after `patience` deliveries."""

    def __init__(self, history, before: int, page_rows: int, window: int, patience: int, lag: int = 1) -> None:
        self.history = history
        self.now = before  # transactions that have been committed
        self.told = max(before - lag, 0)  # of them, those that the crossbar knows
        self.page_rows, self.window, self.patience = page_rows, window, patience
        self.subscription = None
        self.looked = 0
        clock = SimpleNamespace(now=lambda: SimpleNamespace(latest=BEGIN_MICROS + self.now * 10))
        self.host = SimpleNamespace(name="feeder", random=Random(1), monotonic=self._monotonic, clock=clock)
        self.all = (SimpleNamespace(client=self, member=SimpleNamespace(name="crossbar-a")),)

    def _monotonic(self) -> float:
        self.looked += 1
        asyncio.get_running_loop().call_soon(self._step)
        return self.looked * 0.3

    def _step(self) -> None:
        self.now = min(self.now + 1, len(self.history))
        self.told = min(self.told + 2, self.now)
        self._deliver()

    @property
    def watermark(self) -> int:
        return closing(BEGIN_MICROS + self.told * 10 + 5)

    async def position(self, key):
        return SimpleNamespace(watermark=tau_of(self.told), cursors=(Cursor(0, (1, 1), 1),))

    async def page(self, tau, low, high):
        if tau < tau_of(self.now - self.window):
            self._step()
            raise Collected
        rows = sorted(item for item in at(self.history, tau).items() if low <= item[0] < high)
        self._step()
        return rows[: self.page_rows], rows[self.page_rows][0] if len(rows) > self.page_rows else None

    def subscribe(self, request, on_delivery, on_end):
        one = SimpleNamespace(taken=request.watermark, deliver=on_delivery, end=on_end, left=self.patience)
        one.cancel = lambda: setattr(self, "subscription", None)
        self.subscription = one
        return one

    def _deliver(self) -> None:
        one = self.subscription
        if one is None:
            return
        records = [
            Delivered(tau_of(number), [], msgspec.msgpack.encode(images))
            for number, images in enumerate(self.history[: self.told], 1)
            if tau_of(number) > one.taken
        ]
        one.taken = self.watermark
        one.left -= 1
        one.deliver(Delivery("fleet", records, self.watermark, (Cursor(0, (1, 1), self.told),)))
        if one.left <= 0 and self.subscription is one:
            self.subscription = None
            one.end(None)


def job(kind: str, number: int, tau: int = 0, identifier: str = "j" * 26, follow: int = 0) -> Job:
    return Job(identifier, kind, "c" * 26, number, "place", follow, tau)


def taking(cluster: Cluster, store: MemoryStore, identifier: str = "j" * 26, buffer: int = 1 << 20) -> Taking:
    asked = job("backup", OLD, identifier=identifier)
    return Taking(cluster.host, cluster, cluster, store, asked, "attempt", buffer, lambda _: None)


def restoring(store: MemoryStore, cluster: NewCluster, tau: int = 0) -> Restoring:
    return Restoring(store, cluster, job("restore", NEW, tau))
