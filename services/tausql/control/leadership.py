"""Whether this control is the one that acts: it scales the processors, and plans.

Keeps a claim to the Lease for as long as it runs, and knows the name of whoever has it, so that the others can follow
that one (`following`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from tausql.control.asking import Gone, Trouble
from tausql.control.lease import Claim, Lease, Step
from tausql.control.metrics import ControlMetrics
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.runtime.tasks import spawn

PAUSE_SECONDS_MIN = 0.5  # after a failed request, doubled each time
RELEASE_SECONDS = 3.0

log = logs.get("control")


class LeaseApi(Protocol):
    """What it needs of Kubernetes. Blocks; raises Trouble."""

    def read_lease(self, name: str) -> Lease | None: ...

    def write_lease(self, name: str, before: Lease | None, holder: str, seconds: float) -> bool: ...


class Leadership:
    """Runs from `start` to `close`. Those who `watch` are called whenever it was won or lost, or another has it."""

    def __init__(self, host: Host, api: LeaseApi, lease: str, seconds: float, metrics: ControlMetrics) -> None:
        self._host = host
        self._api = api
        self._lease = lease
        self._seconds = seconds
        self._metrics = metrics
        self._claim = Claim(host.name, seconds)
        self._watchers: list[Callable[[], None]] = []
        self._told: tuple[bool, str] = (False, "")
        self._task: asyncio.Task[None] | None = None
        self.holder = ""  # as last read
        self.trouble = ""

    @property
    def held(self) -> bool:
        """Whether to act."""
        return self._claim.held(self._host.monotonic())

    def watch(self, function: Callable[[], None]) -> None:
        self._watchers.append(function)

    def status(self) -> dict[str, Any]:
        return {"held": self.held, "holder": self.holder, "trouble": self.trouble}

    def start(self) -> None:
        self._task = spawn("leadership", self._run())

    async def close(self) -> None:
        """Stop, and leave the Lease to the next one."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if self.held:
            try:
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._release()
            except (Trouble, Gone, TimeoutError) as trouble:
                log.info("the lease was not given back and will run out", why=str(trouble))
        self._claim.lost()
        self._tell()

    async def _run(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                await self._renew()
            except (Trouble, Gone) as trouble:
                self._failed(trouble)
                self._tell()
                await asyncio.sleep(min(pause, self._seconds / 3) * self._host.random.uniform(0.5, 1.0))
                pause *= 2
                continue
            pause = PAUSE_SECONDS_MIN
            self.trouble = ""
            self._tell()
            await asyncio.sleep(self._seconds / 3)

    async def _renew(self) -> None:
        claim = self._claim
        asked_at = self._host.monotonic()
        found = await self._ask(self._api.read_lease, self._lease)
        self.holder = "" if found is None else found.holder
        step = claim.step(found, self._host.monotonic())
        if step is Step.wait:
            claim.lost()
        elif await self._ask(self._api.write_lease, self._lease, found, self._host.name, self._seconds):
            claim.written(asked_at)
            self.holder = self._host.name
        else:
            claim.lost()

    async def _release(self) -> None:
        found = await self._ask(self._api.read_lease, self._lease)
        if found is not None and found.holder == self._host.name:
            await self._ask(self._api.write_lease, self._lease, found, "", self._seconds)

    def _tell(self) -> None:
        now = (self.held, self.holder)
        if now == self._told:
            return
        if now[0] is not self._told[0]:
            log.info("this control leads" if now[0] else "this control leads no longer", lease=self._lease)
        self._told = now
        for function in self._watchers:
            function()

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *arguments)
        except (Trouble, Gone):
            self._metrics.api_error("lease")
            raise

    def _failed(self, trouble: Exception) -> None:
        complaint = str(trouble)
        if complaint != self.trouble:
            self.trouble = complaint
            say = log.error if isinstance(trouble, Trouble) and trouble.forbidden else log.warning
            say("the lease cannot be had", why=complaint)
