"""Writes the generated files: `python -m tests.sqllogic.generate [topic ...]`, with what PostgreSQL answers.

Random statements over three small tables, by a fixed seed a topic. Only what has one right answer is kept: rows are
sorted or ordered by something unique, aggregates that depend on an order are given one, and a statement that fails in
PostgreSQL is left out, since engines may differ in which of several errors they meet first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from loadtest.postgres import single_postgres
from tests.compatibility.emptying import empty

from .complete import THRESHOLD, completed, drafted
from .random_sql import Maker
from .records import Record, written
from .running import Sessions

FOLDER = Path(__file__).parent / "files" / "generated"
STATEMENTS = 280
SEED = 5

CREATE = [
    "CREATE TABLE t (a int PRIMARY KEY, b int, c text, d numeric(10,2), e date, f boolean, g double precision)",
    "CREATE TABLE u (a int, n int, k varchar(10), v bigint, w timestamp, PRIMARY KEY (a, n))",
    "CREATE TABLE s (x int, y text)",
]
INDEXES = [
    "CREATE INDEX ASYNC t_b ON t (b)",
    "CREATE INDEX ASYNC t_c_d ON t (c, d)",
    "CREATE INDEX ASYNC u_v ON u (v)",
]


class Topics(Maker):
    """A statement of each topic."""

    def selecting(self) -> str:
        made = f"SELECT t.a, {self.items(self.random.randint(1, 3))} FROM t"
        if self.chance(0.8):
            made += f" WHERE {self.test()}"
        return f"{made} {self.window_end()}" if self.chance(0.6) else made

    def joining(self) -> str:
        kind = self.one("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
        on = self.one("t.a = u.a", "t.b = u.n", "t.a = u.a AND t.b < u.n", "t.c = u.k", "t.b = u.v AND t.a > 10")
        made = f"SELECT t.a, u.a, u.n, {self.items(1, True)} FROM t {kind} u ON {on}"
        if self.chance(0.3):
            made += f" {self.one('JOIN', 'LEFT JOIN')} s ON s.x = {self.one('t.b', 'u.n', 't.a')}"
        return f"{made} WHERE {self.test(2, True)}" if self.chance(0.6) else made

    def aggregate(self) -> str:
        kind = self.one(*"itndg")
        made = self.random.choice([
            lambda: "count(*)",
            lambda: f"count({self.one('', 'DISTINCT ')}{self.expr(kind, 1)})",
            lambda: f"{self.one('min', 'max')}({self.expr(kind, 1)})",
            lambda: f"sum({self.one('', 'DISTINCT ')}{self.expr(self.one(*'in'), 1)})",
            lambda: f"avg({self.expr(self.one(*'in'), 1)})",
            lambda: f"sum({self.column('g')})",
            lambda: f"string_agg({self.column('t')}, ',' ORDER BY t.a)",
            lambda: f"array_agg({self.column(kind)} ORDER BY t.a DESC)",
            lambda: f"{self.one('bool_and', 'bool_or')}({self.column('b')})",
            lambda: f"percentile_disc(0.{self.random.randint(1, 9)}) WITHIN GROUP (ORDER BY "
            f"{self.column(self.one(*'in'))})",
            lambda: "mode() WITHIN GROUP (ORDER BY t.b)",
            lambda: "json_agg(t.c ORDER BY t.a)",
        ])()  # fmt: skip
        return f"{made} FILTER (WHERE {self.test(1)})" if self.chance(0.25) else made

    def grouping(self) -> str:
        keys = [self.expr(self.one("t", "i", "b", "d"), 1) for _ in range(self.random.randint(0, 2))]
        chosen = ", ".join([*keys, self.aggregate(), self.aggregate()])
        made = f"SELECT {chosen} FROM t"
        if self.chance(0.4):
            made += f" WHERE {self.test(1)}"
        if keys:
            made += f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}"
        return f"{made} HAVING count(*) > {self.random.randint(0, 3)}" if self.chance(0.3) else made

    def sets_of_groups(self) -> str:
        sets = self.one(
            "ROLLUP (t.f, t.c)", "CUBE (t.f, t.c)", "GROUPING SETS ((t.f), (t.c), ())", "ROLLUP (t.c)",
            "t.f, GROUPING SETS ((t.c), ())", "GROUPING SETS ((t.c, t.f), (t.f))", "ROLLUP ((t.f, t.c), t.b % 2)",
        )  # fmt: skip
        made = f"SELECT t.f, t.c, grouping(t.f, t.c), {self.aggregate()} FROM t"
        if "grouping(t.f, t.c)" in made and sets == "ROLLUP (t.c)":
            made = made.replace("t.f, t.c, grouping(t.f, t.c)", "t.c, grouping(t.c)")
        if self.chance(0.4):
            made += f" WHERE {self.test(1)}"
        return f"{made} GROUP BY {sets}"

    def windows(self) -> str:
        part = f"PARTITION BY {self.one('t.f', 't.c', 't.b % 3', 't.c, t.f')} " if self.chance(0.7) else ""
        order = f"ORDER BY {self.one('t.b', 't.d DESC', 't.e NULLS FIRST', 't.g')}, t.a"
        bound = self.random.randint(1, 3)
        frame = self.one(
            "", "", f"ROWS BETWEEN {bound} PRECEDING AND CURRENT ROW",
            f"ROWS BETWEEN CURRENT ROW AND {bound} FOLLOWING",
            "ROWS UNBOUNDED PRECEDING", "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
            f"GROUPS BETWEEN {bound} PRECEDING AND 1 FOLLOWING",
            f"ROWS BETWEEN {bound} PRECEDING AND {bound} FOLLOWING EXCLUDE CURRENT ROW",
        )  # fmt: skip
        call = self.one(
            "row_number()", "rank()", "dense_rank()", f"ntile({bound + 1})", "lag(t.b)", f"lag(t.c, {bound}, 'none')",
            f"lead(t.d, {bound})", "first_value(t.a)", "last_value(t.b)", f"nth_value(t.c, {bound})", "sum(t.b)",
            "count(*)", "avg(t.d)", "max(t.c)", "percent_rank()", "cume_dist()", "count(t.f)", "min(t.e)",
        )  # fmt: skip
        made = f"SELECT t.a, {call} OVER ({part}{order} {frame})".replace(" )", ")")
        if self.chance(0.3):
            made += f", sum(t.b) OVER (PARTITION BY t.f ORDER BY t.b {self.one('RANGE', 'GROUPS')} {bound} PRECEDING)"
        made += " FROM t"
        return f"{made} WHERE {self.test(1)}" if self.chance(0.4) else made

    def operations(self) -> str:
        kinds = [self.one(*"itnd") for _ in range(2)]
        arm = lambda: "SELECT " + ", ".join(self.expr(k, 1) for k in kinds) + f" FROM t WHERE {self.test(1)}"  # noqa: E731
        made = arm()
        for _ in range(self.random.randint(1, 2)):
            made += f" {self.one('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL')} {arm()}"
        return f"{made} ORDER BY 1, 2" if self.chance(0.3) else made

    def subqueries(self) -> str:
        return self.random.choice([
            lambda: f"SELECT t.a, (SELECT max(u.n) FROM u WHERE u.a = t.a) FROM t WHERE {self.test(1)}",
            lambda: f"SELECT t.a FROM t WHERE {self.one('', 'NOT ')}EXISTS (SELECT FROM u WHERE u.a = t.a AND u.n > "
            f"{self.number()})",
            lambda: f"SELECT t.a, t.b FROM t WHERE t.b {self.one('', 'NOT ')}IN (SELECT u.v FROM u WHERE u.v IS "
            f"NOT NULL "
            f"AND u.n < {self.number()})",
            lambda: f"SELECT t.a FROM t WHERE t.b {self.one('<', '>', '=', '>=')} {self.one('ANY', 'ALL')} "
            f"(SELECT u.v FROM u WHERE u.a {self.one('<', '>')} {self.number()})",
            lambda: f"SELECT t.a, q.m FROM t {self.one('CROSS JOIN', 'CROSS JOIN', 'LEFT JOIN')} LATERAL "
            f"(SELECT count(*) AS m "
            f"FROM u WHERE u.n < t.b) q {{on}} WHERE {self.test(1)}",
            lambda: f"WITH q AS (SELECT t.f, {self.aggregate()} AS z FROM t GROUP BY t.f) SELECT t.a, q.z FROM "
            f"t JOIN q "
            f"ON q.f = t.f WHERE {self.test(1)}",
            lambda: f"SELECT q.z, count(*) FROM (SELECT {self.expr('i', 2)} AS z FROM t WHERE {self.test(1)}) q "
            f"GROUP BY q.z",
            lambda: f"SELECT t.a FROM t WHERE (t.b, t.f) {self.one('', 'NOT ')}IN (SELECT o.b, o.f FROM t o "
            f"WHERE o.a < "
            f"{self.number()})",
            lambda: f"SELECT DISTINCT ON (t.f) t.f, t.a, {self.expr('t', 1)} FROM t ORDER BY t.f, t.a",
            lambda: f"WITH RECURSIVE r(n, z) AS (SELECT 1, {self.number()} UNION ALL SELECT n + 1, z + n FROM r "
            f"WHERE n < "
            f"{self.random.randint(2, 9)}) SELECT r.n, r.z, t.a FROM r LEFT JOIN t ON t.a = r.n",
            lambda: f"SELECT v.i, v.w, t.a FROM (VALUES (1, 'one'), ({self.number()}, 'two'), (NULL, 'three')) "
            f"AS v(i, w) "
            f"LEFT JOIN t ON t.b = v.i AND {self.test(1)}",
        ])().replace(" {on}", "")  # fmt: skip

    def writing(self) -> str:
        number = self.random.randint(1, 80)
        return self.random.choice([
            lambda: f"INSERT INTO t VALUES ({number}, {', '.join(self.literal(k) for k in 'itndbg')}) ON "
            f"CONFLICT (a) DO "
            f"UPDATE SET b = excluded.b, c = t.c || '+' RETURNING a, b, c",
            lambda: f"INSERT INTO t (a, b) VALUES ({number}, {self.number()}) ON CONFLICT DO NOTHING RETURNING *",
            lambda: f"UPDATE t SET b = {self.expr('i', 1)}, c = left({self.expr('t', 1)}, 20) WHERE t.a % 5 = "
            f"{number % 5} RETURNING a, b, c",
            lambda: f"UPDATE t SET d = round({self.expr('n', 1)}, 2) WHERE {self.test(1)} AND t.a > 35",
            lambda: f"DELETE FROM t WHERE {self.test(1)} AND t.a > {number + 20} RETURNING a",
            lambda: f"UPDATE t SET b = u.n FROM u WHERE u.a = t.a AND u.n = {number % 30} RETURNING t.a, t.b, u.k",
            lambda: f"DELETE FROM u USING t WHERE t.a = u.a AND u.n = {number % 30} AND t.f RETURNING u.a, u.n",
            lambda: f"INSERT INTO s SELECT t.a, t.c FROM t WHERE t.a = {number} RETURNING x, y",
            lambda: f"WITH gone AS (DELETE FROM s WHERE x = {number} RETURNING x) SELECT count(*) FROM gone",
            lambda: "SELECT a, b, c, d FROM t",
            lambda: "SELECT count(*), sum(b), max(a) FROM t",
        ])()  # fmt: skip


def draft(topic: str, seed: int, statements: int) -> str:
    """A draft for `complete`."""
    maker = Topics(seed)
    make: Callable[[], str] = getattr(maker, topic.removesuffix("_indexed"))
    lines = [*CREATE, *maker.rows(), *(INDEXES if topic.endswith("_indexed") else [])]
    return "\n".join([*lines, *(make() for _ in range(statements))])


TOPICS = {
    "selecting": STATEMENTS,
    "selecting_indexed": STATEMENTS,
    "joining": 200,
    "joining_indexed": 200,
    "grouping": STATEMENTS,
    "sets_of_groups": 150,
    "windows": STATEMENTS,
    "operations": STATEMENTS,
    "subqueries": STATEMENTS,
    "subqueries_indexed": 150,
    "writing": STATEMENTS,
    "writing_indexed": STATEMENTS,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with single_postgres() as port:
        for at, (topic, statements) in enumerate(TOPICS.items()):
            if len(sys.argv) > 1 and topic not in sys.argv[1:]:
                continue
            sessions = Sessions("postgres", f"host=127.0.0.1 port={port} user=postgres dbname=postgres")
            empty(sessions.get())
            records = [Record(0, "hash-threshold", threshold=THRESHOLD)]
            found = completed([*records, *drafted(draft(topic, SEED + at, statements))], sessions, True)
            sessions.close()
            kept = [record for record in found if record.error is None]
            text = "\n\n".join(written(record) for record in kept)
            (FOLDER / f"{topic}.slt").write_text(f"# Written by tests/sqllogic/generate.py.\n\n{text}\n")
            print(f"{topic}: {len(kept)} of {len(found)} statements")


if __name__ == "__main__":
    main()
