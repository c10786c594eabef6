"""Names, access lists and view definitions as the catalogue writes them."""

from __future__ import annotations

import pytest

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.access_lists import acl_items, parsed_items
from tausql.sql.catalogue.deparsing import constant_text, default_shown, expression_shown
from tausql.sql.catalogue.descriptors import Column, Snapshot, Table
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.objects import ADMIN_OID, PUBLIC_OID, Grant, Role, objects_of
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.references import name_parts, resolve, shown
from tausql.sql.catalogue.view_layout import view_shown
from tausql.sql.types import Type
from tausql.sql.types import builtin as b

ORDERS = Table(
    20_000,
    "public",
    "orders",
    (Column("id", 23, -1, True, 0), Column("Name", 1043, 24, False, 1), Column("total", 1700, -1, False, 2)),
    (0,),
    "orders_pkey",
)


@pytest.fixture
def facts() -> Facts:
    tables = {("public", "orders"): ORDERS}
    objects = objects_of({17_000: Role(17_000, "Odd Name")})
    return Facts(Snapshot(1, 1, ("public",), tables, {ORDERS.oid: ORDERS}, {}, objects))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", "plain"), ("Mixed", '"Mixed"'), ("select", '"select"'), ("name", "name"), ('a"b', '"a""b"'),
     ("1st", '"1st"'), ("between", '"between"'), ("position", '"position"')],
)  # fmt: skip
def test_identifiers_are_quoted_where_they_must_be(name: str, expected: str) -> None:
    assert quoted(name) == expected


def test_parts_of_names() -> None:
    assert name_parts('Public."Odd.Name"') == ["public", "Odd.Name"]
    assert name_parts('"a""b"') == ['a"b']
    for text in ("", "a.", '"open'):
        with pytest.raises(SqlError, match="invalid name syntax"):
            name_parts(text)


def test_references_are_qualified_by_the_path(facts: Facts) -> None:
    oid = resolve("class", "orders", facts, ("public",))
    assert oid == ORDERS.oid
    assert shown("class", oid, facts, ("public",)) == "orders"
    assert shown("class", oid, facts, ("other",)) == "public.orders"
    assert shown("class", ORDERS.oid + 1, facts, ("public",)) == "orders_pkey"
    assert shown("role", 17_000, facts, ()) == '"Odd Name"'
    assert shown("class", 1, facts, ()) is None


def test_an_access_list_reads_back(facts: Facts) -> None:
    acl = (Grant(17_000, ADMIN_OID, "ra", "r"), Grant(PUBLIC_OID, ADMIN_OID, "r"))
    items = acl_items(facts, acl)
    assert items == ['"Odd Name"=ar*/admin', "=r/admin"]
    read = parsed_items(facts, items)
    assert [(one.grantee, one.grantor, set(one.privileges), one.grantable) for one in read] == [
        (17_000, ADMIN_OID, {"a", "r"}, "r"),
        (PUBLIC_OID, ADMIN_OID, {"r"}, ""),
    ]


def test_expressions() -> None:
    condition = "total > 0 AND lower(\"Name\") <> 'x'"
    assert expression_shown(ORDERS, condition, False) == (
        "((total > (0)::numeric) AND (lower((\"Name\")::text) <> 'x'::text))"
    )
    assert expression_shown(ORDERS, condition, True) == "total > 0::numeric AND lower(\"Name\"::text) <> 'x'::text"
    assert expression_shown(ORDERS, "total + 1", False, index_key=True) == "(total + (1)::numeric)"
    assert default_shown(ORDERS, "'x'", ORDERS.columns[1]) == "'x'::character varying"
    assert expression_shown(ORDERS, "nonsense(", False) == "nonsense("


@pytest.mark.parametrize(
    ("value", "type", "expected"),
    [(None, b.TEXT, "NULL::text"), (True, b.BOOL, "true"), (5, b.INT4, "5"), (-5, b.INT4, "'-5'::integer"),
     (5, b.INT8, "'5'::bigint"), ("it's", b.TEXT, "'it''s'::text")],
)  # fmt: skip
def test_constants(value: object, type: Type, expected: str) -> None:
    assert constant_text(value, type) == expected


def test_a_view_is_laid_out_by_clauses() -> None:
    query = (
        'SELECT o.id, count(*) AS "Count" FROM "public".orders AS o LEFT JOIN public.items AS items ON o.id = items.id'
        " WHERE o.id IN (SELECT id FROM public.orders AS orders) AND o.a IS DISTINCT FROM 1 GROUP BY o.id LIMIT 3"
    )
    assert view_shown(query, ("public",)) == (
        " SELECT o.id,\n"
        '    count(*) AS "Count"\n'
        "   FROM orders AS o\n"
        "     LEFT JOIN items ON o.id = items.id\n"
        "  WHERE o.id IN (SELECT id FROM orders) AND o.a IS DISTINCT FROM 1\n"
        "  GROUP BY o.id\n"
        " LIMIT 3;"
    )
    assert "public" in view_shown(query, ())
