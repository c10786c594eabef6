"""Unique rows, each inserted once by one client: acknowledged ones are there, refused ones are not, none is twice.

The workload that a frontend's replaying of requests has to fear: a row that is refused as a duplicate of itself was
inserted by a request that had been run before.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.workloads import check_inserts
from tausql.simulation.sql_client import Outcome, SqlClient
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

DUPLICATE = "23505"
TABLES = ("inserts_a", "inserts_b")


class Inserts(SqlWorkload):
    name = "inserts"
    tables = tuple(f"CREATE TABLE {table} (id int PRIMARY KEY, client text NOT NULL)" for table in TABLES)
    clients = 4
    pause_seconds = 0.08

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0
        self._by_status: dict[str, list[int]] = {"ok": [], "fail": [], "info": []}
        self._found: list[int] = []

    async def turn(self, client: SqlClient) -> None:
        what = self.chance.random()
        acknowledged = self._by_status["ok"]
        if what < 0.2 and acknowledged:
            await self._look(client, self.chance.choice(acknowledged[-5:]))
            return
        if self.chance.random() < 0.2:
            client.close()
        ids = [self._fresh() for _ in range(1 if what < 0.6 else 2)]
        began = client.now
        if what < 0.4:
            outcome = await client.once(f"INSERT INTO {self._table(ids[0])} VALUES ({ids[0]}, '{client.process.name}')")
        elif what < 0.6:
            sql = f"INSERT INTO {self._table(ids[0])} VALUES ($1, $2)"
            outcome = await client.once(sql, ids[0], client.process.name)
        elif what < 0.7:
            outcome = await self._block(client, ids)
        elif what < 0.9:
            await self._pipelined(client, ids)
            return
        elif what < 0.95:
            ids = [one for one in ids if self._table(one) == TABLES[0]]
            outcome = await client.copy(TABLES[0], [f"{one}\tcopied" for one in ids])
        else:  # one message, several statements, one of them the commit
            rows = "; ".join(f"INSERT INTO {self._table(one)} VALUES ({one}, 'm')" for one in ids)
            outcome = await client.once(f"BEGIN; {rows}; COMMIT; SELECT 1")
        self._taken(client, began, outcome, ids)

    def _taken(self, client: SqlClient, began: float, outcome: Outcome, ids: list[int]) -> None:
        self.note(client, began, outcome, ids)
        self._by_status[outcome.status] += ids
        if outcome.sqlstate == DUPLICATE:
            raise Anomaly(Name.duplicate, f"the insert of {ids} met itself: it had been run before")

    def _fresh(self) -> int:
        self._next += 1
        return self._next

    def _table(self, number: int) -> str:
        return TABLES[number % 2]

    async def _block(self, client: SqlClient, ids: list[int]) -> Outcome:
        async def body(session: SqlClient) -> None:
            for one in ids:
                await session.query(f"INSERT INTO {self._table(one)} VALUES ({one}, 'block')")

        return await client.transaction(body)

    async def _pipelined(self, client: SqlClient, ids: list[int]) -> None:
        began = client.now
        ids += [self._fresh() for _ in range(self.chance.randrange(3))]
        outcomes = await client.pipelined([f"INSERT INTO {self._table(one)} VALUES ({one}, 'p')" for one in ids])
        for one, outcome in zip(ids, outcomes, strict=True):
            self._taken(client, began, outcome, [one])

    async def _look(self, client: SqlClient, number: int) -> None:
        """What somebody was told of is there for everybody."""
        began = client.now
        outcome = await client.once(f"SELECT id FROM {self._table(number)} WHERE id = {number}")
        self.note(client, began, outcome, number)
        if outcome.status == "ok" and not outcome.value.rows and self.world.honest(client.process, 0.0):
            raise Anomaly(Name.stale_read, f"row {number} was acknowledged, and then not seen")

    async def last_words(self, client: SqlClient) -> None:
        for table in TABLES:
            rows = (await client.until(f"SELECT id FROM {table}")).rows
            self._found += [int(value or 0) for (value,) in rows]

    def check(self) -> None:
        by_status = self._by_status
        check_inserts(self._found, by_status["ok"], by_status["fail"], by_status["info"])
