"""Indexes on expressions, partial, with INCLUDE and NULLS NOT DISTINCT: entries follow every write."""

from __future__ import annotations

import pytest
from ddl_database import DdlDatabase
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.descriptors import IndexState

FORMS = (
    "create unique index async lower_b on t (lower(b)) where a > 1",
    "create index async sums on t ((a + id) nulls first, b) include (c)",
    "create unique index async one_null on t (c) nulls not distinct where id < 4",
    "create index async part on t (a) where b is not null",
)


def make(*forms: str) -> DdlDatabase:
    db = DdlDatabase()
    db.do("create table t (id int primary key, a int, b text, c int)")
    for form in forms:
        assert db.work(db.ddl(form).job_id).status == "completed"
    return db


def outcome(db: DdlDatabase, sql: str, *values: object) -> str:
    """The SQLSTATE of a statement, "" where it went well."""
    try:
        db.do(sql, *values)
    except SqlError as error:
        return error.sqlstate
    return ""


VALUE = st.one_of(st.none(), st.integers(0, 4))
WORD = st.one_of(st.none(), st.sampled_from(["x", "X", "y", "Z"]))


Step = tuple[int, int, int | None, str | None, int | None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), VALUE, WORD, VALUE), max_size=12))
def test_entries_equal_the_table_after_any_writes(steps: list[Step]) -> None:
    db = make(*FORMS)
    made = (
        "insert into t values ($1, $2, $3, $4)",
        "update t set a = $2, b = $3, c = $4 where id = $1",
        "update t set id = id + 7, a = a + 1 where a = $2 and b = $3 and c = $4 and id <> $1",
        "delete from t where a = $2 or id = $1 or b = $3 and c = $4",
        "insert into t values ($1, $2, $3, $4) on conflict (lower(b)) where a > 1 do update set a = t.a + 1",
        "insert into t values ($1, $2, $3, $4) on conflict do nothing",
    )
    for which, *values in steps:
        before = db.entries("t")
        state = outcome(db, made[which], *values)
        assert state in ("", "23505", "21000")
        if state:
            assert db.entries("t") == before
        there, wanted = db.entries("t")
        assert there == wanted


def test_a_unique_expression_index_refuses_in_postgresqls_words() -> None:
    db = make(FORMS[0])
    db.do("insert into t values (1, 2, 'Abc', 0), (2, 1, 'abc', 0)")
    error = db.error("insert into t values (3, 5, 'ABC', 0)")
    assert (error.message, error.detail) == (
        'duplicate key value violates unique constraint "lower_b"',
        "Key (lower(b))=(abc) already exists.",
    )


def test_nulls_not_distinct() -> None:
    db = make("create unique index async on t (c) nulls not distinct")
    db.do("insert into t values (1, 1, 'a', null)")
    error = db.error("insert into t values (2, 1, 'a', null)")
    assert (error.sqlstate, error.detail) == ("23505", "Key (c)=(null) already exists.")


def test_inference_wants_the_predicate_and_the_expression() -> None:
    db = make(FORMS[0])
    db.do("insert into t values (1, 2, 'x', 0)")
    nothing = "insert into t values (2, 3, 'X', 0) on conflict {} do nothing"
    for target in ("(lower(b))", "(b) where a > 1", "(upper(b)) where a > 1"):
        assert db.refusal(nothing.format(target))[0] == "42P10"
    assert db.do(nothing.format("(lower(b)) where a > 1")) == [["INSERT 0 0"]]
    assert db.do(nothing.format("(lower(b)) where c = 0 and a > 1")) == [["INSERT 0 0"]]


def test_a_failing_expression_fails_the_build() -> None:
    db = DdlDatabase()
    db.script("create table t (id int primary key, a int)", "insert into t values (1, 1), (2, 0)")
    job = db.work(db.ddl("create index async on t ((10 / a))").job_id)
    assert (job.status, job.details) == ("failed", "division by zero")
    assert db.table("t").indexes[0].state is IndexState.failed


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("create index async on t (a, b)", "t_a_b_idx"),
        ("create index async on t (lower(b))", "t_lower_idx"),
        ("create index async on t ((a + 1), (a + 2))", "t_expr_expr1_idx"),
        ("create index async on t (a) include (c)", "t_a_c_idx"),
        ("create index async on t ((a))", "t_a_idx"),
        ("create index async own on t (a)", "own"),
    ],
)
def test_names(sql: str, name: str) -> None:
    db = make()
    db.do(sql)
    assert db.table("t").indexes[0].name == name
    if name != "own":
        db.do(sql)
        assert db.table("t").indexes[1].name == name + "1"


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message"),
    [
        ("create index on t (a)", "0A000", "unsupported mode. please use CREATE INDEX ASYNC."),
        ("create index async on t using btree (a)", "0A000", "USING not supported for CREATE INDEX"),
        ("create index async concurrently on t (a)", "0A000", "CONCURRENTLY not supported for CREATE INDEX"),
        ("create index async public.i on t (a)", "42601", 'syntax error at or near "."'),
        ("create index async on t (a) include (lower(b))", "0A000",
         "expressions are not supported in included columns"),
        ("create index async on t ((random()))", "42P17", "functions in index expression must be marked IMMUTABLE"),
        ("create index async on t (a) where now() > '2020-01-01'", "42P17",
         "functions in index predicate must be marked IMMUTABLE"),
        ("create index async on t (nix)", "42703", 'column "nix" does not exist'),
        ("create index async on t (a) include (nix)", "42703", 'column "nix" does not exist'),
        ("create index async on nix (a)", "42P01", 'relation "nix" does not exist'),
        ("create index async on t ((sum(a)))", "42803", "aggregate functions are not allowed in index expressions"),
        ("create index async on t (a) where (select true)", "0A000", "cannot use subquery in index predicate"),
        ("create index async on t (a) where a", "42804", "argument of WHERE must be type boolean, not type integer"),
        ("create index async on t ((b::bytea))", "0A000", "datatype bytea is not supported in a key"),
        ("create index async on t (a, a, a, a, a, a, a, a, a)", "54011",
         "more than 8 column keys in an index are not supported"),
        ("drop index concurrently t_pkey", "0A000", "DROP INDEX CONCURRENTLY must be first action in transaction"),
        ("drop index t_pkey", "2BP01", "cannot drop index t_pkey because constraint t_pkey on table t requires it"),
    ],
)  # fmt: skip
def test_refusals(sql: str, sqlstate: str, message: str) -> None:
    assert make().refusal(sql) == (sqlstate, message)


def test_without_async_on_an_empty_table_once_that_is_allowed() -> None:
    db = make()
    db.settings["disable_sync_create_index"] = "off"
    assert db.ddl("create index on t (a)").job_id is None
    assert db.table("t").indexes[0].state is IndexState.ready
    db.do("insert into t values (1, 1, 'a', 1)")
    assert db.refusal("create index on t (b)") == ("0A000", "unsupported mode. please use CREATE INDEX ASYNC.")


def test_twenty_four_indexes_with_the_primary_key() -> None:
    db = make()
    for _ in range(23):
        db.do("create index async on t (a)")
    assert db.refusal("create index async on t (a)") == (
        "54000",
        "more than 24 indexes per table are not allowed",
    )


def test_a_foreign_key_keeps_its_index() -> None:
    db = make("create unique index async u on t (a)")
    db.do("create table c (a int references t (a))")
    error = db.error("drop index u")
    assert (error.sqlstate, error.detail) == ("2BP01", "constraint c_a_fkey on table c depends on index u")
    assert [notice.message for notice in db.ddl("drop index u cascade").notices] == [
        "drop cascades to constraint c_a_fkey on table c"
    ]
    assert not db.table("c").foreign_keys


def test_a_users_function_in_an_index_is_found_by_queries_that_call_it() -> None:
    db = DdlDatabase()
    db.do("create table t (id int primary key, a int, b text)")
    db.do("create function f(x int) returns int language sql immutable as 'select x * 2 + 1'")
    db.do("create function g(x text) returns text language sql immutable strict as 'select lower(x)'")
    for form in ("create unique index async by_f on t (f(a))", "create index async by_g on t (g(b)) where f(a) > 3"):
        assert db.work(db.ddl(form).job_id).status == "completed"
    db.do("insert into t select i, i, 'X' || i from generate_series(1, 2000) i")
    for sql, index in (
        ("select id from t where f(a) = 21", "by_f"),
        ("select id from t where g(b) = 'x10' and f(a) > 3", "by_g"),
    ):
        assert f" using {index} on t " in str(db.do(f"explain {sql}"))
        assert db.do(sql) == [[10]]
    assert outcome(db, "insert into t values (0, 10, '')") == "23505"
    there, wanted = db.entries("t")
    assert there == wanted
