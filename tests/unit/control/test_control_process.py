"""Control as a process, and a process that joins its fleet by it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.unit.control.api_server import ApiServer
from tests.unit.control.control_objects import NAMESPACE, node_json, pod_json

DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/p/scale"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/tausql-control"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Running:
    """One process and what it logs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def until(self, event: str) -> dict[str, Any]:
        """The first line from now on that says `event`."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            told: dict[str, Any] = json.loads(line)
            if told["event"] == event:
                return told
        raise AssertionError(f"it ended without {event!r}: {seen}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def running(service: str, **settings: str) -> Iterator[Running]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TAUSQL_", "KUBERNETES_"))
    } | {"TAUSQL_RPC_LISTEN": "127.0.0.1:0", "TAUSQL_HTTP_LISTEN": "127.0.0.1:0"}
    process = subprocess.Popen(
        [sys.executable, "-m", f"tausql.{service}"], env=environment | settings, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.fleet
def test_a_process_finds_its_fleet_by_control():
    server = ApiServer()
    server.start()
    server.put("nodes", node_json("n1", "za"))
    server.records[DEPLOYMENT] = {"spec": {"replicas": 1}}
    port = free_port()
    control_settings = {
        "TAUSQL_NAME": "c-1",
        "TAUSQL_CONTROL_KUBERNETES_URL": server.url,
        "TAUSQL_CONTROL_NAMESPACE": NAMESPACE,
        "TAUSQL_CONTROL_PROCESSOR_DEPLOYMENT": "p",
        "TAUSQL_CONTROL_PROCESSORS_MIN": "3",
    }
    with running("control", **control_settings) as control:
        started = control.until("started")
        told_timekeeper = {
            "TAUSQL_NAME": "t-1",
            "TAUSQL_RPC_LISTEN": f"127.0.0.1:{port}",
            "TAUSQL_CONTROL": started["rpc"],
            "TAUSQL_TIMEKEEPER_ASSUMED_ERROR_US": "20",
        }
        with running("timekeeper", **told_timekeeper) as timekeeper:
            timekeeper.until("waiting for the fleet's map")
            server.put("pods", pod_json("timekeeper", "t-1", ip="127.0.0.1", rpc=port))
            assert timekeeper.until("joined")["zone"] == "za"
            http = timekeeper.until("started")["http"]
            server.put("pods", pod_json("timekeeper", "t-1", ip="127.0.0.1", rpc=port, http=int(http.split(":")[1])))
            url = f"http://{started['http']}"
            assert httpx.get(f"{url}/readyz").text == "ok"
            assert [one["zone"] for one in httpx.get(f"{url}/v1/fleet").json()["timekeeper"]] == ["za"]
            survey = httpx.get(f"{url}/v1/fleet/status").json()
            assert [row["name"] for row in survey["pods"]] == ["t-1"]
            assert httpx.get(f"{url}/status").json()["control"]["followers"] == ["t-1"]
            assert timekeeper.end() == 0
        with server.lock:
            assert server.lock.wait_for(lambda: server.records[DEPLOYMENT]["spec"]["replicas"] == 3, 30)
        assert control.end() == 0
        assert server.records[LEASE]["spec"]["holderIdentity"] == ""
    server.stop()
