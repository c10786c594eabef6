"""Load on a fleet that things are done to, and how long it was not served meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
from loadtest.list_append import Workload
from loadtest.tausql_fleet import Fleet

from tausql.checker.check import check_history

from .order_load import OrderLoad, check_orders
from .waiting import until

PROGRESS = 5  # transactions that show that work goes on


@dataclass
class Gap:
    """The longest times without an acknowledged write, and without any acknowledged transaction, around an event."""

    event: str
    write_seconds: float
    read_seconds: float


@dataclass
class Load:
    """Lists and orders at once, against one fleet."""

    lists: Workload
    orders: OrderLoad
    gaps: list[Gap] = field(default_factory=list)

    def await_progress(self) -> None:
        """Until lists were read and written and orders made after now."""
        reads, writes, orders = len(self._done(False)), len(self._done(True)), len(self.orders.acknowledged)
        until(
            lambda: (
                len(self._done(False)) >= reads + PROGRESS
                and len(self._done(True)) >= writes + PROGRESS
                and len(self.orders.acknowledged) >= orders + PROGRESS
            ),
            "progress",
            (self.lists.errors, self.orders.errors),
        )

    def _done(self, wrote: bool) -> list[int]:
        attempts = self.lists.attempts[:]
        return [one.number for one in attempts if one.status == "ok" and one.completed and bool(one.appends()) == wrote]

    def note_gap(self, event: str) -> None:
        """What was counted since `lists.reset_gaps`."""
        gap = Gap(event, self.lists.longest_write_gap, self.lists.longest_read_gap)
        self.gaps.append(gap)
        print(f"{event}: no write for {gap.write_seconds:.2f} s, no read for {gap.read_seconds:.2f} s")

    def check(self) -> None:
        """Stop, and compare what the clients were told with what is there."""
        self.orders.finish()
        self.lists.finish()
        done = sum(attempt.status == "ok" for attempt in self.lists.attempts)
        print(f"{done} lists transactions, errors {dict(self.lists.errors)}")
        print(
            f"{len(self.orders.acknowledged)} orders, {len(self.orders.unknown)} of unknown outcome, "
            f"errors {dict(self.orders.errors)}"
        )
        check_history(self.lists.attempts)
        check_orders(self.orders.connection, self.orders)


@contextlib.contextmanager
def under_load(fleet: Fleet) -> Iterator[Load]:
    """Load that has begun; its clients are stopped in the end, whatever happens."""
    load = Load(Workload(fleet.connection, clients=3), OrderLoad(fleet.connection, clients=2))
    load.lists.prepare()
    load.orders.prepare()
    load.lists.start()
    load.orders.start()
    try:
        load.await_progress()
        yield load
    finally:
        load.lists.stop.set()
        load.orders.stop.set()


def ready(fleet: Fleet, name: str) -> bool:
    """Whether this process says so itself."""
    (entry,) = [entry for entry in fleet.processes() if entry["name"] == name]
    try:
        return httpx.get(f"http://{fleet.host}:{entry['http_port']}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def pid_of(fleet: Fleet, name: str) -> int:
    """0 while it is not running."""
    return next(int(str(entry["pid"])) for entry in fleet.processes() if entry["name"] == name)


def kill(fleet: Fleet, name: str) -> None:
    """SIGKILL, and back when the supervisor has started it again and it is ready."""
    before = pid_of(fleet, name)
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(fleet, name) not in (0, before), f"{name} started again")
    until(lambda: ready(fleet, name), f"{name} ready again")
