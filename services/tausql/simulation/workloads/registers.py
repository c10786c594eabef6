"""Read-write registers over SQL: unique values, written by UPDATE, by upsert, and by deleting and inserting anew."""

from __future__ import annotations

from tausql.checker.check import check_history
from tausql.checker.history import Attempt, Operation
from tausql.simulation.sql_client import SqlClient
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

KEYS = 6
TABLES = ("registers_a", "registers_b")


class Registers(SqlWorkload):
    name = "registers"
    tables = tuple(f"CREATE TABLE {table} (k int PRIMARY KEY, v int NOT NULL)" for table in TABLES)
    clients = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._history: list[Attempt] = []
        self._next = 0

    async def turn(self, client: SqlClient) -> None:
        chance = self.chance
        keys = chance.sample(range(KEYS), chance.choice((1, 2, 3)))
        await self._run(client, [(key, chance.random() < 0.85, chance.random() < 0.5) for key in keys])

    async def _run(self, client: SqlClient, plans: list[tuple[int, bool, bool]]) -> Attempt:
        """plans: key, whether to read it, whether to write it then."""
        operations: list[Operation] = []

        async def body(session: SqlClient) -> None:
            for key, reads, writes in plans:
                table = TABLES[key % len(TABLES)]
                if reads:
                    answer = await session.query(f"SELECT v FROM {table} WHERE k = {key}")
                    values = tuple(int(value or 0) for (value,) in answer.rows)
                    operations.append(Operation("get", str(key), values=values))
                if writes:
                    self._next += 1
                    operations.append(Operation("write", str(key), self._next))
                    await self._write(session, table, key, self._next)

        began = client.now
        attempt = Attempt(len(self._history), client.process.name, began, began, "info", operations)
        self._history.append(attempt)
        outcome = await client.transaction(body)
        attempt.status, attempt.completed = outcome.status, client.now
        if outcome.status == "info" and not attempt.writes():
            attempt.status = "fail"
        self.note(client, began, outcome, operations)
        return attempt

    async def _write(self, session: SqlClient, table: str, key: int, value: int) -> None:
        how = self.chance.random()
        if how < 0.4:
            answer = await session.query(f"UPDATE {table} SET v = {value} WHERE k = {key}")
            if answer.tags == ["UPDATE 1"]:
                return
        elif how < 0.6:
            await session.query(f"DELETE FROM {table} WHERE k = {key}")
            await session.query(f"INSERT INTO {table} VALUES ({key}, {value})")
            return
        await session.execute(
            f"INSERT INTO {table} VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v", key, value
        )

    async def last_words(self, client: SqlClient) -> None:
        while (await self._run(client, [(key, True, False) for key in range(KEYS)])).status != "ok":
            await client.pause(0.1)

    def check(self) -> None:
        check_history(self._history, strong=self.honest)
