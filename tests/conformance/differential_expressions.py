"""Random expressions and predicates over what a FROM clause shows.

Two right answers must not be able to differ. So: no function of the clock or of chance, floating point values whose
sums are exact in any order, and what can fail at run time only where every plan evaluates it for the same rows.
"""

# ruff: noqa: E501 - templates of SQL read better unbroken

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from differential_schema import CAST, UNSORTABLE, Schemas, Table

PATTERNS = ("'^a'", "'b+'", "'[a-c]b'", "'^$'", "'a.*b'", "'(a|x) '", "'\\d+'")
DATE_FORMATS = ("'YYYY-MM-DD'", "'Dy, DD Mon'", "'IYYY-IW'", "'Q DDD'")
NUMBER_FORMATS = ("'999'", "'FM00000'", "'S9,999'")
ENCODINGS = ("'hex'", "'base64'", "'escape'")
OBJECTS = ('{"a": 1}', "[1]", "{}")
LIKE = ("a%", "%b", "_", "%a%", "a\\%b", "", "%", "__%")
COMPARED = ("=", "=", "<>", "<", "<=", ">", ">=")


@dataclass(slots=True)
class Source:
    """What a FROM item shows: its alias and its columns' names and kinds."""

    alias: str
    columns: list[tuple[str, str]]


Scope = list[Source]
Form = Callable[[], str]


def shown(table: Table, alias: str) -> Source:
    return Source(alias, [(column.name, column.kind) for column in table.columns])


class Expressions(Schemas):
    def column(self, scope: Scope, kind: str) -> str | None:
        found = [f"{source.alias}.{name}" for source in scope for name, kind_ in source.columns if kind_ == kind]
        return self.random.choice(found) if found else None

    def any_column(self, scope: Scope, sortable: bool = True) -> tuple[str, str]:
        found = [(f"{source.alias}.{name}", kind) for source in scope for name, kind in source.columns
                 if not (sortable and kind in UNSORTABLE)]  # fmt: skip
        return self.random.choice(found)

    def from_clause(self, count: int, depth: int) -> tuple[str, Scope]:
        """Of a subquery in an expression."""
        raise NotImplementedError

    def expression(self, kind: str, scope: Scope, depth: int = 2) -> str:
        if depth <= 0 or self.chance(0.35):
            column = self.column(scope, kind)
            return column if column is not None and self.chance(0.85) else self.literal(kind)
        made: Callable[[Scope, int], str] | None = getattr(self, f"_{kind}", None)
        if made is None or self.chance(0.2):
            return self._generic(kind, scope, depth - 1)
        return made(scope, depth - 1)

    def of(self, kind: str, scope: Scope, depth: int) -> Form:
        return lambda: self.expression(kind, scope, depth)

    def _generic(self, kind: str, scope: Scope, depth: int) -> str:
        one, test = self.of(kind, scope, depth), lambda: self.predicate(scope, depth)
        forms: list[Form] = [
            lambda: f"coalesce({one()}, {one()})",
            lambda: f"CASE WHEN {test()} THEN {one()} ELSE {one()} END",
            lambda: f"CASE WHEN {test()} THEN {one()} WHEN {test()} THEN {one()} END",
        ]
        if kind != "json":
            forms += [lambda: f"nullif({one()}, {one()})", lambda: self._simple_case(one)]
            forms.append(lambda: self._one_of_query(kind, scope))
        if kind not in ("bool", "bytea", "json", "jsonb", "uuid"):
            forms.append(lambda: f"{self.one('greatest', 'least')}({one()}, {one()})")
        return self.pick(*forms)

    @staticmethod
    def _simple_case(one: Form) -> str:
        first, second = one(), one()
        return f"CASE {first} WHEN {second} THEN {one()} ELSE {second} END"

    def _one_of_query(self, kind: str, scope: Scope) -> str:
        """A scalar subquery that has one row, or none."""
        sql, inner = self.from_clause(1, 0)
        mine = self.column(inner, kind)
        if mine is None:
            return self.literal(kind)
        where = f"{inner[0].alias}.{inner[0].columns[0][0]} = {self.column(scope, 'int') or 3}"
        if kind in ("bool", "jsonb", "uuid", "bytea", "ints", "texts", "timetz"):
            return f"(SELECT DISTINCT {mine} FROM {sql} WHERE {where} ORDER BY 1 LIMIT 1)"
        return f"(SELECT {self.one('max', 'min')}({mine}) FROM {sql} WHERE {where})"

    def _int(self, scope: Scope, depth: int) -> str:
        one, text, ints = (self.of(kind, scope, depth) for kind in ("int", "text", "ints"))
        day, when = self.of("date", scope, 0), self.column(scope, "timestamp")
        return self.pick(
            lambda: f"({one()}::bigint + {one()})", lambda: f"({one()}::bigint - {one()})",
            lambda: f"(({one()} % 100)::bigint * 7)", lambda: f"abs({one()}::bigint)", lambda: f"length({text()})",
            lambda: f"({one()} % 7)", lambda: f"({one()} / 3)", lambda: f"(- {one()}::bigint)",
            lambda: f"round({self.expression('numeric', scope, 0)})::bigint", lambda: f"sign({one()})::integer",
            lambda: f"({one()} & 15)", lambda: f"({one()} | 3)", lambda: f"({one()} # 5)", lambda: f"(~ {one()})",
            lambda: f"position('a' in {text()})", lambda: f"ascii({text()})", lambda: f"octet_length({text()})",
            lambda: f"mod({one()}, 5)", lambda: f"strpos({text()}, 'b')", lambda: f"bit_length({text()})",
            lambda: f"coalesce(array_length({ints()}, 1), 0)", lambda: f"cardinality({ints()})",
            lambda: f"({ints()})[{self.random.randint(0, 3)}]", lambda: f"array_position({ints()}, 1)",
            lambda: f"extract({self.one('month', 'day', 'dow', 'doy')} FROM {day()})::integer",
            lambda: f"date_part('hour', {when})::integer" if when else one(),
            lambda: f"gcd({one()}::bigint, 12)", lambda: f"width_bucket({one()}, 0, 10, 5)",
            lambda: f"num_nonnulls({one()}, {text()})", lambda: f"regexp_count({text()}, 'a')",
            lambda: f"(SELECT count(*) FROM unnest({ints()}))",
        )  # fmt: skip

    def _numeric(self, scope: Scope, depth: int) -> str:
        one = self.of("numeric", scope, depth)
        return self.pick(
            lambda: f"({one()} + {one()})", lambda: f"({one()} - {one()})", lambda: f"({one()} * 2)",
            lambda: f"({one()} / 4)", lambda: f"round({one()}, 1)", lambda: f"trunc({one()})", lambda: f"abs({one()})",
            lambda: f"ceil({one()})", lambda: f"floor({one()})", lambda: f"{self.column(scope, 'int') or '5'}::numeric",
            lambda: f"({one()} % 3)", lambda: f"({one()} + {self.column(scope, 'int') or '5'})",
            lambda: f"CAST({one()} AS numeric(24,3))", lambda: f"(- {one()})", lambda: f"div({one()}, 3)",
            lambda: f"sqrt(abs({one()}))", lambda: f"(({one()} % 10) ^ 2)", lambda: f"trim_scale({one()})",
            lambda: f"extract(epoch FROM {self.expression('interval', scope, 0)})", lambda: f"scale({one()})::numeric",
            lambda: f"trunc({one()}, -1)", lambda: f"exp({one()} % 3)",
        )  # fmt: skip

    def _float(self, scope: Scope, depth: int) -> str:
        one = self.of("float", scope, depth)
        return self.pick(
            lambda: f"({one()} + 1.5)", lambda: f"({one()} * 2)", lambda: f"({one()} - {self.column(scope, 'int') or '2'})",
            lambda: f"abs({one()})", lambda: f"({one()} / 4)", lambda: f"floor({one()})", lambda: f"round({one()})",
            lambda: f"{self.column(scope, 'numeric') or '1.5'}::double precision", lambda: f"sqrt(abs({one()}))",
            lambda: f"sign({one()})",
        )  # fmt: skip

    def _text(self, scope: Scope, depth: int) -> str:
        one, number = self.of("text", scope, depth), self.of("int", scope, 0)
        other, kind = self.any_column(scope, sortable=False)
        return self.pick(
            lambda: f"({one()} || {one()})", lambda: f"upper({one()})", lambda: f"lower({one()})",
            lambda: f"substr({one()}, 1, 2)", lambda: f"left({one()}, {self.one('2', '-1', '0')})",
            lambda: f"right({one()}, 1)", lambda: f"trim({one()})", lambda: f"replace({one()}, 'a', 'zz')",
            lambda: f"({other})::text", lambda: f"concat({one()}, '-', {one()})", lambda: f"lpad({one()}, 5, '*')",
            lambda: f"repeat({one()}, 2)", lambda: f"reverse({one()})", lambda: f"substring({one()} from 2 for 1)",
            lambda: f"split_part({one()}, ' ', 1)", lambda: f"CAST({one()} AS varchar(3))", lambda: f"initcap({one()})",
            lambda: f"translate({one()}, 'ab', 'xy')", lambda: f"md5({one()})", lambda: f"ltrim({one()}, 'a')",
            lambda: f"concat_ws(',', {one()}, {one()})", lambda: f"'<' || {number()}", lambda: f"CAST({one()} AS char(4))",
            lambda: f"quote_literal({one()})", lambda: f"format('%s:%L', {one()}, {number()})",
            lambda: f"overlay({one()} placing 'Q' from 2 for 1)", lambda: f"rpad({one()}, 4, 'xy')",
            lambda: f"regexp_replace({one()}, {self.one(*PATTERNS)}, '<\\&>', 'g')", lambda: f"quote_ident({one()})",
            lambda: f"regexp_substr({one()}, {self.one(*PATTERNS)})", lambda: f"btrim({one()}, 'ab')",
            lambda: f"to_char({self.expression('date', scope, 0)}, {self.one(*DATE_FORMATS)})",
            lambda: f"to_char({number()}, {self.one(*NUMBER_FORMATS)})", lambda: f"'{kind}'::text",
            lambda: f"({self.expression('texts', scope, depth)})[1]", lambda: f"to_hex({number()})",
            lambda: f"array_to_string({self.expression('texts', scope, depth)}, '/', '*')",
            lambda: f"({self.expression('jsonb', scope, depth)} ->> 'a')", lambda: f"starts_with({one()}, 'a')::text",
            lambda: f"encode({self.expression('bytea', scope, 0)}, {self.one(*ENCODINGS)})",
            lambda: f"jsonb_typeof({self.expression('jsonb', scope, depth)})", lambda: f"pg_typeof({other})::text",
        )  # fmt: skip

    def _bool(self, scope: Scope, depth: int) -> str:
        return f"({self.predicate(scope, depth)})"

    def _date(self, scope: Scope, depth: int) -> str:
        one, when = self.of("date", scope, depth), self.column(scope, "timestamp")
        return self.pick(
            lambda: f"({one()} + 3)", lambda: f"({one()} - 1)", lambda: f"{when or one()}::date",
            lambda: f"date_trunc('year', {one()})::date", lambda: f"({one()} + interval '1 month')::date",
            lambda: f"make_date(2024, 1 + abs({self.expression('int', scope, 0)}::bigint % 12)::integer, 5)",
        )  # fmt: skip

    def _time(self, scope: Scope, depth: int) -> str:
        one, when = self.of("time", scope, depth), self.column(scope, "timestamp")
        return self.pick(
            lambda: f"({one()} + interval '90 minutes')", lambda: f"({one()} - interval '1 hour')",
            lambda: f"{when}::time" if when else one(),
        )

    def _timestamp(self, scope: Scope, depth: int) -> str:
        one = self.of("timestamp", scope, depth)
        day, zoned = self.column(scope, "date"), self.column(scope, "timestamptz")
        return self.pick(
            lambda: f"({one()} + interval '1 month')", lambda: f"({one()} - interval '2 hours')",
            lambda: f"date_trunc('{self.one('month', 'hour', 'week', 'quarter')}', {one()})",
            lambda: f"{day or one()}::timestamp", lambda: f"({zoned} AT TIME ZONE 'UTC')" if zoned else one(),
            lambda: f"({zoned} AT TIME ZONE 'Europe/Berlin')" if zoned else one(),
            lambda: f"date_bin('1 day', {one()}, '2000-01-01')",
        )  # fmt: skip

    def _timestamptz(self, scope: Scope, depth: int) -> str:
        one = self.of("timestamptz", scope, depth)
        return self.pick(
            lambda: f"({one()} + interval '1 day')", lambda: f"date_trunc('day', {one()})",
            lambda: f"({self.expression('timestamp', scope, 0)} AT TIME ZONE 'America/New_York')",
        )  # fmt: skip

    def _interval(self, scope: Scope, depth: int) -> str:
        one = self.of("interval", scope, depth)
        return self.pick(
            lambda: f"({one()} + {one()})", lambda: f"({one()} * 2)", lambda: f"({one()} - {one()})",
            lambda: f"(- {one()})", lambda: f"({one()} / 4)", lambda: f"justify_hours({one()})",
            lambda: f"justify_interval({one()})",
            lambda: f"make_interval(days => {self.expression('int', scope, 0)}::integer)",
        )  # fmt: skip

    def _bytea(self, scope: Scope, depth: int) -> str:
        one, text = self.of("bytea", scope, depth), self.of("text", scope, depth)
        return self.pick(
            lambda: f"({one()} || {one()})", lambda: f"substring({one()} from 1 for 2)", lambda: f"sha256({one()})",
            lambda: f"convert_to({text()}, 'UTF8')", lambda: f"decode(md5({text()}), 'hex')", lambda: f"btrim({one()}, '\\x00')",
        )  # fmt: skip

    def _jsonb(self, scope: Scope, depth: int) -> str:
        one, int, text = (self.of(kind, scope, depth) for kind in ("jsonb", "int", "text"))
        other, _ = self.any_column(scope, sortable=False)
        return self.pick(
            lambda: f"({one()} -> 'a')", lambda: f"to_jsonb({int()})", lambda: f"({one()} #> '{{b,c}}')",
            lambda: f"({one()} -> 0)", lambda: f"jsonb_build_object('q', {text()})", lambda: f"({one()} -> -1)",
            lambda: f"jsonb_build_array({one()}, 1, 'z')", lambda: f"jsonb_strip_nulls({one()})",
            lambda: f"(jsonb_build_object('a', {int()}) || jsonb_build_object('z', {one()}))", lambda: f"to_jsonb({other})",
            lambda: f"(jsonb_build_array({one()}, {text()}) - 0)", lambda: f"to_jsonb({self.expression('ints', scope, 0)})",
            lambda: f"jsonb_path_query_first({one()}, '$.b.c[*]')", lambda: f"jsonb_path_query_array({one()}, 'lax $[*] ? (@ > 1)')",
        )  # fmt: skip

    def _ints(self, scope: Scope, depth: int) -> str:
        one, int = self.of("ints", scope, depth), self.of("int", scope, 0)
        return self.pick(
            lambda: f"ARRAY[{int()}, {int()}]::integer[]", lambda: f"({one()} || {one()})", lambda: f"array_remove({one()}, 1)",
            lambda: f"array_append({one()}, 9)", lambda: f"({one()})[1:2]", lambda: f"array_replace({one()}, 1, NULL)",
            lambda: f"ARRAY(SELECT n FROM unnest({one()}) AS n ORDER BY n)", lambda: f"trim_array({one()} || 1, 1)",
        )  # fmt: skip

    def _texts(self, scope: Scope, depth: int) -> str:
        one, text = self.of("texts", scope, depth), self.of("text", scope, 0)
        return self.pick(
            lambda: f"ARRAY[{text()}, 'q']::text[]", lambda: f"string_to_array({text()}, ' ')", lambda: f"({one()} || 'r'::text)",
            lambda: f"regexp_split_to_array({text()}, 'a')", lambda: f"regexp_match({text()}, '(a)(.?)')",
        )  # fmt: skip

    # Predicates

    def predicate(self, scope: Scope, depth: int = 2) -> str:
        name, kind = self.any_column(scope)
        if depth > 0 and self.chance(0.25):
            one = lambda: self.predicate(scope, depth - 1)  # noqa: E731
            return self.pick(
                lambda: f"({one()} AND {one()})", lambda: f"({one()} OR {one()})", lambda: f"NOT ({one()})",
                lambda: f"({one()}) IS {self.one('NOT TRUE', 'UNKNOWN', 'NOT FALSE')}",
            )  # fmt: skip
        if depth > 0 and self.chance(0.2):
            return self._with_subquery(scope, depth - 1)
        if self.chance(0.15):
            return self._of_type(scope)
        return self.pick(
            lambda: f"{name} IS {self.one('', 'NOT ')}NULL",
            lambda: f"{name} {self.one('', 'NOT ')}BETWEEN {self.one('', '', 'SYMMETRIC ')}{self.literal(kind, False)} AND {self.literal(kind, False)}",
            lambda: self._in_list(name, kind),
            lambda: self._in_list(name, kind),
            lambda: f"{self.expression('text', scope, 1)} {self.one('LIKE', 'NOT LIKE', 'ILIKE')} '{self.one(*LIKE)}'",
            lambda: f"{name} IS {self.one('', 'NOT ')}DISTINCT FROM {self.expression(kind, scope, 1)}",
            lambda: self.expression("bool", scope, 0),
            lambda: self._rows(name, kind, scope),
            lambda: self._any_array(name, kind),
            *[lambda: f"{name} {self.one(*COMPARED)} {self.literal(kind, False)}"] * 4,
            *[lambda: f"{name} {self.one(*COMPARED)} {self.expression(kind, scope, depth - 1)}"] * 4,
        )  # fmt: skip

    def _in_list(self, name: str, kind: str) -> str:
        items = [self.literal(kind, False) if self.chance(0.93) else "NULL" for _ in range(self.random.randint(1, 4))]
        return f"{name} {self.one('', '', 'NOT ')}IN ({', '.join(items)})"

    def _rows(self, name: str, kind: str, scope: Scope) -> str:
        other, kind2 = self.any_column(scope)
        if self.chance(0.3):
            pairs = [f"({self.literal(kind)}, {self.literal(kind2)})" for _ in range(self.random.randint(1, 3))]
            return f"({name}, {other}) {self.one('', 'NOT ')}IN ({', '.join(pairs)})"
        right = f"({self.literal(kind)}, {self.literal(kind2)})"
        return f"({name}, {other}) {self.one('=', '<', '>=', '<>', 'IS DISTINCT FROM')} {right}"

    def _any_array(self, name: str, kind: str) -> str:
        type = CAST.get(kind, kind)
        if kind not in ("int", "text", "numeric", "date", "uuid"):
            return f"{name} IS NOT NULL"
        items = f"ARRAY[{self.literal(kind)}, {self.literal(kind)}]::{type}[]"
        return f"{name} {self.one('= ANY', '<> ALL', '< ANY')} ({items})"

    def _of_type(self, scope: Scope) -> str:
        """What only some types know."""
        text, jsonb, ints = (self.of(kind, scope, 1) for kind in ("text", "jsonb", "ints"))
        when, day = (self.of(kind, scope, 0) for kind in ("timestamp", "date"))
        return self.pick(
            lambda: f"{text()} {self.one('~', '!~', '~*')} {self.one(*PATTERNS)}",
            lambda: f"{text()} {self.one('', 'NOT ')}SIMILAR TO '{self.one('a%', '(a|b)_?', '[a-z]+')}'",
            lambda: f"{jsonb()} {self.one('@>', '<@')} '{self.one(*OBJECTS)}'",
            lambda: f"{jsonb()} {self.one('?', '?|', '?&')} 'a'".replace("?| 'a'", "?| '{a,x}'").replace("?& 'a'", "?& '{a,b}'"),
            lambda: f"{jsonb()} @@ '$.a == 1'", lambda: f"{jsonb()} @? '$.b.c'",
            lambda: f"{ints()} {self.one('@>', '<@', '&&')} ARRAY[1, 7]", lambda: f"1 = {self.one('ANY', 'ALL')} ({ints()})",
            lambda: f"({when()}, interval '3 days') OVERLAPS ({when()}, interval '1 day')",
            lambda: f"isfinite({day()})", lambda: f"{text()} IS {self.one('', 'NOT ')}JSON",
            lambda: f"{text()} ^@ 'a'", lambda: f"daterange({day()}, NULL) @> {day()}",
        )  # fmt: skip

    def _with_subquery(self, scope: Scope, depth: int) -> str:
        sql, inner = self.from_clause(self.random.choice((1, 1, 2)), depth)
        where = [self.predicate(inner, depth)] if self.chance(0.6) else []
        if self.chance(0.6):
            mine, kind = self.any_column(inner)
            outer = self.column(scope, kind)
            if outer is not None:
                where.append(f"{mine} {self.one('=', '=', '<', '<>')} {outer}")
        tail = f" FROM {sql}" + (f" WHERE {' AND '.join(where)}" if where else "")
        mine, kind = self.any_column(inner)
        other, kind2 = self.any_column(inner)
        number = self.column(inner, "int")
        total = self.one("count(*)", *([f"max({number})", f"min({number})"] if number else []))
        return self.pick(
            lambda: f"{self.one('', 'NOT ')}EXISTS (SELECT {self.one('1', '*')}{tail})",
            lambda: f"EXISTS (SELECT{tail})",
            lambda: f"{self.expression(kind, scope, 1)} {self.one('', '', 'NOT ')}IN (SELECT {mine}{tail})",
            lambda: f"{self.expression(kind, scope, 1)} {self.one('', 'NOT ')}IN (SELECT {mine}{tail})",
            lambda: f"({self.expression(kind, scope, 1)}, {self.expression(kind2, scope, 0)}) {self.one('', 'NOT ')}IN (SELECT {mine}, {other}{tail})",
            lambda: f"{self.expression(kind, scope, 1)} {self.one('= ANY', '< ALL', '>= ANY', '<> ALL')} (SELECT {mine}{tail})",
            lambda: f"{self.expression('int', scope, 1)} {self.one('=', '<', '>')} (SELECT {total}{tail})",
        )  # fmt: skip
