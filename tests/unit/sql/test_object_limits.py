"""How many objects there may be, in Aurora DSQL's words. The catalogue is filled row by row: the limits are in the
thousands."""

from __future__ import annotations

import pytest
from memory_transaction import MemoryStore, run

from tausql.protocol.errors import SqlError
from tausql.sql import ddl
from tausql.sql.catalogue.objects import CatalogueObject, Sequence, View, ViewColumn
from tausql.sql.catalogue.store import load
from tausql.sql.catalogue.system import encode_row, system_keys
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.statements import parse_statements

CLUSTER = 1


def refused(items: list[CatalogueObject], sql: str) -> tuple[str, str]:
    store = MemoryStore()
    keys = system_keys(CLUSTER)
    for item in items:
        store.entries[keys.object((item.oid,))] = encode_row(item)
    snapshot = run(load(store.statement(), CLUSTER, {}))
    (statement,) = parse_statements(sql)
    with pytest.raises(SqlError) as caught:
        run(ddl.execute(statement, store.statement(), snapshot, Context(session=SessionFacts())))
    return caught.value.sqlstate, caught.value.message


def test_views() -> None:
    views: list[CatalogueObject] = [
        View(20_000 + at, "public", f"v{at}", (ViewColumn("x", 23),), "SELECT 1 AS x") for at in range(5000)
    ]
    assert refused(views, "CREATE VIEW more AS SELECT 1 AS x") == (
        "54000",
        "creating more than 5000 views not allowed",
    )


def test_sequences() -> None:
    sequences: list[CatalogueObject] = [Sequence(20_000 + at, "public", f"q{at}") for at in range(5000)]
    assert refused(sequences, "CREATE SEQUENCE more CACHE 1") == (
        "54000",
        "creating more than 5000 sequences is not allowed",
    )


def test_a_view_definition() -> None:
    text = "x" * (1 << 20)
    assert refused([], f"CREATE VIEW v AS SELECT '{text}' AS a, '{text}' AS b") == (
        "54000",
        "view definition too large",
    )
