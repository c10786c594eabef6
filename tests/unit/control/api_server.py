"""An API server of one's own: lists, watches, one Deployment, one autoscaler, Leases; and everything that goes wrong.

Threads and blocking sockets, on loopback: what talks to it is the real client.
"""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.control.control_objects import NAMESPACE

PATHS = {f"/api/v1/namespaces/{NAMESPACE}/pods": "pods", "/api/v1/nodes": "nodes"}


class ApiServer:
    """What the cluster is; safe to use from any thread."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.version = 100
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"pods": {}, "nodes": {}}
        self.events: dict[str, list[tuple[int, bytes]]] = {"pods": [], "nodes": []}
        self.compacted = 0  # nothing is known of what happened up to here
        self.page = 500
        self.refusals: list[int] = []  # statuses to answer the next requests with
        self.requests: list[tuple[str, str, dict[str, str], str]] = []  # method, path, query, Accept
        self.records: dict[str, dict[str, Any]] = {}  # by path: leases, scales, autoscalers
        self.watching: dict[str, list[socket.socket]] = {"pods": [], "nodes": []}
        self.tokens: dict[str, str] = {}  # of ServiceAccounts that exist: token -> name
        self.garbage: dict[str, bytes] = {}  # a line to send over the next watch
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._sockets: set[socket.socket] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Gone: nobody listens, and every connection is cut."""
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        with self.lock:
            for one in list(self._sockets):
                _cut(one)
            self.lock.notify_all()

    def put(self, resource: str, thing: dict[str, Any]) -> None:
        with self.lock:
            name = thing["metadata"]["name"]
            kind = "MODIFIED" if name in self.objects[resource] else "ADDED"
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            self.objects[resource][name] = thing
            self._happened(resource, kind, thing)

    def delete(self, resource: str, name: str) -> None:
        with self.lock:
            self.version += 1
            thing = self.objects[resource].pop(name)
            thing["metadata"]["resourceVersion"] = str(self.version)
            self._happened(resource, "DELETED", thing)

    def compact(self) -> None:
        """Forget the past: who asks to go on from there is told to list again."""
        with self.lock:
            self.version += 1
            self.compacted = self.version
            for events in self.events.values():
                events.clear()

    def drop(self, resource: str) -> None:
        """Cut the watches."""
        with self.lock:
            for one in self.watching[resource]:
                _cut(one)
            self.lock.notify_all()

    def _happened(self, resource: str, kind: str, thing: dict[str, Any]) -> None:
        line = json.dumps({"type": kind, "object": thing}).encode() + b"\n"
        self.events[resource].append((self.version, line))
        self.lock.notify_all()

    def asked(self, method: str, part: str) -> list[dict[str, str]]:
        """The queries of such requests so far."""
        with self.lock:
            return [query for verb, path, query, _ in self.requests if verb == method and part in path]


def _cut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _Handler(BaseHTTPRequestHandler):
    cluster: ApiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        with self.cluster.lock:
            self.cluster._sockets.add(self.connection)

    def finish(self) -> None:
        with self.cluster.lock:
            self.cluster._sockets.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        path, query = self._opened()
        if self._refused():
            return
        resource = PATHS.get(path)
        if resource is None:
            with self.cluster.lock:
                record = self.cluster.records.get(path)
            self._answer(200 if record else 404, record or {"kind": "Status", "code": 404, "message": "not found"})
        elif query.get("watch", "").lower() == "true":
            self._watch(resource, query)
        else:
            self._list(resource, query)

    def do_PATCH(self) -> None:
        path, _ = self._opened()
        body = self._body()
        if self._refused():
            return
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        with self.cluster.lock:
            self.cluster.records[path]["spec"] |= body["spec"]
            self.cluster.lock.notify_all()
            record = self.cluster.records[path]
        self._answer(200, record)

    def do_POST(self) -> None:
        path, _ = self._opened()
        body = self._body()
        if self._refused():
            return
        if body["kind"] == "TokenReview":
            self._review(body)
        else:
            self._store(f"{path}/{body['metadata']['name']}", body, None)

    def _review(self, body: dict[str, Any]) -> None:
        name = self.cluster.tokens.get(body["spec"]["token"])
        status: dict[str, Any] = {"user": {}, "error": "invalid bearer token"}
        if name is not None:
            status = {"authenticated": True, "user": {"username": name}, "audiences": body["spec"]["audiences"]}
        self._answer(201, {**body, "status": status})

    def do_PUT(self) -> None:
        path, _ = self._opened()
        body = self._body()
        if not self._refused():
            self._store(path, body, body["metadata"]["resourceVersion"])

    def _store(self, path: str, body: dict[str, Any], version: str | None) -> None:
        with self.cluster.lock:
            known = self.cluster.records.get(path)
            fits = known is None if version is None else known and known["metadata"]["resourceVersion"] == version
            if fits:
                self.cluster.version += 1
                body["metadata"]["resourceVersion"] = str(self.cluster.version)
                self.cluster.records[path] = body
                self.cluster.lock.notify_all()
        self._answer(200 if fits else 409, body if fits else {"kind": "Status", "code": 409, "message": "conflict"})

    def _opened(self) -> tuple[str, dict[str, str]]:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        with self.cluster.lock:
            self.cluster.requests.append((self.command, split.path, query, self.headers.get("Accept", "")))
        return split.path, query

    def _refused(self) -> bool:
        with self.cluster.lock:
            status = self.cluster.refusals.pop(0) if self.cluster.refusals else 0
        if status:
            self._answer(status, {"kind": "Status", "code": status, "message": f"refused: {status}"})
        return bool(status)

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _list(self, resource: str, query: dict[str, str]) -> None:
        with self.cluster.lock:
            names = sorted(self.cluster.objects[resource])
            start = int(query.get("continue", "0"))
            end = start + min(int(query.get("limit", "1000")), self.cluster.page)
            meta = {"resourceVersion": str(self.cluster.version)}
            if end < len(names):
                meta["continue"] = str(end)
            items = [self.cluster.objects[resource][name] for name in names[start:end]]
        self._answer(200, {"kind": "List", "metadata": meta, "items": items})

    def _watch(self, resource: str, query: dict[str, str]) -> None:
        cluster = self.cluster
        position = int(query["resourceVersion"])
        with cluster.lock:
            cluster.watching[resource].append(self.connection)
            garbage = cluster.garbage.pop(resource, b"")
            expired = position < cluster.compacted
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            if garbage:
                self._chunk(garbage)
            if expired:
                self._chunk(b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n')
                self._chunk(b"")
                return
            while True:
                with cluster.lock:
                    if not any(version > position for version, _ in cluster.events[resource]):
                        cluster.lock.wait(10)
                    fresh = [event for event in cluster.events[resource] if event[0] > position]
                    lines = [line for _, line in fresh]
                    position = max([position, *(version for version, _ in fresh)])
                if self.connection.fileno() < 0:
                    return
                if lines:
                    self._chunk(b"".join(lines))
                else:
                    self._probe()
        finally:
            self.close_connection = True
            with cluster.lock:
                cluster.watching[resource].remove(self.connection)

    def _probe(self) -> None:
        """A line without meaning, which tells whether somebody is there."""
        self._chunk(b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
