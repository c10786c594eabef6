"""Random queries: FROM with all kinds of joins, WHERE, grouping, set operations, WITH, ORDER BY and LIMIT.

LIMIT stands only below an ORDER BY over every column, so that there is one right answer. Forms that need more care are
in differential_forms.py.
"""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from dataclasses import dataclass

from differential_expressions import Expressions, Scope, Source, shown
from differential_schema import UNSORTABLE, VALUES

SIDES = ("", "", " DESC", " NULLS FIRST", " DESC NULLS LAST")
SET_WORDS = ("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
JOINS = ("JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",")


@dataclass(slots=True)
class Query:
    """`ordered`: its rows come in one order only. `form`: what kind of query it is."""

    sql: str
    ordered: bool
    form: str


class Queries(Expressions):
    # FROM

    def source(self, depth: int) -> tuple[str, Source]:
        alias = self.alias()
        if depth > 0 and self.chance(0.12):
            return self._subquery(alias)
        if depth > 0 and self.chance(0.1):
            return self._function(alias)
        if depth > 0 and self.chance(0.05):
            rows = [f"({self.random.randint(0, 5)}, {self.literal('text')})" for _ in range(self.random.randint(1, 4))]
            return f"(VALUES {', '.join(rows)}) AS {alias}(p, q)", Source(alias, [("p", "int"), ("q", "text")])
        table = self.random.choice(self.tables)
        return f"{table.name} {self.one('', 'AS ')}{alias}", shown(table, alias)

    def _subquery(self, alias: str) -> tuple[str, Source]:
        sql, inner = self.from_clause(1, 0)
        columns = [self.any_column(inner, sortable=False) for _ in range(self.random.randint(1, 3))]
        items = [f"{text} AS c{at}" for at, (text, _) in enumerate(columns)]
        items.append(f"{self.expression('int', inner, 1)}::bigint AS c{len(columns)}")
        where = f" WHERE {self.predicate(inner, 1)}" if self.chance(0.5) else ""
        kinds = [*[kind for _, kind in columns], "int"]
        distinct = "DISTINCT " if self.chance(0.15) and not {*kinds} & {*UNSORTABLE} else ""
        made = Source(alias, [(f"c{at}", kind) for at, kind in enumerate(kinds)])
        return f"(SELECT {distinct}{', '.join(items)} FROM {sql}{where}) {alias}", made

    def _function(self, alias: str) -> tuple[str, Source]:
        count = self.random.randint(0, 6)
        return self.pick(
            lambda: (f"generate_series(1, {count}) AS {alias}(n)", Source(alias, [("n", "int")])),
            lambda: (
                f"generate_series(0, {count}, 2) WITH ORDINALITY AS {alias}(n, at)",
                Source(alias, [("n", "int"), ("at", "int")]),
            ),
            lambda: (
                f"unnest({self.literal('ints')}, {self.literal('texts')}) AS {alias}(n, s)",
                Source(alias, [("n", "int"), ("s", "text")]),
            ),
            lambda: (
                f"ROWS FROM (generate_series(1, {count}), unnest({self.literal('texts')})) AS {alias}(n, s)",
                Source(alias, [("n", "int"), ("s", "text")]),
            ),
            lambda: (
                f"jsonb_to_recordset('[{{\"a\": 1, \"b\": \"x\"}}, {{\"a\": null}}]') AS {alias}(a integer, b text)",
                Source(alias, [("a", "int"), ("b", "text")]),
            ),
        )

    def from_clause(self, count: int, depth: int) -> tuple[str, Scope]:
        sql, first = self.source(depth)
        scope = [first]
        for _ in range(count - 1):
            if depth > 0 and self.chance(0.1):
                sql, added = self._lateral(sql, scope)
            else:
                sql, added = self._joined(sql, scope, depth)
            scope.append(added)
        return sql, scope

    def _joined(self, sql: str, scope: Scope, depth: int) -> tuple[str, Source]:
        right, added = self.source(depth)
        kind = self.one(*JOINS)
        both_id = all("id" in [name for name, _ in one.columns] for one in (scope[0], added)) and len(scope) == 1
        if kind in (",", "CROSS JOIN"):
            return f"{sql}{kind if kind == ',' else ' CROSS JOIN'} {right}", added
        if self.chance(0.15) and both_id:
            return f"{sql} {kind} {right} USING (id)", added
        mine, of_kind = self.any_column([added])
        theirs = self.column(scope, of_kind) or self.literal(of_kind)
        condition = f"{mine} = {theirs}"
        if kind == "FULL JOIN" and not theirs.startswith("a"):
            kind = "LEFT JOIN"  # PostgreSQL joins fully on equal columns only
        if kind != "FULL JOIN" and self.chance(0.3):
            condition += f" AND {self.predicate([*scope, added], 0)}"
        if kind != "FULL JOIN" and self.chance(0.07):
            condition = self.predicate([*scope, added], 1)
        return f"{sql} {kind} {right} ON {condition}", added

    def _lateral(self, sql: str, scope: Scope) -> tuple[str, Source]:
        """A subquery that sees what stands before it."""
        inner, shown = self.source(0)
        alias = self.alias()
        mine, kind = self.any_column([shown])
        outer = self.column(scope, kind) or self.literal(kind)
        tail = f"FROM {inner} WHERE {mine} {self.one('=', '<', '>=')} {outer}"
        if self.chance(0.4):
            text = f"(SELECT count(*) AS n, max({mine}::text) AS s {tail})" if kind != "bytea" else f"(SELECT count(*) AS n, 'x'::text AS s {tail})"
        else:
            text = f"(SELECT {self.expression('int', [*scope, shown], 1)}::bigint AS n, {self.expression('text', [shown], 1)} AS s {tail})"
        join = self.one("CROSS JOIN LATERAL {} {}", "LEFT JOIN LATERAL {} {} ON true", "JOIN LATERAL {} {} ON true")
        return f"{sql} {join.format(text, alias)}", Source(alias, [("n", "int"), ("s", "text")])

    def where(self, scope: Scope, share: float, depth: int = 1) -> str:
        return f" WHERE {self.predicate(scope, depth)}" if self.chance(share) else ""

    # Queries

    def items(self, scope: Scope, count: int, sortable: bool) -> list[tuple[str, str]]:
        made = []
        for _ in range(count):
            if self.chance(0.5):
                made.append(self.any_column(scope, sortable))
            else:
                kind = self.one(*[kind for kind in VALUES if not (sortable and kind in UNSORTABLE)])
                made.append((self.expression(kind, scope, 2), kind))
        return made

    def tail(self, count: int) -> tuple[str, bool]:
        if self.chance(0.45):
            return "", False
        places = list(range(1, count + 1))
        self.random.shuffle(places)
        tail = f" ORDER BY {', '.join(f'{at}{self.one(*SIDES)}' for at in places)}"
        if self.chance(0.5):
            count = self.random.choice((0, 1, 2, 3, 5, 10))
            tail += self.pick(lambda: f" LIMIT {count}", lambda: f" FETCH FIRST {count} ROWS ONLY", lambda: self._limit(count))
        if self.chance(0.25) and "FETCH" not in tail:
            tail += f" OFFSET {self.random.choice((0, 1, 2, 5, 1000))}"
        return tail, True

    def _limit(self, count: int) -> str:
        if self.params is None:
            return f" LIMIT {count}"
        self.params.append(str(count))
        return f" LIMIT ${len(self.params)}"

    def plain(self) -> Query:
        sql, scope = self.from_clause(self.random.choice((1, 1, 2, 2, 3)), 2)
        where = self.where(scope, 0.75, 2)
        if self.chance(0.12) and len(scope) == 1:
            return Query(f"SELECT {self.one('*', f'{scope[0].alias}.*')} FROM {sql}{where}", False, "plain")
        sortable = self.chance(0.85)
        items = self.items(scope, self.random.randint(1, 4), sortable)
        if self.chance(0.15):
            other, inner = self.from_clause(1, 0)
            mine, kind = self.any_column(inner)
            outer = self.column(scope, kind)
            items.append((f"(SELECT count(*) FROM {other}{f' WHERE {mine} = {outer}' if outer else ''})", "int"))
        distinct = "DISTINCT " if sortable and self.chance(0.2) else ""
        tail, ordered = self.tail(len(items)) if sortable else ("", False)
        return Query(f"SELECT {distinct}{', '.join(text for text, _ in items)} FROM {sql}{where}{tail}", ordered, "plain")

    def aggregate(self, scope: Scope) -> str:
        number = self.column(scope, self.one("int", "numeric", "int", "float")) or "1"
        whole = self.column(scope, "int") or "1"
        exact = self.column(scope, "numeric") or whole
        name, kind = self.any_column(scope)
        if self.chance(0.1):
            return f"{self.one('bool_or', 'every', 'bool_and')}({self.predicate(scope, 0)})"
        options = ["count(*)", f"count({name})", f"count(DISTINCT {name})", f"sum({number})", f"min({number})",
                   f"max({number})", f"avg({number})", f"sum(DISTINCT {number})", f"avg(DISTINCT {number})",
                   f"array_agg({number} ORDER BY {number})", f"stddev({exact})", f"var_pop({whole})",
                   f"bit_and({whole})", f"bit_or({whole})", f"bit_xor({whole})", f"json_agg({whole} ORDER BY {whole})",
                   f"percentile_disc(0.25) WITHIN GROUP (ORDER BY {whole})", f"mode() WITHIN GROUP (ORDER BY {whole})",
                   f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {whole})", f"rank(3) WITHIN GROUP (ORDER BY {whole})",
                   f"regr_count({whole}, {exact})", f"percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY {whole} DESC)",
                   f"string_agg(DISTINCT {whole}::text, '/')", f"jsonb_agg(DISTINCT {whole})"]  # fmt: skip
        if kind != "bytea":
            options.append(f"string_agg({name}::text, ',' ORDER BY {name}::text)")
        if kind not in ("bool", "jsonb", "uuid", "bytea", "timetz", "ints", "texts"):
            options += [f"min({name})", f"max({name})"]
        text = self.one(*options)
        return f"{text} FILTER (WHERE {self.predicate(scope, 0)})" if self.chance(0.2) else text

    def grouped(self) -> Query:
        sql, scope = self.from_clause(self.random.choice((1, 1, 2)), 1)
        where = self.where(scope, 0.5)
        aggregates = [self.aggregate(scope) for _ in range(self.random.randint(1, 3))]
        saved, self.params = self.params, None  # two parameters are two expressions to GROUP BY
        keys = []
        for _ in range(self.random.choice((0, 1, 1, 1, 2))):
            name, kind = self.any_column(scope)
            keys.append(name if self.chance(0.7) or kind != "int" else f"({name} % 3)")
        self.params = saved
        group = f" GROUP BY {', '.join(str(at + 1) if self.chance(0.2) else key for at, key in enumerate(keys))}" if keys else ""
        first = f"{scope[0].alias}.{scope[0].columns[0][0]}"
        tests = ("count(*) > 1", "count(*) < 4", f"max({first}) IS NOT NULL", f"sum({first}) > 5 OR count(*) = 1")
        having = f" HAVING {self.one(*tests)}" if self.chance(0.25) and scope[0].columns[0][1] == "int" else ""
        items = [*keys, *aggregates]
        sortable = not any(text.startswith("json_agg") for text in aggregates)
        tail, ordered = self.tail(len(items)) if sortable else ("", False)
        return Query(f"SELECT {', '.join(items)} FROM {sql}{where}{group}{having}{tail}", ordered, "grouped")

    def set_operation(self) -> Query:
        kinds = [self.one("int", "text", "date", "uuid", "bool", "ints") for _ in range(self.random.randint(1, 3))]
        parts = [self._part(kinds) for _ in range(self.random.choice((2, 2, 3)))]
        text = parts[0]
        for part in parts[1:]:
            word = self.one(*SET_WORDS)
            text = f"{text} {word} {part}" if self.chance(0.7) else f"({text}) {word} ({part})"
        tail, ordered = self.tail(len(kinds))
        return Query(text + tail, ordered, "set operation")

    def _part(self, kinds: list[str]) -> str:
        if self.chance(0.1):
            return f"VALUES ({', '.join(self.literal(kind) for kind in kinds)}), ({', '.join(self.literal(kind) for kind in kinds)})"
        sql, scope = self.from_clause(1, 1)
        return f"SELECT {', '.join(self.expression(kind, scope, 1) for kind in kinds)} FROM {sql}{self.where(scope, 0.6)}"

    def with_query(self) -> Query:
        sql, scope = self.from_clause(self.random.choice((1, 2)), 1)
        items = self.items(scope, 2, True)
        columns = [(f"c{at}", kind) for at, (_, kind) in enumerate(items)]
        named = ", ".join(f"{text} AS c{at}" for at, (text, _) in enumerate(items))
        how = self.one("", "", "MATERIALIZED ", "NOT MATERIALIZED ")
        cte = f"WITH q AS {how}(SELECT {named} FROM {sql})"
        alias, other = self.alias(), self.alias()
        one, two = Source(alias, columns), Source(other, columns)
        if self.chance(0.4):
            tail, ordered = self.tail(2)
            text = f"{cte} SELECT {alias}.c0, {alias}.c1 FROM q {alias}{self.where([one], 0.9)}{tail}"
            return Query(text, ordered, "with")
        if self.chance(0.3):
            again = f", r AS (SELECT c0 FROM q WHERE {self.predicate([Source('q', columns)], 0)})"
            text = f"{cte}{again} SELECT count(*), (SELECT count(*) FROM r) FROM q {alias} WHERE {alias}.c0 IN (SELECT c0 FROM r)"
            return Query(text, True, "with")
        where = self.where([one, two], 0.9)
        return Query(f"{cte} SELECT count(*) FROM q {alias} JOIN q AS {other} ON {alias}.c0 = {other}.c0{where}", True, "with")
