"""Many connections at once: idle ones and busy ones, and one too many."""

from __future__ import annotations

import pytest
from loadtest.connections.holders import Holders
from loadtest.tausql_fleet import running_fleet

from .sessions import status
from .waiting import until

pytestmark = pytest.mark.fleet

ACTIVE, IDLE = 10, 300


def test_all_answer_and_one_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAUSQL_FRONTEND_CONNECTIONS_MAX", str(ACTIVE + IDLE))
    with running_fleet("single", plaintext=False) as fleet, Holders(fleet, ACTIVE + IDLE, tls=True) as holders:
        holders.prepare(ACTIVE)
        until(lambda: status(fleet, "fleet")["frontend"]["clients"] == 0, "nobody is connected")
        opened = holders.do("open", ACTIVE + IDLE)
        assert (opened.open, dict(opened.errors)) == (ACTIVE + IDLE, {})
        more = holders.do("open", 2)  # one in each holder
        assert (more.open, dict(more.errors)) == (ACTIVE + IDLE, {"53300": 2})
        busy = holders.do("run", ACTIVE, seconds=0.5, think_seconds=0.02)
        assert dict(busy.errors) == {}
        assert len(busy.latencies) >= ACTIVE
        asked = holders.do("ask")
        assert (asked.open, len(asked.latencies), dict(asked.errors)) == (ACTIVE + IDLE, ACTIVE + IDLE, {})
        holders.do("close")
        until(lambda: status(fleet, "fleet")["frontend"]["clients"] == 0, "all have gone")
        again = holders.do("open", ACTIVE)  # what was closed makes room
        assert (again.open, dict(again.errors)) == (ACTIVE, {})
