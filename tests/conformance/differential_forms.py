"""More forms of random queries: windows, grouping sets, FETCH ... WITH TIES, DISTINCT ON, recursion, locks, sets.

As everywhere in the differential test, two right answers must not be able to differ: either a window's function treats
peers alike over a frame that ends between peer groups, or its order leaves only equal rows as peers.
"""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from differential_expressions import Scope, Source, shown
from differential_queries import SIDES, Queries, Query
from differential_schema import UNSORTABLE


class Forms(Queries):
    def query(self) -> Query:
        return self.random.choices(
            (self.plain, self.grouped, self.set_operation, self.with_query, self.windowed, self.ranked, self.rolled_up,
             self.with_ties, self.distinct_on, self.recursive, self.locking, self.expanded, self.whole),
            (32, 14, 10, 9, 9, 7, 6, 4, 3, 3, 2, 3, 2),
        )[0]()  # fmt: skip

    def _frame(self, ordered: bool) -> str:
        if not ordered or self.chance(0.4):
            return self.one("", "", " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING")
        start = self.one("UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW")
        end = self.one("CURRENT ROW", "1 FOLLOWING", "3 FOLLOWING", "UNBOUNDED FOLLOWING")
        return f" GROUPS BETWEEN {start} AND {end}{self.one('', '', ' EXCLUDE GROUP', ' EXCLUDE NO OTHERS')}"

    def _window(self, scope: Scope) -> str:
        partition = [self.any_column(scope)[0] for _ in range(self.random.choice((0, 0, 1, 1, 2)))]
        order = [self.any_column(scope)[0] + self.one(*SIDES) for _ in range(self.random.choice((0, 1, 1, 2)))]
        text = f"PARTITION BY {', '.join(partition)}" if partition else ""
        if self.chance(0.15):
            return f"({text} {self._distance(scope)})"
        if order:
            text += f" ORDER BY {', '.join(order)}"
        return f"({text.strip()}{self._frame(bool(order))})"

    def _distance(self, scope: Scope) -> str:
        """A frame by how far values lie from each other."""
        kind = self.one("int", "numeric", "float", "date", "timestamp", "timestamptz", "interval")
        name = self.column(scope, kind)
        if name is None:
            return "ORDER BY 1"
        step = self.one("1", "2.5", "10") if kind in ("numeric", "float") else "2" if kind == "int" else "'40 days'"
        bounds = (f"{step} PRECEDING", "CURRENT ROW", f"{step} FOLLOWING", "UNBOUNDED FOLLOWING")
        start = self.random.randint(0, 2)
        order = f"ORDER BY {name}{self.one('', ' DESC', ' NULLS FIRST')}"
        return f"{order} RANGE BETWEEN {bounds[start]} AND {self.one(*bounds[start:])}{self.one('', ' EXCLUDE GROUP')}"

    def _call(self, scope: Scope) -> str:
        number = self.column(scope, self.one("int", "numeric")) or "1"
        name, _ = self.any_column(scope)
        return self.pick(
            lambda: self.one("rank()", "dense_rank()", "percent_rank()", "cume_dist()", "count(*)"), lambda: f"count({name})",
            lambda: f"{self.one('sum', 'avg', 'min', 'max', 'stddev')}({number})", lambda: f"bool_or({number} > 1)",
            lambda: f"count(*) FILTER (WHERE {self.predicate(scope, 0)})",
        )  # fmt: skip

    def windowed(self) -> Query:
        sql, scope = self.from_clause(self.random.choice((1, 1, 2)), 1)
        where = self.where(scope, 0.5)
        saved, self.params = self.params, None  # what a parameter is beside OVER is another story
        columns = [self.any_column(scope)[0] for _ in range(self.random.randint(1, 2))]
        named, window = self.chance(0.3), self._window(scope)
        calls = []
        for _ in range(self.random.randint(1, 3)):
            over = "w" if named else window if self.chance(0.5) else self._window(scope)
            calls.append(f"{self._call(scope)} OVER {over}")
        self.params = saved
        tail, ordered = self.tail(len(columns) + len(calls))
        definition = f" WINDOW w AS {window}" if named else ""
        return Query(f"SELECT {', '.join([*columns, *calls])} FROM {sql}{where}{definition}{tail}", ordered, "window")

    def ranked(self) -> Query:
        """Functions of single rows, in an order by all columns."""
        table, alias = self.random.choice(self.tables), self.alias()
        source = shown(table, alias)
        names = [f"{alias}.{name}{'::text' if kind in UNSORTABLE else ''}" for name, kind in source.columns]
        self.random.shuffle(names)
        order = ", ".join(name + self.one(*SIDES) for name in names)
        partition = f"PARTITION BY {self.any_column([source])[0]} " if self.chance(0.5) else ""
        frame = self.one("", "", " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING", " ROWS UNBOUNDED PRECEDING",
                         " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
                         " ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW")  # fmt: skip
        name, _ = self.any_column([source])
        number = self.column([source], "int")
        calls = [self.one("row_number()", "ntile(3)", f"lag({name})", f"lead({name}, 2)", f"first_value({name})",
                          f"last_value({name})", f"nth_value({name}, 2)", f"sum({number})", f"lag({number}, 1, 0)",
                          f"array_agg({number})", "count(*)", f"max({number})") for _ in range(2)]  # fmt: skip
        where = self.where([source], 0.5)
        return Query(f"SELECT {names[0]}, {calls[0]} OVER w, {calls[1]} OVER w FROM {table.name} {alias}{where} WINDOW w AS ({partition}ORDER BY {order}{frame})", False, "rows of a window")

    def rolled_up(self) -> Query:
        """Ordered only without a condition: PostgreSQL before 18 leaves columns out of ORDER BY that a condition makes
        constant or equal to another, even where a grouping set leaves them out."""
        joined = self.chance(0.35)
        sql, scope = self.from_clause(2 if joined else 1, 1)
        where = self.where(scope, 0.5)
        saved, self.params = self.params, None
        keys = list(dict.fromkeys(self.any_column(scope)[0] for _ in range(self.random.randint(1, 3))))
        number = self.column(scope, "int") or "1"
        listed = ", ".join(keys)
        group = self.one(
            f"ROLLUP ({listed})", f"CUBE ({listed})", f"GROUPING SETS (({listed}), ())", f"{keys[0]}, ROLLUP ({listed})",
            f"GROUPING SETS ({listed}, ROLLUP ({listed}))", f"DISTINCT ROLLUP ({listed}), CUBE ({keys[0]})",
        )  # fmt: skip
        items = [*keys, "count(*)", f"sum({number})", f"grouping({listed})"]
        if self.chance(0.4):
            items.append(self.one(f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {number})", f"count(DISTINCT {number})",
                                  f"array_agg({number} ORDER BY {number} DESC)"))  # fmt: skip
        having = f" HAVING count(*) {self.one('> 1', '< 5')}" if self.chance(0.3) else ""
        self.params = saved
        tail, ordered = ("", False) if joined or where else self.tail(len(items))
        return Query(f"SELECT {', '.join(items)} FROM {sql}{where} GROUP BY {group}{having}{tail}", ordered, "grouping sets")

    def with_ties(self) -> Query:
        sql, scope = self.from_clause(self.random.choice((1, 2)), 1)
        where = self.where(scope, 0.5)
        column = self.any_column(scope)[0]
        text = f"SELECT {column} FROM {sql}{where} ORDER BY 1{self.one(*SIDES)} OFFSET {self.one('0', '0', '1', '3')}"
        return Query(f"{text} FETCH FIRST {self.random.choice((0, 1, 2, 3, 5))} ROWS WITH TIES", True, "with ties")

    def distinct_on(self) -> Query:
        """Ordered by all that is chosen."""
        sql, scope = self.from_clause(self.random.choice((1, 1, 2)), 1)
        names = [self.any_column(scope)[0] for _ in range(3)]
        on = names[: self.random.randint(1, 2)]
        order = ", ".join(name + self.one(*SIDES) for name in names)
        limit = f" LIMIT {self.random.randint(1, 4)}" if self.chance(0.3) else ""
        text = f"SELECT DISTINCT ON ({', '.join(on)}) {', '.join(names)} FROM {sql}{self.where(scope, 0.5)} ORDER BY {order}{limit}"
        return Query(text, False, "distinct on")

    def recursive(self) -> Query:
        table = self.random.choice(self.tables)
        depth, word = self.random.randint(2, 6), self.one("UNION", "UNION ALL")
        child = next((column.name for column in table.columns if column.refers is not None), "id")
        start = self.predicate([shown(table, "s")], 0)
        return Query(self.pick(
            lambda: f"WITH RECURSIVE r(n, z) AS (SELECT 1, {self.random.randint(0, 5)}::bigint {word} SELECT n + 1, z * 2 + n FROM r WHERE n < {depth}) SELECT r.n, r.z, t.id FROM r LEFT JOIN {table.name} t ON t.id = r.n",
            lambda: f"WITH RECURSIVE r AS (SELECT s.id::bigint AS id, 0 AS level FROM {table.name} s WHERE {start} {word} SELECT t.{child}::bigint + 1, r.level + 1 FROM r JOIN {table.name} t ON t.id = r.id WHERE r.level < {depth}) SELECT level, count(*), min(id), max(id) FROM r GROUP BY level",
            lambda: f"WITH RECURSIVE r(n) AS (VALUES (1), (2) UNION SELECT (n * 3) % 11 FROM r) SEARCH {self.one('DEPTH', 'BREADTH')} FIRST BY n SET o CYCLE n SET c USING p SELECT n, c FROM r",
        ), False, "recursive")  # fmt: skip

    def locking(self) -> Query:
        table, alias = self.random.choice([one for one in self.tables if not one.shows]), self.alias()
        source = shown(table, alias)
        text = f"SELECT {self.any_column([source])[0]}, {alias}.id FROM {table.name} {alias}{self.where([source], 0.8)}"
        return Query(f"{text} FOR {self.one('UPDATE', 'KEY SHARE')}{self.one('', f' OF {alias}')}", False, "locking")

    def expanded(self) -> Query:
        """Functions that return sets, in the select list."""
        sql, scope = self.from_clause(1, 1)
        name, _ = self.any_column(scope)
        call = self.pick(
            lambda: f"unnest({self.expression('ints', scope, 1)})", lambda: f"generate_series(1, {self.random.randint(0, 3)})",
            lambda: "jsonb_array_elements_text('[1, \"b\", null]')", lambda: f"regexp_split_to_table({self.expression('text', scope, 0)}, 'a')",
            lambda: f"string_to_table({self.expression('text', scope, 0)}, ' ')",
        )  # fmt: skip
        more = self.one("", "", ", generate_series(1, 2)")
        return Query(f"SELECT {name}, {call}{more} FROM {sql}{self.where(scope, 0.5)}", False, "sets")

    def whole(self) -> Query:
        """TABLE, VALUES, NATURAL JOIN, an alias that renames columns."""
        one, two = self.random.choice(self.tables), self.random.choice(self.tables)
        renamed = Source("q", [("first", one.columns[0].kind), *[(c.name, c.kind) for c in one.columns[1:]]])
        sql = self.pick(
            lambda: f"TABLE {one.name}",
            lambda: f"VALUES ({self.literal('int')}, {self.literal('text')}), ({self.literal('int')}, NULL), ({self.literal('int')}, 'z') ORDER BY 1, 2",
            lambda: f"SELECT count(*) FROM {one.name} NATURAL {self.one('', 'LEFT ')}JOIN (SELECT id FROM {two.name}) x",
            lambda: f"SELECT q.first, count(*) FROM {one.name} AS q(first){self.where([renamed], 0.7)} GROUP BY first",
            lambda: f"SELECT j.id FROM {one.name} JOIN {two.name} USING (id) AS j",
            lambda: f"SELECT q FROM (SELECT id, {one.columns[1].name} FROM {one.name}) q" if one.columns[1].kind != "json" else f"TABLE {two.name}",
        )  # fmt: skip
        return Query(sql, False, "whole")
