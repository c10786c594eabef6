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
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import uvloop
from fastapi import FastAPI

from tausql.protocol.control import SERVICE as CONTROL
from tausql.protocol.fleet import Member
from tausql.protocol.timekeeper import SERVICE as TIMEKEEPER
from tausql.protocol.timekeeper import TimekeeperClient
from tausql.rpc.links import Links
from tausql.rpc.metrics import NodeMetrics
from tausql.rpc.node import Node
from tausql.runtime import logs
from tausql.runtime.app import process_app
from tausql.runtime.clock import ERROR_UNKNOWN_US, EstimatedClock, Estimator, HostClock
from tausql.runtime.descriptors import raise_limit
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.http import HttpServer
from tausql.runtime.joining import FleetWatch
from tausql.runtime.kernel_clock import KernelClock, awake_us, boot_us, bound_of, raw_us, wall_us
from tausql.runtime.loop import AsyncHost
from tausql.runtime.process_metrics import ClockMetrics, ProcessFacts, ProcessMetrics
from tausql.runtime.sampler import Sampler
from tausql.runtime.settings import ProcessSettings
from tausql.runtime.tls import Tls

# Timekeepers give the time, and control needs none. A timekeeper's readiness must not depend on the other
# timekeepers': none would ever be the first.
TIMELESS = {TIMEKEEPER, CONTROL}

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
        fleet: Directory,
        settings: ProcessSettings,
        clock: EstimatedClock | HostClock,
        *,
        clock_needed: bool = True,
        tls: Tls | None = None,
    ) -> None:
        self.host = host
        self.network = network
        self.fleet = fleet
        self.settings = settings
        self.clock = clock
        self.tls = tls  # None: processes talk plaintext
        self.services: dict[str, Service] = {}
        self.draining = False
        self._clock_needed = clock_needed

    def member(self, service: str) -> Member:
        """This process's own entry for `service` in the fleet. Raises LookupError if the fleet does not list it."""
        here = [member for member in self.fleet.fleet.of(service) if member.address == self.network.address]
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
    raise_limit()
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
    fleet = Directory(settings.read_fleet())
    host = AsyncHost(settings.name, settings.zone, asyncio.get_running_loop())
    tls = Tls(host, Path(settings.tls_dir)) if settings.tls_dir else None
    if tls is not None:
        tls.start()
    node = Node(host, settings.rpc_listen, ALL, address=settings.address, tls=tls)
    node.locate = fleet.locate
    await node.start()
    if settings.links:
        node.links = Links(host, Path(settings.links), lambda: node.address)
        node.links.start()
    watch = None
    if settings.control:
        watch = FleetWatch(host, node, fleet, settings.control, node.address)
        watch.start()
    if watch is not None and not settings.fleet:
        zone = await _unless(stop_wanted, watch.joined(list(parts)))
        if zone is None:  # told to stop while still waiting
            watch.stop()
            await node.close()
            host.close()
            return
        host.zone = zone
        log.info("joined", zone=zone)
    clock, sampler = _clock_of(host, node, fleet, settings, parts)
    host.clock = clock
    process = Process(host, node, fleet, settings, clock, clock_needed=not set(parts) <= TIMELESS, tls=tls)
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
        facts = ProcessFacts(tuple(parts), settings.data_dir)
        clocks = () if set(parts) == {CONTROL} else (ClockMetrics(clock, sampler),)  # control's clock serves nobody
        collectors = (metrics, facts, *clocks, NodeMetrics(node), *((tls,) if tls else ()))
        labels = {"process": host.name, "zone": host.zone}
        app = process_app(settings.name, process, collectors, process.services, apps, labels)
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
    if watch is not None:
        watch.stop()
    metrics.stop()
    if tls is not None:
        tls.stop()
    if node.links is not None:
        node.links.stop()
    await node.close()
    if http is not None:
        await http.stop()
    host.close()
    log.info("stopped")


def _clock_of(
    host: AsyncHost, node: Node, fleet: Directory, settings: ProcessSettings, parts: Mapping[str, Part]
) -> tuple[EstimatedClock | HostClock, Sampler | None]:
    kind = settings.clock
    listed = fleet.fleet.timekeeper
    if set(parts) <= TIMELESS:
        kind = "host"
    elif kind == "auto":
        kind = "timekeeper" if listed or settings.control else "host"
    if kind == "host":
        bound = bound_of(KernelClock(), settings.clock_assumed_error_us)
        return HostClock(wall_us, bound, settings.clock_error_us_max), None
    if not listed and not settings.control:
        raise LookupError("the clock is to come from timekeepers, but the fleet lists none")
    timekeepers = Neighbours(
        fleet,
        TIMEKEEPER,
        host.zone,
        lambda address: TimekeeperClient(node.connect(address, TIMEKEEPER)),
        joined=lambda one: sampler.admit(one.member.name, one.client),
        left=lambda one: sampler.dismiss(one.member.name),
    )
    clients = dict(timekeepers.named())
    estimator = Estimator(list(clients), settings.clock_drift_ppm, settings.clock_sources_min)
    clock = EstimatedClock(estimator, raw_us, settings.clock_error_us_max, awake_us, boot_us)
    polls = (settings.clock_poll_seconds, settings.clock_poll_busy_seconds)
    sampler = Sampler(host, clients, estimator, clock, raw_us, *polls)
    return clock, sampler


async def _unless(event: asyncio.Event, awaited: Awaitable[str]) -> str | None:
    """What `awaited` gives, or None once `event` is set."""
    work = asyncio.ensure_future(awaited)
    told = asyncio.ensure_future(event.wait())
    await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if work.done():
        return work.result()
    work.cancel()
    return None


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
