"""Real drivers against a real fleet: everything they do at connect, in between and at the end."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import subprocess
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psycopg
import pytest
from loadtest.postgres import programs
from loadtest.tausql_fleet import Fleet
from psycopg import pq
from psycopg.types.json import Json, Jsonb

from . import column_values
from .sessions import Session, session, sessions_by_processor, sql_url

pytestmark = pytest.mark.fleet

JSON_TYPES = {"json": Json, "jsonb": Jsonb}


def _parameters(row: tuple[Any, ...]) -> list[Any]:
    """A row with documents in the wrappers psycopg wants."""
    types = ["integer", *(one[1] for one in column_values.COLUMNS)]
    return [
        JSON_TYPES[kind](value) if kind in JSON_TYPES and value is not None else value
        for kind, value in zip(types, row, strict=True)
    ]


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg_round_trips_every_column_type(connection: Session, table: str, binary: bool) -> None:
    connection.execute(column_values.create(table))
    mark = "%b" if binary else "%t"
    for row in column_values.rows():
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", _parameters(row))
    with connection.cursor(binary=binary) as cursor:
        found = cursor.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    assert found == column_values.rows()


def test_values_beyond_pythons_types_round_trip_as_text(connection: Session, table: str) -> None:
    connection.execute(column_values.create(table))
    for number, (column, text) in enumerate(column_values.TEXTS):
        sql_type = next(one[1] for one in column_values.COLUMNS if one[0] == column)
        connection.execute(f"INSERT INTO {table} (id, {column}) VALUES (%s, %s::{sql_type})", (number, text))
        found = connection.execute(f"SELECT {column}::text FROM {table} WHERE id = %s", (number,)).fetchone()
        assert found == (text,), column


def test_asyncpg_round_trips_every_column_type(fleet: Fleet, table: str) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(column_values.create(table))
        kinds = ["integer", *(one[1] for one in column_values.COLUMNS)]
        marks = ", ".join(f"${number}" for number in range(1, len(kinds) + 1))
        expected = []
        for row in column_values.rows():
            given = [
                json.dumps(value) if kind in JSON_TYPES and value is not None else value
                for kind, value in zip(kinds, row, strict=True)
            ]
            expected.append(given)
            await connection.execute(f"INSERT INTO {table} VALUES ({marks})", *given)
        found = [list(record) for record in await connection.fetch(f"SELECT * FROM {table} ORDER BY id")]
        assert [_documents(row, kinds) for row in found] == [_documents(row, kinds) for row in expected]

    _with_asyncpg(fleet, work)


def _documents(row: list[Any], kinds: list[str]) -> list[Any]:
    return [
        json.loads(value) if kind in JSON_TYPES and value is not None else value
        for kind, value in zip(kinds, row, strict=True)
    ]


def _with_asyncpg(fleet: Fleet, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(
            host=fleet.host,
            port=fleet.pg_port,
            user="admin",
            password=fleet.password,
            database="postgres",
            ssl="require",
            timeout=10,
        )
        try:
            await work(connection)
        finally:
            await connection.close(timeout=10)

    asyncio.run(run())


def test_asyncpg_transactions_cursors_and_prepared_statements(fleet: Fleet, table: str) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text NOT NULL)")
        async with connection.transaction():
            await connection.executemany(
                f"INSERT INTO {table} VALUES ($1, $2)", [(number, f"name {number}") for number in range(100)]
            )
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        assert await connection.execute(f"DELETE FROM {table}") == "DELETE 100"
        await transaction.rollback()
        statement = await connection.prepare(f"SELECT name FROM {table} WHERE id = $1")
        assert [await statement.fetchval(number) for number in (3, 99, 100)] == ["name 3", "name 99", None]
        assert [column.type.name for column in statement.get_attributes()] == ["text"]
        async with connection.transaction(readonly=True):
            upwards = connection.cursor(f"SELECT id FROM {table} ORDER BY id", prefetch=7)
            assert [record["id"] async for record in upwards] == list(range(100))
            cursor = await connection.cursor(f"SELECT id FROM {table} ORDER BY id DESC")
            assert [record["id"] for record in await cursor.fetch(3)] == [99, 98, 97]
            assert len(await cursor.fetch(90)) == 90
            assert [record["id"] for record in await cursor.fetch(100)] == [6, 5, 4, 3, 2, 1, 0]
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(f"INSERT INTO {table} VALUES (1, 'again')")
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 100

    _with_asyncpg(fleet, work)


def test_asyncpg_cancels_what_takes_too_long(fleet: Fleet) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        with pytest.raises(TimeoutError):
            await connection.fetchval(LONG_STATEMENT, timeout=0.2)
        assert await connection.fetchval("SELECT 1") == 1

    _with_asyncpg(fleet, work)


SERIES = "generate_series(1, 2000)"
LONG_STATEMENT = f"SELECT count(*) FROM {SERIES} a, {SERIES} b, {SERIES} c"


def test_psycopg_cancels_a_statement_and_goes_on(connection: Session) -> None:
    connection.pgconn.send_query(LONG_STATEMENT.encode())
    connection.cancel_safe(timeout=10)
    result = connection.pgconn.get_result()
    assert result is not None
    assert result.error_field(pq.DiagnosticField.SQLSTATE) == b"57014"
    assert connection.pgconn.get_result() is None
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_prepared_statements_and_pipelines(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, total numeric(12,2))")
    with connection.pipeline(), connection.cursor() as cursor:
        for number in range(50):
            cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (number, Decimal(number) / 4), prepare=True)
        counted = cursor.execute(f"SELECT count(*), sum(total) FROM {table}")
        assert counted.fetchone() == (50, Decimal("306.25"))
    for number in (0, 7, 49):
        found = connection.execute(f"SELECT total FROM {table} WHERE id = %s", (number,), prepare=True)
        assert found.fetchone() == (Decimal(number) / 4,)


def test_error_in_a_pipeline_spoils_only_its_own_part(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")

    def twice_and_another(pipeline: psycopg.Pipeline) -> None:
        """Raises by whichever call finds the answer there."""
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        connection.execute(f"INSERT INTO {table} VALUES (2)")
        pipeline.sync()

    with connection.pipeline() as pipeline:
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        pipeline.sync()
        with pytest.raises(psycopg.errors.UniqueViolation):
            twice_and_another(pipeline)
    assert connection.execute(f"SELECT id FROM {table}").fetchall() == [(1,)]


def test_errors_carry_their_fields(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text NOT NULL, size int CHECK (size > 0))")
    with pytest.raises(psycopg.errors.NotNullViolation) as missing:
        connection.execute(f"INSERT INTO {table} VALUES (1, NULL)")
    assert (missing.value.diag.table_name, missing.value.diag.column_name) == (table, "name")
    with pytest.raises(psycopg.errors.CheckViolation) as unfit:
        connection.execute(f"INSERT INTO {table} VALUES (1, 'a', 0)")
    assert unfit.value.diag.constraint_name == f"{table}_size_check"
    with pytest.raises(psycopg.errors.UndefinedColumn) as unknown:
        connection.execute(f"SELECT nome FROM {table}")
    assert unknown.value.diag.statement_position == "8"
    assert unknown.value.diag.severity_nonlocalized == "ERROR"


@pytest.mark.parametrize("options", ["", " (FORMAT csv, HEADER true)"])
def test_copy_in_and_out(connection: Session, table: str, options: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text, at timestamptz)")
    lines = [b"1\tone\\ttab\t2026-01-01 00:00:00+00\n", b"2\t\\N\t\\N\n"]
    if options:
        lines = [b"id,name,at\n", b'1,"one ""quoted"", comma",2026-01-01 00:00:00+00\n', b"2,,\n"]
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} (id, name, at) FROM STDIN{options}") as copy:
            for line in lines:
                copy.write(line[:3])
                copy.write(line[3:])
        assert cursor.statusmessage == "COPY 2"
        with cursor.copy(f"COPY (SELECT id, name, at FROM {table} ORDER BY id) TO STDOUT{options}") as copy:
            assert b"".join(bytes(chunk) for chunk in copy) == b"".join(lines)
    rows = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
    assert rows[0][2] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert rows[1][1:] == (None, None)


def test_copy_in_binary_and_out_again(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text, price numeric(9,2), day date)")
    rows = [(1, "one", Decimal("1.50"), dt.date(2024, 2, 29)), (2, None, None, None), (3, "", Decimal("-3.00"), None)]
    kinds = ["int4", "text", "numeric", "date"]
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(kinds)
            for row in rows:
                copy.write_row(row)
        assert cursor.statusmessage == "COPY 3"
        with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(kinds)
            assert list(copy.rows()) == rows
    with pytest.raises(psycopg.errors.BadCopyFileFormat, match="signature"):
        _copied(connection, table, b"4\tfour\t1\t2024-01-01\n", options="(FORMAT binary)")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (3,)


def test_asyncpg_copies_records_in_and_out(fleet: Fleet, table: str) -> None:
    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text, at timestamptz)")
        now = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
        records = [(number, f"name {number}" if number % 2 else None, now) for number in range(250)]
        assert await connection.copy_records_to_table(table, records=records) == "COPY 250"
        assert [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY id")] == records
        text, binary = io.BytesIO(), io.BytesIO()
        query = f"SELECT id, name FROM {table} WHERE id < 2 ORDER BY id"
        assert await connection.copy_from_query(query, output=text, format="csv") == "COPY 2"
        assert text.getvalue() == b"0,\n1,name 1\n"
        assert await connection.copy_from_query(query, output=binary, format="binary") == "COPY 2"
        assert binary.getvalue().startswith(b"PGCOPY\n\xff\r\n\0")

    _with_asyncpg(fleet, work)


def test_asyncpg_asks_for_types_it_does_not_know(fleet: Fleet, table: str) -> None:
    """Arrays, ranges and rows make it read the catalogue by a recursive query first."""

    async def work(connection: asyncpg.Connection) -> None:
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text)")
        await connection.executemany(f"INSERT INTO {table} VALUES ($1, $2)", [(n, str(n)) for n in range(5)])
        found = await connection.fetch(f"SELECT id FROM {table} WHERE id = ANY($1::int[]) ORDER BY id", [3, 1, 9])
        assert [record["id"] for record in found] == [1, 3]
        assert await connection.fetchval("SELECT ARRAY['a', NULL, 'c']") == ["a", None, "c"]
        assert await connection.fetchval("SELECT int4range(1, 4)") == asyncpg.Range(1, 4)
        row = await connection.fetchval(f"SELECT t FROM {table} t WHERE id = 2")
        assert tuple(row) == (2, "2")

    _with_asyncpg(fleet, work)


def test_executemany_returns_and_streams(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, name text)")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} VALUES (%s, %s) RETURNING id", [(n, str(n)) for n in range(4)], returning=True
        )
        found = [cursor.fetchone()]
        while cursor.nextset():
            found.append(cursor.fetchone())
        assert found == [(0,), (1,), (2,), (3,)]
        assert list(cursor.stream(f"SELECT id FROM {table} ORDER BY id")) == found
    for _ in range(7):  # prepared after the fifth
        connection.execute(f"SELECT * FROM {table} WHERE id = %s", (1,))
    connection.execute(f"ALTER TABLE {table} ADD COLUMN size int")
    assert connection.execute(f"SELECT * FROM {table} WHERE id = %s", (1,)).fetchall() == [(1, "1", None)]


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("DECLARE c CURSOR FOR SELECT 1", "unsupported statement: DeclareCursor"),
        ("SAVEPOINT s", "unsupported transaction statement: SAVEPOINT"),
        ("PREPARE TRANSACTION 'x'", "unsupported transaction statement: PREPARE TRANSACTION"),
        ("LISTEN x", "unsupported statement: Listen"),
    ],
)
def test_what_drivers_offer_and_dsql_refuses(connection: Session, statement: str, refused: str) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported) as caught, connection.transaction():
        connection.execute(statement)
    assert caught.value.diag.message_primary == refused


def _copied(connection: Session, table: str, lines: bytes, failure: Exception | None = None, options: str = "") -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN {options}") as copy:
        copy.write(lines)
        if failure is not None:
            raise failure


def test_copy_that_fails_leaves_nothing(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
        _copied(connection, table, b"1\n2\nthree\n")
    assert "line 3" in str(caught.value.diag.context)
    with pytest.raises(RuntimeError, match="on purpose"):
        _copied(connection, table, b"1\n", RuntimeError("on purpose"))
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_statements_of_one_string_are_one_transaction(connection: Session, table: str) -> None:
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    insert = f"INSERT INTO {table} VALUES"
    cursor = connection.execute(f"{insert} (1); {insert} (2); SELECT count(*) FROM {table}")
    tags = [cursor.statusmessage]
    while cursor.nextset():
        tags.append(cursor.statusmessage)
    assert tags == ["INSERT 0 1", "INSERT 0 1", "SELECT 1"]
    assert cursor.fetchone() == (2,)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"INSERT INTO {table} VALUES (3); INSERT INTO {table} VALUES (1)")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,)


def test_notices_arrive(connection: Session, table: str) -> None:
    seen: list[tuple[str | None, str | None]] = []
    connection.add_notice_handler(lambda notice: seen.append((notice.severity_nonlocalized, notice.sqlstate)))
    connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY)")
    connection.execute("COMMIT")
    assert seen == [("NOTICE", "42P07"), ("WARNING", "25P01")]


def test_tls_with_the_fleets_authority_is_verified(fleet: Fleet, tmp_path: Path) -> None:
    authority = fleet.folder / "tls" / "ca.pem"
    for host in ("127.0.0.1", "localhost"):
        verified = fleet.secure_connection.replace("sslmode=require", f"sslmode=verify-full sslrootcert={authority}")
        with psycopg.connect(verified.replace("host=127.0.0.1", f"host={host}")) as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.execute("SELECT 1").fetchone() == (1,)
    other = tmp_path / "other.pem"
    other.write_text(_another_authority())
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(verified.replace(str(authority), str(other)))


def _another_authority() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_direct_tls_is_accepted(fleet: Fleet) -> None:
    with psycopg.connect(fleet.secure_connection + " sslnegotiation=direct") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psql_runs_scripts(fleet: Fleet, table: str) -> None:
    script = f"""
    CREATE TABLE {table} (id int PRIMARY KEY, name text);
    INSERT INTO {table} VALUES (1, 'one'), (2, NULL) RETURNING id;
    BEGIN; UPDATE {table} SET name = 'uno' WHERE id = 1; ROLLBACK;
    \\pset null '(null)'
    SELECT * FROM {table} ORDER BY id;
    COPY {table} FROM STDIN;
3\tthree
\\.
    \\copy {table} TO STDOUT
    SELECT 1/0;
    SELECT 'still here';
    """
    done = subprocess.run(
        [str(programs() / "psql"), "-X", "-A", "-t", "-q"],
        env=fleet.environment | {"PGSSLMODE": "require"},
        input=script,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1", "2", "1|one", "2|(null)", "1\tone", "2\t\\N", "3\tthree", "still here"]
    assert done.stderr.strip().endswith("ERROR:  division by zero")


def test_http_sql_runs_statements_and_transactions(fleet: Fleet, table: str) -> None:
    with httpx.Client(base_url=sql_url(fleet), auth=("admin", fleet.password), timeout=20) as client:

        def sql(statement: str, *params: Any, transaction: str | None = None, status: int = 200) -> Any:
            answer = client.post("/sql", json={"sql": statement, "params": params, "transaction": transaction})
            assert answer.status_code == status, answer.text
            return answer.json()

        def begin() -> str:
            return str(client.post("/transactions").json()["transaction"])

        assert sql(f"CREATE TABLE {table} (id int PRIMARY KEY, name text)")["command"] == "CREATE TABLE"
        kept, dropped = begin(), begin()
        assert sql(f"INSERT INTO {table} VALUES ($1, $2)", 1, "one", transaction=kept)["rowCount"] == 1
        sql(f"INSERT INTO {table} VALUES ($1, $2)", 2, None, transaction=dropped)
        assert sql(f"SELECT count(*) FROM {table}")["rows"] == [[0]]
        assert client.post(f"/transactions/{kept}/commit").json()["state"] == "committed"
        assert client.post(f"/transactions/{dropped}/rollback").json()["state"] == "rolled back"
        answer = sql(f"SELECT id, name FROM {table}")
        assert answer["columns"] == [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]
        assert answer["rows"] == [[1, "one"]]
        error = sql(f"INSERT INTO {table} VALUES (1, 'again')", status=409)["error"]
        assert (error["sqlstate"], error["retryable"]) == ("23505", False)
        assert client.post(f"/transactions/{kept}/commit").json()["error"]["sqlstate"] == "25P01"
    refused = httpx.post(f"{sql_url(fleet)}/sql", json={"sql": "SELECT 1"}, auth=("admin", "wrong"), timeout=20)
    assert (refused.status_code, refused.json()["error"]["sqlstate"]) == (401, "08006")


def test_settings_of_the_session_work_as_drivers_expect(fleet: Fleet) -> None:
    with session(fleet) as connection:
        assert connection.info.parameter_status("server_version")
        assert connection.info.parameter_status("standard_conforming_strings") == "on"
        connection.execute("SET TIME ZONE 'Europe/Berlin'")
        assert connection.info.parameter_status("TimeZone") == "Europe/Berlin"
        shown = connection.execute("SELECT timestamptz '2026-07-01 12:00:00+00'::text").fetchone()
        assert shown == ("2026-07-01 14:00:00+02",)
        connection.execute("RESET ALL")
        assert connection.execute("SHOW TimeZone").fetchone() == ("UTC",)


@pytest.mark.parametrize(
    "statement",
    [
        LONG_STATEMENT,
        "SELECT count(*) FROM generate_series(1, 3000) a JOIN generate_series(1, 100000) b ON a.a + b.b < 0",
        "SELECT count(*) FROM generate_series(1, 1000000000)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 100000000) SELECT max(n) FROM r",
    ],
    ids=["product", "join without a result", "series", "recursion"],
)
def test_long_statement_stops_nobody_else(fleet: Fleet, connection: Session, statement: str) -> None:
    with sessions_by_processor(fleet, ("zone-a", "zone-b")) as others:
        connection.pgconn.send_query(statement.encode())
        for other in others * 3:
            assert other.execute("SELECT count(*) FROM generate_series(1, 10)").fetchone() == (10,)
        assert connection.pgconn.is_busy()
        connection.cancel_safe(timeout=10)
        result = connection.pgconn.get_result()
        assert result is not None
        assert result.error_field(pq.DiagnosticField.SQLSTATE) == b"57014"
        assert connection.pgconn.get_result() is None
