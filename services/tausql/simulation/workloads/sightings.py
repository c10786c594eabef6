"""What somebody has seen is there for whoever looks next (I9): a row is inserted, one session polls until it sees it,
and at that very moment another asks another processor.

Nothing is shown before its time; with clocks that differ, a row that is shown too early is missed by whoever comes next
and takes his snapshot by a slower clock.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.processor.coroutines import Wait
from tausql.simulation.sql_client import SqlClient
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

LOOKS_MAX = 25


class Sightings(SqlWorkload):
    name = "sightings"
    tables = ("CREATE TABLE sightings (id int PRIMARY KEY)",)
    clients = 2
    pause_seconds = 0.05

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0
        self._twins: dict[str, tuple[SqlClient, SqlClient]] = {}

    async def turn(self, client: SqlClient) -> None:
        twins = self._twins.get(client.process.name)
        if twins is None:
            twins = self._twins[client.process.name] = self.twin(client), self.twin(client)
        self._next += 1
        number = self._next
        over: Wait[None] = Wait()
        twins[0].run(self._watch_for(*twins, number, over))
        began = client.now
        outcome = await client.once(f"INSERT INTO sightings VALUES ({number})")
        self.note(client, began, outcome, number)
        await over

    async def _watch_for(self, first: SqlClient, second: SqlClient, number: int, over: Wait[None]) -> None:
        sql = f"SELECT id FROM sightings WHERE id = {number}"
        for _ in range(LOOKS_MAX):
            began = first.now
            outcome = await first.once(sql)
            if outcome.status != "ok":
                break
            if outcome.value.rows:
                told = await second.once(sql)
                self.note(second, began, told, number)
                if told.status == "ok" and not told.value.rows and self.world.honest(second.process, began):
                    raise Anomaly(Name.stale_read, f"row {number} was seen, and then not seen")
                self.world.mark("a row was seen by two, one after the other")
                break
        over.resolve(None)
