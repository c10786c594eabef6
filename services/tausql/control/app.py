"""Control's HTTP side: health, metrics, status, the map, and everybody's status at once."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from fastapi import FastAPI, HTTPException

from tausql.control.desk import Desk
from tausql.control.metrics import ControlMetrics
from tausql.control.planning import Planning
from tausql.control.publishing import Publisher
from tausql.control.requests import routes
from tausql.control.survey import Survey, Target
from tausql.runtime.app import standard_app
from tausql.runtime.metrics import Collector


class Control(Protocol):
    """A control, with Kubernetes or without."""

    @property
    def metrics(self) -> ControlMetrics: ...

    @property
    def publisher(self) -> Publisher: ...

    @property
    def survey(self) -> Survey: ...

    @property
    def planning(self) -> Planning: ...

    @property
    def desk(self) -> Desk | None: ...

    def targets(self) -> list[Target]: ...

    def ready(self) -> tuple[bool, str]: ...

    def status(self) -> dict[str, Any]: ...


def create_app(service: Control) -> FastAPI:
    desk = service.desk
    collectors: list[Collector] = [service.metrics, *([desk.tenancy.metrics] if desk is not None else [])]
    app = standard_app("control", service, collectors)
    router = routes(service)
    app.include_router(router)
    app.state.public = (router,)  # at the same paths where control shares a process

    @app.get(
        "/v1/fleet",
        tags=["fleet"],
        summary="The fleet's map, as every process has it",
        responses={503: {"description": "There is no map yet."}},
    )
    async def fleet() -> dict[str, Any]:
        known = service.publisher.fleet
        if known is None:
            raise HTTPException(503, service.ready()[1])
        told: dict[str, Any] = msgspec.to_builtins(known)
        return told

    @app.get(
        "/v1/fleet/status",
        tags=["fleet"],
        summary="Every pod of the region, asked for its status now",
    )
    async def fleet_status() -> dict[str, Any]:
        """`complete` is false where some did not answer; their rows say why."""
        return await service.survey.ask(service.targets())

    return app
