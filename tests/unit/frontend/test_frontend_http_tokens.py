"""SQL over HTTP with tokens and signed requests: who gets in, on which cluster, as whom."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from frontend_known import FIRST, KEY, REGION, SECOND, TOKENS, cluster, key, known_clusters, token
from frontend_running import Running, until, with_frontend
from hypothesis import given
from hypothesis import strategies as st

from tausql.access.sigv4 import Credentials, signed_headers
from tausql.frontend.app import create_app
from tausql.frontend.http_places import Places
from tausql.protocol.clusters import Clusters, KeyRecord

READER = key(
    "AKIAREADER", (json.dumps({"Statement": {"Effect": "Allow", "Action": "dsql:DbConnect", "Resource": "*"}}),)
)
ENDED = cluster("c", 9, status="DELETING")
DENIED = "unable to accept connection, access denied"

Body = Callable[[Running, httpx.AsyncClient], Awaitable[None]]


def with_http(directory_: Path, body: Body, clusters: Any = None, **settings: Any) -> None:
    async def main(running: Running) -> None:
        transport = httpx.ASGITransport(app=create_app(running.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as http:
            await body(running, http)
        assert running.service.statements.running == 0

    known = clusters or known_clusters((FIRST, SECOND, ENDED), (KEY, READER))
    with_frontend(directory_, main, settings={**TOKENS, "http_kept_seconds": 0, **settings}, clusters=known)


async def asked(http: httpx.AsyncClient, sql: str = "select 1", **more: Any) -> httpx.Response:
    return await http.post("/v1/sql", json={"sql": sql}, **more)


def signed(by: KeyRecord, path: str, body: bytes, host: str, service: str = "dsql", **more: Any) -> dict[str, str]:
    path, _, query = path.partition("?")
    credentials = Credentials(by.access_key_id, more.get("secret", by.secret), by.session_token)
    headers = {"host": host, "content-type": "application/json"}
    added = signed_headers(
        credentials, "POST", path, query, headers.items(), body, service, more.get("region", REGION), time.time()
    )
    return headers | added


def refusal(answer: httpx.Response) -> tuple[int, str, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["sqlstate"], error["message"], error["hint"]


def test_a_token_picks_its_cluster_and_its_user(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        bearer = {"authorization": f"Bearer {token(SECOND)}"}
        assert (await asked(http, headers=bearer)).json()["rows"] == [[1]]
        assert (await asked(http, auth=("admin", token(FIRST)))).status_code == 200
        assert (await asked(http, auth=("app", token(SECOND, READER, action="DbConnect")))).status_code == 200
        named = {"host": SECOND.hosts[0]}
        assert (await asked(http, auth=("admin", token(SECOND)), headers=named)).status_code == 200
        starts = [(start.cluster, start.user, start.mapped) for start in running.processor.starts]
        assert starts == [(7, "admin", ""), (1, "admin", ""), (7, "app", READER.mapped), (7, "admin", "")]
        assert running.processor.starts[0].switches == ("extensions",)

    with_http(tmp_path, body)


def test_bad_tokens_get_nobody_in(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for auth, headers, word in (
            (("admin", token(SECOND)), {"host": FIRST.hosts[0]}, "another host"),
            (("admin", token()), {"host": "z" * 26 + ".dsql.local-1.on.aws"}, None),
            (("admin", token(seconds_ago=2000)), {}, "Signature expired: "),
            (("admin", token(region="eu-west-1")), {}, "valid region"),
            (("app", token()), {}, "Wrong user to action mapping. user: app, action: DbConnectAdmin"),
            (("admin", token(FIRST, READER)), {}, "is not authorized to perform: dsql:DbConnectAdmin"),
            (("admin", token()[:-1]), {}, "does not match"),
            (("admin", token(ENDED)), {}, "DELETING"),
            (("admin", "password"), {}, None),
            (None, {}, None),
        ):
            answer = await asked(http, auth=auth, headers=headers)
            status, state, message, hint = refusal(answer)
            assert (status, state, message) == (401, "08006", DENIED), (auth, hint)
            assert word is None or word in hint, hint
        assert running.processor.starts == []
        assert running.service.metrics.authentications_failed == 10

    with_http(tmp_path, body)


def test_signed_requests_need_no_token(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        raw = b'{"sql":"select 1"}'
        for by, path, host in (
            (KEY, "/v1/sql", SECOND.hosts[0]),
            (KEY, f"/v1/sql?cluster={SECOND.identifier}", "127.0.0.1:8080"),
            (READER, f"/v1/sql?cluster={FIRST.identifier}&user=app", "127.0.0.1:8080"),
        ):
            answer = await http.post(path, content=raw, headers=signed(by, path, raw, host))
            assert answer.status_code == 200, answer.text
        starts = [(start.cluster, start.user, start.mapped) for start in running.processor.starts]
        assert starts == [(7, "admin", ""), (7, "admin", ""), (1, "app", READER.mapped)]
        good = f"/v1/sql?cluster={FIRST.identifier}"
        for path, headers, content, word in (
            (good, signed(KEY, good, raw, "h", secret="wrong"), raw, "does not match"),
            (good, signed(KEY, good, raw, "h"), raw + b" ", "does not match"),
            (good + "&user=app", signed(KEY, good, raw, "h"), raw, "does not match"),
            (good, signed(KEY, good, raw, "h", "rds-data"), raw, "correct service"),
            (good, signed(READER, good, raw, "h"), raw, "is not authorized"),
            ("/v1/sql", signed(KEY, "/v1/sql", raw, "h"), raw, "Name a cluster"),
            (good, signed(KEY, good, raw, SECOND.hosts[0]), raw, "Name a cluster"),
        ):
            status, state, message, hint = refusal(await http.post(path, content=content, headers=headers))
            assert (status, state, message) == (401, "08006", DENIED)
            assert word in hint, (word, hint)
        assert len(running.processor.starts) == 3

    with_http(tmp_path, body)


def test_a_transaction_is_of_its_owner_alone(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        owner = ("admin", token())
        begun = (await http.post("/v1/transactions", auth=owner)).json()["transaction"]
        body = {"sql": "select 1", "transaction": begun}
        for stranger in (("admin", token(SECOND)), ("app", token(FIRST, READER, action="DbConnect"))):
            for path in ("/v1/sql", f"/v1/transactions/{begun}/commit"):
                answer = await http.post(path, json=body, auth=stranger)
                assert refusal(answer)[:3] == (400, "25P01", "there is no such transaction")
        assert (await http.post("/v1/sql", json=body, auth=owner)).status_code == 200
        assert (await http.post(f"/v1/transactions/{begun}/commit", auth=owner)).json()["state"] == "committed"

    with_http(tmp_path, body)


def test_limits_are_the_clusters(tmp_path: Path) -> None:
    small = cluster("a", 1, connections_max=1)

    async def body(running: Running, http: httpx.AsyncClient) -> None:
        auth = ("admin", token(small))
        begun = (await http.post("/v1/transactions", auth=auth)).json()["transaction"]
        answer = await asked(http, auth=auth)
        assert refusal(answer)[:2] == (429, "53300")
        assert (await asked(http, auth=("admin", token(SECOND)))).status_code == 200
        await http.post(f"/v1/transactions/{begun}/rollback", auth=auth)
        assert (await asked(http, auth=auth)).status_code == 200
        assert (await asked(http, "fail", auth=auth)).status_code == 409
        assert (await asked(http, auth=auth)).status_code == 200

    with_http(tmp_path, body, known_clusters((small, SECOND)), http_kept_seconds=5)


def test_a_cluster_leaves_places_to_others(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        first, second = ("admin", token(FIRST)), ("admin", token(SECOND))
        asleep = [asyncio.ensure_future(asked(http, "sleep", auth=first)) for _ in range(3)]
        await until(lambda: sum(session.sleeping for session in running.processor.sessions.values()) == 3)
        assert refusal(await asked(http, auth=first))[:2] == (429, "53300")
        assert (await asked(http, auth=second)).status_code == 200
        for session in running.processor.sessions.values():
            session.cancel()
        for task in asleep:
            assert refusal(await task)[1] == "57014"
        assert (await asked(http, auth=first)).status_code == 200
        begun = [await http.post("/v1/transactions", auth=first) for _ in range(4)]
        assert [answer.status_code for answer in begun] == [200, 200, 200, 429]
        assert (await http.post("/v1/transactions", auth=second)).status_code == 200
        for answer in begun[:3]:
            await http.post(f"/v1/transactions/{answer.json()['transaction']}/rollback", auth=first)
        assert (await http.post("/v1/transactions", auth=first)).status_code == 200

    with_http(tmp_path, body, http_statements_max=4, http_transactions_max=4)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 9))
def test_places_are_never_more_than_there_are(steps: list[tuple[str, bool]], count: int) -> None:
    places, taken = Places(count), {"a": 0, "b": 0, "c": 0}
    for name, take in steps:
        if take:
            before = sum(taken.values())
            got = places.take(name)
            taken[name] += got
            assert got or before == count or (before >= count * 3 // 4 and taken[name] >= max(count // 2, 1))
        elif taken[name]:
            places.give_back(name)
            taken[name] -= 1
        assert places.taken == sum(taken.values()) <= count


def test_a_deleted_clusters_transactions_end(tmp_path: Path) -> None:
    known = known_clusters()

    async def body(running: Running, http: httpx.AsyncClient) -> None:
        for record in (FIRST, SECOND):
            assert (await http.post("/v1/transactions", auth=("admin", token(record)))).status_code == 200
        known.take_clusters(Clusters(False, (), (FIRST.identifier,)))
        first, second = running.processor.sessions.values()
        await until(lambda: first.is_lost)
        assert not second.is_lost
        assert running.service.metrics.http_transactions == 1

    with_http(tmp_path, body, known)


def neon(record: Any = FIRST, secret: str = "", user: str = "admin", database: str = "postgres") -> dict[str, str]:
    password = quote(secret or token(record), safe="")
    return {"neon-connection-string": f"postgresql://{user}:{password}@{record.hosts[0]}/{database}?application_name=x"}


DRIVER = {"neon-raw-text-output": "true", "neon-array-mode": "true"}


def test_neons_driver_is_answered(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        async def sql(body: Any, **headers: str) -> httpx.Response:
            return await http.post("/sql", content=json.dumps(body), headers={**neon(SECOND), **headers})

        answer = await sql({"query": "select 1", "params": []}, **DRIVER)
        field = {
            "name": "n",
            "tableID": 0,
            "columnID": 0,
            "dataTypeID": 23,
            "dataTypeSize": 4,
            "dataTypeModifier": -1,
            "format": "text",
        }
        expected = {"command": "SELECT", "rowCount": 1, "rows": [["1"]], "fields": [field], "rowAsArray": True}
        assert (answer.status_code, answer.json()) == (200, expected)
        assert (await sql({"query": "select 1"})).json()["rows"] == [{"n": 1}]
        for value, text in (("a", "a"), (None, None), (["a", None, ['"']], '{"a",NULL,{"\\""}}'), (True, "true")):
            answer = await sql({"query": "select $1", "params": [value]}, **DRIVER)
            assert answer.json()["rows"] == [[text]]
        assert running.processor.starts[0].cluster == 7

    with_http(tmp_path, body)


def test_neons_batches_are_transactions(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        async def batch(*queries: str, **headers: str) -> httpx.Response:
            asked = {"queries": [{"query": query, "params": []} for query in queries]}
            return await http.post("/sql", json=asked, headers={**neon(), **headers})

        answer = await batch("insert into t", "select 1", **DRIVER)
        assert [result["command"] for result in answer.json()["results"]] == ["INSERT", "SELECT"]
        assert len(running.processor.starts) == 1
        read = {"neon-batch-read-only": "true", "neon-batch-isolation-level": "RepeatableRead"}
        assert (await batch("select 1", **read)).status_code == 200
        for headers, word in (
            ({"neon-batch-isolation-level": "Serializable"}, "Serializable not supported"),
            ({"neon-batch-deferrable": "true"}, "deferrable"),
            ({"neon-batch-read-only": "maybe"}, "true or false"),
        ):
            answer = await batch("select 1", **headers)
            assert (answer.status_code, word in answer.json()["message"]) == (400, True)
        for failing, state in (("fail", "23505"), ("fail at commit", "40001"), ("commit", "25P01")):
            answer = await batch("insert into t", failing)
            assert (answer.status_code, answer.json()["code"]) == (400, state)

    with_http(tmp_path, body)


@pytest.mark.parametrize(
    ("headers", "content", "word"),
    [
        ({}, "{}", "neon-connection-string must be"),
        ({"neon-connection-string": "postgresql://[x"}, "{}", "neon-connection-string must be"),
        ({"neon-connection-string": "mysql://admin@x/y"}, "{}", "neon-connection-string must be"),
        (neon(secret="password"), '{"query":"select 1"}', DENIED),
        (neon(database="other"), '{"query":"select 1"}', 'database "other" does not exist'),
        (neon(), "", "invalid request"),
        (neon(), "[]", "invalid request"),
        (neon(), "{}", "invalid request"),
        (neon(), '{"queries":[]}', "invalid request"),
        (neon(), '{"query":"select 1","more":1}', "invalid request"),
        (neon(), '{"query":"select $1","params":["a\\u0000"]}', "invalid parameter"),
        (neon(), '{"query":"begin"}', "cannot be run alone"),
    ],
)
def test_what_neons_driver_would_not_send_is_refused(
    tmp_path: Path, headers: dict[str, str], content: str, word: str
) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        answer = await http.post("/sql", content=content, headers=headers)
        assert answer.status_code == 400
        assert word in answer.json()["message"], answer.text
        assert len(answer.json()["code"]) == 5

    with_http(tmp_path, body)


def test_neons_errors_have_their_fields(tmp_path: Path) -> None:
    async def body(running: Running, http: httpx.AsyncClient) -> None:
        error = (await http.post("/sql", content='{"query":"fail"}', headers=neon())).json()
        assert (error["message"], error["code"], error["severity"]) == ("duplicate key", "23505", "ERROR")
        assert (error["detail"], error["hint"], error["position"]) == ("Key (a)=(1) already exists.", "h", None)

    with_http(tmp_path, body)
