"""The Job that makes certificates, with the very arguments and rights that the chart gives it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography import x509
from tests.unit.chart.rendering import NAMESPACE, SHAPES, Object, of_kind, pods, render

from tausql.control.certificates import main

VERBS = {"GET": "get", "POST": "create", "PUT": "update"}


class Store:
    """Secrets of one namespace, and what was asked of them: (verb, name; "" for create)."""

    def __init__(self, *names: str) -> None:
        self.secrets: dict[str, Any] = {name: {"metadata": {"name": name}, "data": {}} for name in names}
        self.asked: set[tuple[str, str]] = set()

    def answer(self, verb: str, name: str, body: Any) -> tuple[int, Any]:
        self.asked.add((verb, name))
        if verb == "get":
            return (200, self.secrets[name]) if name in self.secrets else (404, {"kind": "Status", "code": 404})
        self.secrets[body["metadata"]["name"]] = body
        return 200 if verb == "update" else 201, body


@pytest.fixture
def served() -> Iterator[tuple[Store, str]]:
    store = Store("south-ca")

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            root = f"/api/v1/namespaces/{NAMESPACE}/secrets"
            assert self.path.startswith(root)
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            status, told = store.answer(VERBS[self.command], self.path[len(root) + 1 :], body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = handle_one

        def log_message(self, *parts: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield store, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def allowed(role: Object, verb: str, name: str) -> bool:
    return any(
        rule["resources"] == ["secrets"]
        and verb in rule["verbs"]
        and ("resourceNames" not in rule or name in rule["resourceNames"])
        for rule in role["rules"]
    )


@pytest.mark.parametrize(("shape", "fullname"), [("default", "tausql"), ("region", "tausql-east")])
def test_the_job_makes_what_pods_mount_with_the_rights_it_has(
    shape: str, fullname: str, served: tuple[Store, str]
) -> None:
    store, url = served
    objects = render(*SHAPES[shape])
    (container,) = pods(objects)[f"Job/{fullname}-certificates"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "tausql.control.certificates"]
    main([*container["args"], "--url", url])

    fleet, edge = store.secrets[f"{fullname}-tls"]["data"], store.secrets[f"{fullname}-edge"]["data"]
    assert {"ca.crt", "tls.crt", "tls.key"} <= set(fleet) & set(edge)
    for name, secret in store.secrets.items():
        if name.startswith(fullname):
            assert secret["metadata"]["labels"]["app.kubernetes.io/instance"] == "tausql"
    for suffix in ("certificates", "certificates-hook"):
        role = of_kind(objects, "Role")[f"{fullname}-{suffix}"]
        assert not [(verb, name) for verb, name in store.asked if not allowed(role, verb, name)]


def test_clients_find_the_name_they_called(served: tuple[Store, str]) -> None:
    store, url = served
    flags = ("--set", "tls.edge.names={db.example.org}")
    main([*pods(render(*flags))["Job/tausql-certificates"]["spec"]["containers"][0]["args"], "--url", url])

    leaf = x509.load_pem_x509_certificate(base64.b64decode(store.secrets["tausql-edge"]["data"]["tls.crt"]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert {"tausql-frontend", "tausql-frontend.db.svc", "db.example.org", "localhost"} <= set(names)


@pytest.mark.parametrize(
    ("flags", "made"),
    [
        ((), {"tausql-ca", "tausql-tls", "tausql-edge-ca", "tausql-edge"}),
        (("--set", "tls.mode=none"), {"tausql-edge-ca", "tausql-edge"}),
        (("--set", "tls.edge.mode=none"), {"tausql-ca", "tausql-tls"}),
    ],
)
def test_only_what_is_asked_for_is_made(flags: tuple[str, ...], made: set[str], served: tuple[Store, str]) -> None:
    store, url = served
    main([*pods(render(*flags))["Job/tausql-certificates"]["spec"]["containers"][0]["args"], "--url", url])
    assert set(store.secrets) - {"south-ca"} == made


def test_without_anything_to_make_there_is_no_job() -> None:
    objects = render("--set", "tls.mode=none,tls.edge.mode=none")
    assert not [name for name in pods(objects) if "certificates" in name]
