"""A control that takes signed requests as the real one does, notes them, and answers what a test told it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tausql.access.signatures import SignatureRefused, Signatures, SignedRequest
from tausql.local.cluster import Cluster
from tausql.local.credentials import ensure_credentials
from tausql.protocol.clusters import KeyRecord

REGION = "eu-west-1"
IDENTIFIER = "abcdefghijklmnopqrstuvwxyz"


class Asked(NamedTuple):
    """One request that was signed well."""

    service: str
    method: str
    path: str  # as on the wire, with the query
    body: str


class ControlDouble:
    """answers: status and body for `METHOD path` without the query, several in turn; the last one stays."""

    def __init__(self, folder: Path) -> None:
        key = ensure_credentials(folder)
        self.record = KeyRecord(key.access_key_id, key.secret, "arn:aws:iam::000000000000:user/admin", "")
        self.asked: list[Asked] = []
        self.answers: dict[str, list[tuple[int, str]]] = {}
        self.folder = folder

    def answer(self, what: str, *bodies: object, status: int = 200) -> None:
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        self.answers.setdefault(what, []).extend((status, text) for text in texts)

    def handle(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        path, _, query = target.partition("?")
        signatures = Signatures({self.record.access_key_id: self.record}.get)
        hashed = hashlib.sha256(body).hexdigest()
        request = SignedRequest(method, path, query, tuple(headers.items()), hashed)
        try:
            scopes = [(service, REGION) for service in ("dsql", "iam", "sts")]
            signed = signatures.of_headers(request, scopes, time.time())
        except SignatureRefused as refusal:
            return refusal.status, json.dumps({"__type": refusal.code, "message": refusal.message})
        self.asked.append(Asked(signed.scope.service, method, target, body.decode()))
        turns = self.answers.get(f"{method} {path}")
        if not turns:
            return 404, json.dumps({"message": f"nothing is told of {method} {path}"})
        return turns.pop(0) if len(turns) > 1 else turns[0]


def _handler(double: ControlDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, text = double.handle(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    return Handler


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[ControlDouble]:
    """A double at the API port of a fleet in `folder` that has nothing else."""
    double = ControlDouble(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(double))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        told = Cluster("packed", 3, "127.0.0.1", 5433, 8080, 0, [], region=REGION, api_port=server.server_port)
        told.identifier = IDENTIFIER
        told.save(folder)
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlDouble]:
    with serving(tmp_path) as double:
        yield double
