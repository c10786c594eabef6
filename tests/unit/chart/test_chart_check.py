"""The script of `helm test` passes where the database holds, and fails where it does not."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.unit.chart.rendering import CHART, of_kind, render

from tausql.access.connect_tokens import Admitted, ConnectTokens
from tausql.access.signatures import Signatures, SignedRequest
from tausql.local.credentials import ensure_credentials, read_credentials
from tausql.protocol.clusters import ClusterRecord, KeyRecord

IDENTIFIER = "abcdefghijklmnopqrstuvwxyz"
ENDPOINT = f"{IDENTIFIER}.dsql.us-east-1.on.aws"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart_check", CHART / "files" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "CREDENTIALS", tmp_path / "credentials.json")
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    ensure_credentials(tmp_path)
    pod = of_kind(render(), "Pod")["tausql-test"]
    for variable in pod["spec"]["containers"][0]["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    return module


class Cluster:
    """A database that is a list, and a pod that comes back when it has been looked at some times."""

    def __init__(self, *, loses: bool = False, looks: int = 3) -> None:
        self.ids: list[int] = []
        self.said: list[str] = []
        self.loses = loses
        self.looks = looks
        self.uid = "first"

    def sql(self, text: str, *params: object) -> list[list[Any]]:
        verb = text.split()[0]
        self.said.append(verb)
        if verb == "insert":
            self.ids.append(int(text.split("(")[1].split(",")[0]))
        return [[one] for one in self.ids] if verb == "select" else []

    def kubernetes(self, method: str, path: str) -> dict[str, Any] | None:
        assert path.startswith("pods/tausql-journal-0")
        self.said.append(method)
        if method == "DELETE":
            self.uid = "second"
            if self.loses:
                self.ids.clear()
            return {}
        if self.uid == "second":
            self.looks -= 1
        ready = "True" if self.uid == "first" or self.looks <= 0 else "False"
        return {"metadata": {"uid": self.uid}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def attach(check: ModuleType, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "sql", cluster.sql)
    monkeypatch.setattr(check, "kubernetes", cluster.kubernetes)
    monkeypatch.setattr(check, "edge_version", lambda: "TLSv1.3")


def test_it_writes_and_reads_around_a_kill(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    attach(check, cluster, monkeypatch)
    check.main()
    words = "create insert select GET DELETE insert select GET GET GET insert select drop"
    assert cluster.said == words.split()


def test_it_fails_where_a_row_is_lost_and_cleans_up(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(loses=True)
    attach(check, cluster, monkeypatch)
    with pytest.raises(SystemExit, match=r"expected the ids 1 to 2, found \[2\]"):
        check.main()
    assert cluster.said[-1] == "drop"


def test_it_fails_where_the_pod_stays_away(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACK_SECONDS", "0")
    attach(check, Cluster(looks=10**9), monkeypatch)
    with pytest.raises(SystemExit, match="does not come back"):
        check.main()


def allowed(folder: Path) -> KeyRecord:
    """The first access key, as control knows it."""
    key = read_credentials(folder)
    everything = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    user = "arn:aws:iam::000000000000:user/admin"
    return KeyRecord(key.access_key_id, key.secret, user, user, (everything,))


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., list[str]]]:
    """Call it with the answers (status, body) that a frontend gives one after the other; gives what it was asked. It is
    the API, too, and tells of one cluster."""
    servers: list[tuple[HTTPServer, threading.Thread]] = []

    def start(*answers: tuple[int, dict[str, Any]]) -> list[str]:
        asked: list[str] = []
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                secret = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
                user, _, token = secret.partition(":")
                key = allowed(tmp_path)
                arn = f"arn:aws:dsql:us-east-1:000000000000:cluster/{IDENTIFIER}"
                cluster = ClusterRecord(IDENTIFIER, 1, "ACTIVE", arn, (self.headers["host"],))
                tokens = ConnectTokens({key.access_key_id: key}.get, "us-east-1")
                let_in = tokens.check(token.encode(), cluster, user, "127.0.0.1", time.time())
                assert isinstance(let_in, Admitted), let_in
                asked.append(f"{self.path} {self.headers['host']} {user} {body['sql']} {body['params']}")
                self._answer(*(left.pop(0) if len(left) > 1 else left[0]))

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                hashed = hashlib.sha256(b"").hexdigest()
                request = SignedRequest("GET", path, query, tuple(self.headers.items()), hashed)
                key = allowed(tmp_path)
                signatures = Signatures({key.access_key_id: key}.get)
                signatures.of_headers(request, {("dsql", "us-east-1")}, time.time())
                assert (path, query) == ("/cluster", "max-results=1")
                self._answer(200, {"clusters": [{"identifier": IDENTIFIER}]})

            def _answer(self, status: int, answer: dict[str, Any]) -> None:
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *parts: object) -> None:
                """Nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        monkeypatch.setenv("FRONTEND", "127.0.0.1")
        monkeypatch.setenv("HTTP_PORT", str(server.server_address[1]))
        monkeypatch.setenv("API", f"http://127.0.0.1:{server.server_address[1]}")
        return asked

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


CONFLICT = (409, {"error": {"sqlstate": "40001", "message": "try again"}})


def test_it_tries_again_what_may_be_tried_again(check: ModuleType, answering: Callable[..., list[str]]) -> None:
    asked = answering(CONFLICT, (200, {"rows": [[1]]}))
    assert check.sql("select $1::int", 1) == [[1]]
    assert asked == [f"/v1/sql {ENDPOINT} admin select $1::int [1]"] * 2


@pytest.mark.parametrize("answer", [CONFLICT, (500, {"error": {"sqlstate": "XX000", "message": "broken"}})])
def test_it_says_what_it_was_told(
    check: ModuleType, answering: Callable[..., list[str]], answer: tuple[int, dict[str, Any]]
) -> None:
    answering(answer)
    with pytest.raises(SystemExit, match=answer[1]["error"]["message"]):
        check.sql("select 1")
