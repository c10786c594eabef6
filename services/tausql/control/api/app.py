"""The API as one app: routes inside, the guard around them, and every error in the shape its protocol has for it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tausql.control.api import backups, dsql, query, resources
from tausql.control.api.exchange import exchange_of
from tausql.control.api.formats import error_for
from tausql.control.api.guard import Guard
from tausql.control.faults import Fault, internal, invalid, unknown_operation
from tausql.control.identities.keyring import NoFleetKey
from tausql.control.identities.web_identity import WebIdentities
from tausql.control.system.store import Unavailable
from tausql.control.tenancy import Tenancy
from tausql.runtime import logs

FIELDS_MAX = 20
TEXT_MAX = 200

log = logs.get("control")


def create_api(tenancy: Tenancy, identities: WebIdentities, rate: float, burst: float) -> Guard:
    app = FastAPI(
        title="TauSQL control", version=version("tausql"), docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.include_router(dsql.routes())
    app.include_router(resources.routes())
    app.include_router(backups.routes())
    app.include_router(query.routes(identities))

    @app.get("/ping", summary="Is the API there?", tags=["health"])
    async def ping() -> dict[str, Any]:
        return {"healthy": tenancy.state.known}

    _errors(app)
    return Guard(app, tenancy, rate, burst)


def _errors(app: FastAPI) -> None:
    @app.exception_handler(Fault)
    async def fault(request: Request, error: Fault) -> Response:
        return _told(request, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        return _told(request, _invalid(error.errors()))

    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Unavailable) -> Response:
        return _told(request, internal())

    @app.exception_handler(NoFleetKey)
    async def no_key(request: Request, error: NoFleetKey) -> Response:
        return _told(request, internal("This fleet has no key to keep secrets with: TAUSQL_CONTROL_FLEET_KEY_FILE."))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        if error.status_code in (404, 405):
            return _told(request, unknown_operation())
        return _told(request, invalid("The request cannot be parsed", "cannotParse"))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        log.error("a request to the API failed", path=request.url.path, error=error)
        return _told(request, internal())


def _told(request: Request, fault: Fault) -> Response:
    exchange = exchange_of(request)
    exchange.fault = fault
    return error_for(exchange, fault)


def _invalid(errors: Sequence[Any]) -> Fault:
    """Every field that is wrong, as far as there is room."""
    if any(error["type"] == "json_invalid" for error in errors):
        return invalid("The body of the request is not JSON", "cannotParse")
    fields: list[tuple[str, str]] = []
    for error in errors[:FIELDS_MAX]:
        place = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
        fields.append((".".join(place)[:TEXT_MAX] or "body", str(error["msg"])[:TEXT_MAX]))
    told = "; ".join(f"{name}: {wrong}" for name, wrong in fields)
    return invalid(f"{len(errors)} validation error(s) detected: {told}", fields=fields)
