"""The timekeeper's HTTP side: health, status, metrics."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.runtime.app import standard_app
from tausql.timekeeper.service import TimekeeperService


def create_app(service: TimekeeperService) -> FastAPI:
    return standard_app("timekeeper", service, [service.metrics])
