"""The HTTP side of a replica: health, metrics, status."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.journal.service import JournalService
from tausql.runtime.app import standard_app


def create_app(service: JournalService) -> FastAPI:
    return standard_app("journal", service, [service.metrics])
