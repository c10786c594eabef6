"""Random expressions and rows over the tables of the generated files, by a seed."""

from __future__ import annotations

import random

WORDS = ["ant", "bee", "Cat", "dog", "eel", "", "ant hill", "50%", "a_b", "zoé"]
DATE_FORMATS = ("'YYYY-MM-DD'", "'Dy DD Mon'")
LIKE = ("'a%'", "'%e%'", "'_o_'")
PATTERNS = ("'^[a-c]'", "'e{1,2}'")


class Maker:
    """Random SQL. Types: i integer, t text, n numeric, b boolean, d date, g double precision."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, *choices: str) -> str:
        return self.random.choice(choices)

    def number(self) -> int:
        return self.random.randint(-5, 30)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # --- data ---

    def literal(self, kind: str) -> str:
        if self.chance(0.15):
            return "NULL"
        match kind:
            case "i":
                return str(self.number())
            case "t":
                return f"'{self.random.choice(WORDS)}'"
            case "n":
                return f"{self.random.randint(-2000, 9000) / 100:.2f}"
            case "b":
                return self.one("true", "false")
            case "d":
                return f"date '2024-{self.random.randint(1, 12):02}-{self.random.randint(1, 28):02}'"
            case _:
                return f"{self.random.randint(-40, 80) / 4}::float8"

    def rows(self) -> list[str]:
        made = []
        for base in range(0, 40, 10):
            values = [
                f"({a}, {', '.join(self.literal(kind) for kind in 'itndbg')})" for a in range(base + 1, base + 11)
            ]
            made.append(f"INSERT INTO t VALUES {', '.join(values)}")
        for base in range(0, 30, 10):
            values = [
                f"({self.random.randint(1, 45)}, {n}, {self.literal('t')}, {self.literal('i')}, "
                f"timestamp '2024-02-{self.random.randint(1, 28):02} {self.random.randint(0, 23):02}:30:00')"
                for n in range(base, base + 10)
            ]
            made.append(f"INSERT INTO u VALUES {', '.join(values)}")
        values = [f"({self.literal('i')}, {self.literal('t')})" for _ in range(15)]
        return [*made, f"INSERT INTO s VALUES {', '.join(values)}"]

    # --- expressions over columns of t (and u as u) ---

    def column(self, kind: str, u: bool = False) -> str:
        names = {"i": ["t.a", "t.b"], "t": ["t.c"], "n": ["t.d"], "b": ["t.f"], "d": ["t.e"], "g": ["t.g"]}[kind]
        if u:
            names = names + {"i": ["u.n", "u.a"], "t": ["u.k"]}.get(kind, [])
        return self.random.choice(names)

    def expr(self, kind: str, depth: int = 2, u: bool = False) -> str:
        if depth == 0 or self.chance(0.3):
            return self.column(kind, u) if self.chance(0.8) else self.literal(kind)
        if self.chance(0.15):
            return (
                f"CASE WHEN {self.test(depth - 1, u)} THEN {self.expr(kind, depth - 1, u)} "
                f"ELSE {self.expr(kind, depth - 1, u)} END"
            )
        if self.chance(0.1):
            return f"coalesce({self.column(kind, u)}, {self.literal(kind)})"
        i, t, n, d, g = (lambda k=k: self.expr(k, depth - 1, u) for k in "itndg")
        match kind:
            case "i":
                forms = [
                    lambda: f"({i()} {self.one('+', '-', '*', '%', '/', '&', '|', '#')} {i()})",
                    lambda: f"length({t()})",
                    lambda: f"abs({i()})",
                    lambda: f"{self.one('greatest', 'least')}({i()}, {i()})",
                    lambda: f"extract({self.one('day', 'month', 'dow', 'doy')} FROM {d()})::int",
                    lambda: f"position({t()} IN {t()})",
                    lambda: f"sign({n()})::int",
                    lambda: f"nullif({i()}, {self.number()})",
                    lambda: f"({d()} - {d()})",
                    lambda: f"ascii({t()})",
                    lambda: f"mod({i()}, 7)",
                ]
            case "t":
                forms = [
                    lambda: f"({t()} || {t()})",
                    lambda: f"{self.one('upper', 'lower', 'trim', 'reverse', 'initcap', 'md5')}({t()})",
                    lambda: f"substr({t()}, {self.random.randint(1, 4)}, {self.random.randint(0, 5)})",
                    lambda: f"replace({t()}, 'a', {self.literal('t')})",
                    lambda: f"{self.one('left', 'right')}({t()}, {self.random.randint(-3, 4)})",
                    lambda: f"{self.one('lpad', 'rpad')}({t()}, {self.random.randint(0, 9)}, '-')",
                    lambda: f"({i()})::text",
                    lambda: f"({n()})::text",
                    lambda: f"to_char({d()}, {self.one(*DATE_FORMATS)})",
                    lambda: f"concat({t()}, '/', {i()})",
                    lambda: f"split_part({t()}, 'a', {self.random.randint(1, 3)})",
                    lambda: f"translate({t()}, 'aeo', '430')",
                ]
            case "n":
                forms = [
                    lambda: f"({n()} {self.one('+', '-', '*')} {n()})",
                    lambda: f"round({n()}, {self.random.randint(-1, 3)})",
                    lambda: f"{self.one('floor', 'ceil', 'abs', 'trunc')}({n()})",
                    lambda: f"({i()})::numeric(12,1)",
                    lambda: f"({n()} / {self.random.choice([2, 3, 7, 0.5])})",
                    lambda: f"({n()} * {i()})",
                ]
            case "b":
                return self.test(depth, u)
            case "d":
                forms = [
                    lambda: f"({d()} {self.one('+', '-')} {self.random.randint(0, 60)})",
                    lambda: f"date_trunc('{self.one('month', 'week', 'year')}', {d()})::date",
                    lambda: f"({d()} + interval '{self.random.randint(1, 5)} month')::date",
                    lambda: f"{self.one('greatest', 'least')}({d()}, {d()})",
                ]
            case _:
                forms = [
                    lambda: f"({g()} {self.one('+', '-', '*')} {g()})",
                    lambda: f"{self.one('floor', 'ceil', 'abs')}({g()})",
                    lambda: f"({i()})::float8 / 4",
                ]
        return self.random.choice(forms)()

    def test(self, depth: int = 2, u: bool = False) -> str:
        kind = self.one("i", "i", "t", "n", "d", "g")
        one = lambda: self.expr(kind, max(depth - 1, 0), u)  # noqa: E731
        forms = [
            lambda: f"{one()} {self.one('=', '<>', '<', '<=', '>', '>=')} {one()}",
            lambda: f"{one()} {self.one('=', '<', '>')} {self.literal(kind)}",
            lambda: f"{self.column(kind, u)} IS {self.one('', 'NOT ')}NULL",
            lambda: f"{one()} {self.one('', 'NOT ')}BETWEEN {self.literal(kind)} AND {self.literal(kind)}",
            lambda: (
                f"{one()} {self.one('', 'NOT ')}IN ({self.literal(kind)}, {self.literal(kind)}, {self.literal(kind)})"
            ),
            lambda: f"{one()} IS {self.one('', 'NOT ')}DISTINCT FROM {one()}",
            lambda: f"{self.expr('t', 1, u)} {self.one('', 'NOT ')}{self.one('LIKE', 'ILIKE')} {self.one(*LIKE)}",
            lambda: f"{self.expr('t', 1, u)} {self.one('~', '!~', '~*')} {self.one(*PATTERNS)}",
            lambda: f"{self.column('b')}",
            lambda: f"{self.column('b')} IS {self.one('TRUE', 'NOT FALSE', 'UNKNOWN')}",
            lambda: f"{one()} = {self.one('ANY', 'ALL')} (ARRAY[{one()}, {one()}])",
        ]
        made = self.random.choice(forms)()
        if depth > 1 and self.chance(0.5):
            return f"({made} {self.one('AND', 'OR')} {self.test(depth - 1, u)})"
        return f"NOT ({made})" if self.chance(0.1) else f"({made})"

    def items(self, count: int, u: bool = False) -> str:
        return ", ".join(self.expr(self.one(*"itndbg"), 2, u) for _ in range(count))

    def window_end(self) -> str:
        """A bounded ORDER BY that leaves nothing open."""
        made = (
            f"ORDER BY {self.expr(self.one(*'itn'), 1)} {self.one('', 'DESC', 'NULLS FIRST', 'DESC NULLS LAST')}, t.a"
        )
        if self.chance(0.5):
            made += f" LIMIT {self.random.randint(0, 12)}"
        if self.chance(0.3):
            made += f" OFFSET {self.random.randint(0, 20)}"
        return made
