"""Schema changes under load: no transaction commits that began before one and relied on what it changed.

As in `write_skew` the two are interleaved by hand, so that a change always comes in the middle. Besides, writers of a
table on which indexes come and go are told OC001 now and then, and lose nothing.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.workloads import check_inserts
from tausql.simulation.sql_client import ConnectionLost, Nonsense, SqlClient, SqlFailed
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

CHANGES_MAX = 6  # a change is dear: everybody reads the catalogue anew


class SchemaChanges(SqlWorkload):
    name = "schema changes"
    tables = ("CREATE TABLE schema_base (id int PRIMARY KEY, v int)",)
    clients = 3
    pause_seconds = 0.1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0
        self._changes = 0
        self._index = ""
        self._by_status: dict[str, list[int]] = {"ok": [], "fail": [], "info": []}
        self._found: list[int] = []

    async def turn(self, client: SqlClient) -> None:
        what = self.chance.random()
        if what < 0.25 and self._changes < CHANGES_MAX:
            self._changes += 1
            await (self._across(client) if self.chance.random() < 0.7 else self._write_only(client))
        elif what < 0.35 and self._changes < CHANGES_MAX:
            self._changes += 1
            await self._change_base(client)
        else:
            await self._insert(client)

    async def _insert(self, client: SqlClient) -> None:
        self._next += 1
        number = self._next
        began = client.now

        async def body(session: SqlClient) -> None:
            await session.execute("SELECT v FROM schema_base WHERE id = $1", number - 1)
            await self.rest(session, 0.02)
            await session.query(f"INSERT INTO schema_base VALUES ({number}, {number % 3})")

        outcome = await client.transaction(body)
        self.note(client, began, outcome, number)
        self._by_status[outcome.status].append(number)

    async def _change_base(self, client: SqlClient) -> None:
        """An index of everybody's table comes, or goes."""
        began = client.now
        if self._index:
            sql, self._index = f"DROP INDEX {self._index}", ""
        else:
            self._index = f"schema_index_{self._changes}"
            sql = f"CREATE INDEX ASYNC {self._index} ON schema_base (v)"
        outcome = await client.once(sql)
        self.note(client, began, outcome, sql)
        if outcome.status != "ok":
            self._index = ""

    async def _across(self, client: SqlClient) -> None:
        table = f"schema_{self._changes}"
        began = client.now
        for sql in (f"CREATE TABLE {table} (id int PRIMARY KEY, v int)", f"INSERT INTO {table} VALUES (1, 1)"):
            outcome = await client.once(sql)
            self.note(client, began, outcome, sql)
            if outcome.status != "ok":
                return
        other = self.twin(client)
        try:
            await other.query("BEGIN")
            if self.chance.random() < 0.5:
                await other.query(f"INSERT INTO {table} VALUES (2, 2)")
            else:  # it only reads what is to change
                await other.query(f"SELECT v FROM {table} WHERE id = 1")
                self._next += 1
                number = self._next
                self._by_status["info"].append(number)
                await other.query(f"INSERT INTO schema_base VALUES ({number}, 0)")
        except (SqlFailed, ConnectionLost):
            other.close()
            return
        drops = self.chance.random() < 0.5
        began = client.now
        change = await client.once(f"DROP TABLE {table}" if drops else f"CREATE INDEX ASYNC ON {table} (v)")
        self.note(client, began, change, table, drops)
        outcome = await other.commit()
        other.close()
        if change.status != "ok":
            return
        if outcome.status == "ok":
            raise Nonsense(f"a transaction that relied on {table} committed across its change")
        if "OC001" in outcome.message:
            self.world.mark("a transaction across a schema change was refused")
        if drops:
            await self._gone(client, table)

    async def _write_only(self, client: SqlClient) -> None:
        """A row without a key is written without a read, which would have told that the table is gone."""
        table = f"schema_{self._changes}"
        other = self.twin(client)
        steps = ((client, f"CREATE TABLE {table} (v int)"), (other, f"INSERT INTO {table} VALUES (1)"))
        for session, sql in (*steps, (client, f"DROP TABLE {table}")):
            began = client.now
            outcome = await session.once(sql)
            self.note(client, began, outcome, sql)
            if outcome.status != "ok":
                other.close()
                return
        outcome = await other.once(f"INSERT INTO {table} VALUES (2)")
        other.close()
        if outcome.status == "ok" and self.world.honest(client.process, began):
            raise Nonsense(f"{table} was dropped, and then written to")
        self.world.mark("a dropped table was written to in vain")

    async def _gone(self, client: SqlClient, table: str) -> None:
        """A table that was dropped is there for nobody."""
        other = self.twin(client)
        began = client.now
        outcome = await other.once(f"SELECT v FROM {table} WHERE id = 1")
        other.close()
        if outcome.status == "ok" and self.world.honest(client.process, began):
            raise Anomaly(Name.stale_read, f"{table} was dropped, and then read")
        if outcome.sqlstate == "42P01":
            self.world.mark("a dropped table was gone")

    async def last_words(self, client: SqlClient) -> None:
        rows = (await client.until("SELECT id FROM schema_base")).rows
        self._found = [int(value or 0) for (value,) in rows]

    def check(self) -> None:
        by_status = self._by_status
        check_inserts(self._found, by_status["ok"], by_status["fail"], by_status["info"])
