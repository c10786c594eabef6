"""The shell of the timekeeper: questions in, the kernel's clock read, answers out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.protocol.timekeeper import SERVICE, GetTime
from tausql.rpc.interface import Cause, Network, Reply, Routes
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.kernel_clock import REFRESH_US, KernelClock, bound_of, wall_us
from tausql.runtime.process import Process
from tausql.timekeeper.bounds import TimeBounds
from tausql.timekeeper.metrics import TimekeeperMetrics
from tausql.timekeeper.settings import TimekeeperSettings

UNSURE = "the kernel says its clock is not synchronised; TAUSQL_TIMEKEEPER_ASSUMED_ERROR_US is not set"


class TimekeeperService:
    """Answers `GetTime`.

    read_us: the wall clock. bound_us: its error bound, None where unknown; the kernel's own unless given.
    """

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: TimekeeperSettings,
        *,
        read_us: Callable[[], int] = wall_us,
        bound_us: Callable[[], int | None] | None = None,
    ) -> None:
        self.metrics = TimekeeperMetrics()
        self._host = host
        self._network = network
        self._read_us = read_us
        self._bound_us = bound_us if bound_us is not None else bound_of(KernelClock(), settings.assumed_error_us)
        self._bounds = TimeBounds()
        self._fresh_until = 0.0  # until then, by the host's monotonic clock, the bound need not be asked again
        self._draining = False

    def start(self) -> None:
        self._network.serve(SERVICE, Routes(calls={GetTime: self._get_time}))

    def drain(self) -> None:
        self._draining = True

    def stop(self) -> None:
        pass

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        return (True, "") if self._error() is not None else (False, UNSURE)

    def status(self) -> dict[str, Any]:
        return {"error_us": self._error(), "answers": self.metrics.answers, "refusals": self.metrics.refusals}

    def _get_time(self, request: GetTime, reply: Reply) -> None:
        error_us = self._error()
        if error_us is None:
            self.metrics.refusals += 1
            reply.fail(Cause.refused, UNSURE)
            return
        self.metrics.answers += 1
        reply.answer(self._bounds.answer(request.sent, self._read_us(), error_us))

    def _error(self) -> int | None:
        now = self._host.monotonic()
        if now >= self._fresh_until:
            self._fresh_until = now + REFRESH_US / 1e6
            self.metrics.error_us = self._bound_us()
        return self.metrics.error_us


def build(process: Process) -> TimekeeperService:
    return TimekeeperService(process.host, process.network, process.fleet, TimekeeperSettings())
