"""Storage's HTTP side: health, metrics, status."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.runtime.app import standard_app
from tausql.storage.service import StorageService


def create_app(service: StorageService) -> FastAPI:
    """/livez /readyz /metrics /status."""
    return standard_app("storage", service, [service.metrics])
