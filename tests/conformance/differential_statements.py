"""Random statements for the differential test: queries, writes, transactions of them, and statements that are wrong.

`Generator` adds to what the other modules make: which follows which, through which protocol, with parameters or without.
"""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from collections.abc import Sequence

from differential_schema import UNSORTABLE, Step, Table
from differential_writes import Writes

__all__ = ["Generator", "Step", "Table"]


class Generator(Writes):
    """Makes a schema, its rows, then statements over it."""

    def step(self, write: bool) -> Step:
        mode = self.one("simple", "simple", "text", "binary")
        self.params = [] if mode != "simple" and self.chance(0.6) else None
        self.aliases = 0
        if write:
            sql, ordered, topic = self.write(), False, "write"
        else:
            query = self.query()
            sql, ordered, topic = query.sql, query.ordered, query.form
        params, self.params = self.params or [], None
        return Step(sql, params, ordered, mode, topic=topic)

    def steps(self, count: int) -> list[Step]:
        """Queries and transactions, about `count` statements."""
        made: list[Step] = []
        while len(made) < count:
            chance = self.random.random()
            if chance < 0.55:
                made.append(self.step(False))
            elif chance < 0.65:
                made.append(self.broken())
            elif chance < 0.75:
                made.append(self.step(True))
                made.append(self.everything())
            else:
                made.append(Step("BEGIN", topic="transaction"))
                made += [self.step(self.chance(0.55)) for _ in range(self.random.randint(1, 6))]
                made.append(self.everything())
                made.append(Step(self.one("COMMIT", "COMMIT", "ROLLBACK"), topic="transaction"))
                made.append(self.everything())
        return made

    def everything(self) -> Step:
        table = self.random.choice(self.tables)
        return Step(f"SELECT * FROM {table.name}", mode=self.one("simple", "binary"), topic="check")

    def broken(self) -> Step:
        """A statement that is most likely wrong."""
        random = self.random
        table = random.choice(self.tables)
        step = self.step(self.chance(0.3))
        words: Sequence[str] = step.sql.split(" ")
        if self.chance(0.35):
            at = random.randrange(len(words))
            lost = [*words[:at], *words[at + 1 :]]
            return Step(" ".join(lost), step.params, False, step.mode, mutilated=True)
        name = random.choice([column.name for column in table.columns if column.kind not in UNSORTABLE])
        return Step(random.choice((
            f"SELECT nope FROM {table.name}", "SELECT 1 FROM nope", f"SELECT x.id FROM {table.name}",
            f"SELECT id FROM {table.name} WHERE id", f"SELECT id, count(*) FROM {table.name}", f"SELECT sum({name}) FROM {table.name}",
            f"SELECT id FROM {table.name} WHERE id = 'a'", f"SELECT id + {name} FROM {table.name}", f"SELECT {name} / 0 FROM {table.name}",
            f"INSERT INTO {table.name} VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)", f"INSERT INTO {table.name} (id, id) VALUES (1, 2)",
            f"INSERT INTO {table.name} (id) VALUES (NULL)", f"UPDATE {table.name} SET nope = 1", f"UPDATE {table.name} SET id = 'x'",
            f"DELETE FROM {table.name} WHERE nope", f"SELECT max({name}) FROM {table.name}", f"SELECT id::uuid FROM {table.name}",
            f"SELECT lower(id) FROM {table.name}", f"SELECT id FROM {table.name} UNION ALL SELECT {name} FROM {table.name} ORDER BY 1",
            f"SELECT id FROM {table.name} ORDER BY 2", f"SELECT (SELECT id FROM {table.name} LIMIT 3)", f"SELECT abs({name}) FROM {table.name}",
            f"SELECT id FROM {table.name} LIMIT -1", f"SELECT {name} LIKE 5 FROM {table.name}", f"SELECT {name} || 1 FROM {table.name}",
            f"SELECT * FROM {table.name} a JOIN {table.name} b ON a.id", f"SELECT id FROM {table.name} a, {table.name} b",
            f"SELECT CASE WHEN id = 1 THEN {name} ELSE 'x' END FROM {table.name}", f"SELECT coalesce({name}, 1) FROM {table.name}",
            f"SELECT DISTINCT id FROM {table.name} ORDER BY {name}", f"SELECT {name} IN (1, 'a') FROM {table.name}",
            f"SELECT count(*) FROM {table.name} WHERE count(*) > 1", f"SELECT id FROM {table.name} GROUP BY {name}",
            f"SELECT rank() FROM {table.name}", f"SELECT sum(sum(id)) FROM {table.name}", f"SELECT id FROM {table.name} WHERE rank() OVER () = 1",
            f"SELECT ({name}).x FROM {table.name}", f"SELECT id FROM {table.name} UNION SELECT id, id FROM {table.name}",
            "WITH q AS (SELECT 1) SELECT * FROM r", f"SELECT (SELECT id, 1 FROM {table.name})", "VALUES (1), (2, 3)",
            f"SELECT id FROM {table.name} ORDER BY nope", f"SELECT {name}[1] FROM {table.name}", f"SELECT nope({name}) FROM {table.name}",
            f"INSERT INTO {table.name} (nope) VALUES (1)", "INSERT INTO nope VALUES (1)", f"DELETE FROM {table.name} WHERE id = (SELECT {name} FROM {table.name})",
            f"SELECT id FROM {table.name} WHERE (id, {name}) = (1, 2, 3)", f"SELECT row_number() OVER w FROM {table.name}",
            f"INSERT INTO {table.name} (id) VALUES (1) ON CONFLICT ({name}) DO NOTHING", f"SELECT grouping(id) FROM {table.name}", f"SELECT {name} IS TRUE FROM {table.name}",
            f"SELECT extract(nope FROM {name}) FROM {table.name}", f"SELECT CAST({name} AS nope) FROM {table.name}", f"SELECT id FROM {table.name} FETCH FIRST 2 WITH TIES",
            f"SELECT {name}::date FROM {table.name} WHERE false", f"SELECT {name}::integer FROM {table.name} WHERE false", f"SELECT sum(DISTINCT) FROM {table.name}",
        )), mode=random.choice(("simple", "text")))  # fmt: skip
