"""The adjudicator's HTTP side: health, metrics, status."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.adjudicator.service import AdjudicatorService
from tausql.runtime.app import standard_app


def create_app(service: AdjudicatorService) -> FastAPI:
    """/livez /readyz /metrics /status"""
    return standard_app("adjudicator", service, [service.metrics])
