"""Money moves between accounts of two tables, and every snapshot holds all of it.

Readers ask in one statement, in two, in transactions that may only read, and in long ones that ask again after a while:
within a transaction nothing may move at all.
"""

from __future__ import annotations

from tausql.checker.workloads import check_bank
from tausql.simulation.sql_client import Nonsense, Row, SqlClient
from tausql.simulation.sql_fleet import SECOND_CLUSTER
from tausql.simulation.workloads.turns import SqlWorkload

ACCOUNTS, BALANCE = 3, 50  # of each table
LONG_SECONDS = (0.3, 1.0, 3.0)
TABLES = ("bank_a", "bank_b")
_BOTH = "SELECT 'bank_a', id, balance FROM bank_a UNION ALL SELECT 'bank_b', id, balance FROM bank_b"


class Bank(SqlWorkload):
    name = "bank"
    tables = tuple(f"CREATE TABLE {table} (id int PRIMARY KEY, balance int NOT NULL)" for table in TABLES)
    clients = 4
    cluster = SECOND_CLUSTER

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._snapshots: list[tuple[int, dict[str, int]]] = []

    async def prepare(self, client: SqlClient) -> None:
        rows = ", ".join(f"({number}, {BALANCE})" for number in range(ACCOUNTS))
        for table in TABLES:
            await client.until(f"INSERT INTO {table} VALUES {rows} ON CONFLICT DO NOTHING")

    async def turn(self, client: SqlClient) -> None:
        what = self.chance.random()
        if what < 0.6:
            await self._transfer(client)
        elif what < 0.75:
            began = client.now
            outcome = await client.once(_BOTH)
            number = self.note(client, began, outcome)
            if outcome.status == "ok":
                self._saw(number, outcome.value.rows)
        else:
            await self._look(client, self.chance.choice(LONG_SECONDS) if what > 0.93 else 0.0)

    async def _transfer(self, client: SqlClient) -> None:
        chance = self.chance
        source, target = chance.sample([(table, number) for table in TABLES for number in range(ACCOUNTS)], 2)
        amount = chance.randint(1, 10)

        async def body(session: SqlClient) -> bool:
            table, number = source
            answer = await session.query(f"SELECT balance FROM {table} WHERE id = {number}")
            balance = int(answer.rows[0][0] or 0)
            if balance < amount:
                return False
            await session.query(f"UPDATE {table} SET balance = {balance - amount} WHERE id = {number}")
            table, number = target
            await session.query(f"UPDATE {table} SET balance = balance + {amount} WHERE id = {number}")
            return True

        began = client.now
        self.note(client, began, await client.transaction(body), source, target, amount)

    async def _look(self, client: SqlClient, seconds: float) -> None:
        """Everything, by a query a table; with `seconds` again after a while."""
        seen: list[list[Row]] = []

        async def once(session: SqlClient) -> None:
            rows: list[Row] = []
            for table in TABLES:
                answer = await session.execute(f"SELECT '{table}', id, balance FROM {table}")
                rows += answer.rows
            seen.append(sorted(rows, key=str))

        async def body(session: SqlClient) -> None:
            await once(session)
            if seconds:
                await self.rest(session, seconds)
                await once(session)

        began = client.now
        begin = self.chance.choice(("BEGIN", "BEGIN READ ONLY"))
        outcome = await client.transaction(body, begin)
        number = self.note(client, began, outcome, seconds)
        if seconds and outcome.status == "ok":
            self.world.mark("a long transaction read again")
        if outcome.sqlstate == "54000":
            self.world.mark("a transaction grew too old")
        for rows in seen:  # what was read is true, whatever became of the transaction
            self._saw(number, rows)
        if len(seen) > 1 and seen[0] != seen[1]:
            raise Nonsense(f"a transaction saw {seen[0]} and then {seen[1]}")

    async def last_words(self, client: SqlClient) -> None:
        self._saw(0, (await client.until(_BOTH)).rows)

    def check(self) -> None:
        check_bank(self._snapshots, len(TABLES) * ACCOUNTS * BALANCE)

    def _saw(self, number: int, rows: list[Row]) -> None:
        if len(rows) != len(TABLES) * ACCOUNTS:
            raise Nonsense(f"{len(rows)} accounts instead of {len(TABLES) * ACCOUNTS}: {rows}")
        self._snapshots.append((number, {f"{table} {account}": int(balance or 0) for table, account, balance in rows}))
