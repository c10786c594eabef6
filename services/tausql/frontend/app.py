"""The frontend over HTTP: what every service shows, and SQL."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.frontend.service import FrontendService
from tausql.runtime.app import standard_app


def create_app(service: FrontendService) -> FastAPI:
    app = standard_app("frontend", service, [service.metrics, *([service.edge] if service.edge is not None else [])])
    router = service.http_sql.router()
    app.include_router(router)
    app.state.public = (router,)
    return app
