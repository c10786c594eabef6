"""List-append over SQL: transactions that read lists, lock some and append unique numbers to some, over two tables."""

from __future__ import annotations

from tausql.checker.check import check_history
from tausql.checker.history import Attempt, Operation
from tausql.simulation.sql_client import Row, SqlClient
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

KEYS = (2, 5)
TABLES = ("appends_a", "appends_b")


class Appends(SqlWorkload):
    name = "appends"
    tables = tuple(f"CREATE TABLE {table} (k int PRIMARY KEY, list text NOT NULL)" for table in TABLES)
    clients = 4

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._history: list[Attempt] = []
        self._next = 0
        self._keys = range(self.chance.choice(KEYS))

    async def prepare(self, client: SqlClient) -> None:
        for number, table in enumerate(TABLES):
            rows = ", ".join(f"({key}, '')" for key in self._keys[number :: len(TABLES)])
            await client.until(f"INSERT INTO {table} VALUES {rows} ON CONFLICT DO NOTHING")

    async def turn(self, client: SqlClient) -> None:
        chance = self.chance
        keys = chance.sample(self._keys, min(len(self._keys), chance.choice((1, 2, 2, 3))))
        plans = [(key, chance.random() < 0.6, chance.random() < 0.15) for key in keys]
        await self._run(client, plans)

    async def _run(self, client: SqlClient, plans: list[tuple[int, bool, bool]]) -> Attempt:
        """plans: key, whether to append, whether to lock."""
        operations: list[Operation] = []

        async def body(session: SqlClient) -> None:
            for key, appends, locks in plans:
                table = TABLES[key % len(TABLES)]
                shared = locks and not appends
                lock = " FOR UPDATE" if shared else ""
                answer = await session.query(f"SELECT list FROM {table} WHERE k = {key}{lock}")
                operations.append(Operation("read", str(key), values=_list(answer.rows), shared=shared))
                if appends:
                    self._next += 1
                    operations.append(Operation("append", str(key), self._next))
                    await session.query(f"UPDATE {table} SET list = list || '{self._next},' WHERE k = {key}")

        began = client.now
        attempt = Attempt(len(self._history), client.process.name, began, began, "info", operations)
        self._history.append(attempt)
        outcome = await client.transaction(body)
        attempt.status, attempt.completed = outcome.status, client.now
        if outcome.status == "info" and not attempt.appends():
            attempt.status = "fail"
        self.note(client, began, outcome, operations)
        return attempt

    async def last_words(self, client: SqlClient) -> None:
        while (await self._run(client, [(key, False, False) for key in self._keys])).status != "ok":
            await client.pause(0.1)

    def check(self) -> None:
        check_history(self._history, strong=self.honest)


def _list(rows: list[Row]) -> tuple[int, ...]:
    ((text,),) = rows
    return tuple(int(value) for value in (text or "").split(",") if value)
