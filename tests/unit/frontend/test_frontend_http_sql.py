from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from frontend_fake_processor import FakeSession
from frontend_running import Running, until, with_frontend

from tausql.frontend.app import create_app
from tausql.pgwire import backend
from tausql.protocol.errors import conflict, unknown_with_processor
from tausql.protocol.processor import Resolved

placements = pytest.mark.parametrize("remote", [0, 1], ids=["same process", "over TCP"])


def with_http(
    directory: Path,
    body: Callable[[Running, httpx.AsyncClient], Awaitable[None]],
    *,
    remote: int = 0,
    settings: dict[str, Any] | None = None,
) -> None:
    async def main(running: Running) -> None:
        transport = httpx.ASGITransport(app=create_app(running.service))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://frontend", auth=("admin", running.password)
        ) as http:
            await body(running, http)
        assert running.service.statements.running == 0

    with_frontend(directory, main, remote=remote, settings={"http_kept_seconds": 0, **(settings or {})})


async def run(http: httpx.AsyncClient, sql: str, **more: Any) -> httpx.Response:
    return await http.post("/v1/sql", json={"sql": sql, **more})


def error_of(response: httpx.Response) -> tuple[int, str, bool]:
    error = response.json()["error"]
    return response.status_code, error["sqlstate"], error["retryable"]


@placements
def test_statement_alone(tmp_path: Path, remote: int) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        response = await run(http, "select 1")
        assert response.status_code == 200
        assert response.json() == {
            "columns": [{"name": "n", "type": "integer"}],
            "rows": [[1]],
            "rowCount": 1,
            "command": "SELECT",
        }
        response = await run(http, "insert into t")
        assert response.json() == {"columns": [], "rows": [], "rowCount": 2, "command": "INSERT"}
        await until(lambda: all(session.is_lost for session in running.processor.sessions.values()))
        assert running.service.metrics.http_statements == 2

    with_http(tmp_path, body, remote=remote)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", "é"),
        (None, None),
        (True, "true"),
        (1.5, "1.5"),
        (12345678901234567890, "12345678901234567890"),
        ([1], "[1]"),
    ],
)
def test_parameters_become_text(tmp_path: Path, value: Any, expected: str | None) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        response = await run(http, "select $1", params=[value])
        assert response.json()["rows"] == [[expected]]

    with_http(tmp_path, body)


@placements
def test_transaction_is_committed_or_rolled_back(tmp_path: Path, remote: int) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for end, state in (("commit", "committed"), ("rollback", "rolled back")):
            begun = (await http.post("/v1/transactions")).json()["transaction"]
            assert (await run(http, "insert into t", transaction=begun)).status_code == 200
            assert running.service.metrics.http_transactions == 1
            response = await http.post(f"/v1/transactions/{begun}/{end}")
            assert response.json() == {"transaction": begun, "state": state}
            assert error_of(await http.post(f"/v1/transactions/{begun}/{end}")) == (400, "25P01", False)
            assert running.service.metrics.http_transactions == 0
        await until(lambda: all(session.is_lost for session in running.processor.sessions.values()))

    with_http(tmp_path, body, remote=remote)


def test_errors_carry_sqlstate_status_and_retryability(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        response = await run(http, "fail")
        assert response.status_code == 409
        assert response.json() == {
            "error": {
                "sqlstate": "23505",
                "message": "duplicate key",
                "detail": "Key (a)=(1) already exists.",
                "hint": "h",
                "retryable": False,
            }
        }
        assert error_of(await run(http, "fail at commit")) == (409, "40001", True)
        assert error_of(await run(http, "begin")) == (400, "25001", False)
        assert error_of(await run(http, "select 1", transaction="nope")) == (400, "25P01", False)
        assert error_of(await run(http, "select $1", params=["a\0b"])) == (400, "22021", False)

    with_http(tmp_path, body)


def test_failed_transaction_cannot_be_committed(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        begun = (await http.post("/v1/transactions")).json()["transaction"]
        assert error_of(await run(http, "fail", transaction=begun)) == (409, "23505", False)
        assert error_of(await http.post(f"/v1/transactions/{begun}/commit")) == (409, "25P02", False)
        begun = (await http.post("/v1/transactions")).json()["transaction"]
        assert (await run(http, "fail at commit", transaction=begun)).status_code == 200
        assert error_of(await http.post(f"/v1/transactions/{begun}/commit")) == (409, "40001", True)

    with_http(tmp_path, body)


def test_processor_that_dies_before_the_commit_has_changed_nothing(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        def asleep() -> list[FakeSession]:
            sessions = [session for each in running.processors for session in each.sessions.values()]
            return [session for session in sessions if session.sleeping]

        answer = asyncio.ensure_future(run(http, "sleep"))
        await until(lambda: len(asleep()) == 1)
        asleep()[0].processor.die()
        assert error_of(await answer) == (409, "40001", True)

    with_http(tmp_path, body, remote=2)


def test_transaction_whose_processor_dies_has_failed(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        begun = [(await http.post("/v1/transactions")).json()["transaction"] for _ in range(2)]
        for processor in running.processors:
            processor.die()
        assert error_of(await run(http, "insert into t", transaction=begun[0])) == (409, "40001", True)
        assert error_of(await http.post(f"/v1/transactions/{begun[0]}/commit")) == (409, "25P02", False)
        assert error_of(await http.post(f"/v1/transactions/{begun[1]}/commit")) == (409, "40001", True)

    with_http(tmp_path, body, remote=2)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Resolved(True), None),
        (Resolved(False, backend.error_response(conflict()), "40001"), (409, "40001", True)),
        (Resolved(False, backend.error_response(unknown_with_processor()), "40003"), (503, "40003", False)),
    ],
)
def test_processor_that_dies_in_the_commit_leaves_the_outcome_to_another(
    tmp_path: Path, verdict: Resolved, told: tuple[int, str, bool] | None
) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        def check(answer: httpx.Response) -> None:
            if told is None:
                assert answer.status_code == 200
            else:
                assert error_of(answer) == told

        for processor in running.processors:
            processor.verdict = verdict
        begun = (await http.post("/v1/transactions")).json()["transaction"]
        for processor in running.processors:
            processor.dies_at_commit = True
        check(await run(http, "insert into t"))
        check(await http.post(f"/v1/transactions/{begun}/commit"))
        outcome = "committed" if told is None else "unknown" if told[1] == "40003" else "aborted"
        assert running.service.metrics.outcomes[outcome] == 2

    with_http(tmp_path, body, remote=2, settings={"processor_attempts": 1})


def test_commit_that_is_not_answered_in_time_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        running.processor.silent_at_commit = True
        assert error_of(await run(http, "insert into t")) == (503, "40003", False)
        await until(lambda: all(session.is_lost for session in running.processor.sessions.values()))

    with_http(tmp_path, body, settings={"http_statement_seconds": 0.1})


@placements
def test_result_above_a_limit_is_refused_and_its_session_ended(tmp_path: Path, remote: int) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        assert (await run(http, "rows 2")).json()["rowCount"] == 99
        assert error_of(await run(http, "rows 3")) == (400, "54000", False)
        await until(lambda: all(session.is_lost for session in running.processor.sessions.values()))

    with_http(tmp_path, body, remote=remote, settings={"http_rows_max": 40})


def test_result_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        assert error_of(await run(http, "rows 100")) == (400, "54000", False)

    with_http(tmp_path, body, settings={"http_result_bytes_max": 100_000})


def test_statement_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        assert error_of(await run(http, "sleep")) == (409, "57014", False)
        assert all(session.is_lost for session in running.processor.sessions.values())

    with_http(tmp_path, body, settings={"http_statement_seconds": 0.1})


def test_transaction_left_alone_is_rolled_back(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        begun = (await http.post("/v1/transactions")).json()["transaction"]
        await until(lambda: running.service.metrics.http_transactions == 0)
        assert error_of(await run(http, "select 1", transaction=begun)) == (400, "25P01", False)
        assert all(session.is_lost for session in running.processor.sessions.values())

    with_http(tmp_path, body, settings={"http_transaction_idle_seconds": 0.05})


def test_transactions_are_bounded_and_used_by_one_request_at_a_time(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        begun = (await http.post("/v1/transactions")).json()["transaction"]
        assert error_of(await http.post("/v1/transactions")) == (429, "53300", True)
        asleep = asyncio.ensure_future(run(http, "sleep", transaction=begun))
        await until(lambda: any(session.sleeping for session in running.processor.sessions.values()))
        assert error_of(await run(http, "select 1", transaction=begun)) == (409, "55000", False)
        (session,) = running.processor.sessions.values()
        session.cancel()
        assert error_of(await asleep) == (409, "57014", False)
        assert (await http.post(f"/v1/transactions/{begun}/rollback")).status_code == 200
        assert (await http.post("/v1/transactions")).status_code == 200

    with_http(tmp_path, body, settings={"http_transactions_max": 1})


def test_only_a_token_lets_one_in(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        basic = base64.b64encode(b"someone:not " + running.password.encode()).decode()
        for header in ("", "Bearer wrong", f"Basic {basic}", "Basic ***", "Nonsense x"):
            response = await http.post(
                "/v1/sql", json={"sql": "select 1"}, headers={"authorization": header}, auth=lambda request: request
            )
            assert error_of(response) == (401, "08006", False)
            assert response.headers["www-authenticate"].startswith("Basic")
        response = await http.post(
            "/v1/sql",
            json={"sql": "select 1"},
            headers={"authorization": f"Bearer {running.password}"},
            auth=lambda request: request,
        )
        assert response.status_code == 200
        assert len(running.processor.starts) == 1

    with_http(tmp_path, body)


def test_bodies_are_bounded_and_checked(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        assert error_of(await run(http, "x" * 3000)) == (413, "54000", False)
        for content in (b"", b"{", b"[]", b'{"sql": 1}', b'{"sql": "select 1", "more": 1}', b'{"sql":"x","params":5}'):
            response = await http.post("/v1/sql", content=content, headers={"content-type": "application/json"})
            assert error_of(response) == (400, "22023", False)
        plain = await http.post("/v1/sql", content=b'{"sql": "select 1"}', headers={"content-type": "text/plain"})
        assert error_of(plain) == (415, "22023", False)
        assert running.processor.starts == []

    with_http(tmp_path, body, settings={"http_body_bytes_max": 2048})


def test_openapi_and_the_standard_routes_are_there(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        described = (await http.get("/openapi.json")).json()
        post = described["paths"]["/v1/sql"]["post"]
        assert set(post["responses"]) >= {"200", "400", "401", "409", "413"}
        assert {"basic": []} in post["security"]
        assert {"bearer": []} in post["security"]
        assert post["requestBody"]["content"]["application/json"]["schema"]["required"] == ["sql"]
        assert "$defs" not in str(described)
        assert "ErrorAnswer" in described["components"]["schemas"]
        assert (await http.get("/readyz")).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert "tausql_frontend_http_statements_total 0.0" in metrics
        status = (await http.get("/status")).json()
        assert status["address"] == running.service.address
        assert running.password not in str(status)

    with_http(tmp_path, body)


def test_nothing_new_is_begun_while_draining(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        await running.service.drain()
        assert error_of(await run(http, "select 1")) == (503, "57P01", True)
        assert (await http.get("/readyz")).status_code == 503

    with_http(tmp_path, body)
