"""Functions that give rows in FROM, whole rows as values, and fields of rows."""

from __future__ import annotations

import pytest
from database import Database, table

from tausql.protocol.errors import SqlError


@pytest.fixture
def database() -> Database:
    made = Database(table(100, "item", ["id int8", "name text", "tags jsonb"], ["id"]))
    made.execute("""INSERT INTO item VALUES (1, 'one', '{"a": 1, "b": "x"}'), (2, 'two', '{}')""")
    return made


def test_json_each_gives_keys_and_values_as_columns(database: Database):
    rows = database.shown('SELECT * FROM json_each_text(\'{"a": 1, "b": null}\')')
    assert rows == [["a", "1"], ["b", None]]
    rows = database.shown("SELECT i.id, e.key, e.value FROM item i, jsonb_each(i.tags) AS e ORDER BY 1, 2")
    assert rows == [["1", "a", "1"], ["1", "b", '"x"']]
    rows = database.shown("SELECT k, v, n FROM jsonb_each('{\"a\": 1}') WITH ORDINALITY AS t(k, v, n)")
    assert rows == [["a", "1", "1"]]


def test_json_to_record_takes_its_columns_from_the_from_clause(database: Database):
    sql = """SELECT * FROM json_to_record('{"a": 1, "b": [1, 2], "c": "x", "d": {"e": 1}}')
             AS t(a int, b int[], c varchar(5), d jsonb, missing text)"""
    assert database.shown(sql) == [["1", "{1,2}", "x", '{"e": 1}', None]]
    rows = database.shown('SELECT sum(a) FROM jsonb_to_recordset(\'[{"a": 1}, {"a": 2}]\') AS t(a int)')
    assert rows == [["3"]]


def test_json_to_record_without_columns_is_refused(database: Database):
    with pytest.raises(SqlError, match="a column definition list is required"):
        database.rows("SELECT * FROM json_to_record('{}')")
    with pytest.raises(SqlError, match="a column definition list is redundant"):
        database.rows("SELECT * FROM json_each('{}') AS t(a int, b int)")


def test_table_row_type_describes_a_populated_record(database: Database):
    sql = """SELECT * FROM jsonb_populate_record(NULL::item, '{"id": 7, "name": "seven", "other": true}')"""
    assert database.shown(sql) == [["7", "seven", None]]
    sql = """SELECT id FROM json_populate_recordset(NULL::item, '[{"id": 7}, {"id": 8}]')"""
    assert database.shown(sql) == [["7"], ["8"]]
    sql = """SELECT (jsonb_populate_record(i, '{"name": "new"}')).name FROM item i ORDER BY id"""
    assert database.shown(sql) == [["new"], ["new"]]


def test_whole_row_is_a_value_with_names(database: Database):
    assert database.shown("SELECT row_to_json(i) FROM item i WHERE id = 2") == [['{"id":2,"name":"two","tags":{}}']]
    assert database.shown("SELECT i FROM item i WHERE id = 2") == [["(2,two,{})"]]
    assert database.shown("SELECT (i).name FROM item i WHERE id = 2") == [["two"]]
    assert database.shown("SELECT count(i) FROM item i") == [["2"]]
    assert database.shown("SELECT json_agg(x ORDER BY x.id) FROM (SELECT id, name FROM item) x") == [
        ['[{"id":1,"name":"one"}, \n {"id":2,"name":"two"}]']
    ]
    assert database.shown("SELECT (SELECT row_to_json(i)) FROM item i WHERE id = 2") == [
        ['{"id":2,"name":"two","tags":{}}']
    ]


def test_field_of_something_else_is_refused(database: Database):
    with pytest.raises(SqlError, match="which is not a composite type"):
        database.rows("SELECT (i.id).name FROM item i")
    with pytest.raises(SqlError, match='could not identify column "f3" in record data type'):
        database.rows("SELECT (row(1, 2)).f3")
