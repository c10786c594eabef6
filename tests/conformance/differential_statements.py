"""Random schemas, rows and statements for the differential test: the same seed makes the same statements.

A random statement is of use only if two right answers to it cannot differ. So: no function of the clock or of chance,
floating point values whose sums are exact in any order, LIMIT only below an ORDER BY over every column, and what can
fail at run time only where every plan evaluates it for the same rows.
"""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from differential_forms import rolled_up, windowed, with_ties, written_with

# SQL type -> kind. The kind says which operators and literals fit.
TYPES = {
    "smallint": "int",
    "integer": "int",
    "bigint": "int",
    "numeric(10,2)": "numeric",
    "numeric(20,6)": "numeric",
    "real": "float",
    "double precision": "float",
    "boolean": "bool",
    "text": "text",
    "varchar(12)": "text",
    "char(6)": "text",
    "uuid": "uuid",
    "date": "date",
    "time": "time",
    "timetz": "timetz",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "interval": "interval",
    "bytea": "bytea",
    "json": "json",
    "jsonb": "jsonb",
}
KEY_TYPES = ("smallint", "integer", "bigint", "numeric(10,2)", "text", "varchar(12)", "uuid", "date", "timestamp",
             "timestamptz", "boolean", "char(6)", "double precision", "time")  # fmt: skip
VALUES = {
    "int": ["0", "1", "2", "3", "4", "5", "7", "10", "-1", "-3", "100", "32767"],
    "numeric": ["0", "0.5", "1.00", "1.5", "2.25", "-3.75", "10.10", "99.99", "1000"],
    "float": ["0", "0.5", "1", "1.25", "-2.5", "4", "1024", "-0.75"],
    "bool": ["true", "false"],
    "text": ["", "a", "ab", "abc", "b", "B", "ba", "x y", "a%b", "a_c", "Zoë", "10", "7", "it''s", "\\n"],
    "uuid": [f"00000000-0000-0000-0000-00000000000{digit}" for digit in "12345"] + ["fedcba98-7654-3210-fedc-ba9876543210"],
    "date": ["2024-01-01", "2024-02-29", "2024-03-01", "1999-12-31", "2030-07-15", "infinity", "0044-03-15 BC"],
    "time": ["00:00", "01:02:03", "12:30:00.5", "23:59:59.999999", "24:00"],
    "timetz": ["00:00+00", "01:02:03+02", "12:30:00.5-07:30", "10:00+00"],
    "timestamp": ["2024-01-01 00:00", "2024-02-29 12:34:56.789", "1999-12-31 23:59:59", "-infinity", "2030-01-01"],
    "timestamptz": ["2024-01-01 00:00+00", "2024-02-29 12:34:56.789+02", "1999-12-31 23:59:59-08", "infinity"],
    "interval": ["1 day", "2 hours", "1 month", "-3 days", "1 year 2 mons 3 days 04:05:06.7", "0"],
    "bytea": ["", "\\x00", "\\x01ff", "\\xdeadbeef", "abc"],
    "json": ['{"a": 1}', "[1, 2,  3]", "null", '"x"', '{"b":{"c":[true]},"a":1}'],
    "jsonb": ['{"a": 1}', "[1, 2, 3]", "null", '"x"', '{"b": {"c": [true]}, "a": 1.50}', "{}", "12", "false"],
}  # fmt: skip
CAST = {"int": "bigint", "numeric": "numeric", "float": "double precision", "bool": "boolean"}
UNSORTABLE = ("json",)


@dataclass(slots=True)
class Column:
    name: str
    type: str
    not_null: bool = False
    default: str | None = None

    @property
    def kind(self) -> str:
        return TYPES[self.type]


@dataclass(slots=True)
class Table:
    name: str
    columns: list[Column]
    key: list[str]
    unique: list[list[str]]
    indexes: list[list[str]]

    def create(self) -> str:
        parts = []
        for column in self.columns:
            text = f"{column.name} {column.type}"
            if column.not_null:
                text += " NOT NULL"
            if column.default is not None:
                text += f" DEFAULT {column.default}"
            parts.append(text)
        if self.key:
            parts.append(f"PRIMARY KEY ({', '.join(self.key)})")
        parts += [f"UNIQUE ({', '.join(names)})" for names in self.unique]
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"


@dataclass(slots=True)
class Step:
    """One statement. `ordered`: its rows come in one order only. `mode`: simple, text or binary (results of the
    extended protocol). `mutilated`: it lost a word; that both refuse it is enough, as they need not meet the same
    error first."""

    sql: str
    params: list[str | None] = field(default_factory=list)
    ordered: bool = False
    mode: str = "simple"
    mutilated: bool = False


@dataclass(slots=True)
class Source:
    """What a FROM item shows: its alias and its columns' names and kinds."""

    alias: str
    columns: list[tuple[str, str]]


Scope = list[Source]


class Generator:
    """Makes a schema, its rows, then statements over it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tables: list[Table] = []
        self.params: list[str | None] | None = None
        self.aliases = 0
        self.rows = 0

    # Schema and rows

    def schema(self, prefix: str) -> list[Table]:
        for number in range(self.random.randint(2, 4)):
            self.tables.append(self._table(f"{prefix}_t{number}"))
        return self.tables

    def _table(self, name: str) -> Table:
        random = self.random
        columns = [Column("id", random.choice(("integer", "bigint")))]
        names = ["k", "v", "w", "x", "y", "z", '"Mixed Case"', '"sélect"']
        for at in range(random.randint(3, 7)):
            type = random.choice(list(TYPES)) if at else random.choice(("integer", "text", "numeric(10,2)"))
            column = Column(names[at], type, random.random() < 0.15)
            if random.random() < 0.2:
                column.default = self._quoted(column.kind)
            columns.append(column)
        keyable = [column.name for column in columns[1:] if column.type in KEY_TYPES]
        shape = random.random()
        key = ["id"] if shape < 0.7 else []
        if shape >= 0.85 and keyable:
            key = ["id", random.choice(keyable)]
        unique = [["id", keyable[0]]] if keyable and random.random() < 0.3 else []
        indexes = [random.sample(keyable, min(len(keyable), random.choice((1, 1, 2))))
                   for _ in range(random.randint(0, 2)) if keyable]  # fmt: skip
        return Table(name, columns, key, unique, indexes)

    def filling(self, table: Table) -> list[Step]:
        steps = []
        for _ in range(2):
            rows = [f"({', '.join(self._row(table))})" for _ in range(self.random.randint(3, 12))]
            steps.append(Step(f"INSERT INTO {table.name} VALUES {', '.join(rows)}"))
        return steps

    def _row(self, table: Table) -> list[str]:
        cells = []
        for column in table.columns:
            if column.name == "id":
                self.rows += 1
                cells.append(str(self.rows if self.random.random() < 0.97 else self.random.randint(1, self.rows)))
            elif not column.not_null and column.name not in table.key and self.random.random() < 0.2:
                cells.append("NULL")
            else:
                cells.append(self.literal(column.kind, cast=False))
        return cells

    # Literals

    def _quoted(self, kind: str) -> str:
        value = self.random.choice(VALUES[kind])
        return value if kind in ("int", "numeric", "float", "bool") else f"'{value}'"

    def literal(self, kind: str, cast: bool = True) -> str:
        """A literal, or a parameter. cast: where its place does not say its type."""
        type = CAST.get(kind, kind)
        if self.params is not None and self.random.random() < 0.6:
            value = None if self.random.random() < 0.05 else self.random.choice(VALUES[kind]).replace("''", "'")
            self.params.append(value)
            name = f"${len(self.params)}"
            return f"{name}::{type}" if cast else name
        text = self._quoted(kind)
        if kind in ("int", "numeric", "float", "bool"):
            return f"({text})" if text.startswith("-") else text
        if not cast or (kind == "text" and self.random.random() < 0.5):
            return text
        return self.random.choice((f"{text}::{type}", f"CAST({text} AS {type})", f"{type} {text}"))

    # Expressions

    def column(self, scope: Scope, kind: str) -> str | None:
        found = [f"{source.alias}.{name}" for source in scope for name, kind_ in source.columns if kind_ == kind]
        return self.random.choice(found) if found else None

    def any_column(self, scope: Scope, sortable: bool = True) -> tuple[str, str]:
        found = [(f"{source.alias}.{name}", kind) for source in scope for name, kind in source.columns
                 if not (sortable and kind in UNSORTABLE)]  # fmt: skip
        return self.random.choice(found)

    def expression(self, kind: str, scope: Scope, depth: int = 2) -> str:
        random = self.random
        if depth <= 0 or random.random() < 0.35:
            column = self.column(scope, kind)
            return column if column is not None and random.random() < 0.85 else self.literal(kind)
        if random.random() < 0.2:
            return self._generic(kind, scope, depth - 1)
        made = getattr(self, f"_{kind}", None)
        return made(scope, depth - 1) if made is not None else self._generic(kind, scope, depth - 1)

    def _generic(self, kind: str, scope: Scope, depth: int) -> str:
        one, two = self.expression(kind, scope, depth), self.expression(kind, scope, depth)
        choice = self.random.randint(0, 4 if kind != "json" else 2)
        if choice == 0:
            return f"coalesce({one}, {two})"
        if choice == 1:
            return f"CASE WHEN {self.predicate(scope, depth)} THEN {one} ELSE {two} END"
        if choice == 2:
            return f"CASE WHEN {self.predicate(scope, depth)} THEN {one} END"
        if choice == 3:
            return f"nullif({one}, {two})"
        if kind in ("bool", "bytea", "jsonb", "uuid"):
            return f"CASE {one} WHEN {two} THEN {one} ELSE {two} END"
        return f"{self.random.choice(('greatest', 'least'))}({one}, {two})"

    def _int(self, scope: Scope, depth: int) -> str:
        one, two = self.expression("int", scope, depth), self.expression("int", scope, depth)
        text = self.expression("text", scope, depth)
        return self.random.choice((
            f"({one}::bigint + {two})", f"({one}::bigint - {two})", f"({one}::numeric * {two})::numeric(30)::text::numeric",
            f"abs({one}::bigint)", f"length({text})", f"({one} % 7)", f"({one} / 3)", f"(- {one}::bigint)",
            f"round({self.expression('numeric', scope, depth)})::bigint", f"sign({one})::integer", f"({one} & 15)",
            f"position('a' in {text})", f"ascii({text})", f"octet_length({text})", f"mod({one}, 5)",
        )) if not self._has_numeric_int(one, two) else f"coalesce({one}, 0)"  # fmt: skip

    @staticmethod
    def _has_numeric_int(*parts: str) -> bool:
        return any("numeric(30)" in part for part in parts)

    def _numeric(self, scope: Scope, depth: int) -> str:
        one, two = self.expression("numeric", scope, depth), self.expression("numeric", scope, depth)
        return self.random.choice((
            f"({one} + {two})", f"({one} - {two})", f"({one} * 2)", f"({one} / 4)", f"round({one}, 1)", f"trunc({one})",
            f"abs({one})", f"ceil({one})", f"floor({one})", f"{self.column(scope, 'int') or '5'}::numeric", f"({one} % 3)",
            f"({one} + {self.column(scope, 'int') or '5'})", f"CAST({one} AS numeric(24,3))", f"(- {one})",
        ))  # fmt: skip

    def _float(self, scope: Scope, depth: int) -> str:
        one = self.expression("float", scope, depth)
        return self.random.choice((
            f"({one} + 1.5)", f"({one} * 2)", f"({one} - {self.column(scope, 'int') or '2'})", f"abs({one})",
            f"({one} / 4)", f"floor({one})", f"{self.column(scope, 'numeric') or '1.5'}::double precision", f"round({one})",
        ))  # fmt: skip

    def _text(self, scope: Scope, depth: int) -> str:
        one, two = self.expression("text", scope, depth), self.expression("text", scope, depth)
        other, kind = self.any_column(scope, sortable=False)
        return self.random.choice((
            f"({one} || {two})", f"upper({one})", f"lower({one})", f"substr({one}, 1, 2)", f"left({one}, 2)",
            f"right({one}, 1)", f"trim({one})", f"replace({one}, 'a', 'zz')", f"({other})::text" if kind != "bytea" else one,
            f"concat({one}, '-', {two})", f"lpad({one}, 5, '*')", f"repeat({one}, 2)", f"reverse({one})",
            f"substring({one} from 2 for 1)", f"split_part({one}, ' ', 1)", f"CAST({one} AS varchar(3))", f"initcap({one})",
            f"translate({one}, 'ab', 'xy')", f"md5({one})", f"concat_ws(',', {one}, {two})", f"ltrim({one}, 'a')",
            f"'<' || {self.column(scope, 'int') or 1}", f"CAST({one} AS char(4))", f"quote_literal({one})",
        ))  # fmt: skip

    def _bool(self, scope: Scope, depth: int) -> str:
        return f"({self.predicate(scope, depth)})"

    def _date(self, scope: Scope, depth: int) -> str:
        one = self.expression("date", scope, depth)
        return self.random.choice((f"({one} + 3)", f"({one} - 1)", f"{self.column(scope, 'timestamp') or one}::date"))

    def _timestamp(self, scope: Scope, depth: int) -> str:
        one = self.expression("timestamp", scope, depth)
        return self.random.choice((
            f"({one} + interval '1 month')", f"date_trunc('month', {one})", f"({one} - interval '2 hours')",
            f"{self.column(scope, 'date') or one}::timestamp",
            f"({self.column(scope, 'timestamptz') or one} AT TIME ZONE 'UTC')" if self.column(scope, "timestamptz") else one,
        ))  # fmt: skip

    def _timestamptz(self, scope: Scope, depth: int) -> str:
        one = self.expression("timestamptz", scope, depth)
        return self.random.choice((f"({one} + interval '1 day')", f"date_trunc('day', {one})"))

    def _interval(self, scope: Scope, depth: int) -> str:
        one, two = self.expression("interval", scope, depth), self.expression("interval", scope, depth)
        return self.random.choice((f"({one} + {two})", f"({one} * 2)", f"({one} - {two})", f"(- {one})"))

    def _jsonb(self, scope: Scope, depth: int) -> str:
        one = self.expression("jsonb", scope, depth)
        return self.random.choice((
            f"({one} -> 'a')", f"to_jsonb({self.column(scope, 'int') or 1})", f"({one} #> '{{b,c}}')", f"({one} -> 0)",
            f"jsonb_build_object('q', {self.column(scope, 'text') or 1})", f"jsonb_build_array({one}, 1, 'z')",
        ))  # fmt: skip

    # Predicates

    def predicate(self, scope: Scope, depth: int = 2) -> str:
        random = self.random
        name, kind = self.any_column(scope)
        chance = random.random()
        if depth > 0 and chance < 0.25:
            one, two = self.predicate(scope, depth - 1), self.predicate(scope, depth - 1)
            return random.choice((f"({one} AND {two})", f"({one} OR {two})", f"NOT ({one})", f"({one}) IS NOT TRUE"))
        if depth > 0 and chance < 0.40:
            return self._with_subquery(scope, depth - 1)
        if chance < 0.46:
            return f"{name} IS {random.choice(('', 'NOT '))}NULL"
        if chance < 0.52 and kind != "jsonb":
            return f"{name} {random.choice(('', 'NOT '))}BETWEEN {self.literal(kind, False)} AND {self.literal(kind, False)}"
        if chance < 0.60:
            items = ", ".join(self.literal(kind, False) if random.random() < 0.93 else "NULL" for _ in range(random.randint(1, 4)))
            return f"{name} {random.choice(('', '', 'NOT '))}IN ({items})"
        if chance < 0.66:
            text = self.expression("text", scope, 1)
            pattern = random.choice(("a%", "%b", "_", "%a%", "a\\%b", "", "%", "__%"))
            return f"{text} {random.choice(('LIKE', 'NOT LIKE', 'ILIKE'))} '{pattern}'"
        if chance < 0.70:
            return f"{name} IS {random.choice(('', 'NOT '))}DISTINCT FROM {self.expression(kind, scope, 1)}"
        if chance < 0.74:
            return self.expression("bool", scope, 0)
        if chance < 0.78:
            other, kind2 = self.any_column(scope)
            return f"({name}, {other}) {random.choice(('=', '<', '>=', '<>'))} ({self.literal(kind)}, {self.literal(kind2)})"
        if chance < 0.81 and kind in ("int", "text", "numeric"):
            type = CAST.get(kind, kind)
            return f"{name} {random.choice(('= ANY', '<> ALL', '< ANY'))} (ARRAY[{self.literal(kind)}, {self.literal(kind)}]::{type}[])"
        right = self.literal(kind, False) if random.random() < 0.5 else self.expression(kind, scope, depth - 1)
        return f"{name} {random.choice(('=', '=', '<>', '<', '<=', '>', '>='))} {right}"

    def _with_subquery(self, scope: Scope, depth: int) -> str:
        random = self.random
        sql, inner = self.from_clause(random.choice((1, 1, 2)), depth)
        where = [self.predicate(inner, depth)] if random.random() < 0.6 else []
        if random.random() < 0.6:
            mine, kind = self.any_column(inner)
            outer = self.column(scope, kind)
            if outer is not None:
                where.append(f"{mine} {random.choice(('=', '=', '<', '<>'))} {outer}")
        tail = f" FROM {sql}" + (f" WHERE {' AND '.join(where)}" if where else "")
        shape = random.random()
        if shape < 0.4:
            return f"{random.choice(('', 'NOT '))}EXISTS (SELECT {random.choice(('1', '*'))}{tail})"
        mine, kind = self.any_column(inner)
        if shape < 0.75:
            return f"{self.expression(kind, scope, 1)} {random.choice(('', '', 'NOT '))}IN (SELECT {mine}{tail})"
        if shape < 0.85 and kind != "bool":
            return f"{self.expression(kind, scope, 1)} {random.choice(('= ANY', '< ALL', '>= ANY'))} (SELECT {mine}{tail})"
        number = self.column(inner, "int")
        return f"{self.expression('int', scope, 1)} {random.choice(('=', '<', '>'))} (SELECT {random.choice(('count(*)', f'max({number})', f'min({number})'))}{tail})"

    # FROM

    def alias(self) -> str:
        self.aliases += 1
        return f"a{self.aliases}"

    def source(self, depth: int) -> tuple[str, Source]:
        random = self.random
        alias = self.alias()
        if depth > 0 and random.random() < 0.12:
            sql, inner = self.from_clause(1, 0)
            columns = [self.any_column(inner, sortable=False) for _ in range(random.randint(1, 3))]
            columns.append(("", "int"))
            items = [f"{text} AS c{at}" for at, (text, _) in enumerate(columns[:-1])]
            items.append(f"{self.expression('int', inner, 1)}::bigint AS c{len(columns) - 1}")
            where = f" WHERE {self.predicate(inner, 1)}" if random.random() < 0.5 else ""
            return (
                f"(SELECT {', '.join(items)} FROM {sql}{where}) {alias}",
                Source(alias, [(f"c{at}", kind) for at, (_, kind) in enumerate(columns)]),
            )
        if depth > 0 and random.random() < 0.05:
            return f"generate_series(1, {random.randint(0, 6)}) AS {alias}(n)", Source(alias, [("n", "int")])
        if depth > 0 and random.random() < 0.05:
            rows = ", ".join(f"({random.randint(0, 5)}, {self.literal('text')})" for _ in range(random.randint(1, 4)))
            return f"(VALUES {rows}) AS {alias}(p, q)", Source(alias, [("p", "int"), ("q", "text")])
        table = random.choice(self.tables)
        return f"{table.name} {random.choice(('', 'AS '))}{alias}", self.shown(table, alias)

    @staticmethod
    def shown(table: Table, alias: str) -> Source:
        return Source(alias, [(column.name, column.kind) for column in table.columns])

    def from_clause(self, count: int, depth: int) -> tuple[str, Scope]:
        random = self.random
        sql, first = self.source(depth)
        scope = [first]
        for _ in range(count - 1):
            right, shown = self.source(depth)
            kind = random.choice(("JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"))
            if kind == "CROSS JOIN":
                sql += f" CROSS JOIN {right}"
            elif random.random() < 0.15 and all("id" in [name for name, _ in one.columns] for one in (first, shown)) and len(scope) == 1:
                sql += f" {kind} {right} USING (id)"
            else:
                mine, of_kind = self.any_column([shown])
                theirs = self.column(scope, of_kind) or self.literal(of_kind)
                condition = f"{mine} = {theirs}"
                if kind == "FULL JOIN" and not theirs.startswith("a"):
                    kind = "LEFT JOIN"  # PostgreSQL joins fully on equal columns only
                if kind != "FULL JOIN" and random.random() < 0.3:
                    condition += f" AND {self.predicate([*scope, shown], 0)}"
                sql += f" {kind} {right} ON {condition}"
            scope.append(shown)
        return sql, scope

    # Queries

    def items(self, scope: Scope, count: int, sortable: bool) -> list[tuple[str, str]]:
        made = []
        for _ in range(count):
            if self.random.random() < 0.5:
                made.append(self.any_column(scope, sortable))
            else:
                kinds = [kind for kind in VALUES if not (sortable and kind in UNSORTABLE)]
                kind = self.random.choice(kinds)
                made.append((self.expression(kind, scope, 2), kind))
        return made

    def query(self) -> tuple[str, bool]:
        """(a query, whether its rows have one order only)."""
        chance = self.random.random()
        if chance < 0.12:
            return self._set_operation()
        if chance < 0.30:
            return self._grouped()
        if chance < 0.38:
            return self._with()
        if chance < 0.58:
            form = self.random.choice((windowed, windowed, rolled_up, with_ties))
            return form(self)
        return self._plain()

    def tail(self, count: int) -> tuple[str, bool]:
        random = self.random
        if random.random() < 0.45:
            return "", False
        places = list(range(1, count + 1))
        random.shuffle(places)
        keys = ", ".join(f"{at}{random.choice(('', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'))}" for at in places)
        tail = f" ORDER BY {keys}"
        if random.random() < 0.5:
            tail += f" LIMIT {random.choice((0, 1, 2, 3, 5, 10))}"
        if random.random() < 0.25:
            tail += f" OFFSET {random.choice((0, 1, 2, 5, 1000))}"
        return tail, True

    def _plain(self) -> tuple[str, bool]:
        random = self.random
        sql, scope = self.from_clause(random.choice((1, 1, 2, 2, 3)), 2)
        where = f" WHERE {self.predicate(scope)}" if random.random() < 0.75 else ""
        if random.random() < 0.12 and len(scope) == 1:
            return f"SELECT * FROM {sql}{where}", False
        sortable = random.random() < 0.85
        items = self.items(scope, random.randint(1, 4), sortable)
        if random.random() < 0.15:
            sql_, inner = self.from_clause(1, 0)
            mine, kind = self.any_column(inner)
            outer = self.column(scope, kind)
            on = f" WHERE {mine} = {outer}" if outer else ""
            items.append((f"(SELECT count(*) FROM {sql_}{on})", "int"))
        distinct = "DISTINCT " if sortable and random.random() < 0.2 else ""
        tail, ordered = self.tail(len(items)) if sortable else ("", False)
        return f"SELECT {distinct}{', '.join(text for text, _ in items)} FROM {sql}{where}{tail}", ordered

    def _aggregate(self, scope: Scope) -> tuple[str, str]:
        random = self.random
        number = self.column(scope, random.choice(("int", "numeric", "int", "float"))) or "1"
        any_, kind = self.any_column(scope)
        word = "" if kind not in ("bool", "jsonb", "uuid", "bytea") else None
        options = ["count(*)", f"count({any_})", f"count(DISTINCT {any_})", f"sum({number})", f"min({number})",
                   f"max({number})", f"avg({number})", f"sum(DISTINCT {number})",
                   f"bool_or({self.predicate(scope, 0)})", f"bool_and({self.predicate(scope, 0)})",
                   f"string_agg({any_}::text, ',' ORDER BY {any_}::text)" if kind != "bytea" else "count(*)",
                   f"array_agg({number} ORDER BY {number})", f"avg(DISTINCT {number})"]  # fmt: skip
        if word is not None:
            options += [f"min({any_})", f"max({any_})"] if kind not in ("timetz",) else []
        text = random.choice(options)
        if random.random() < 0.2:
            text += f" FILTER (WHERE {self.predicate(scope, 0)})"
        return text, "any"

    def _grouped(self) -> tuple[str, bool]:
        random = self.random
        sql, scope = self.from_clause(random.choice((1, 1, 2)), 1)
        where = f" WHERE {self.predicate(scope, 1)}" if random.random() < 0.5 else ""
        aggregates = [self._aggregate(scope)[0] for _ in range(random.randint(1, 3))]
        saved, self.params = self.params, None  # two parameters are two expressions to GROUP BY
        keys = []
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            name, kind = self.any_column(scope)
            keys.append(name if random.random() < 0.7 or kind != "int" else f"({name} % 3)")
        self.params = saved
        group = ""
        if keys:
            places = [str(at + 1) if random.random() < 0.2 else key for at, key in enumerate(keys)]
            group = f" GROUP BY {', '.join(places)}"
        having = f" HAVING {random.choice(('count(*) > 1', 'count(*) < 4', f'max({scope[0].alias}.{scope[0].columns[0][0]}) IS NOT NULL'))}" if random.random() < 0.25 else ""
        items = [*keys, *aggregates]
        tail, ordered = self.tail(len(items))
        return f"SELECT {', '.join(items)} FROM {sql}{where}{group}{having}{tail}", ordered

    def _set_operation(self) -> tuple[str, bool]:
        random = self.random
        kinds = [random.choice(("int", "text", "date", "uuid", "bool")) for _ in range(random.randint(1, 3))]
        parts = []
        for _ in range(random.choice((2, 2, 3))):
            sql, scope = self.from_clause(1, 1)
            where = f" WHERE {self.predicate(scope, 1)}" if random.random() < 0.6 else ""
            parts.append(f"SELECT {', '.join(self.expression(kind, scope, 1) for kind in kinds)} FROM {sql}{where}")
        text = parts[0]
        for part in parts[1:]:
            word = random.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"))
            text = f"{text} {word} {part}" if random.random() < 0.7 else f"({text}) {word} ({part})"
        tail, ordered = self.tail(len(kinds))
        return text + tail, ordered

    def _with(self) -> tuple[str, bool]:
        random = self.random
        sql, scope = self.from_clause(random.choice((1, 2)), 1)
        items = [(name, kind) for name, kind in self.items(scope, 2, True)]
        columns = [(f"c{at}", kind) for at, (_, kind) in enumerate(items)]
        named = ", ".join(f"{text} AS c{at}" for at, (text, _) in enumerate(items))
        cte = f"WITH q AS {random.choice(('', 'MATERIALIZED '))}(SELECT {named} FROM {sql})"
        alias, other = self.alias(), self.alias()
        one, two = Source(alias, columns), Source(other, columns)
        if random.random() < 0.5:
            text = f"{cte} SELECT {alias}.c0, {alias}.c1 FROM q {alias} WHERE {self.predicate([one], 1)}"
            tail, ordered = self.tail(2)
            return text + tail, ordered
        text = f"{cte} SELECT count(*) FROM q {alias} JOIN q AS {other} ON {alias}.c0 = {other}.c0 WHERE {self.predicate([one, two], 1)}"
        return text, True

    # Writes

    def write(self) -> str:
        random = self.random
        table = random.choice(self.tables)
        chance = random.random()
        if chance < 0.06:
            return written_with(self, table)
        if chance < 0.27:
            text = self._insert(table)
        elif chance < 0.45:
            text = self._upsert(table)
        elif chance < 0.78:
            text = self._update(table)
        else:
            text = self._delete(table)
        if random.random() < 0.35:
            alias = table.name
            items = random.choice(("*", "*", ", ".join(text_ for text_, _ in self.items([self.shown(table, alias)], 2, False))))
            if " AS target" in text:
                items = items.replace(f"{alias}.", "target.")
            text += f" RETURNING {items}" if "USING" not in text and " FROM (" not in text else " RETURNING target.id"
        return text

    def _insert(self, table: Table) -> str:
        random = self.random
        if random.random() < 0.6:
            rows = ", ".join(f"({', '.join(self._row(table))})" for _ in range(random.randint(1, 4)))
            return f"INSERT INTO {table.name} VALUES {rows}"
        if random.random() < 0.3:
            self.rows += 1
            return f"INSERT INTO {table.name} (id) VALUES ({self.rows})"
        columns = [column for column in table.columns if random.random() < 0.7 and column.name != "id"]
        alias = self.alias()
        self.rows += 300
        scope = [self.shown(table, alias)]
        items = [f"{alias}.id + {self.rows}", *[self.column(scope, column.kind) or "NULL" for column in columns]]
        names = ["id", *[column.name for column in columns]]
        return (
            f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(items)} FROM {table.name} {alias} "
            f"WHERE {self.predicate(scope, 1)} AND {alias}.id < 40"
        )

    def _upsert(self, table: Table) -> str:
        random = self.random
        rows = []
        for _ in range(random.randint(1, 3)):
            cells = self._row(table)
            cells[0] = str(random.randint(1, 20))
            rows.append(f"({', '.join(cells)})")
        text = f"INSERT INTO {table.name} AS target VALUES {', '.join(rows)}"
        if not table.key or random.random() < 0.3:
            return text + " ON CONFLICT DO NOTHING"
        text += f" ON CONFLICT ({', '.join(table.key)})"
        if random.random() < 0.3:
            return text + " DO NOTHING"
        scope = [self.shown(table, "target"), self.shown(table, "excluded")]
        where = f" WHERE {self.predicate(scope, 0)}" if random.random() < 0.3 else ""
        return f"{text} DO UPDATE SET {self._settings(table, scope)}{where}"

    def _settings(self, table: Table, scope: Scope) -> str:
        settings = []
        for column in self.random.sample(table.columns[1:], self.random.choice((1, 1, 2))):
            if column.type in ("smallint", "varchar(12)", "char(6)", "real"):
                value = self.literal(column.kind, False)
            elif column.type == "integer":
                value = f"({self.column(scope, 'int')})"
            elif column.kind == "numeric":
                value = self.literal(column.kind, False)
            else:
                value = self.expression(column.kind, scope, 1) if self.random.random() < 0.7 else "DEFAULT"
            settings.append(f"{column.name} = {value}")
        return ", ".join(settings)

    def _update(self, table: Table) -> str:
        random = self.random
        shown = self.shown(table, "target")
        if random.random() < 0.2:
            other = random.choice(self.tables)
            source = f"(SELECT id, count(*) AS n FROM {other.name} GROUP BY id) source"
            return f"UPDATE {table.name} AS target SET {self._settings(table, [shown])} FROM {source} WHERE target.id = source.id AND {self.predicate([shown], 1)}"
        if random.random() < 0.1:
            return f"UPDATE {table.name} AS target SET id = id + {random.choice((0, 1000, 5000))} WHERE {self.predicate([shown], 0)}"
        return f"UPDATE {table.name} AS target SET {self._settings(table, [shown])} WHERE {self.predicate([shown], 1)}"

    def _delete(self, table: Table) -> str:
        shown = self.shown(table, "target")
        if self.random.random() < 0.25:
            other, alias = self.random.choice(self.tables), self.alias()
            return f"DELETE FROM {table.name} AS target USING {other.name} {alias} WHERE target.id = {alias}.id AND {self.predicate([shown, self.shown(other, alias)], 1)} AND target.id % 3 = 0"
        return f"DELETE FROM {table.name} AS target WHERE {self.predicate([shown], 1)} AND target.id % 4 = {self.random.randint(0, 3)}"

    # Steps

    def step(self, write: bool) -> Step:
        random = self.random
        mode = random.choice(("simple", "simple", "text", "binary"))
        self.params = [] if mode != "simple" and random.random() < 0.6 else None
        self.aliases = 0
        sql, ordered = (self.write(), False) if write else self.query()
        params, self.params = self.params or [], None
        return Step(sql, params, ordered, mode)

    def steps(self, count: int) -> list[Step]:
        """Queries and transactions, about `count` statements."""
        made: list[Step] = []
        random = self.random
        while len(made) < count:
            chance = random.random()
            if chance < 0.5:
                made.append(self.step(False))
            elif chance < 0.65:
                made.append(self.broken())
            elif chance < 0.75:
                made.append(self.step(True))
                made.append(self.everything())
            else:
                made.append(Step("BEGIN"))
                made += [self.step(random.random() < 0.6) for _ in range(random.randint(1, 6))]
                made.append(self.everything())
                made.append(Step(random.choice(("COMMIT", "COMMIT", "ROLLBACK"))))
                made.append(self.everything())
        return made

    def everything(self) -> Step:
        return Step(f"SELECT * FROM {self.random.choice(self.tables).name}", mode=self.random.choice(("simple", "binary")))

    def broken(self) -> Step:
        """A statement that is most likely wrong."""
        random = self.random
        table = random.choice(self.tables)
        step = self.step(random.random() < 0.3)
        words: Sequence[str] = step.sql.split(" ")
        if random.random() < 0.35:
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
        )), mode=random.choice(("simple", "text")))  # fmt: skip
