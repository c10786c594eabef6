"""Processes die under load: nothing acknowledged is lost, nothing is half there, and the others carry on."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest
from loadtest.tausql_fleet import Fleet, running_fleet, start, stop_process

from .sessions import status
from .under_load import kill, pid_of, under_load
from .waiting import until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]

GAP_SECONDS_MAX = 15.0  # the aim is 3 for writes and 1 for reads; this bound only tells outages from hiccups


@pytest.mark.parametrize("shape", ["separate", "packed"])
def test_kill_of_each_process_in_turn_loses_nothing(shape: str) -> None:
    with running_fleet(shape) as fleet, under_load(fleet) as load:
        for entry in fleet.processes():
            name = str(entry["name"])
            load.lists.reset_gaps()
            kill(fleet, name)
            load.await_progress()
            load.note_gap(f"kill -9 {name}")
        load.check()
        restarts = {str(entry["name"]): entry["restarts"] for entry in fleet.processes()}
    assert set(restarts.values()) == {1}, restarts
    slow = [gap for gap in load.gaps if max(gap.write_seconds, gap.read_seconds) > GAP_SECONDS_MAX]
    assert not slow


def test_kill_of_everything_at_once_loses_nothing() -> None:
    parent = Path(tempfile.mkdtemp(prefix="tausql-kill-all-"))
    folder = parent / "data"
    fleet = start(folder, "packed")
    try:
        with under_load(fleet) as load:
            for pid in (fleet.process.pid, *fleet.pids()):
                os.kill(pid, signal.SIGKILL)
            fleet.process.wait()
            fleet = start(folder, "packed")
            load.lists.connection = load.orders.connection = fleet.connection
            load.await_progress()
            load.check()
    finally:
        stop_process(fleet.process)
        shutil.rmtree(parent, ignore_errors=True)


def test_adjudicator_that_wakes_up_after_its_successor_took_over_harms_nothing() -> None:
    with running_fleet("separate") as fleet, under_load(fleet) as load:
        for _ in range(2):
            holder = _holder(fleet)
            sleeper = pid_of(fleet, holder)
            load.lists.reset_gaps()
            os.kill(sleeper, signal.SIGSTOP)
            try:
                other = {"adjudicator-a": "adjudicator-b", "adjudicator-b": "adjudicator-a"}[holder]
                until(partial(_holds, fleet, other), f"{other} holds the stream")
                load.await_progress()
                load.note_gap(f"SIGSTOP {holder}")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(sleeper, signal.SIGCONT)
            load.await_progress()
        load.check()


def _holds(fleet: Fleet, name: str) -> bool:
    streams = status(fleet, name)["adjudicator"]["streams"]
    return any(stream["held"] for stream in streams)


def _holder(fleet: Fleet) -> str:
    for name in ("adjudicator-a", "adjudicator-b"):
        if _holds(fleet, name):
            return name
    raise AssertionError("nobody holds the stream")
