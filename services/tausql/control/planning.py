"""The planner's shell: asks adjudicators and storages how they are, every now and then, and says what is wanted.

Often while something moves, and ever more seldom while nothing does: a small fleet that rests should cost next to
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from tausql.control.planner import PlanLimits, Planner, Refused
from tausql.control.reports import Answer, Reader, Reports
from tausql.control.survey import Survey, Target
from tausql.control.wanted import Wanted
from tausql.protocol.fleet import Fleet
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.runtime.tasks import spawn

SLOWER = 1.5  # times the last pause, when nothing has changed

log = logs.get("control")


class Asked(NamedTuple):
    """A process, and what runs in it that matters here."""

    target: Target
    members: tuple[tuple[str, str], ...]  # (name, service)


class Pauses(NamedTuple):
    """Seconds between two looks."""

    busy: float
    calm: float


class Planning:
    """Plans between `start` and `stop`. `wanted`: the last outcome, None before there was any."""

    def __init__(
        self,
        host: Host,
        survey: Survey,
        limits: PlanLimits,
        pauses: Pauses,
        processes: Callable[[], Iterable[Asked]],
        fleet: Callable[[], Fleet | None],
        changed: Callable[[], None],
    ) -> None:
        """processes: to be asked. fleet: the newest map. changed: called with every step."""
        self._host = host
        self._survey = survey
        self._limits = limits
        self._pauses = pauses
        self._processes = processes
        self._fleet = fleet
        self._changed = changed
        self._planner: Planner | None = None
        self._reader = Reader()
        self._task: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self.wanted: Wanted | None = None
        self.reports: Reports | None = None  # as last read; None: this control does not plan

    @property
    def running(self) -> bool:
        return self._planner is not None

    @property
    def steps(self) -> int:
        """Taken since `start`."""
        return 0 if self._planner is None else self._planner.steps

    @property
    def waits(self) -> Mapping[str, str]:
        return {} if self._planner is None else self._planner.waits

    def start(self, before: Wanted | None = None) -> None:
        """before: what another control wanted, to go on from."""
        if self._task is None:
            self._planner = Planner(self._limits, self._host.monotonic(), before)
            self._reader = Reader()
            self._task = spawn("planning", self._run(self._planner))

    def stop(self) -> None:
        task, self._task, self._planner = self._task, None, None
        self.reports = None
        if task is not None:
            task.cancel()

    def status(self) -> dict[str, Any]:
        if self._planner is None:
            return {"plans": False}
        told = self._planner.status(self._host.monotonic())
        return {"plans": True, "steps": self._planner.steps, "unreadable": self._reader.troubles, **told}

    def ask(self, wish: Callable[[Planner, float], None]) -> None:
        """Let somebody's `wish` change what is wanted. Raises Refused."""
        if self._planner is None:
            raise Refused("this control does not plan: ask the one that leads")
        wish(self._planner, self._host.monotonic())
        self._tell(self._planner.wanted)
        self._woken.set()

    async def _run(self, planner: Planner) -> None:
        pause = self._pauses.busy
        while True:
            self._woken.clear()
            before = (planner.steps, dict(planner.waits))
            fleet = self._fleet()
            if fleet is not None:
                answers = await self._answers()
                self.reports = reports = self._reader.read(answers, self._host.monotonic())
                wanted = planner.turn(self._fleet() or fleet, reports, self._host.monotonic())
                self._tell(wanted)
            changed = (planner.steps, planner.waits) != before
            pause = self._pauses.busy if changed else min(pause * SLOWER, self._pauses.calm)
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
                pause = self._pauses.busy
            except TimeoutError:
                pass

    async def _answers(self) -> list[Answer]:
        processes = list(self._processes())
        rows = await self._survey.rows([one.target for one in processes])
        found: list[Answer] = []
        for one, row in zip(processes, rows, strict=True):
            status = row.get("status")
            if not isinstance(status, Mapping):
                continue
            about = status.get("process")
            draining = isinstance(about, Mapping) and about.get("draining") is True
            found += [
                Answer(name, service, status[service], draining) for name, service in one.members if service in status
            ]
        return found

    def _tell(self, wanted: Wanted) -> None:
        if wanted == self.wanted:
            return
        before, self.wanted = self.wanted, wanted
        log.info(
            "what is wanted has changed",
            streams=wanted.streams,
            ranges=len(wanted.placement),
            shards=len(wanted.shards),
            first=before is None,
        )
        self._changed()
