"""As much of a Kubernetes API as `lookup` in templates asks: which kinds there are, and these objects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KINDS = {
    "v1": {"Node": "nodes", "Secret": "secrets"},
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
}


@contextmanager
def serving(objects: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """Serve `objects` on loopback; gives the path of a kubeconfig, written into `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(_answers(objects)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        config = folder / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "c",
                    "clusters": [cluster],
                    "contexts": [context],
                    "users": [{"name": "u", "user": {}}],
                }
            )
        )
        yield str(config)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answers(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """By path."""
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group("apps/v1")]},
    }
    for api, kinds in KINDS.items():
        root = "/api/v1" if api == "v1" else f"/apis/{api}"
        resources = [
            {"name": name, "singularName": "", "kind": kind, "namespaced": kind != "Node", "verbs": ["get", "list"]}
            for kind, name in kinds.items()
        ]
        answers[root] = {"kind": "APIResourceList", "groupVersion": api, "resources": resources}
        for kind, name in kinds.items():
            found = [item for item in objects if item["kind"] == kind]
            answers[f"{root}/{name}"] = {"kind": f"{kind}List", "apiVersion": api, "metadata": {}, "items": found}
            for item in found:
                namespace = item["metadata"].get("namespace")
                place = f"{root}/namespaces/{namespace}" if namespace else root
                answers[f"{place}/{name}/{item['metadata']['name']}"] = item
    return answers


def _group(api: str) -> dict[str, Any]:
    group, version = api.split("/")
    offered = {"groupVersion": api, "version": version}
    return {"name": group, "versions": [offered], "preferredVersion": offered}


def _handler(answers: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(answer if answer is not None else missing).encode()
            self.send_response(200 if answer is not None else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *parts: object) -> None:
            """Nothing: tests say what they asked."""

    return Handler
