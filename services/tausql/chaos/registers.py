"""Read-write registers: rows that hold one value, as most rows do.

Lists show more, since every reader sees the whole order of writes; but a list's row grows, and every append reads it. A
register is written without looking, or after it was read, and by UPDATE or by INSERT, whatever is there.
"""

from __future__ import annotations

import random

from tausql.chaos.lists import READ_BACK_KEYS, SHARE_CHANCE, Ledger, Noted
from tausql.chaos.sessions import Session
from tausql.checker.history import Operation

WRITE_CHANCE, BLIND_CHANCE = 0.5, 0.2


class RegisterLoad:
    """One client's transactions."""

    name = "registers"
    autocommit = False

    def __init__(self, ledger: Ledger, client: str, seed: int) -> None:
        self._ledger = ledger
        self._client = client
        self._chance = random.Random(seed)
        self._statements = RegisterStatements(ledger)

    def run_round(self, session: Session) -> None:
        """One transaction. Raises ClientError; the attempt says what is known of its outcome."""
        keys = self._ledger.choose(self._chance)
        written = {key for key in keys if self._chance.random() < WRITE_CHANCE}
        with Noted(self._ledger, self._client) as noted:
            for key in keys:
                if key not in written or self._chance.random() >= BLIND_CHANCE:
                    shared = key not in written and bool(written) and self._chance.random() < SHARE_CHANCE
                    self._statements.get(noted, session, key, shared)
                if key in written:
                    self._statements.write(noted, session, key)
            noted.commit(session)


class RegisterStatements:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        table = ledger.table
        self._select = f"SELECT value FROM {table} WHERE key = %s"
        self._update = f"UPDATE {table} SET value = %s WHERE key = %s"
        self._insert = f"INSERT INTO {table} (key, value) VALUES (%s, %s)"

    def get(self, noted: Noted, session: Session, key: str, shared: bool = False) -> None:
        answer = session.execute(self._select + (" FOR UPDATE" if shared else ""), (key,))
        values = tuple(row[0] for row in answer.rows)
        # A row that is not there cannot be shared.
        noted.operations.append(Operation("get", key, values=values, shared=shared and bool(values)))

    def write(self, noted: Noted, session: Session, key: str) -> None:
        value = self._ledger.next_value()
        noted.operations.append(Operation("write", key, value))
        if session.execute(self._update, (value, key)).changed == 0:
            session.execute(self._insert, (key, value))


def create_registers(session: Session, table: str) -> None:
    session.execute(f"CREATE TABLE {table} (key text PRIMARY KEY, value bigint NOT NULL)")


def read_registers_back(session: Session, ledger: Ledger, client: str) -> None:
    """Every register once more. `session` is not in autocommit. Raises ClientError."""
    statements = RegisterStatements(ledger)
    keys = ledger.all_keys
    for first in range(0, len(keys), READ_BACK_KEYS):
        with Noted(ledger, client) as noted:
            for key in keys[first : first + READ_BACK_KEYS]:
                statements.get(noted, session, key)
            noted.commit(session)
