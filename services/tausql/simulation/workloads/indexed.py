"""Secondary indexes are their table in another order, in every snapshot, while they are built, used, dropped and built
again under writers that insert, move entries, delete and insert anew.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.workloads import check_index
from tausql.simulation.sql_client import ConnectionLost, Row, SqlClient, SqlFailed
from tausql.simulation.workload import Context
from tausql.simulation.workloads.turns import SqlWorkload

IDS, COLORS = 24, 4
INDEXES = {
    "indexed_color": "CREATE INDEX ASYNC indexed_color ON indexed (color)",
    "indexed_code": "CREATE UNIQUE INDEX ASYNC indexed_code ON indexed (code)",
}
_ALL = "SELECT id, color, code FROM indexed"
_JOBS = "SELECT job_id, status, details FROM sys.jobs"


class Indexed(SqlWorkload):
    name = "indexed"
    tables = ("CREATE TABLE indexed (id int PRIMARY KEY, color int, code int, note text)",)
    clients = 4
    pause_seconds = 0.08

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._codes = self.chance.choice((IDS, 60, 200))  # the fewer, the more duplicates
        self._races = 0
        self._building: dict[str, str] = {}  # index -> its job
        self._there: set[str] = set()
        self._busy_building = False
        self._handing = False

    async def prepare(self, client: SqlClient) -> None:
        codes = self.chance.sample(range(self._codes), IDS // 2)
        rows = ", ".join(f"({2 * at}, {at % COLORS}, {code}, 'begun')" for at, code in enumerate(codes))
        await client.until(f"INSERT INTO indexed VALUES {rows} ON CONFLICT DO NOTHING")

    async def turn(self, client: SqlClient) -> None:
        what = self.chance.random()
        if what < 0.2 and not self._busy_building:
            self._busy_building = True
            await self._change_indexes(client)
            self._busy_building = False
        elif what < 0.3 and "indexed_code" in self._there and not self._busy_building:
            self._busy_building = True
            await self._race(client)
            self._busy_building = False
        elif what < 0.4 and "indexed_code" in self._building and not self._handing:
            self._handing = True
            await self._hand_down(client)
            self._handing = False
        elif what < 0.7:
            await self._write(client)
        else:
            await self._compare(client)

    def _code(self) -> int:
        return self.chance.randrange(self._codes)

    async def _write(self, client: SqlClient) -> None:
        one, color, code = self.chance.randrange(IDS), self.chance.randrange(COLORS), self._code()
        sql = self.chance.choice(
            (
                f"INSERT INTO indexed VALUES ({one}, {color}, {code}, 'new') ON CONFLICT (id) DO NOTHING",
                f"UPDATE indexed SET color = {color} WHERE id = {one}",
                f"UPDATE indexed SET code = {code} WHERE id = {one}",
                f"UPDATE indexed SET note = 'touched' WHERE color = {color}",
                f"DELETE FROM indexed WHERE id = {one}",
            )
        )
        began = client.now
        outcome = await client.once(sql)
        self.note(client, began, outcome, sql)
        if outcome.sqlstate == "23505":
            self.world.mark("a unique index refused a row")

    async def _hand_down(self, client: SqlClient) -> None:
        """The last row's code goes to a new first row, and then the last row goes. While the index is built it may hold
        the new row's entry, have left that row behind, and not have come to the old one: whose entry is it then?"""
        began = client.now
        try:
            rows = (await client.query(f"{_ALL} WHERE id < {IDS} ORDER BY id")).rows
        except (SqlFailed, ConnectionLost):
            return
        free = sorted(set(range(IDS)) - {int(row[0] or 0) for row in rows})
        if len(rows) < 2 or not free or free[0] > int(rows[-1][0] or 0):
            return
        last, _, code = rows[-1]
        for sql in (
            f"INSERT INTO indexed VALUES ({free[0]}, 0, {code}, 'heir') ON CONFLICT (id) DO NOTHING",
            f"DELETE FROM indexed WHERE id = {last}",
        ):
            outcome = await client.once(sql)
            self.note(client, began, outcome, sql)
            if outcome.status != "ok":
                return
        self.world.mark("a code was handed down to another row")

    async def _race(self, client: SqlClient) -> None:
        """Two rows with one code, in two transactions at once: the unique index has room for one, built or not."""
        self._races += 1
        other = self.twin(client)
        rows = {client: IDS + 2 * self._races, other: IDS + 2 * self._races + 1}
        began = client.now
        try:
            for session, one in rows.items():
                await session.query("BEGIN")
                await session.query(f"INSERT INTO indexed VALUES ({one}, 0, {10_000 + self._races}, 'raced')")
        except (SqlFailed, ConnectionLost):
            await client.once("ROLLBACK")
            other.close()
            return
        outcomes = [await client.commit(), await other.commit()]
        other.close()
        for outcome in outcomes:
            self.note(client, began, outcome, self._races)
        if [outcome.status for outcome in outcomes] == ["ok", "ok"]:
            raise Anomaly(Name.duplicate, f"two rows with code {10_000 + self._races} were committed at once")
        if "ok" in [outcome.status for outcome in outcomes]:
            self.world.mark("two met at an entry of a unique index")

    async def _compare(self, client: SqlClient) -> None:
        color = self.chance.randrange(COLORS)

        async def body(session: SqlClient) -> None:
            everything = (await session.query(_ALL)).rows
            await self._same(session, everything, self.attempts + 1, [color], 2)

        began = client.now
        self.note(client, began, await client.transaction(body), color)

    async def _same(self, session: SqlClient, everything: list[Row], number: int, colors: list[int], rows: int) -> None:
        """By index as by table: rows of `colors`, and so many by their code."""
        for color in colors:
            found = (await session.query(f"{_ALL} WHERE color = {color}")).rows
            check_index(number, [row for row in everything if row[1] == str(color)], found)
        for row in everything[:rows]:
            found = (await session.query(f"{_ALL} WHERE code = {row[2]}")).rows
            check_index(number, [other for other in everything if other[2] == row[2]], found)

    # --- indexes ----------------------------------------------------------------------------------------------------

    async def _change_indexes(self, client: SqlClient) -> None:
        """Enter one that is not there, or drop one, built or not."""
        name = self.chance.choice(sorted(INDEXES))
        began = client.now
        if name not in self._there:
            outcome = await client.once(INDEXES[name])
            self.note(client, began, outcome, name)
            if outcome.status == "ok" or outcome.sqlstate == "42P07":
                self._there.add(name)
            if outcome.status == "ok":
                ((job,),) = outcome.value.rows
                self._building[name] = job or ""
                self.world.mark("an index was entered under load")
        elif self.chance.random() < 0.5:
            outcome = await client.once(f"DROP INDEX {name}")
            self.note(client, began, outcome, name)
            if outcome.status != "fail" or outcome.sqlstate == "42704":  # nobody may have been told, and it is gone
                self._there.discard(name)
        else:
            await self._look_at_jobs(client)

    async def _look_at_jobs(self, client: SqlClient) -> bool:
        """True if none is left to be done."""
        try:
            rows = (await client.query(_JOBS)).rows
        except (SqlFailed, ConnectionLost):
            return False
        for _, status, details in rows:
            if status == "completed":
                self.world.mark("an index was built under load")
            elif status == "failed" and "duplicate" in (details or ""):
                self.world.mark("a job found a duplicate")
        return all(status in ("completed", "failed") for _, status, _ in rows)

    async def last_words(self, client: SqlClient) -> None:
        """Wait for the builds, then compare all of it."""
        while not await self._look_at_jobs(client):
            await client.pause(0.2)

        async def body(session: SqlClient) -> list[Row]:
            everything = (await session.query(_ALL)).rows
            await self._same(session, everything, 0, list(range(COLORS)), IDS)
            return everything

        while (outcome := await client.transaction(body)).status != "ok":
            await client.pause(0.1)
        status = {row[0]: row[1] for row in (await client.until(_JOBS)).rows}
        codes = [row[2] for row in outcome.value]
        if status.get(self._building.get("indexed_code", "")) == "completed" and "indexed_code" in self._there:
            self.world.mark("a unique index was compared")
            if len(set(codes)) < len(codes):
                raise Anomaly(Name.duplicate, f"a unique index is complete, and codes are there twice: {sorted(codes)}")
