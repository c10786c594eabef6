"""Tokens that lie in one of two tables: deleted here and inserted there, over and over, in one transaction.

Every snapshot holds each token once. Rows that come and go under one key are what tombstones, collection and the rule
that only live rows count have to get right.
"""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.simulation.sql_client import Row, SqlClient
from tausql.simulation.workloads.turns import SqlWorkload

TOKENS = 5
TABLES = ("tokens_a", "tokens_b")
_BOTH = "SELECT id, 'a' FROM tokens_a UNION ALL SELECT id, 'b' FROM tokens_b"


class Tokens(SqlWorkload):
    name = "tokens"
    tables = tuple(f"CREATE TABLE {table} (id int PRIMARY KEY, note text)" for table in TABLES)
    clients = 3

    async def prepare(self, client: SqlClient) -> None:
        rows = ", ".join(f"({number}, 'begun')" for number in range(TOKENS))
        await client.until(f"INSERT INTO tokens_a VALUES {rows} ON CONFLICT DO NOTHING")

    async def turn(self, client: SqlClient) -> None:
        if self.chance.random() < 0.3:
            began = client.now
            outcome = await client.once(_BOTH)
            number = self.note(client, began, outcome)
            if outcome.status == "ok":
                self._saw(number, outcome.value.rows)
            return
        token = self.chance.randrange(TOKENS)
        source, target = self.chance.sample(TABLES, 2)
        again = self.chance.random() < 0.2

        async def body(session: SqlClient) -> str:
            answer = await session.query(f"DELETE FROM {source} WHERE id = {token}")
            if answer.tags == ["DELETE 1"]:
                place = source if again else target  # put back where it was: one key deleted and inserted at once
                await session.query(f"INSERT INTO {place} VALUES ({token}, '{client.process.name}')")
            return answer.tags[0]

        began = client.now
        outcome = await client.transaction(body)
        number = self.note(client, began, outcome, token, source, again)
        if outcome.sqlstate == "23505":
            raise Anomaly(Name.duplicate, f"T{number} took token {token} from {source}, and it was in {target}, too")

    async def last_words(self, client: SqlClient) -> None:
        self._saw(0, (await client.until(_BOTH)).rows)

    def _saw(self, number: int, rows: list[Row]) -> None:
        if sorted(int(token or 0) for token, _ in rows) != list(range(TOKENS)):
            raise Anomaly(Name.wrong_total, f"T{number} saw the tokens {sorted(rows, key=str)}", (number,))
