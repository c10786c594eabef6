"""Types that are no columns, in statements: operators in conditions, functions in FROM, fields and subscripts."""

from __future__ import annotations

import pytest
from database import Database, table

from tausql.protocol.errors import SqlError
from tausql.sql.ddl.columns import column_type
from tausql.sql.expressions.parsing import parse_expression


@pytest.fixture
def database() -> Database:
    made = Database(table(100, "booking", ["id int8", "first date", "last date", "doc jsonb"], ["id"]))
    made.execute(
        'INSERT INTO booking VALUES (1, \'2024-01-01\', \'2024-01-05\', \'{"a": {"b": [1, 2]}, "tags": ["x"]}\'),'
        " (2, '2024-01-05', '2024-01-09', '{\"a\": 1}')"
    )
    return made


def test_range_operators_in_a_condition(database: Database):
    sql = "SELECT id FROM booking WHERE daterange(first, last) && '[2024-01-02,2024-01-03)'::daterange"
    assert database.shown(sql) == [["1"]]
    touching = "daterange(a.first, a.last) -|- daterange(b.first, b.last)"
    sql = f"SELECT a.id FROM booking a JOIN booking b ON {touching} ORDER BY 1"
    assert database.shown(sql) == [["1"], ["2"]]
    assert database.shown("SELECT range_agg(daterange(first, last)) FROM booking") == [["{[2024-01-01,2024-01-09)}"]]
    assert database.shown("SELECT count(*) FROM booking WHERE daterange(first, last) @> date '2024-01-05'") == [["1"]]


def test_jsonpath_operators_in_a_condition(database: Database):
    assert database.shown("SELECT id FROM booking WHERE doc @? '$.a.b[*] ? (@ > 1)'") == [["1"]]
    assert database.shown("SELECT id FROM booking WHERE doc @@ '$.a == 1'") == [["2"]]
    sql = "SELECT id, p FROM booking, jsonb_path_query(doc, '$.a.b[*]') AS p ORDER BY 2"
    assert database.shown(sql) == [["1", "1"], ["1", "2"]]


def test_jsonb_subscripts_read(database: Database):
    assert database.shown("SELECT doc['a']['b'][1], doc['tags'][0] FROM booking WHERE id = 1") == [["2", '"x"']]


def test_text_search_with_simple(database: Database):
    sql = "SELECT id FROM booking WHERE to_tsvector('simple', doc ->> 'a') @@ 'b'::tsquery ORDER BY id"
    with pytest.raises(SqlError) as caught:
        database.rows("SELECT to_tsvector('cat') FROM booking")
    assert (caught.value.sqlstate, caught.value.message) == (
        "42704",
        'text search configuration "english" does not exist',
    )
    database.format.resolve_reg = lambda kind, text: 3748
    assert database.shown(sql) == [["1"]]


def test_none_of_them_is_a_column_type(database: Database):
    for name, shown in (
        ("int4range", "int4range"), ("tstzrange", "tstzrange"), ("inet", "inet"), ("cidr", "cidr"), ("bit(8)", "bit"),
        ("varbit(8)", "bit varying"), ("tsvector", "tsvector"), ("tsquery", "tsquery"),
        ("int4multirange", "int4multirange"), ("jsonpath", "jsonpath"),
    ):  # fmt: skip
        with pytest.raises(SqlError) as caught:
            column_type(parse_expression(f"CAST(NULL AS {name})").args["to"])
        assert (caught.value.sqlstate, caught.value.message) == ("0A000", f"datatype {shown} not supported")


def test_several_unnests_side_by_side(database: Database):
    sql = "SELECT * FROM unnest(ARRAY[1, 2, 3], ARRAY['a', 'b']) WITH ORDINALITY AS t(n, s, o)"
    assert database.shown(sql) == [["1", "a", "1"], ["2", "b", "2"], ["3", None, "3"]]


def test_row_comparisons_take_the_other_sides_type(database: Database):
    assert database.shown("SELECT ROW(1, NULL) = ROW(1, 2), ROW('2024-01-01', 1) = ROW(date '2024-01-01', 1)") == [
        [None, "t"]
    ]
    assert database.shown("SELECT id FROM booking WHERE (id, first) > (1, '2024-01-01')") == [["2"]]


def test_date_style_decides_what_an_ambiguous_literal_means(database: Database):
    assert database.shown("SELECT '02/01/2024'::date") == [["2024-02-01"]]
    database.format.date_style = "SQL, DMY"
    assert database.shown("SELECT '02/01/2024'::date + 1") == [["03/01/2024"]]
    assert database.shown("SELECT id FROM booking WHERE first = '05/01/2024'") == [["2"]]


def test_jsonb_subscripts_are_assigned(database: Database):
    database.execute("UPDATE booking SET doc['a']['b'][3] = '9', doc['new'][0]['x'] = '\"y\"' WHERE id = 1")
    rows = database.shown("SELECT doc FROM booking WHERE id = 1")
    assert rows == [['{"a": {"b": [1, 2, null, 9]}, "new": [{"x": "y"}], "tags": ["x"]}']]
    with pytest.raises(SqlError, match="cannot replace existing key"):
        database.execute("UPDATE booking SET doc['a']['b'] = '1' WHERE id = 2")
    with pytest.raises(SqlError, match="does not support subscripting"):
        database.execute("UPDATE booking SET first['a'] = '1'")
    database.execute("UPDATE booking SET doc = NULL WHERE id = 2")
    database.execute("UPDATE booking SET doc['k'] = to_jsonb(id) WHERE id = 2")
    assert database.shown("SELECT doc FROM booking WHERE id = 2") == [['{"k": 2}']]


def test_syntax_of_its_own_is_labelled_as_postgresql_does(database: Database):
    sql = """SELECT json_object('a': 1), json_array(1), @ -5, b'101', doc['a'], substring('abc' SIMILAR 'a' ESCAPE '#'),
             interval(0) '1.5 s' FROM booking"""
    labels = [column.name for column in database.prepare(sql).columns or ()]
    assert labels == ["json_object", "json_array", "?column?", "?column?", "doc", "substring", "interval"]
