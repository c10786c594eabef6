"""The crossbar's HTTP side: health, metrics, status."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.crossbar.service import CrossbarService
from tausql.runtime.app import standard_app


def create_app(service: CrossbarService) -> FastAPI:
    """/livez /readyz /metrics /status."""
    return standard_app("crossbar", service, [service.metrics])
