"""The frontend over HTTP: what every service shows, and SQL."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.frontend.http_routes import routers
from tausql.frontend.service import FrontendService
from tausql.runtime.app import standard_app


def create_app(service: FrontendService) -> FastAPI:
    app = standard_app("frontend", service, [service.metrics, *([service.edge] if service.edge is not None else [])])
    app.state.public = routers(service.statements)
    for router in app.state.public:
        app.include_router(router)
    return app
