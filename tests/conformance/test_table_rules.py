"""Foreign keys, generated columns, partial and expression indexes against PostgreSQL: random tables with random
actions, random writes, and after each of them the same rows in every table and the same SQLSTATE."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "sql"))

from ddl_database import DdlDatabase
from record import local_server

from tausql.protocol.errors import SqlError

TABLES = "abef"
STATEMENTS = 60
ACTIONS = (
    "", "on delete cascade", "on delete set null", "on delete set default", "on delete restrict", "on update cascade",
    "on update set null", "on update set default", "on update restrict", "on delete cascade on update cascade",
    "on delete set null on update cascade", "on delete set default on update cascade",
)  # fmt: skip
INDEXES = (
    "create unique index {} on b (lower(t)) where x > 1",
    "create unique index {} on e ((p + q)) where p is not null",
    "create unique index {} on f (q) nulls not distinct where id > 2",
    "create index {} on b (x) include (y)",
    "create index {} on f (q, p)",
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[psycopg.Connection]:
    with local_server() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def definitions(chance: random.Random) -> list[str]:
    def action() -> str:
        return chance.choice(ACTIONS)

    def default() -> str:
        return chance.choice(("", "default 1", "default 3"))

    tables = [
        f"create table a (id int primary key, u int unique, up int {default()} references a {action()})",
        f"create table b (id int primary key, x int {default()} {chance.choice(('', 'not null'))} references a"
        f" {action()}, y bigint {default()} references a (u) {action()}, t text,"
        " g int generated always as (x * 2) stored)",
        f"create table e (id int primary key, p int, q int, unique (q, p), foreign key (p) references b {action()},"
        f" foreign key (q) references a {action()}, check (p + q < 12))",
        f"create table f (id int primary key, p int {default()}, q int {default()}, foreign key (p, q) references"
        f" e (p, q) {chance.choice(('', 'match full'))} {action()})",
    ]
    chosen = chance.sample(INDEXES, 3)
    return tables + [sql.format(f"index_{at}") for at, sql in enumerate(chosen)]


def write(chance: random.Random) -> str:
    table = chance.choice("aabbbef")
    columns = {"a": "id u up", "b": "id x y t", "e": "id p q", "f": "id p q"}[table].split()

    def value(column: str) -> str:
        return str(chance.choice(("'k'", "'K'", "'z'") if column == "t" else ("null", *"12345")))

    kind = chance.random()
    if kind < 0.55:
        rows = [
            "(" + ", ".join(value(column) if column != "id" else chance.choice("123456") for column in columns) + ")"
            for _ in range(chance.choice((1, 1, 2)))
        ]
        update = f" on conflict (id) do update set {columns[2]} = excluded.{columns[2]}"
        conflict = chance.choice(("", "", " on conflict do nothing", update))
        return f"insert into {table} ({', '.join(columns)}) values {', '.join(rows)}{conflict}"
    where = f"{chance.choice(columns[:3])} = {chance.choice('12345')}"
    if kind < 0.8:
        column = chance.choice(columns)
        new = value(column) if column != "id" else chance.choice((*"12345", "id + 1"))
        return f"update {table} set {column} = {new} where {where}"
    return f"delete from {table} where {where}" if kind < 0.97 else f"delete from {table}"


def theirs(connection: psycopg.Connection, sql: str) -> str | list[Any]:
    try:
        cursor = connection.execute(sql.encode())
    except psycopg.Error as error:
        return error.sqlstate or ""
    return sorted(map(list, cursor.fetchall()), key=repr) if cursor.description else (cursor.statusmessage or "")


def is_error(answer: str | list[Any]) -> bool:
    return isinstance(answer, str) and len(answer) == 5


def ours(db: DdlDatabase, sql: str) -> str | list[Any]:
    try:
        rows = db.do(sql)
    except SqlError as error:
        return error.sqlstate
    return sorted(rows, key=repr) if sql.startswith("select") else str(rows[0][0])


@pytest.mark.parametrize("seed", range(8))
def test_random_tables_keep_the_same_rows(postgres: psycopg.Connection, seed: int) -> None:
    chance = random.Random(seed)
    postgres.execute("drop schema public cascade")
    postgres.execute("create schema public")
    db = DdlDatabase()
    said: list[str] = []
    for sql in definitions(chance):
        said.append(sql)
        assert theirs(postgres, sql) in ("CREATE TABLE", "CREATE INDEX")
        if " index " in sql:
            assert db.work(db.ddl(sql.replace(" index ", " index async ", 1)).job_id).status == "completed"
        else:
            db.do(sql)
    for _ in range(STATEMENTS):
        sql = write(chance)
        said.append(sql)
        for asked in (sql, *(f"select * from {table}" for table in TABLES)):
            expected, got = theirs(postgres, asked), ours(db, asked)
            if "on conflict" in asked and is_error(expected) and is_error(got):
                continue  # PostgreSQL meets the rows one by one, TauSQL all at once: each names another of the errors
            assert got == expected, "\n".join([*said, asked])
    for table in TABLES:
        there, wanted = db.entries(table)
        assert there == wanted
