"""Two rows of two tables, written once each by two clients at about the same time: readers agree who came first."""

from __future__ import annotations

from tausql.checker.workloads import check_long_fork
from tausql.simulation.sql_client import SqlClient
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

READS_OF_GROUP = 5
TABLES = ("fork_a", "fork_b")


class LongFork(SqlWorkload):
    name = "long fork"
    tables = tuple(f"CREATE TABLE {table} (id int PRIMARY KEY)" for table in TABLES)
    clients = 4
    pause_seconds = 0.05

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._group = 0
        self._unwritten = list(TABLES)
        self._left = READS_OF_GROUP
        self._reads: list[tuple[int, list[str], list[str]]] = []

    async def turn(self, client: SqlClient) -> None:
        if self._unwritten and self.chance.random() < 0.4:
            table, group = self._unwritten.pop(), self._group
            began = client.now
            outcome = await client.once(f"INSERT INTO {table} VALUES ({group})")
            self.note(client, began, outcome, table, group)
            return
        await self._read(client)
        self._left -= 1
        if self._left <= 0 and not self._unwritten:
            self._group += 1
            self._unwritten = list(TABLES)
            self._left = READS_OF_GROUP

    async def _read(self, client: SqlClient) -> None:
        group = self._group
        order = self.chance.sample(TABLES, len(TABLES))

        async def body(session: SqlClient) -> list[str]:
            rows = {table: await session.query(f"SELECT id FROM {table} WHERE id = {group}") for table in order}
            return [f"{table} {group}" for table, answer in rows.items() if answer.rows]

        began = client.now
        outcome = await client.transaction(body)
        number = self.note(client, began, outcome, group, outcome.value)
        if outcome.status == "ok":
            self._reads.append((number, [f"{table} {group}" for table in TABLES], outcome.value))
            if len(outcome.value) == 1:
                self.world.mark("a reader saw one of two concurrent writes")

    def check(self) -> None:
        check_long_fork(self._reads)
