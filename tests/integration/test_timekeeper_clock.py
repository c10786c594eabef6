"""A fleet whose processes have the time from its timekeepers, as on a cluster, and not from the machine they share."""

from __future__ import annotations

import os
import signal

import pytest
from loadtest.tausql_fleet import running_fleet

from .sessions import status
from .under_load import kill, pid_of, ready, under_load
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

KILLED = ("timekeeper-a", "adjudicator-a", "processor-a", "storage-a", "journal-a", "crossbar-a")
TIMEKEEPERS = ("timekeeper-a", "timekeeper-b", "timekeeper-c")


def test_estimated_clocks_keep_order_while_processes_and_timekeepers_die() -> None:
    with running_fleet("separate", "--clock", "timekeeper") as fleet, under_load(fleet) as load:
        for name in KILLED:
            load.lists.reset_gaps()
            kill(fleet, name)
            load.await_progress()
            load.note_gap(f"kill -9 {name}")
        error_us = status(fleet, "processor-b")["process"]["clock_error_us"]
        assert error_us is not None
        assert error_us > 20, "what the machine's own clock would say"
        load.lists.reset_gaps()
        before = {name: pid_of(fleet, name) for name in TIMEKEEPERS}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        load.await_progress()  # nobody needs a timekeeper to go on for a while
        until(lambda: all(pid_of(fleet, name) not in (0, pid) for name, pid in before.items()), "timekeepers started")
        until(lambda: all(ready(fleet, name) for name in TIMEKEEPERS), "timekeepers ready")
        load.await_progress()
        load.note_gap("kill -9 of all timekeepers")
        load.check()
