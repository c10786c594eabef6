"""Two transactions that read two rows each and write one each: without FOR UPDATE both commit, with it one does.

The two are interleaved by hand, in two sessions of one client, so that nothing is left to luck: where no fault comes
between, what must happen happens every time, and what must not never.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.simulation.sql_client import ConnectionLost, SqlClient, SqlFailed
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

TABLES = ("skew_a", "skew_b")


class WriteSkew(SqlWorkload):
    name = "write skew"
    tables = tuple(f"CREATE TABLE {table} (id int PRIMARY KEY, v int NOT NULL)" for table in TABLES)
    clients = 2
    pause_seconds = 0.15

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0
        self._twins: dict[str, SqlClient] = {}

    async def turn(self, client: SqlClient) -> None:
        other = self._twins.get(client.process.name)
        if other is None:
            other = self._twins[client.process.name] = self.twin(client)
        self._next += 1
        pair, locks = self._next, self.chance.random() < 0.5
        for table in TABLES:
            if (await client.once(f"INSERT INTO {table} VALUES ({pair}, 1)")).status != "ok":
                return
        began = client.now
        try:
            for session in (client, other):
                await session.query("BEGIN")
                await self._look(session, pair, locks)
            await client.query(f"UPDATE skew_a SET v = 0 WHERE id = {pair}")
            await other.query(f"UPDATE skew_b SET v = 0 WHERE id = {pair}")
        except (SqlFailed, ConnectionLost):
            for session in (client, other):
                await session.once("ROLLBACK")
            return
        outcomes = [await client.commit(), await other.commit()]
        for outcome in outcomes:
            self.note(client, began, outcome, pair, locks)
        if [outcome.status for outcome in outcomes] == ["ok", "ok"]:
            if locks:
                raise Anomaly(Name.write_skew, f"both writers of pair {pair} committed, though both had locked it")
            self.world.mark("write skew without a lock")
        elif locks and any(outcome.sqlstate == "40001" for outcome in outcomes):
            self.world.mark("a lock kept write skew away")

    async def _look(self, session: SqlClient, pair: int, locks: bool) -> None:
        lock = " FOR UPDATE" if locks else ""
        for table in TABLES:
            answer = await session.query(f"SELECT v FROM {table} WHERE id = {pair}{lock}")
            if answer.rows != [("1",)] and self.honest:
                raise Anomaly(Name.stale_read, f"pair {pair} was acknowledged, and {table} shows {answer.rows}")
