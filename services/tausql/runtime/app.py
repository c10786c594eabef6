"""The HTTP side that every service has: is it alive, is it ready, what does it count, what does it know of itself.

/livez     200 while the loop turns: answering is the proof      -> restart it otherwise
/readyz    200, or 503 and the reason                            -> send it no traffic
/metrics   Prometheus text
/status    JSON for people and for `control`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse

from tausql.runtime.metrics import Collector, exposition
from tausql.runtime.process_metrics import Readiness

METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class Observable(Protocol):
    """What the HTTP side needs of a service."""

    def ready(self) -> tuple[bool, str]: ...

    def status(self) -> dict[str, Any]: ...


def standard_app(title: str, service: Observable, collectors: Sequence[Collector]) -> FastAPI:
    """The FastAPI app of one service; it adds its own routes to it.

    What is observed is looked up at each request (`app.state.observed`, `app.state.collectors`): a process puts
    itself there too.
    """
    app = FastAPI(title=f"TauSQL {title}", version=version("tausql"))
    app.state.observed = service
    app.state.collectors = tuple(collectors)
    app.state.labels = {}  # of every sample: which process, which zone
    app.state.public = ()  # routers for clients: served at the root of whatever process the service runs in

    @app.get("/livez", tags=["health"], summary="Is the process alive?", response_class=PlainTextResponse)
    async def livez() -> str:
        return "ok"

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Can it do its work now?",
        response_class=PlainTextResponse,
        responses={503: {"description": "Not now; the text says why."}},
    )
    async def readyz() -> Response:
        ready, reason = app.state.observed.ready()
        return PlainTextResponse("ok" if ready else reason, 200 if ready else 503)

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(exposition(app.state.collectors, app.state.labels), media_type=METRICS_TYPE)

    @app.get("/status", tags=["health"], summary="What the service knows of itself")
    async def status() -> dict[str, Any]:
        told: dict[str, Any] = app.state.observed.status()
        return told

    return app


class Together:
    """Several services of one process, observed as one."""

    def __init__(self, services: Mapping[str, Observable], process: Observable) -> None:
        self._services = services
        self._process = process

    def ready(self) -> tuple[bool, str]:
        ready, reason = self._process.ready()
        reasons = [] if ready else [reason]
        for name, service in self._services.items():
            ready, reason = service.ready()
            if not ready:
                reasons.append(f"{name}: {reason}")
        return not reasons, "; ".join(reasons)

    def status(self) -> dict[str, Any]:
        told = {name: service.status() for name, service in self._services.items()}
        return {"process": self._process.status(), **told}


def process_app(
    name: str,
    process: Observable,
    collectors: Sequence[Collector],
    services: Mapping[str, Observable],
    apps: Mapping[str, FastAPI],
    labels: Mapping[str, str] | None = None,
) -> FastAPI:
    """The app of a process: a lone service's own, or all of them, each under its name.

    Health, status and metrics at the root speak for the whole process either way, and what is there for clients (SQL
    over HTTP) has the same path in every shape.
    """
    together = Together(services, process)
    counted = [*collectors, Readiness(together.ready), *(one for app in apps.values() for one in app.state.collectors)]
    if len(apps) == 1:
        (root,) = apps.values()
        root.state.observed = together
        root.state.collectors = tuple(counted)
        root.state.labels = labels or {}
        return root
    root = standard_app(name, together, counted)
    root.state.labels = labels or {}
    for service, app in apps.items():
        root.mount(f"/{service}", app)
        for router in app.state.public:
            root.include_router(router)
    return root
