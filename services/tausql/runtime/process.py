"""A process's life: build, start, serve, drain, stop.

Every service runs the same way whether it has a process of its own or shares one: a `Part` says how it is built and
what its HTTP app is, and `run` does the rest. SIGTERM or SIGINT drains; a second one leaves at once.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import uvloop
from fastapi import FastAPI

from tausql.protocol.timekeeper import SERVICE as TIMEKEEPER
from tausql.protocol.timekeeper import TimekeeperClient
from tausql.rpc.metrics import NodeMetrics
from tausql.rpc.node import Node
from tausql.runtime import logs
from tausql.runtime.app import process_app
from tausql.runtime.clock import ERROR_UNKNOWN_US, EstimatedClock, Estimator, HostClock
from tausql.runtime.fleet import Fleet, Member
from tausql.runtime.http import HttpServer
from tausql.runtime.kernel_clock import KernelClock, bound_of, raw_us, wall_us
from tausql.runtime.loop import AsyncHost
from tausql.runtime.process_metrics import ClockMetrics, ProcessMetrics
from tausql.runtime.sampler import Sampler
from tausql.runtime.settings import ProcessSettings

log = logs.get("process")


class Service(Protocol):
    """What every service is to its process. `start`, `drain` and `stop` may also be coroutine functions."""

    def start(self) -> Any: ...

    def drain(self) -> Any: ...

    def stop(self) -> Any: ...

    def ready(self) -> tuple[bool, str]: ...

    def status(self) -> dict[str, Any]: ...


class Part(NamedTuple):
    """One service of a process: how to build it, and its HTTP app."""

    build: Callable[[Process], Any]
    create_app: Callable[[Any], FastAPI]


class Process:
    """What a service is built from."""

    def __init__(
        self,
        host: AsyncHost,
        network: Node,
        fleet: Fleet,
        settings: ProcessSettings,
        clock: EstimatedClock | HostClock,
        *,
        clock_needed: bool = True,
    ) -> None:
        self.host = host
        self.network = network
        self.fleet = fleet
        self.settings = settings
        self.clock = clock
        self.services: dict[str, Service] = {}
        self.draining = False
        self._clock_needed = clock_needed

    def member(self, service: str) -> Member:
        """This process's own entry for `service` in the fleet. Raises LookupError if the fleet does not list it."""
        here = [member for member in self.fleet.of(service) if member.address == self.network.address]
        named = [member for member in here if member.name == self.settings.name]
        if not (named or here):
            raise LookupError(f"the fleet lists no {service} at {self.network.address}")
        return (named or here)[0]

    def directory(self, service: str) -> Path:
        """Where `service` keeps its disk, made if need be (mode 0700)."""
        path = self.settings.data_dir / self.member(service).name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def ready(self) -> tuple[bool, str]:
        if self.draining:
            return False, "draining"
        unsure = self.clock.unsure() if self._clock_needed else ""
        return not unsure, f"clock: {unsure}" if unsure else ""

    def status(self) -> dict[str, Any]:
        error_us = self.clock.error_us()
        return {
            "name": self.host.name,
            "zone": self.host.zone,
            "address": self.network.address,
            "services": list(self.services),
            "clock_error_us": None if error_us == ERROR_UNKNOWN_US else error_us,
            "clients": self.network.peers,
            "draining": self.draining,
        }


def run(parts: Mapping[str, Part], settings: ProcessSettings | None = None) -> None:
    """Run `parts` (by service name) until a signal says stop. Returns when all is stopped.

    What goes wrong at the start is logged, and the process exits with status 1.
    """
    settings = settings if settings is not None else ProcessSettings()
    logs.configure(settings.log_level, settings.log_format, settings.name)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(parts, settings))
    except Exception as error:
        log.critical("cannot run", error=error)
        raise SystemExit(1) from None


async def _live(parts: Mapping[str, Part], settings: ProcessSettings) -> None:
    # Imported here: whoever builds a process of its own messages (a test) needs none of the protocol.
    from tausql.protocol.messages import ALL

    stop_wanted = _stop_on_signal()
    fleet = settings.read_fleet()
    host = AsyncHost(settings.name, settings.zone, asyncio.get_running_loop())
    node = Node(host, settings.rpc_listen, ALL, address=settings.address)
    await node.start()
    clock, sampler = _clock_of(host, node, fleet, settings, parts)
    host.clock = clock
    process = Process(host, node, fleet, settings, clock, clock_needed=set(parts) != {TIMEKEEPER})
    metrics = ProcessMetrics(host)
    apps: dict[str, FastAPI] = {}
    if sampler is not None:
        sampler.start()
    for name, part in parts.items():
        process.services[name] = part.build(process)
    for name, service in process.services.items():
        await _completed(service.start())
        apps[name] = parts[name].create_app(service)
    metrics.start()
    http = None
    if settings.http_listen:
        collectors = (metrics, ClockMetrics(clock, sampler), NodeMetrics(node))
        app = process_app(settings.name, process, collectors, process.services, apps)
        http = HttpServer(app, settings.http_listen)
        await http.start()
    _settle_gc(settings.gc_threshold)
    log.info("started", services=list(parts), rpc=node.address, http=http.address if http else "", pid=os.getpid())

    await stop_wanted.wait()

    process.draining = True
    await _drain(process)
    for service in reversed(process.services.values()):
        await _completed(service.stop())
    if sampler is not None:
        sampler.stop()
    metrics.stop()
    await node.close()
    if http is not None:
        await http.stop()
    host.close()
    log.info("stopped")


def _clock_of(
    host: AsyncHost, node: Node, fleet: Fleet, settings: ProcessSettings, parts: Mapping[str, Part]
) -> tuple[EstimatedClock | HostClock, Sampler | None]:
    kind = settings.clock
    if kind == "auto":
        # A timekeeper's readiness must not depend on the other timekeepers': none would ever be the first.
        kind = "timekeeper" if fleet.timekeeper and set(parts) != {TIMEKEEPER} else "host"
    if kind == "host":
        bound = bound_of(KernelClock(), settings.clock_assumed_error_us)
        return HostClock(wall_us, bound, settings.clock_error_us_max), None
    if not fleet.timekeeper:
        raise LookupError("the clock is to come from timekeepers, but the fleet lists none")
    estimator = Estimator([member.name for member in fleet.timekeeper], settings.clock_drift_ppm)
    clock = EstimatedClock(estimator, raw_us, settings.clock_error_us_max)
    clients = {member.name: TimekeeperClient(node.connect(member.address, TIMEKEEPER)) for member in fleet.timekeeper}
    polls = (settings.clock_poll_seconds, settings.clock_poll_busy_seconds)
    return clock, Sampler(host, clients, estimator, clock, raw_us, *polls)


async def _drain(process: Process) -> None:
    log.info("draining", seconds_max=process.settings.drain_seconds)
    try:
        async with asyncio.timeout(process.settings.drain_seconds):
            for service in reversed(process.services.values()):
                await _completed(service.drain())
    except TimeoutError:
        log.warning("not drained in time; stopping all the same")


async def _completed(outcome: Any) -> None:
    if inspect.isawaitable(outcome):
        await outcome


def _stop_on_signal() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    wanted = asyncio.Event()

    def told() -> None:
        if wanted.is_set():
            os._exit(1)
        wanted.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    return wanted


def _settle_gc(threshold: int) -> None:
    # What was made until now lives as long as the process: it need not be walked again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 50)
