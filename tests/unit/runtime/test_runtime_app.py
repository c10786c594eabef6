from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI

from tausql.runtime import metrics
from tausql.runtime.app import process_app, standard_app


class Client:
    """Asks an app without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://process") as client:
                return await client.get(path)

        return asyncio.run(ask())


class Service:
    def __init__(self, name: str) -> None:
        self.name = name
        self.reason = ""

    def ready(self) -> tuple[bool, str]:
        return not self.reason, self.reason

    def status(self) -> dict[str, Any]:
        return {"name": self.name}

    def collect(self):
        yield metrics.counter(f"tausql_{self.name}_events_total", "Events.", 1)


def test_service_app_tells_health_status_and_metrics():
    service = Service("x")
    client = Client(standard_app("x", service, [service]))
    assert client.get("/livez").text == "ok"
    assert client.get("/readyz").status_code == 200
    service.reason = "replaying"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "replaying")
    assert client.get("/status").json() == {"name": "x"}
    assert "tausql_x_events_total 1.0" in client.get("/metrics").text


def test_packed_process_speaks_for_all_at_its_root():
    process, one, two = Service("process"), Service("one"), Service("two")
    apps = {service.name: standard_app(service.name, service, [service]) for service in (one, two)}
    client = Client(process_app("p", process, [process], {"one": one, "two": two}, apps))
    assert client.get("/readyz").status_code == 200
    two.reason = "no journal"
    assert client.get("/readyz").text == "two: no journal"
    assert client.get("/one/readyz").status_code == 200
    assert client.get("/two/readyz").status_code == 503
    assert client.get("/status").json() == {
        "process": {"name": "process"},
        "one": {"name": "one"},
        "two": {"name": "two"},
    }
    text = client.get("/metrics").text
    assert all(f"tausql_{name}_events_total 1.0" in text for name in ("process", "one", "two"))


def test_lone_service_keeps_its_own_app_and_its_routes():
    process, one = Service("process"), Service("one")
    app = standard_app("one", one, [one])

    @app.get("/own")
    async def own() -> str:
        return "mine"

    root = process_app("p", process, [process], {"one": one}, {"one": app})
    assert root is app
    client = Client(root)
    assert client.get("/own").json() == "mine"
    process.reason = "draining"
    assert client.get("/readyz").text == "draining"
    assert "tausql_process_events_total 1.0" in client.get("/metrics").text


def test_metrics_say_which_process_they_are_of_and_whether_it_is_ready():
    process, one, two = Service("process"), Service("one"), Service("two")
    labels = {"process": "p", "zone": "b"}
    for services in ([one], [one, two]):
        apps = {service.name: standard_app(service.name, service, [service]) for service in services}
        named = {service.name: service for service in services}
        client = Client(process_app("p", process, [process], named, apps, labels))
        one.reason = ""
        text = client.get("/metrics").text
        assert 'tausql_one_events_total{process="p",zone="b"} 1.0' in text
        assert 'tausql_process_ready{process="p",zone="b"} 1.0' in text
        one.reason = "replaying"
        assert 'tausql_process_ready{process="p",zone="b"} 0.0' in client.get("/metrics").text
