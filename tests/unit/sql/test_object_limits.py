"""How many objects there may be, in Aurora DSQL's words. The catalogue is filled row by row: the limits are in the
thousands."""

from __future__ import annotations

from collections.abc import Sequence as Sequence_

import pytest
from memory_transaction import MemoryStore, run

from tausql.protocol.errors import SqlError
from tausql.sql import ddl
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.objects import CatalogueObject, Sequence, View, ViewColumn
from tausql.sql.catalogue.store import load
from tausql.sql.catalogue.system import encode_row, encode_table, system_keys
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.statements import parse_statements

CLUSTER = 1


def create(items: Sequence_[CatalogueObject | Table], sql: str) -> None:
    """Run a DDL statement in a database that holds `items`."""
    store = MemoryStore()
    keys = system_keys(CLUSTER)
    for item in items:
        if isinstance(item, Table):
            store.entries[keys.relation((item.oid,))] = encode_table(item)
        else:
            store.entries[keys.object((item.oid,))] = encode_row(item)
    snapshot = run(load(store.statement(), CLUSTER, {}))
    (statement,) = parse_statements(sql)
    run(ddl.execute(statement, store.statement(), snapshot, Context(session=SessionFacts())))


def refused(items: Sequence_[CatalogueObject | Table], sql: str) -> tuple[str, str]:
    with pytest.raises(SqlError) as caught:
        create(items, sql)
    return caught.value.sqlstate, caught.value.message


def test_tables() -> None:
    tables = [
        Table(20_000 + at * 2, "public", f"t{at}", (Column("x", 23, -1, True, 0),), (0,), f"p{at}")
        for at in range(1000)
    ]
    create(tables[1:], "CREATE TABLE more (id int PRIMARY KEY)")
    assert refused(tables, "CREATE TABLE more (id int PRIMARY KEY)") == (
        "54000",
        "creating more than 1000 tables not allowed",
    )


def test_views() -> None:
    views = [View(20_000 + at, "public", f"v{at}", (ViewColumn("x", 23),), "SELECT 1 AS x") for at in range(5000)]
    create(views[1:], "CREATE VIEW more AS SELECT 1 AS x")
    assert refused(views, "CREATE VIEW more AS SELECT 1 AS x") == (
        "54000",
        "creating more than 5000 views not allowed",
    )


def test_sequences() -> None:
    sequences = [Sequence(20_000 + at, "public", f"q{at}") for at in range(5000)]
    create(sequences[1:], "CREATE SEQUENCE more CACHE 1")
    assert refused(sequences, "CREATE SEQUENCE more CACHE 1") == (
        "54000",
        "creating more than 5000 sequences is not allowed",
    )


def test_sequences_of_identity_columns() -> None:
    table = (
        "CREATE TABLE more (a bigint GENERATED ALWAYS AS IDENTITY (CACHE 1), b bigint GENERATED ALWAYS AS IDENTITY"
        " (CACHE 1))"
    )
    sequences = [Sequence(20_000 + at, "public", f"q{at}") for at in range(4999)]
    create(sequences[1:], table)
    assert refused(sequences, table) == ("54000", "creating more than 5000 sequences is not allowed")


def test_a_view_definition() -> None:
    text = "x" * (1 << 20)
    told = ("54000", "view definition too large")
    create([], f"CREATE VIEW v AS SELECT '{text}' AS a, '{text[:-1000]}' AS b")
    assert refused([], f"CREATE VIEW v AS SELECT '{text}' AS a, '{text}' AS b") == told
    two_bytes = "\u00e9" * (1 << 19)  # it is bytes that count
    assert refused([], f"CREATE VIEW v AS SELECT '{two_bytes}' AS a, '{two_bytes}' AS b") == told
