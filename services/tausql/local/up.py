"""From a folder and a shape to a running fleet."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tausql.local import environment
from tausql.local.cluster import LINKS, Cluster, ProcessEntry, alive, assign_ports, load, port_free
from tausql.local.shapes import Place, Planned, Ports, Shape, fleet_of, places, planned_of
from tausql.local.supervisor import Supervisor
from tausql.local.watching import readiness
from tausql.runtime.descriptors import SPARE, raise_limit

READY_SECONDS = 60.0
DESCRIPTORS_MIN = 2 * SPARE
POLL_SECONDS = 0.03
SHARD_BYTES = 256 << 20


class StartError(Exception):
    """Why the fleet cannot be started here; the message is for the user."""


def up_fleet(
    folder: Path,
    shape: Shape,
    zones: int,
    pg_port: int,
    http_port: int,
    host: str,
    streams: int = 2,
    clock: environment.Clock = environment.Clock.host,
    storages: int = 1,
    shard_bytes: int = SHARD_BYTES,
    links: bool = False,
    switches: Sequence[str] = (),
) -> None:
    """Start everything, say how to connect, watch until told to stop. `storages`: in each zone; `links`: between
    processes can be cut; `switches`: see `Cluster`. Raises StartError."""
    begun = time.monotonic()
    _check_descriptors()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _only_one(folder)
    before = _before(folder, shape, zones, storages)
    for port, option in ((pg_port, "--pg-port"), (http_port, "--http-port")):
        if not port_free(host, port):
            raise StartError(f"port {port} of {host} is in use: choose another with {option}")
    made = places(shape, zones, storages)
    ports = assign_ports(made, before, host, http_port)
    fleet = fleet_of(made, ports, host)
    (folder / "fleet.json").write_bytes(msgspec.json.format(msgspec.json.encode(fleet), indent=2))
    cluster = Cluster(
        shape=shape.value,
        zones=len(fleet.zones),
        host=host,
        pg_port=pg_port,
        http_port=http_port,
        supervisor=os.getpid(),
        processes=[],
        storages=storages,
        links=links,
        switches=list(switches),
    )
    (folder / LINKS).unlink(missing_ok=True)
    planned = planned_of(made, ports, host, streams, shard_bytes)
    supervisor = _supervisor(folder, cluster, shape, made, ports, planned, lock, clock)
    _prepare_secrets(folder)
    print(f"starting {len(made)} processes ({shape.value}) in {folder}", flush=True)
    supervisor.start_all()
    try:
        if _wait_ready(supervisor, cluster, begun):
            _greet(folder, cluster, begun)
            while supervisor.step(None):
                pass
    finally:
        print("stopping", flush=True)
        supervisor.stop_all()
        os.close(lock)


def _only_one(folder: Path) -> int:
    """The lock that says a fleet runs here: held as long as its supervisor lives, however that ends."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise StartError(f"a fleet already runs in {folder}") from error
    return lock


def _before(folder: Path, shape: Shape, zones: int, storages: int) -> Cluster | None:
    """The fleet that ran here before. Raises StartError if this one cannot take over its data."""
    try:
        before = load(folder)
    except ValueError as error:
        raise StartError(str(error)) from error
    if before is None:
        return None
    wanted = 1 if shape is Shape.single else zones
    if before.zones != wanted:
        raise StartError(
            f"the data in {folder} is of {before.zones} zone(s), and the number of journal replicas never changes: "
            f"use --zones {before.zones}" + (" or --shape single" if before.zones == 1 else "") + ", or another --data"
        )
    if storages < before.storages:
        raise StartError(
            f"the data in {folder} lies with {before.storages} storages in each zone: use --storages {before.storages} "
            "or more, or another --data"
        )
    _end_orphans(before)
    return before


def _end_orphans(before: Cluster) -> None:
    """Processes of a supervisor that was killed: they still hold the ports and the data."""
    for entry in before.processes:
        if alive(entry.pid) and _is_ours(entry):
            os.kill(entry.pid, 9)
    end = time.monotonic() + 5.0
    while any(alive(entry.pid) and _is_ours(entry) for entry in before.processes) and time.monotonic() < end:
        time.sleep(0.02)


def _is_ours(entry: ProcessEntry) -> bool:
    """Whether that pid still is the process it was: it has this fleet's name in its environment."""
    try:
        surroundings = Path(f"/proc/{entry.pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"tausql" in surroundings


def _supervisor(
    folder: Path,
    cluster: Cluster,
    shape: Shape,
    made: list[Place],
    ports: dict[str, Ports],
    planned: Planned,
    lock: int,
    clock: environment.Clock,
) -> Supervisor:
    from tausql.local.parts import parts  # a second of imports that only `up` needs
    from tausql.runtime.process import run

    every = parts()

    def run_place(place: Place) -> None:
        run({service: every[service] for service in place.services})

    return Supervisor(
        folder,
        cluster,
        made,
        ports,
        lambda place: environment.for_process(folder, cluster, shape, place, ports[place.name], planned, clock),
        run_place,
        lock,
    )


def _check_descriptors() -> None:
    """Raise the limit of open files for all processes; say so where it cannot be what a full fleet needs."""
    limit = raise_limit()
    if limit < DESCRIPTORS_MIN:
        raise StartError(
            f"a process may have {limit} files and sockets open here, TauSQL needs {DESCRIPTORS_MIN} at least: "
            "raise the hard limit (ulimit -Hn)"
        )
    needed = environment.SESSIONS_MAX + SPARE
    if limit < needed:
        print(
            f"a process may have {limit} files and sockets open here: room for some {limit - SPARE} connections; "
            f"for {environment.SESSIONS_MAX} raise the hard limit (ulimit -Hn) to {needed}",
            file=sys.stderr,
            flush=True,
        )


def _prepare_secrets(folder: Path) -> None:
    """Before anybody needs them, so that `tausql env` is right from the first moment."""
    from tausql.frontend.authentication import ensure_password_file

    ensure_password_file(environment.password_file(folder))


def _wait_ready(supervisor: Supervisor, cluster: Cluster, begun: float) -> bool:
    """Report processes as they become ready. False: told to stop meanwhile. Gives up waiting, not running, in time."""
    waiting = {entry.name for entry in cluster.processes}
    end = begun + READY_SECONDS
    reasons: dict[str, str] = {}
    while waiting:
        if not supervisor.step(POLL_SECONDS):
            return False
        for entry in cluster.processes:
            if entry.name not in waiting:
                continue
            ready, reasons[entry.name] = readiness(cluster.host, entry)
            if ready:
                waiting.discard(entry.name)
                print(f"  {entry.name:<12} {entry.service:<40} ready, pid {entry.pid}", flush=True)
        if time.monotonic() > end:
            for name in sorted(waiting):
                print(f"  {name:<12} not ready: {reasons[name]} (see logs/{name}.log)", file=sys.stderr, flush=True)
            end = float("inf")
    return True


def _greet(folder: Path, cluster: Cluster, begun: float) -> None:
    script = Path(sys.executable).with_name("tausql")
    program = script if script.exists() else Path("tausql")
    print(
        f"\nTauSQL is up ({time.monotonic() - begun:.1f} s).\n\n"
        f"  PostgreSQL   {cluster.host}:{cluster.pg_port}, user {environment.USER}, TLS "
        f"(CA in {environment.certificate_folder(folder) / 'ca.pem'})\n"
        f"  HTTP SQL     http://{cluster.host}:{cluster.http_port}/docs\n"
        f"  logs         {folder / 'logs'}\n\n"
        f'  eval "$({program} env --data {folder})"; psql\n\n'
        "Ctrl-C stops it; its data stays.",
        flush=True,
    )
