"""The processor's HTTP side: health, metrics, status."""

from __future__ import annotations

from fastapi import FastAPI

from tausql.processor.service import ProcessorService
from tausql.runtime.app import standard_app


def create_app(service: ProcessorService) -> FastAPI:
    return standard_app("processor", service, [service.metrics])
