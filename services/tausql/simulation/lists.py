"""The workload of `clients`: lists that many append to over the bare protocol, without a processor."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from tausql.checker.check import check_history
from tausql.simulation.clients import Client, Ledger, Round
from tausql.simulation.workload import Context
from tausql.simulation.world import Process

KEYS = 6
LAST_READS_MAX = 20


class Lists:
    """See `workload.Workload`. `clients` and `ledger` are there for whoever looks closer."""

    name = "lists"

    def __init__(self, context: Context, keys: int = KEYS) -> None:
        self._context = context
        chance = context.chance.choice
        self.ledger = Ledger(keys, chance((0.01, 0.01, 0.15)), chance(((1, 1, 2, 3), (1, 1, 2, 3), (2, 3, 4))))
        self.clients: list[Client] = []
        self._last: Round | None = None
        self._last_reads = 0
        self._finishing = False

    def start(self) -> None:
        world, fleet = self._context.world, self._context.fleet

        def build(process: Process) -> Client:
            client = Client(process, fleet.directory(process), self.ledger)
            client.intensity = self._context.intensity
            self.clients.append(client)
            return client

        for number, zone in enumerate(fleet.layout.clients):
            world.add(f"client-{number}", zone, build).start()
        for client in self.clients:
            client.begin()

    def stop(self) -> None:
        for client in self.clients:
            client.stop()

    @property
    def idle(self) -> bool:
        if not self._finishing:
            return all(client.idle for client in self.clients)
        return self._read_ended()

    def finish(self) -> None:
        """The run's last word: a transaction that reads every list."""
        self._finishing = True
        self._last = self.clients[0].read_all()

    def _read_ended(self) -> bool:
        assert self._last is not None
        attempt = self._last.attempt
        if attempt.completed <= attempt.invoked:
            return False
        if attempt.status == "ok":
            return True
        self._last_reads += 1
        if self._last_reads < LAST_READS_MAX:
            self._last = self.clients[0].read_all()
        return False

    def check(self) -> None:
        check_history(self.ledger.attempts)

    @property
    def acknowledged(self) -> int:
        return sum(attempt.status == "ok" for attempt in self.ledger.attempts)

    @property
    def attempts(self) -> int:
        return len(self.ledger.attempts)

    def digest(self) -> bytes:
        return sha256(msgspec.msgpack.encode(self.ledger.attempts)).digest()
