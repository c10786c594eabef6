"""What every workload over SQL does: tables first, then clients that take one turn after another, and last words."""

from __future__ import annotations

from collections.abc import Coroutine
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from tausql.processor.coroutines import Wait
from tausql.protocol.clusters import FIRST_CLUSTER
from tausql.simulation.sql_client import Outcome, SqlClient
from tausql.simulation.sql_fleet import SqlFleet
from tausql.simulation.workload import Context
from tausql.simulation.world import Process

LAST_TRIES_MAX = 40
CHASE_SHARE = 0.5  # of answers that somebody else follows at once

Turn = Coroutine[Any, Any, None]


class SqlWorkload:
    """See `workload.Workload`. A kind of workload says which `tables` it needs, how to `prepare` them, what a `turn` of
    a client is, what to read as `last_words`, and how to `check` it all.

    clients: how many. pause_seconds: of a client between two turns, on average. cluster: whose tables they are."""

    name: ClassVar[str] = ""
    tables: ClassVar[tuple[str, ...]] = ()
    clients: ClassVar[int] = 3
    pause_seconds: ClassVar[float] = 0.12
    cluster: ClassVar[int] = FIRST_CLUSTER

    def __init__(self, context: Context) -> None:
        self.world = context.world
        self.chance = context.chance
        self.acknowledged = 0
        self.attempts = 0
        self.honest = True  # no clock that matters has lied so far
        self._pause_seconds = self.pause_seconds / context.intensity
        self._fleet = context.fleet
        self._told: list[Any] = []
        self._running = True
        self._prepared = False
        self._busy = 0
        self._resting: dict[Wait[None], None] = {}
        self._pausing: dict[Wait[None], Process] = {}  # those of them that lie between two turns
        self._sessions: list[SqlClient] = []

    # --- what a kind of workload adds -----------------------------------------------------------------------------

    async def prepare(self, client: SqlClient) -> None:
        """Fill the tables."""

    async def turn(self, client: SqlClient) -> None:
        """One piece of one client's work."""
        raise NotImplementedError

    async def last_words(self, client: SqlClient) -> None:
        """All is well again and nobody else works: read what there is."""

    def check(self) -> None:
        """Raises Anomaly."""

    # --- workload.Workload ----------------------------------------------------------------------------------------

    def start(self) -> None:
        fleet = self.fleet = SqlFleet.of(self.world, self._fleet, self.chance)
        zones = self._fleet.layout.clients
        for number in range(self.clients):
            zone = zones[(number + self.chance.randrange(len(zones))) % len(zones)]
            process = self.world.add(f"client-{self.name}-{number}", zone, _nothing)
            process.start()
            self._sessions.append(SqlClient(process, fleet, self.cluster))
        self._sessions[0].run(self._begin())

    def stop(self) -> None:
        self._running = False
        for wait in list(self._resting):
            wait.resolve(None)

    @property
    def idle(self) -> bool:
        return not self._busy

    def finish(self) -> None:
        if self._prepared:
            self._busy += 1
            self._sessions[0].run(self._finish())

    def digest(self) -> bytes:
        return sha256(msgspec.msgpack.encode(self._told)).digest()

    # --- for kinds of workload ------------------------------------------------------------------------------------

    def note(self, client: SqlClient, began: float, outcome: Outcome, *what: Any) -> int:
        """Count a transaction and keep what its client was told. Its number."""
        self.attempts += 1
        self.acknowledged += outcome.status == "ok"
        if outcome.status == "ok" and self._pausing and self.chance.random() < CHASE_SHARE:
            wait, process = self.chance.choice(list(self._pausing.items()))
            process.soon(wait.resolve, None)
        self._told.append((client.process.name, began, client.now, outcome.status, outcome.sqlstate, what))
        if self.honest and not self.world.honest(client.process, began):
            self.honest = False
        return self.attempts

    def twin(self, client: SqlClient) -> SqlClient:
        """Another session of the same client."""
        return SqlClient(client.process, self.fleet, self.cluster)

    @property
    def running(self) -> bool:
        return self._running

    async def rest(self, client: SqlClient, seconds: float, between: bool = False) -> None:
        """Wait, but not beyond the end of the work; `between` two turns, perhaps only until somebody else is told
        something."""
        wait: Wait[None] = Wait()
        self._resting[wait] = None
        if between:
            self._pausing[wait] = client.process
        timer = client.process.later(seconds, wait.resolve, None)
        await wait
        timer.cancel()
        del self._resting[wait]
        self._pausing.pop(wait, None)

    # --- within ---------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._busy += 1
        first = self._sessions[0]
        for table in self.tables:
            await first.until(table, done=("42P07",))
        await self.prepare(first)
        self._prepared = True
        for client in self._sessions:
            client.run(self._turns(client))
        self._busy -= 1

    async def _turns(self, client: SqlClient) -> None:
        self._busy += 1
        while self._running:
            await self.turn(client)
            if self._running:
                await self.rest(client, self.chance.expovariate(1 / self._pause_seconds), between=True)
        self._busy -= 1

    async def _finish(self) -> None:
        await self.last_words(self._sessions[0])
        for client in self._sessions:
            client.close()
        self._busy -= 1


def _nothing(process: Process) -> None:
    """A client's process has no service."""
