"""A bank: money moves between accounts and is neither made nor lost.

It needs no history: whoever reads all accounts in one transaction must find all the money, at any moment, however many
transfers are half done or of unknown outcome; and who draws must have seen what is there: nothing falls below 0.
"""

from __future__ import annotations

import random

from tausql.chaos.outcomes import Outcomes
from tausql.chaos.sessions import Session
from tausql.checker.anomaly import Anomaly
from tausql.checker.workloads import check_bank

ACCOUNTS = 12
BALANCE = 100
AUDIT_CHANCE = 0.25
VIOLATIONS_MAX = 10


class BankLoad:
    """One client's transfers and audits."""

    name = "bank"
    autocommit = False

    def __init__(self, table: str, seed: int) -> None:
        self._select = f"SELECT balance FROM {table} WHERE id = %s"
        self._select_all = f"SELECT id, balance FROM {table}"
        self._update = f"UPDATE {table} SET balance = balance + %s WHERE id = %s"
        self._chance = random.Random(seed)
        self.outcomes = Outcomes()

    def run_round(self, session: Session) -> None:
        """One transaction. Raises ClientError."""
        self.outcomes.transact(session, self._audit if self._chance.random() < AUDIT_CHANCE else self._transfer)

    def _transfer(self, session: Session) -> None:
        giver, taker = self._chance.sample(range(ACCOUNTS), 2)
        rows = session.execute(self._select, (giver,)).rows
        amount = min(self._chance.randint(1, 20), rows[0][0]) if rows else 0
        if amount > 0:
            session.execute(self._update, (-amount, giver))
            session.execute(self._update, (amount, taker))

    def _audit(self, session: Session) -> None:
        if self._chance.random() < 0.5:
            balances = {str(key): balance for key, balance in session.execute(self._select_all).rows}
        else:
            balances = {}
            for account in range(ACCOUNTS):
                for row in session.execute(self._select, (account,)).rows:
                    balances[str(account)] = row[0]
        number = self.outcomes.acknowledged + self.outcomes.refused + self.outcomes.unknown
        self.outcomes.violations += [] if len(self.outcomes.violations) >= VIOLATIONS_MAX else audited(balances, number)


def audited(balances: dict[str, int], number: int) -> list[str]:
    """What is wrong with what one transaction saw of all accounts, in words."""
    try:
        check_bank([(number, balances)], ACCOUNTS * BALANCE)
    except Anomaly as anomaly:
        return [f"bank: {anomaly}"]
    return []


def create_bank(session: Session, table: str) -> None:
    session.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, balance bigint NOT NULL)")


def fill_bank(session: Session, table: str) -> None:
    """`session` is in autocommit: each row or none is there when it is done again."""
    there = {row[0] for row in session.execute(f"SELECT id FROM {table}").rows}
    for account in range(ACCOUNTS):
        if account not in there:
            session.execute(f"INSERT INTO {table} (id, balance) VALUES (%s, %s)", (account, BALANCE))


def read_bank_back(session: Session, table: str) -> list[str]:
    """What is wrong in the end. Raises ClientError."""
    rows = session.execute(f"SELECT id, balance FROM {table}").rows
    return audited({str(key): balance for key, balance in rows}, -1)
