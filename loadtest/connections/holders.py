"""All holder processes of one run, as one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType

import msgspec
import psycopg

from loadtest.connections.holder import TABLE, Command, Outcome, Share, row_of
from loadtest.connections.memory import held_by
from loadtest.measures import percentile
from loadtest.tausql_fleet import Fleet
from tausql.runtime.descriptors import raise_limit

SPARE_DESCRIPTORS = 64


@dataclass(slots=True)
class Sum:
    """The holders' outcomes taken together; `seconds` is the slowest's."""

    seconds: float = 0.0
    open: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def ms(self, fraction: float) -> float:
        return percentile(self.latencies, fraction)


class Holders:
    """Connections spread over as many processes as their descriptors ask for, at least two."""

    def __init__(self, fleet: Fleet, connections: int, tls: bool) -> None:
        self._fleet = fleet
        room = raise_limit() - SPARE_DESCRIPTORS
        count = max(2, -(-connections // room))
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "loadtest.connections.holder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        for number in range(count):
            self._say(number, Share(fleet.host, fleet.pg_port, fleet.password, tls, number))

    def __enter__(self) -> Holders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()  # it has ended: this closes the pipes

    def __len__(self) -> int:
        return len(self._processes)

    def prepare(self, active: int) -> None:
        """Make the table, with a row for each of `active` connections."""
        rows = [row_of(number, row) for number, share in enumerate(self._shares(active)) for row in range(share)]
        with psycopg.connect(self._fleet.secure_connection, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {TABLE} (id int PRIMARY KEY, total int NOT NULL)")
            connection.execute(f"INSERT INTO {TABLE} VALUES " + ", ".join(f"({row}, 0)" for row in rows))

    def do(self, what: str, count: int = 0, **more: float) -> Sum:
        """`count` is shared out. Raises RuntimeError when a holder has died."""
        at_once = int(more.pop("at_once", 100))
        for number, share in enumerate(self._shares(count)):
            self._say(number, Command(what, share, -(-at_once // len(self)), **more))
        total = Sum()
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("a holder has died")
            outcome = msgspec.json.decode(line, type=Outcome)
            total.seconds = max(total.seconds, outcome.seconds)
            total.open += outcome.open
            total.errors.update(outcome.errors)
            total.latencies += outcome.latencies
        total.latencies.sort()
        return total

    def memory_bytes(self) -> int:
        return sum(held_by(process.pid)[1] for process in self._processes)

    def _shares(self, count: int) -> list[int]:
        each, rest = divmod(count, len(self))
        return [each + (number < rest) for number in range(len(self))]

    def _say(self, number: int, message: msgspec.Struct) -> None:
        stdin = self._processes[number].stdin
        assert stdin is not None
        stdin.write(msgspec.json.encode(message).decode() + "\n")
        stdin.flush()
