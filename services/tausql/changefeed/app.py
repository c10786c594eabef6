"""The changefeed's HTTP side: health, status, metrics."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.changefeed.service import ChangefeedService
from tausql.runtime.app import standard_app


def create_app(service: ChangefeedService) -> FastAPI:
    return standard_app("changefeed", service, [service.metrics])
