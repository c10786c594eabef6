"""Fixtures that run a scenario between two ends, over sockets, or over sockets, TLS and memory in turn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rpc_pair import Scenario, run_pair


@pytest.fixture(params=["websocket", "tls", "memory"])
def on_pair(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    return lambda scenario: run_pair(request.param, scenario)


@pytest.fixture
def on_sockets() -> Callable[[Scenario], None]:
    return lambda scenario: run_pair("websocket", scenario)
