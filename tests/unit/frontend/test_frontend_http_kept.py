"""Sessions that one statement over HTTP leaves to the next: whose they are, and how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from frontend_known import FIRST, KEY, SECOND, TOKENS, key, known_clusters, token
from frontend_running import Running, until, with_frontend

from tausql.frontend import http_kept_sessions
from tausql.frontend.app import create_app
from tausql.protocol.clusters import Clusters

OTHER = key("AKIAOTHER")
AUTH = ("admin", token())

Body = Callable[[Running, httpx.AsyncClient], Awaitable[None]]


def with_http(directory: Path, body: Body, clusters: Any = None, seconds: float = 5) -> None:
    async def main(running: Running) -> None:
        transport = httpx.ASGITransport(app=create_app(running.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            await body(running, http)
        await running.service.stop()
        assert all(session.is_lost for session in running.processor.sessions.values())
        assert running.service.statements._kept._count == 0

    known = clusters or known_clusters(keys=(KEY, OTHER))
    with_frontend(directory, main, settings={**TOKENS, "http_kept_seconds": seconds}, clusters=known)


async def asked(http: httpx.AsyncClient, sql: str = "select 1", auth: tuple[str, str] = AUTH) -> httpx.Response:
    return await http.post("/v1/sql", json={"sql": sql}, auth=auth)


def test_the_next_statement_of_the_same_owner_takes_it_reset(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for sql in ("select 1", "insert into t", "select 1"):
            assert (await asked(http, sql)).status_code == 200
        (session,) = running.processor.sessions.values()
        seen: list[str] = []
        run = session.run
        session.run = lambda described: (seen.append(session.sql), run(described))[1]
        assert (await asked(http)).json()["rows"] == [[1]]
        assert seen == ["RESET ALL", "select 1"]
        begun = (await http.post("/v1/transactions", auth=AUTH)).json()["transaction"]
        assert seen[2:] == ["RESET ALL", "BEGIN"]
        assert (await asked(http)).status_code == 200
        assert len(running.processor.starts) == 2
        await http.post(f"/v1/transactions/{begun}/commit", auth=AUTH)
        assert session.is_lost

    with_http(tmp_path, body)


def test_nobody_else_gets_it(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for auth in (
            AUTH,
            ("admin", token(SECOND)),
            ("admin", token(FIRST, OTHER)),
            ("app", token(FIRST, action="DbConnect")),
            ("other", token(FIRST, action="DbConnect")),
        ):
            assert (await asked(http, auth=auth)).status_code == 200
        assert len(running.processor.starts) == 5
        assert (await asked(http, auth=("app", token(FIRST, action="DbConnect")))).status_code == 200
        assert len(running.processor.starts) == 5
        wrong = await asked(http, auth=("admin", token()[:-1]))
        assert wrong.status_code == 401  # a session is no token

    with_http(tmp_path, body)


def test_what_may_have_left_something_behind_is_ended(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for sql in ("fail", "fatal", "begin", "rows 700", "commit"):
            await asked(http, sql)
        starts = len(running.processor.starts)
        assert starts == 5
        assert running.service._house.gate.quotas.connections(FIRST.identifier) == 0

    with_http(tmp_path, body)


def test_it_is_not_kept_for_long(tmp_path: Path, monkeypatch: Any) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        await asked(http)
        (session,) = running.processor.sessions.values()
        await until(lambda: session.is_lost)
        assert running.service._house.gate.quotas.connections(FIRST.identifier) == 0

    with_http(tmp_path, body, seconds=0.05)
    monkeypatch.setattr(http_kept_sessions, "AGE_SECONDS", 0.0)

    async def old(running: Running, http: httpx.AsyncClient) -> None:
        await asked(http)
        (session,) = running.processor.sessions.values()
        assert session.is_lost

    with_http(tmp_path, old)


def test_one_that_has_ended_meanwhile_is_not_used(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        await asked(http)
        (session,) = running.processor.sessions.values()
        session.out.close()
        assert (await asked(http)).status_code == 200
        _, session = running.processor.sessions.values()
        session.sql = "fatal"  # said while nobody asks
        session.run(described=False)
        assert (await asked(http)).status_code == 200
        assert len(running.processor.starts) == 3

    with_http(tmp_path, body)


def test_there_are_so_many_and_they_make_room(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(http_kept_sessions, "COUNT_MAX", 2)

    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for name in ("a", "b", "c"):
            assert (await asked(http, auth=(name, token(FIRST, action="DbConnect")))).status_code == 200
        assert [session.is_lost for session in running.processor.sessions.values()] == [False, False, True]

    with_http(tmp_path, body)


def test_those_of_a_deleted_cluster_end(tmp_path: Path) -> None:
    known = known_clusters()

    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for record in (FIRST, SECOND):
            await asked(http, auth=("admin", token(record)))
        known.take_clusters(Clusters(False, (), (FIRST.identifier,)))
        first, second = running.processor.sessions.values()
        assert first.is_lost
        assert not second.is_lost

    with_http(tmp_path, body, known)
