"""Single reads and single writes, on connections of their own: is the database there, and does it forget?

The list workload cannot tell how long a database is away: its transactions conflict, and have several statements. A
probe does one thing over and over, so the time between two successes is what a client felt. The writes are inserts of
unique numbers, of which none that was acknowledged may be missing; the reads look for the newest of them at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tausql.chaos.sessions import ClientError, Session, certainly_refused
from tausql.checker.anomaly import Anomaly
from tausql.checker.workloads import check_inserts, some

SPAN = 1_000_000_000  # numbers of one writer
PAGE = 1_000
REFUSED, ACKNOWLEDGED, UNKNOWN = 0, 1, 2


def create_inserts(session: Session, table: str) -> None:
    session.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, note text NOT NULL)")


class WriteProbe:
    """Inserts `number * SPAN + 0, 1, 2...`, each a transaction of its own. `successes`: when each was acknowledged."""

    name = "inserts"
    autocommit = True

    def __init__(self, table: str, number: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._statement = f"INSERT INTO {table} (id, note) VALUES (%s, %s)"
        self._clock = clock
        self.first = number * SPAN
        self.outcomes = bytearray()  # of each number in turn
        self.newest: int | None = None  # acknowledged
        self.successes: list[float] = []

    def run_round(self, session: Session) -> None:
        value = self.first + len(self.outcomes)
        self.outcomes.append(UNKNOWN)
        try:
            session.execute(self._statement, (value, f"number {value}"))
        except ClientError as error:
            if certainly_refused(error.code):
                self.outcomes[-1] = REFUSED
            raise
        self.outcomes[-1] = ACKNOWLEDGED
        self.newest = value
        self.successes.append(self._clock())


class ReadProbe:
    """Reads the newest insert that `writer` had acknowledged before the read began. `missed`: those not found."""

    name = "reads"
    autocommit = True

    def __init__(self, table: str, writer: WriteProbe, clock: Callable[[], float] = time.monotonic) -> None:
        self._statement = f"SELECT note FROM {table} WHERE id = %s"
        self._writer = writer
        self._clock = clock
        self.missed: list[int] = []
        self.successes: list[float] = []

    def run_round(self, session: Session) -> None:
        value = self._writer.newest
        rows = session.execute(self._statement, (self._writer.first if value is None else value,)).rows
        if value is not None and not rows:
            self.missed.append(value)
        self.successes.append(self._clock())


def read_inserts_back(session: Session, table: str, writer: WriteProbe) -> set[int]:
    """Every number of this writer that is there. Raises ClientError."""
    statement = f"SELECT id FROM {table} WHERE id > %s AND id < %s ORDER BY id LIMIT {PAGE}"
    found: set[int] = set()
    after = writer.first - 1
    while True:
        rows = session.execute(statement, (after, writer.first + SPAN)).rows
        found.update(row[0] for row in rows)
        if len(rows) < PAGE:
            return found
        after = rows[-1][0]


def inserts_violations(writer: WriteProbe, found: set[int]) -> list[str]:
    """In words, where the table contradicts what the writer was told."""
    told: tuple[set[int], set[int], set[int]] = (set(), set(), set())
    for offset, outcome in enumerate(writer.outcomes):
        told[outcome].add(writer.first + offset)
    try:
        check_inserts(list(found), told[ACKNOWLEDGED], told[REFUSED], told[UNKNOWN])
    except Anomaly as anomaly:
        return [str(anomaly)]
    return []


def missed_violations(probes: Sequence[ReadProbe]) -> list[str]:
    missed = [value for probe in probes for value in probe.missed]
    if not missed:
        return []
    return [f"{len(missed)} reads did not find an insert acknowledged before they began: {some(missed)}"]
