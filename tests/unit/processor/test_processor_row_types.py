"""Whole rows in a result have their table's row type on the wire, so that drivers find their fields in pg_type."""

from __future__ import annotations

import struct

import pytest
from processor_client import Client, do, rows, values
from processor_fleet import TestFleet

from tausql.pgwire.client import RowDescription

RECORD = 2249


@pytest.fixture(scope="module")
def session() -> Client:
    client = Client(TestFleet())
    do(
        client,
        "CREATE TABLE t (id int PRIMARY KEY, name text)",
        "CREATE TABLE u (id int PRIMARY KEY)",
        "CREATE VIEW v AS SELECT id, name FROM t",
        "INSERT INTO t VALUES (1, 'a b'), (2, NULL)",
        "INSERT INTO u VALUES (1), (3)",
    )
    return client


def row_type(session: Client, name: str) -> int:
    return int(values(session, f"SELECT reltype FROM pg_class WHERE relname = '{name}'")[0][0] or 0)


def types(messages: list[object]) -> list[int]:
    return [column.type_oid for m in messages if isinstance(m, RowDescription) for column in m.columns]


@pytest.mark.parametrize(
    ("sql", "relations", "expected"),
    [
        ("SELECT t FROM t ORDER BY t", ["t"], [('(1,"a b")',), ("(2,)",)]),
        ("SELECT x, x.id FROM t AS x ORDER BY id", ["t", 23], [('(1,"a b")', "1"), ("(2,)", "2")]),
        ("SELECT v FROM v ORDER BY id DESC", ["v"], [("(2,)",), ('(1,"a b")',)]),
        ("SELECT DISTINCT t FROM t WHERE id = 1", ["t"], [('(1,"a b")',)]),
        ("SELECT u, t FROM u LEFT JOIN t USING (id) ORDER BY id", ["u", "t"], [("(1)", '(1,"a b")'), ("(3)", None)]),
        ("SELECT q FROM (SELECT id FROM u) q ORDER BY 1", [RECORD], [("(1)",), ("(3)",)]),
        ("SELECT ROW(1, 2)", [RECORD], [("(1,2)",)]),
        ("INSERT INTO u VALUES (4) RETURNING u", ["u"], [("(4)",)]),
        ("UPDATE u SET id = 5 WHERE id = 4 RETURNING u, u.id", ["u", 23], [("(5)", "5")]),
        ("DELETE FROM u WHERE id = 5 RETURNING u", ["u"], [("(5)",)]),
    ],
)
def test_the_type_of_a_whole_row(
    session: Client, sql: str, relations: list[str | int], expected: list[tuple[str | None, ...]]
) -> None:
    wanted = [row_type(session, one) if isinstance(one, str) else one for one in relations]
    messages = session.query(sql)
    assert types(messages) == wanted
    assert rows(messages) == expected


def test_pg_type_names_its_relation_and_the_binary_form_its_fields(session: Client) -> None:
    assert values(session, "SELECT typname, typrelid::regclass FROM pg_type WHERE oid = 't'::regclass") == [("t", "t")]
    messages = session.execute("SELECT t FROM t WHERE id = $1", b"1", formats=(1,))
    assert row_type(session, "t") in types(messages)
    fields = struct.pack("!iIii", 2, 23, 4, 1) + struct.pack("!Ii", 25, 3) + b"a b"
    assert fields in [value for m in messages for value in getattr(m, "values", ())]
