"""Random expressions against a live PostgreSQL: `fuzz.py [dsn] [first seed] [expressions]` prints what differs.

Calls are drawn from TauSQL's own catalogue (each overload as often as any other, so that rare ones are tried as much),
arguments from pools of values that lie at the edges of their types: what a person writes by hand tests what he thought
of. Compared are type, value, SQLSTATE and message. Without a dsn the PostgreSQL of the development wheel is started.
A seed and a count name a run; `fuzz.py '' 7 5000` starts a server and draws 5,000 expressions from seed 7.
"""

from __future__ import annotations

import random
import signal
import sys
from collections import Counter
from pathlib import Path

import psycopg
from record import answer as postgres_answer
from record import local_server

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "sql_types"))

from replay import answer, context

from tausql.sql.functions.catalogue import all_functions, operators
from tausql.sql.functions.function import Aggregate, Function
from tausql.sql.types.registry import find_type

DEPTH_MAX = 3
SECONDS_MAX = 10.0
VALUES: dict[str, tuple[str, ...]] = {
    "bool": ("true", "false"),
    "int2": ("0", "1", "-1", "7", "32767", "-32768"),
    "int4": ("0", "1", "-1", "2", "3", "5", "12", "100", "2147483647", "-2147483648"),
    "int8": ("0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808", "4294967296"),
    "float4": ("0", "1.5", "-2.25", "1e10", "NaN", "Infinity", "3.4e38", "1e-37"),
    "float8": ("0", "1", "-1.5", "0.1", "1e100", "-Infinity", "NaN", "1e-300", "12345.678", "0.5"),
    "numeric": ("0", "1", "-1", "1.50", "123456789.123456789", "NaN", "Infinity", "0.0001", "-7.25", "1e20", "100"),
    "text": ("", "a", "abc", "Hello World", "a,b,c", "ünï", "%_x", "  pad ", "12", "x''y", "aaa", "A.b\\c", "{}",
             "10:20"),
    "varchar": ("", "abc", "Hello", "ab cd"),
    "bpchar": ("a", "abc  ", ""),
    "name": ("UTF8", "some name"),
    "char": ("a", "B"),
    "oid": ("0", "23", "4294967295"),
    "uuid": ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
    "date": ("2020-02-29", "1999-12-31", "0044-03-15 BC", "infinity", "2024-01-01", "5874897-12-31"),
    "time": ("00:00", "23:59:59.999999", "12:34:56.7", "24:00"),
    "timetz": ("12:00+02", "23:59:59-08", "00:00+00"),
    "timestamp": ("2020-02-29 12:34:56.789", "1999-12-31 23:59:59", "-infinity", "2024-03-31 02:30",
                  "0001-01-01 00:00"),
    "timestamptz": ("2020-02-29 12:34:56.789+00", "1999-12-31 23:59:59-08", "infinity", "2024-07-01 00:00+02"),
    "interval": ("1 day", "-1 mon 3 days 04:05:06.7", "1 year 2 mons", "00:00:00.000001", "0", "100 hours", "infinity"),
    "bytea": ("\\\\x", "\\\\x00ff", "\\\\x616263", "\\\\x0102030405"),
    "json": ('{"a": 1, "b": [1, 2, {"c": null}]}', "[]", '"x"', "null", "1.50", '[1, "a", true]'),
    "jsonb": ('{"a": 1, "b": [1, 2, {"c": null}]}', "[]", '"x"', "null", "1.50", '[1, "a", true]', "{}"),
    "jsonpath": ("$", "$.a", "$.b[*] ? (@ > 1)", "strict $.x", "$.b[last]", "$.a + 1", "$.** ? (@ == 1)"),
    "bit": ("101", "0", "11110000"),
    "varbit": ("101", "", "1100"),
    "inet": ("192.168.1.5/24", "10.0.0.1", "::1", "2001:db8::/32", "0.0.0.0/0"),
    "cidr": ("192.168.1.0/24", "10.0.0.0/8", "2001:db8::/32"),
    "int4range": ("[1,5)", "empty", "(,3]", "[5,9)", "(,)"),
    "int8range": ("[1,5)", "empty", "[2,)"),
    "numrange": ("[1.5,2.5]", "empty", "(1,9)"),
    "daterange": ("[2020-01-01,2020-02-01)", "(,2021-01-01)", "empty"),
    "tsrange": ("[2020-01-01 00:00,2020-02-01 00:00)", "(,)"),
    "tstzrange": ("[2020-01-01 00:00+00,2020-02-01 00:00+00)", "empty"),
    "int4multirange": ("{[1,3),[5,9)}", "{}", "{(,2)}"),
    "nummultirange": ("{[1.5,2.5]}", "{}"),
    "datemultirange": ("{[2020-01-01,2020-02-01)}", "{}"),
    "tsvector": ("'a':1A 'b':2,3", "", "'cat':3 'fat':2 'the':1"),
    "tsquery": ("'a' & 'b'", "!'a'", "'fat' <-> 'cat'", "'a' | 'c':*"),
    "_int4": ("{1,2,3}", "{}", "{1,NULL,3}", "{{1,2},{3,4}}"),
    "_int8": ("{1,2}", "{}"),
    "_text": ("{a,b}", "{}", '{"x y",NULL}', "{a,1}"),
    "_numeric": ("{1.5,2}", "{NaN}"),
    "_float8": ("{1.5,2}",),
    "_jsonb": ('{"1","{\\\\"a\\\\": 2}"}',),
    "_char": ("{a,b}",),
}  # fmt: skip
POLYMORPHIC = {
    "anyelement": ("int4", "text", "numeric", "date", "jsonb"),
    "anynonarray": ("int4", "text", "float8"),
    "anycompatible": ("int4", "text", "numeric", "int8"),
    "any": ("int4", "text", "date", "float8"),
    "anyrange": ("int4range", "numrange", "daterange"),
    "anymultirange": ("int4multirange", "nummultirange", "datemultirange"),
}
# Not functions of their arguments alone, or of what differs between installations.
LEFT_OUT = frozenset(
    """
    now transaction_timestamp statement_timestamp clock_timestamp timeofday current_timestamp current_date
    current_time localtime localtimestamp random random_normal setseed gen_random_uuid version current_user
    session_user user current_role current_database current_catalog current_schema current_schemas
    current_setting set_config pg_typeof format_type obj_description col_description nextval currval setval
    lastval similar_to_escape aclexplode array_sample array_shuffle makeaclitem getdatabaseencoding
    inet_server_addr age to_regclass to_regtype json_agg jsonb_agg to_regrole to_regnamespace to_regproc
    to_regprocedure row_security_active system_user repeat generate_series jsonb_path_query current_query
    timezone extract position overlaps normalize inet_client_addr inet_server_port inet_client_port acldefault
    to_regtypemod to_regcollation to_regoper convert_from convert_to convert trunc
    """.split()
)  # fmt: skip


class Generator:
    def __init__(self, seed: int, known: set[tuple[str, tuple[str, ...]]]) -> None:
        self.random = random.Random(seed)
        callables = [
            f
            for f in (*all_functions(), *operators())
            if not isinstance(f, Aggregate) and f.kind != "w" and self._usable(f)
        ]
        names = {(f.name, tuple(t.name for t in f.arg_types)) for f in callables}
        self.functions = [
            f for f in callables if f.kind == "o" or (f.name, tuple(t.name for t in f.arg_types)) in names & known
        ]
        self.by_result: dict[str, list[Function]] = {}
        for function in self.functions:
            if not function.returns_set:
                self.by_result.setdefault(function.result.name, []).append(function)

    def _usable(self, function: Function) -> bool:
        if function.name in LEFT_OUT or function.name.startswith(("pg_", "has_", "ts_", "txid")):
            return False
        if function.kind == "o" and function.name == "+" and len(function.arg_types) == 1:
            return False  # the parser has no prefix +
        first = function.arg_types[0].name if function.arg_types else ""
        if function.name.endswith(("_tsvector", "_tsquery")) and first != "regconfig":
            return False  # the default configuration is the installation's
        if function.name == "@@" and {t.name for t in function.arg_types} & {"text"}:
            return False
        return all(
            t.name in VALUES or t.name in POLYMORPHIC or t.name in ("anyarray", "anycompatiblearray", "regconfig")
            for t in function.arg_types
        )

    def expression(self) -> str:
        return self.call(self.random.choice(self.functions), 0)

    def call(self, function: Function, depth: int) -> str:
        chosen: dict[str, str] = {}
        args = [self.argument(t.name, chosen, depth + 1) for t in function.arg_types]
        if function.variadic and self.random.random() < 0.5:
            args.append(self.argument(function.arg_types[-1].name, chosen, depth + 1))
        if function.kind == "o":
            return f"({function.name} {args[0]})" if len(args) == 1 else f"({args[0]} {function.name} {args[1]})"
        return f"{function.name}({', '.join(args)})"

    def argument(self, name: str, chosen: dict[str, str], depth: int) -> str:
        if name in POLYMORPHIC or name in ("anyarray", "anycompatiblearray"):
            name = self.concrete(name, chosen)
        draw = self.random.random()
        if draw < 0.04:
            return "NULL"
        if depth < DEPTH_MAX and draw < 0.22 and self.by_result.get(name):
            return self.call(self.random.choice(self.by_result[name]), depth)
        return self.literal(name)

    def concrete(self, name: str, chosen: dict[str, str]) -> str:
        """One type for all polymorphic arguments of a call, nearly always."""
        family = (
            "compatible" if "compatible" in name else name if name == "any" else "range" if "range" in name else "any_"
        )
        if family not in chosen or self.random.random() < 0.03:
            source = {"range": "anyrange", "compatible": "anycompatible", "any": "any"}.get(family, "anyelement")
            chosen[family] = self.random.choice(POLYMORPHIC[source])
        element = chosen[family]
        if name == "anymultirange":
            return element.replace("range", "multirange")
        if name == "anyelement" and "range" in chosen:
            return {"int4range": "int4", "numrange": "numeric", "daterange": "date"}[chosen["range"]]
        if name in ("anyarray", "anycompatiblearray"):
            return "_" + element if "_" + element in VALUES else "_int4"
        return element

    def literal(self, name: str) -> str:
        if name == "regconfig":
            return "'simple'"
        text = self.random.choice(VALUES[name]).replace("\\\\", "\\").replace("''", "'")
        quoted = "'" + text.replace("'", "''") + "'"
        draw = self.random.random()
        if draw < 0.12:
            return quoted
        if name in ("int4", "numeric") and draw < 0.5 and text[-1].isdigit() and "e" not in text:
            return f"({text})"
        shown = {"char": '"char"', "_char": '"char"[]'}.get(name, name)
        return f"{quoted}::{shown}"


def known_functions(connection: psycopg.Connection) -> set[tuple[str, tuple[str, ...]]]:
    """The signatures PostgreSQL has, by our names of types."""
    rows = connection.execute(
        "SELECT proname, ARRAY(SELECT typname::text FROM unnest(proargtypes) WITH ORDINALITY a(o, n)"
        " JOIN pg_type t ON t.oid = a.o ORDER BY n), provariadic::regtype::text FROM pg_proc"
    )
    found = set()
    for name, types, variadic in rows:
        names = tuple(types)
        if variadic not in ("-", '"any"'):
            element = find_type(variadic)
            names = (*names[:-1], element.name if element is not None else variadic)
        found.add((name, names))
        for fewer in range(1, 4):  # trailing arguments may have defaults
            found.add((name, names[:-fewer] if fewer <= len(names) else ()))
    return found


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"no answer within {SECONDS_MAX} s")


def run(dsn: str, seed: int, count: int) -> int:
    differences: Counter[str] = Counter()
    signal.signal(signal.SIGALRM, _too_long)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET statement_timeout = '5s'")
        generator = Generator(seed, known_functions(connection))
        where = context("UTC")
        for _ in range(count):
            expression = generator.expression()
            theirs = postgres_answer(connection, expression)
            signal.setitimer(signal.ITIMER_REAL, SECONDS_MAX)
            try:
                ours = answer(expression, where)
            except Exception as error:  # the finding is that it is no SqlError
                ours = f"? {type(error).__name__}: {error}"
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if ours != theirs and not theirs.startswith("! 57014"):
                differences[expression.split("(")[0]] += 1
                print(f"{expression}\n  PostgreSQL {theirs[:300]}\n  TauSQL     {ours[:300]}", flush=True)
    print(f"-- {count} expressions from seed {seed}, {sum(differences.values())} differences")
    return sum(differences.values())


def main() -> None:
    dsn = sys.argv[1] if len(sys.argv) > 1 else ""
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
    if dsn:
        sys.exit(run(dsn, seed, count) > 0)
    with local_server() as started:
        sys.exit(run(started, seed, count) > 0)


if __name__ == "__main__":
    main()
