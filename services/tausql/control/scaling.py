"""The shell of the warm pool: where this control leads, hears the processors, and writes how many there should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tausql.control.asking import Gone, Trouble
from tausql.control.leadership import Leadership
from tausql.control.loads import Loads
from tausql.control.metrics import ControlMetrics
from tausql.control.warm_pool import Plan, PoolLimits, Scale, WarmPool, plan
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.runtime.tasks import spawn

PAUSE_SECONDS_MIN = 0.5  # after a failed request, doubled each time

log = logs.get("control")


class ScalingApi(Protocol):
    """What it needs of Kubernetes (`KubernetesApi`). Blocks; raises Trouble."""

    def read_scale(self, deployment: str, autoscaler: str) -> Scale: ...

    def write_replicas(self, deployment: str, replicas: int) -> None: ...

    def write_least(self, autoscaler: str, least: int) -> None: ...


@dataclass(frozen=True, slots=True)
class ScalingNames:
    """Of the objects at Kubernetes, and the time between looks at them."""

    deployment: str
    autoscaler: str  # "": none
    reconcile_seconds: float


class Scaling:
    """Runs from `start` to `close`. Every turn of it reads before it writes: what is there may be somebody else's."""

    def __init__(
        self,
        host: Host,
        api: ScalingApi,
        names: ScalingNames,
        limits: PoolLimits,
        loads: Loads,
        metrics: ControlMetrics,
        leadership: Leadership,
    ) -> None:
        self._host = host
        self._api = api
        self._names = names
        self._limits = limits
        self._loads = loads
        self._metrics = metrics
        self._leadership = leadership
        self._pool: WarmPool | None = None
        self._scale: Scale | None = None
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""
        leadership.watch(self._woken.set)

    def status(self) -> dict[str, Any]:
        return {
            "held": self._leadership.held,
            "replicas": self._scale.replicas if self._scale else None,
            "autoscaler": list(self._scale[1:]) if self._scale and self._names.autoscaler else None,
            "wish": self._wish() if self._pool else None,
            "sessions": self._loads.sessions if self._pool else None,
            "heard": self._loads.heard,
            "trouble": self._complaint or self._leadership.trouble,
        }

    def start(self) -> None:
        self._task = spawn("scaling", self._run())

    def changed(self) -> None:
        """A processor spoke: more may be needed, and at once."""
        if self._pool is not None and self._scale is not None and plan(self._wish(), self._scale) != Plan():
            self._woken.set()

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        self._resign()

    async def _run(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            self._woken.clear()
            try:
                await self._turn()
            except (Trouble, Gone) as trouble:
                self._failed(trouble)
                await asyncio.sleep(pause * self._host.random.uniform(0.5, 1.0))
                pause = min(pause * 2, self._names.reconcile_seconds)
                continue
            pause = PAUSE_SECONDS_MIN
            self._complaint = ""
            self.changed()
            try:
                async with asyncio.timeout(self._names.reconcile_seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> None:
        if not self._leadership.held:
            self._resign()
            return
        names = self._names
        scale = await self._ask("scale", self._api.read_scale, names.deployment, names.autoscaler)
        self._scale = scale
        floor = scale.replicas if scale.least is None else scale.least
        now = self._host.monotonic()
        if self._pool is None:
            self._pool = WarmPool(self._limits, floor, now)
            self._loads.start()
        self._pool.seen(now, floor)
        await self._write(plan(self._wish(), scale), scale, self._pool)

    def _wish(self) -> int:
        assert self._pool is not None
        wish = self._pool.wish(self._host.monotonic(), self._loads.sessions)
        self._metrics.desired = wish
        self._metrics.replicas = self._scale.replicas if self._scale is not None else 0
        return wish

    async def _write(self, wanted: Plan, scale: Scale, pool: WarmPool) -> None:
        names = self._names
        if wanted.replicas is not None:
            direction = "out" if wanted.replicas > scale.replicas else "in"
            await self._ask("scale", self._api.write_replicas, names.deployment, wanted.replicas)
            self._metrics.scaled(direction)
            if scale.least is None:
                pool.wrote(wanted.replicas)
            log.info("processors", wanted=wanted.replicas, before=scale.replicas, sessions=self._loads.sessions)
            self._scale = scale = scale._replace(replicas=wanted.replicas)
        if wanted.least is not None:
            await self._ask("autoscaler", self._api.write_least, names.autoscaler, wanted.least)
            pool.wrote(wanted.least)
            if wanted.replicas is None:
                self._metrics.scaled("out" if wanted.least > (scale.least or 0) else "in")
            log.info("processors at least", wanted=wanted.least, before=scale.least, sessions=self._loads.sessions)
            self._scale = scale._replace(least=wanted.least)

    def _resign(self) -> None:
        if self._pool is not None:
            log.info("this control scales the processors no longer")
        self._pool = self._scale = None
        self._loads.stop()
        self._metrics.desired = self._metrics.replicas = 0

    # requests

    async def _ask(self, request: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *arguments)
        except (Trouble, Gone):
            self._metrics.api_error(request)
            raise

    def _failed(self, trouble: Exception) -> None:
        if not self._leadership.held:
            self._resign()
        complaint = str(trouble)
        if complaint != self._complaint:
            self._complaint = complaint
            say = log.error if isinstance(trouble, Trouble) and trouble.forbidden else log.warning
            say("processors cannot be scaled", why=complaint)
