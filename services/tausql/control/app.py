"""Control's HTTP side: health, metrics, status, the map, and everybody's status at once."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, HTTPException

from tausql.control.service import ControlService
from tausql.runtime.app import standard_app


def create_app(service: ControlService) -> FastAPI:
    app = standard_app("control", service, [service.metrics])

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
        return await service.survey.ask(service.pods)

    return app
