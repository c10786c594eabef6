"""Arrays in columns (an extension) and in array_agg keep what they count from."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, rows
from processor_fleet import TestFleet


@pytest.fixture(scope="module")
def session() -> Client:
    return Client(TestFleet(extensions=True))


def test_a_column_keeps_bounds(session: Client) -> None:
    assert not errors(session.query("CREATE TABLE t (id int PRIMARY KEY, a int[], b text[], j jsonb)"))
    insert = (
        "INSERT INTO t VALUES (1, '[2:3]={1,2}', '{a,NULL}', '[1]'), (2, '[0:0][3:4]={{1,2}}', '[-1:0]={x,y}', NULL)"
    )
    assert not errors(session.query(f"{insert}, (3, NULL, '{{}}', NULL)"))
    assert rows(session.query("SELECT a, b FROM t ORDER BY id")) == [
        ("[2:3]={1,2}", "{a,NULL}"),
        ("[0:0][3:4]={{1,2}}", "[-1:0]={x,y}"),
        (None, "{}"),
    ]
    assert rows(session.query("SELECT a[2], array_lower(a, 1), b[0], a[0][4], j FROM t ORDER BY id")) == [
        ("1", "2", None, None, "[1]"),
        (None, "0", "y", "2", None),
        (None, None, None, None, None),
    ]
    assert rows(session.query("UPDATE t SET a = a || 3 WHERE id = 1 RETURNING a")) == [("[2:4]={1,2,3}",)]
    assert rows(session.query("SELECT b, count(*) FROM t GROUP BY b ORDER BY b")) == [
        ("{}", "1"),
        ("{a,NULL}", "1"),
        ("[-1:0]={x,y}", "1"),
    ]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ("('[2:3]={1,2}'::int[]), ('[2:3]={3,4}')", "[1:2][2:3]={{1,2},{3,4}}"),
        ("('{1,2}'::int[]), ('{3,4}')", "{{1,2},{3,4}}"),
        ("('[2:3]={1,2}'::int[]), ('{3,4}')", "2202E cannot accumulate arrays of different dimensionality"),
        ("('{1,2}'::int[]), ('{3}')", "2202E cannot accumulate arrays of different dimensionality"),
        ("('{1,2}'::int[]), (NULL)", "22004 cannot accumulate null arrays"),
        ("('{}'::int[])", "2202E cannot accumulate empty arrays"),
    ],
)
def test_arrays_of_arrays(session: Client, arrays: str, expected: str) -> None:
    for query in (
        f"SELECT array_agg(x) FROM (VALUES {arrays}) v (x)",
        f"SELECT ARRAY(SELECT x FROM (VALUES {arrays}) v (x))",
    ):
        answer = session.query(query)
        found = [" ".join(error) for error in errors(answer)] or [row[0] for row in rows(answer)]
        assert found == [expected], query


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("a[1] = 9", "{9,1,2}"),
        ("a[2] = NULL, a[5] = id", "[2:5]={NULL,2,NULL,1}"),
        ("m[0][4] = 7", "[0:0][3:4]={{1,7}}"),
        ("e[4] = 7", "[4:4]={7}"),
        ("a[id + 1] = a[id + 1] + 4", "[2:3]={5,2}"),
        ("a[3] = 2.6", "[2:3]={1,3}"),
        ("m[1] = 7", "2202E wrong number of array subscripts"),
        ("m[0][5] = 7", "2202E array subscript out of range"),
        ("a[NULL] = 7", "22004 array subscript in assignment must not be null"),
        ("a[1] = true", '42804 subscripted assignment to "a" requires type integer but expression is of type boolean'),
        ("a[2000000] = 1", "54000 array size exceeds the maximum allowed (1048576)"),
        ("a[1:2] = '{1,2}'", "0A000 assignment to a slice of an array is not supported"),
        ("id[1] = 7", "42804 cannot subscript type integer because it does not support subscripting"),
    ],
)
def test_an_item_is_set(session: Client, changes: str, expected: str) -> None:
    session.query("CREATE TABLE items (id int PRIMARY KEY, a int[], m int[], e int[])")
    session.query("DELETE FROM items")
    assert not errors(session.query("INSERT INTO items VALUES (1, '[2:3]={1,2}', '[0:0][3:4]={{1,2}}', '{}')"))
    answer = session.query(f"UPDATE items SET {changes} RETURNING {changes[0]}")
    assert ([" ".join(error) for error in errors(answer)] or [row[0] for row in rows(answer)]) == [expected]
