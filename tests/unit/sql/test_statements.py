"""Statements are known by their words, refused in DSQL's, and nothing a client sends ends in a Python error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.errors import SqlError
from tausql.sql.lexer import split, tokens
from tausql.sql.statements import parse_statements


def kind(sql: str) -> str:
    (statement,) = parse_statements(sql)
    return statement.kind


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1", "query"),
        ("(select 1)", "query"),
        ("with a as (select 1) select * from a", "query"),
        ("table t", "query"),
        ("values (1)", "query"),
        ("insert into t values (1)", "insert"),
        ("with a as (select 1) insert into t select * from a", "insert"),
        ("update t set a = 1", "update"),
        ("delete from t", "delete"),
        ("explain select 1", "explain"),
        ("begin", "begin"),
        ("START TRANSACTION READ ONLY", "begin"),
        ("commit", "commit"),
        ("end work", "commit"),
        ("abort", "rollback"),
        ("set timezone = 'UTC'", "set"),
        ("show all", "show"),
        ("reset all", "reset"),
        ("copy t from stdin", "copy"),
        ("create table t (a int)", "create_table"),
        ("create unique index async on t (a)", "create_index"),
        ("drop table if exists t", "drop_table"),
        ("drop index i", "drop_index"),
        ("alter table t add column b int", "alter_table"),
        ("create schema s", "create_schema"),
        ("deallocate all", "deallocate"),
        ("analyze t", "analyze"),
        ("call sys.wait_for_job('x')", "call"),
        ("truncate t", "refused"),
        ("grant select on t to x", "grant"),
        ("comment on table t is 'x'", "comment"),
    ],
)
def test_statements_are_classified(sql: str, expected: str) -> None:
    assert kind(sql) == expected


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("TRUNCATE TABLE z_p", "unsupported statement: Truncate"),
        ("CREATE EXTENSION IF NOT EXISTS pgcrypto", "unsupported statement: CreateExtension"),
        ("CREATE TRIGGER tg AFTER INSERT ON z_p EXECUTE FUNCTION f()", "CREATE TRIGGER not supported"),
        ("CREATE DATABASE d2", "unsupported statement: Createdb"),
        ("CREATE TEMP TABLE t1 (id int)", "TEMPORARY or TEMP table not supported for CREATE TABLE"),
        ("CREATE UNLOGGED TABLE t1 (id int)", "UNLOGGED table not supported for CREATE TABLE"),
        ("CREATE MATERIALIZED VIEW mv AS SELECT 1", "unsupported statement: CreateTableAs"),
        ("CREATE TABLE t1 AS SELECT 1 AS x", "unsupported statement: CreateTableAs"),
        ("SELECT 1 AS x INTO t1", "unsupported statement: CreateTableAs"),
        ("CREATE TYPE mood AS ENUM ('a')", "CREATE TYPE not supported"),
        ("ALTER TYPE mood ADD VALUE 'b'", "ALTER TYPE not supported"),
        ("ALTER TYPE mood RENAME TO m2", "unsupported object in RENAME statement"),
        ("DROP TYPE IF EXISTS mood", "unsupported object in DROP statement"),
        ("CREATE TYPE pr AS (a int, b int)", "unsupported statement: CompositeType"),
        ("CREATE TYPE rg AS RANGE (subtype = int4)", "unsupported statement: CreateRange"),
        ("CREATE TABLESPACE ts LOCATION '/tmp/x'", "unsupported statement: CreateTableSpace"),
        ("CREATE FOREIGN TABLE ft (id int) SERVER s", "unsupported statement: CreateForeignTable"),
        ("VACUUM z_p", "unsupported VACUUM statement"),
        ("LISTEN c", "unsupported statement: Listen"),
        ("NOTIFY c", "unsupported statement: Notify"),
        ("UNLISTEN c", "unsupported statement: Unlisten"),
        ("ALTER SYSTEM SET work_mem='4MB'", "unsupported statement: AlterSystem"),
        (
            "CREATE FUNCTION fp() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
            "CREATE FUNCTION with language plpgsql not supported",
        ),
        (
            "MERGE INTO z_i t USING z_p s ON t.id=s.id WHEN MATCHED THEN DELETE",
            "unsupported statement type: MERGE",
        ),
        ("SELECT name FROM z_p TABLESAMPLE SYSTEM (1)", "TABLESAMPLE clause not supported"),
        ("DECLARE c CURSOR FOR SELECT 1", "unsupported statement: DeclareCursor"),
        ("LOCK TABLE z_p IN ACCESS SHARE MODE", "unsupported statement: Lock"),
        ("SAVEPOINT a", "unsupported transaction statement: SAVEPOINT"),
        ("RELEASE SAVEPOINT a", "unsupported transaction statement: RELEASE"),
        ("ROLLBACK TO SAVEPOINT a", "unsupported transaction statement: ROLLBACK TO"),
        ("CREATE INDEX CONCURRENTLY ON t (a)", "CONCURRENTLY not supported for CREATE INDEX"),
        ("DISCARD ALL", "unsupported statement: Discard"),
    ],
)
def test_refusals_have_the_words_of_dsql(sql: str, message: str) -> None:
    (statement,) = parse_statements(sql)
    with pytest.raises(SqlError) as raised:
        statement.refuse()
    assert raised.value.sqlstate == "0A000"
    assert raised.value.message == message


def test_semicolons_in_strings_comments_and_dollar_quotes_do_not_split() -> None:
    text = "select ';' ; -- a ; b\n select $x$;$x$ /* ; /* ; */ */ ; ; select \";\" from t"
    assert [own for own, _ in split(text)] == ["select ';'", "select $x$;$x$", 'select ";" from t']
    assert parse_statements("  ; -- nothing\n") == []


def test_quotes_in_a_comment_at_the_end_begin_nothing() -> None:
    with pytest.raises(SqlError, match="unterminated quoted identifier") as raised:
        parse_statements("select 1 --b'\r\"")  # a carriage return ends the comment
    assert raised.value.position == 15


def test_begin_set_and_show_options() -> None:
    (begin,) = parse_statements("begin isolation level repeatable read, read only not deferrable")
    assert begin.options == {"isolation": "REPEATABLE READ", "read_only": True, "deferrable": False}
    (local,) = parse_statements("set local search_path to a, \"B\", 'c'")
    assert local.options == {"local": True, "name": "search_path", "value": ["a", "B", "c"]}
    (reset,) = parse_statements("set extra_float_digits = default")
    assert reset.options["value"] is None
    (zone,) = parse_statements("set time zone -3")
    assert (zone.options["name"], zone.options["value"]) == ("timezone", "-3")
    (names,) = parse_statements("set names 'UTF8'")
    assert (names.options["name"], names.options["value"]) == ("client_encoding", "UTF8")
    (show,) = parse_statements("show transaction isolation level")
    assert show.options["name"] == "transaction_isolation"


def test_words_at_the_end_of_a_statement_may_be_names_and_values() -> None:
    assert [kind(sql) for sql in ("set enable_hashjoin to on", "select 1 as order", "select count(*) as left")] == [
        "set",
        "query",
        "query",
    ]


def test_copy_in_both_spellings() -> None:
    (new,) = parse_statements("copy s.t (a, \"B\") from stdin with (format csv, header, delimiter ';', null '')")
    assert new.options["table"] == ("s", "t")
    assert new.options["columns"] == ["a", "B"]
    assert new.options["direction"] == "from"
    assert new.options["options"] == {"format": "csv", "header": None, "delimiter": ";", "null": ""}
    (old,) = parse_statements("COPY t TO STDOUT WITH CSV HEADER QUOTE AS '\"'")
    assert old.options["options"] == {"format": "csv", "header": None, "quote": '"'}
    (query,) = parse_statements("copy (select 1) to stdout")
    assert query.options["query"].kind == "query"


def test_create_index_says_whether_it_is_async() -> None:
    (made,) = parse_statements("create unique index async if not exists i on t (a, b nulls first)")
    assert made.options["async"] is True
    (plain,) = parse_statements("create index on t (a)")
    assert plain.options["async"] is False


def test_explain_options() -> None:
    (made,) = parse_statements("explain (analyze, verbose off, format json) select 1")
    assert (made.options["analyze"], made.options["verbose"], made.options["format"]) == (True, False, "json")
    (old,) = parse_statements("explain analyze verbose select 1")
    assert old.options["analyze"]
    assert old.options["verbose"]
    with pytest.raises(SqlError, match="unrecognized EXPLAIN option"):
        parse_statements("explain (nope) select 1")


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("select " + "(" * 10_000 + "1" + ")" * 10_000, "54001"),
        ("select " + "(" * 10_000, "54001"),
        ("select " + "a[" * 10_000 + "1" + "]" * 10_000, "54001"),
        ("select " + "not " * 5_000 + "true", "54001"),
        ("select " + "- " * 20_000 + "1", "54001"),
        ("select " + "case when true then " * 3_000 + "1" + " end" * 3_000, "54001"),
        ("select '" + "x" * 11_000_000 + "'", "54000"),
        ("select " + "1," * 200_000 + "1", "54001"),
        ("select 'abc", "42601"),
        ("select /* abc", "42601"),
        ("select $a$ abc", "42601"),
        ('select "abc', "42601"),
        ("frobnicate the table", "42601"),
        ("select (1", "42601"),
        ("select 1)", "42601"),
        ("create", "42601"),
        ("create nonsense x", "42601"),
        ("set", "42601"),
        ("begin nonsense", "42601"),
        ("copy t", "42601"),
        ("insert into", "42601"),
        ("\\x", "42601"),
    ],
)
def test_what_cannot_be_parsed_is_an_sql_error(sql: str, sqlstate: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse_statements(sql)
    assert raised.value.sqlstate == sqlstate


WORDS = st.sampled_from(
    "select from where insert into values update set delete create table index on join left ( ) , ; ' \" $$ $1 1 'a' a "
    "t.b * + - = < :: begin commit show copy stdin order by limit group union all with as case when end in exists not "
    "null default returning using explain analyze -- /* */ [ ] for async".split()
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=14))
def test_any_heap_of_words_parses_or_is_an_sql_error(words: list[str]) -> None:
    try:
        parse_statements(" ".join(words))
    except SqlError:
        return


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_tokens_cover_any_text_or_refuse_it(text: str) -> None:
    try:
        found = tokens(text)
    except SqlError:
        return
    assert all(text[token.start : token.start + len(token.text)] == token.text for token in found)


def test_an_operator_with_its_schema_is_no_gap() -> None:
    (statement,) = parse_statements("SELECT 1 WHERE 1 OPERATOR(pg_catalog.=) 1 AND 2 OPERATOR(pg_catalog.<) 3")
    assert statement.kind == "query"
