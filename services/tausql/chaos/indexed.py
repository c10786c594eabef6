"""A table with a secondary index: rows come, change their indexed column, and go; in every snapshot both agree.

An index entry and its row lie under different keys, which may be kept by different processes and judged by different
streams. What one transaction reads through the primary key and through the index is compared.
"""

from __future__ import annotations

import random

from tausql.chaos.outcomes import Outcomes
from tausql.chaos.sessions import Session
from tausql.checker.anomaly import Anomaly
from tausql.checker.workloads import check_index

ROWS = 60
TAGS = 5
COMPARE_CHANCE = 0.2
VIOLATIONS_MAX = 10


class IndexLoad:
    """One client's changes and comparisons."""

    name = "index"
    autocommit = False

    def __init__(self, table: str, seed: int) -> None:
        self._table = table
        self._insert = f"INSERT INTO {table} (id, tag) VALUES (%s, %s)"
        self._update = f"UPDATE {table} SET tag = %s WHERE id = %s"
        self._delete = f"DELETE FROM {table} WHERE id = %s"
        self._chance = random.Random(seed)
        self.outcomes = Outcomes()

    def run_round(self, session: Session) -> None:
        """One transaction. Raises ClientError."""
        self.outcomes.transact(session, self._compare if self._chance.random() < COMPARE_CHANCE else self._change)

    def _change(self, session: Session) -> None:
        row, tag = self._chance.randrange(ROWS), self._chance.randrange(TAGS)
        if self._chance.random() < 0.2:
            session.execute(self._delete, (row,))
        elif session.execute(self._update, (tag, row)).changed == 0:
            session.execute(self._insert, (row, tag))

    def _compare(self, session: Session) -> None:
        number = self.outcomes.acknowledged + self.outcomes.refused + self.outcomes.unknown
        found = compared(session, self._table, number)
        if len(self.outcomes.violations) < VIOLATIONS_MAX:
            self.outcomes.violations += found


def compared(session: Session, table: str, number: int) -> list[str]:
    """Within one transaction: in which rows index and table differ, in words. Raises ClientError."""
    whole = list(session.execute(f"SELECT id, tag FROM {table}").rows)
    by_tag = f"SELECT id, tag FROM {table} WHERE tag = %s"
    indexed = [row for tag in range(TAGS) for row in session.execute(by_tag, (tag,)).rows]
    try:
        check_index(number, whole, indexed)
    except Anomaly as anomaly:
        return [f"index: {anomaly}"]
    return []


def create_indexed(session: Session, table: str) -> None:
    session.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, tag int NOT NULL)")


def create_index(session: Session, table: str) -> None:
    """Begins to build it; wait with `index_built`."""
    session.execute(f"CREATE INDEX ASYNC {table}_tag ON {table} (tag)")


def index_built(session: Session, table: str) -> bool:
    """Whether it answers queries by now. Raises ClientError."""
    valid = "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = %s"
    return any(row[0] for row in session.execute(valid, (f"{table}_tag",)).rows)
