"""Arrays that count from something else than 1: what PostgreSQL says of them."""

from __future__ import annotations

import struct

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet

from tausql.sql.types.registry import type_by_name
from tausql.sql.types.session_format import SessionFormat

ONE = "'[3:5]={1,2,3}'::int[]"
TWO = "'[-2:-1][0:1]={{1,2},{3,4}}'::int[]"


@pytest.fixture(scope="module")
def session() -> Client:
    return Client(TestFleet())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"array_lower({ONE}, 1), array_upper({ONE}, 1), array_length({ONE}, 1)", ("3", "5", "3")),
        (f"{ONE}, {TWO}, array_dims({TWO})", ("[3:5]={1,2,3}", "[-2:-1][0:1]={{1,2},{3,4}}", "[-2:-1][0:1]")),
        (f"({ONE})[3], ({ONE})[1], ({ONE})[5], ({TWO})[-1][0]", ("1", None, "3", "3")),
        (f"({ONE})[4:], ({ONE})[:4], ({ONE})[1:9], ({ONE})[6:9]", ("{2,3}", "{1,2}", "{1,2,3}", "{}")),
        (f"({TWO})[-1:][0:0]", ("{{3}}",)),
        ("'[1:3]={1,2,3}'::int[], '[3]={1,2,3}'::int[]", ("{1,2,3}", "{1,2,3}")),
        (f"{ONE} || 4, 4 || {ONE}", ("[3:6]={1,2,3,4}", "[3:6]={4,1,2,3}")),
        (f"{ONE} || '[7:8]={{1,2}}'::int[], '{{}}'::int[] || {ONE}", ("[3:7]={1,2,3,1,2}", "[3:5]={1,2,3}")),
        (f"{ONE} = '{{1,2,3}}', {ONE} > '{{1,2,3}}', {ONE} = {ONE}", ("f", "t", "t")),
        (f"'[0:2]={{1,2,3}}'::int[] < '{{1,2,3}}', {ONE} @> '{{2}}', 2 = any({ONE})", ("t", "t", "t")),
        (f"{ONE}::bigint[], {ONE}::text[]::text", ("[3:5]={1,2,3}", "[3:5]={1,2,3}")),
        (f"array_position({ONE}, 2), array_position({ONE}, 1, 4), array_positions({ONE}, 3)", ("4", None, "{5}")),
        (f"array_remove({ONE}, 2), array_replace({ONE}, 1, 9)", ("[3:4]={1,3}", "[3:5]={9,2,3}")),
        (f"trim_array({ONE}, 1), array_to_string({ONE}, '-'), cardinality({ONE})", ("{1,2}", "1-2-3", "3")),
        ("array_fill(7, ARRAY[3], ARRAY[2]), array_fill(7, ARRAY[0], ARRAY[2])", ("[2:4]={7,7,7}", "{}")),
        (f"ARRAY[{ONE}, '[3:5]={{4,5,6}}'], row({ONE})", ("[1:2][3:5]={{1,2,3},{4,5,6}}", '("[3:5]={1,2,3}")')),
        (f"ARRAY(SELECT generate_subscripts({ONE}, 1)), ARRAY(SELECT unnest({ONE}))", ("{3,4,5}", "{1,2,3}")),
    ],
)
def test_bounds(session: Client, sql: str, expected: tuple[str | None, ...]) -> None:
    answer = session.query(f"SELECT {sql}")
    assert not errors(answer), errors(answer)
    assert rows(answer) == [expected]


def test_groups_and_order_tell_bounds_apart(session: Client) -> None:
    values = f"(VALUES ({ONE}), ('{{1,2,3}}'), ({ONE})) AS v(a)"
    found = rows(session.query(f"SELECT a, count(*) FROM {values} GROUP BY a ORDER BY a"))
    assert found == [("{1,2,3}", "1"), ("[3:5]={1,2,3}", "2")]


def test_bounds_in_binary(session: Client) -> None:
    data = struct.pack("!iiIii", 1, 0, 23, 2, 3) + struct.pack("!iiii", 4, 8, 4, 9)
    sent = session.execute(f"SELECT {TWO}", formats=(1,))
    (value,) = [m.values[0] for m in sent if hasattr(m, "values")]
    assert struct.unpack_from("!iiIiiii", value) == (2, 0, 23, 2, -2, 2, 0)
    mixed = session.execute("SELECT '[3:4]={8,9}'::int[]", formats=(1,))
    assert [m.values[0] for m in mixed if hasattr(m, "values")] == [data]
    array = type_by_name("int4[]")
    assert array.text_out(array.binary_in(data), SessionFormat()) == "[3:4]={8,9}"


@pytest.mark.parametrize(
    ("sql", "code", "message"),
    [
        ("'[5:3]={1}'::int[]", "2202E", "upper bound cannot be less than lower bound"),
        ("'[3:5]={1,2}'::int[]", "22P02", 'malformed array literal: "[3:5]={1,2}"'),
        ("'[]={1,2}'::int[]", "22P02", 'malformed array literal: "[]={1,2}"'),
        ("'[1:2{1,2}'::int[]", "22P02", 'malformed array literal: "[1:2{1,2}"'),
        ("'[9999999999:9999999999]={1}'::int[]", "54000", "array bound is out of integer range"),
        ("'{1,2}'::int[] || '[1:1][0:1]={{1,2}}'::int[]", "2202E", "cannot concatenate incompatible arrays"),
        (
            f"ARRAY[{ONE}, '{{4,5,6}}']",
            "2202E",
            "multidimensional arrays must have array expressions with matching dimensions",
        ),
    ],
)
def test_refusals(session: Client, sql: str, code: str, message: str) -> None:
    assert errors(session.query(f"SELECT {sql}")) == [(code, message)]
