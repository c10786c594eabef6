"""Limits of tables, columns, keys and rows, with Aurora DSQL's words."""

from __future__ import annotations

import pytest
from ddl_database import DdlDatabase

from tausql.sql.ddl import alter_columns, limits


@pytest.fixture
def db() -> DdlDatabase:
    db = DdlDatabase()
    db.script(
        "create table t (id text primary key, a text, b text, c jsonb)",
        "create table n (id int primary key, a text)",
    )
    assert db.work(db.ddl("create index async on n (a)").job_id).status == "completed"
    return db


KEY = ("54000", "key size too large")


def test_keys_of_more_than_a_kibibyte(db: DdlDatabase) -> None:
    db.do("insert into t (id) values ($1)", "x" * 1024)
    assert db.refusal("insert into t (id) values ($1)", "x" * 1025) == KEY
    assert db.refusal("insert into t (id) values ($1)", "\u20ac" * 342) == KEY
    assert db.refusal("update t set id = $1", "y" * 1025) == KEY
    db.do("insert into n values (1, $1)", "x" * 1024)
    assert db.refusal("update n set a = $1", "x" * 1025) == KEY


def test_an_index_over_too_large_values_is_not_built(db: DdlDatabase) -> None:
    db.do("insert into t values ('1', $1)", "x" * 2000)
    job = db.work(db.ddl("create index async on t (a)").job_id)
    assert (job.status, job.details) == ("failed", "key size too large")


def test_columns_of_a_mebibyte_and_rows_of_two(db: DdlDatabase) -> None:
    full = "x" * (1 << 20)
    db.do("insert into t values ('1', $1, $2)", full, "y" * 1_000_000)
    assert db.refusal("insert into t values ('2', $1)", full + "x") == ("54000", "maximum column size exceeded")
    assert db.refusal("insert into t values ('2', $1, $1)", full) == ("54000", "maximum row size exceeded")
    assert db.refusal("insert into t (id, c) values ('2', to_jsonb($1::text))", full) == (
        "54000",
        "maximum column size exceeded",
    )


def test_255_columns_now_and_1600_ever(db: DdlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ", ".join(f"c{number} int" for number in range(255))
    assert db.refusal(f"create table w ({columns}, more int)") == ("54011", "tables can have at most 255 columns")
    db.do(f"create table w ({columns})")
    assert db.refusal("alter table w add column more int") == ("54011", "tables can have at most 255 columns")
    db.script("alter table w drop column c0", "alter table w add column more int")
    monkeypatch.setattr(alter_columns, "COLUMNS_EVER_MAX", 256)
    db.do("alter table w drop column more")
    assert db.refusal("alter table w add column again int") == ("54011", "tables can have at most 256 columns")


def test_a_thousand_tables(db: DdlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TABLES_MAX", 3)
    db.do("create table third (id int)")
    state, message = db.refusal("create table fourth (id int)")
    assert (state, message.replace("3", "1000")) == ("54000", "creating more than 1000 tables not allowed")


def test_eight_columns_in_a_key(db: DdlDatabase) -> None:
    names = [f"c{number}" for number in range(9)]
    columns = ", ".join(f"{name} int" for name in names)
    for key in ("primary key", "unique"):
        assert db.refusal(f"create table w ({columns}, {key} ({', '.join(names)}))") == (
            "54011",
            "more than 8 column keys in an index are not supported",
        )


def test_twenty_four_indexes_in_the_definition(db: DdlDatabase) -> None:
    columns = ", ".join(f"c{number} int unique" for number in range(24))
    assert db.refusal(f"create table w (id int primary key, {columns})") == (
        "54000",
        "more than 24 indexes per table are not allowed",
    )
