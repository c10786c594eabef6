"""From a folder and a shape to a running fleet."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

import msgspec

from tausql.local import environment
from tausql.local.api import ApiError, oldest_cluster
from tausql.local.cluster import LINKS, Cluster, ProcessEntry, alive, assign_ports, load, port_free, reachable
from tausql.local.credentials import ensure_credentials, ensure_fleet_key
from tausql.local.reached import certificate_folder, reached_in
from tausql.local.shapes import Place, Planned, Ports, Shape, fleet_of, places, planned_of
from tausql.local.supervisor import Supervisor
from tausql.local.watching import readiness
from tausql.runtime.descriptors import SPARE, raise_limit

READY_SECONDS = 60.0
CONTROL_SECONDS = 30.0
DESCRIPTORS_MIN = 2 * SPARE
POLL_SECONDS = 0.03
SHARD_BYTES = 256 << 20
WEBSOCKET_PORT = 443  # drivers that speak PostgreSQL over WebSocket know no other


class StartError(Exception):
    """Why the fleet cannot be started here; the message is for the user."""


class Wishes(msgspec.Struct, frozen=True):
    """What a fleet should be like; the command line's options."""

    shape: Shape = Shape.packed
    zones: int = 3
    pg_port: int = 5432
    http_port: int = 8080
    api_port: int = 8081
    websocket_port: int | None = None  # None: 443 where that is allowed and free; 0: none
    host: str = "127.0.0.1"
    region: str = "us-east-1"
    streams: int = 2
    clock: environment.Clock = environment.Clock.host
    storages: int = 1  # in each zone
    shard_bytes: int = SHARD_BYTES
    links: bool = False  # those between processes can be cut
    switches: tuple[str, ...] = ()  # see `Cluster`


def up_fleet(folder: Path, wishes: Wishes) -> None:
    """Start everything, say how to connect, watch until told to stop. Raises StartError."""
    begun = time.monotonic()
    _check_descriptors()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _only_one(folder)
    before = _before(folder, wishes.shape, wishes.zones, wishes.storages)
    websocket_port = _check_ports(wishes)
    made = places(wishes.shape, wishes.zones, wishes.storages)
    ports = assign_ports(made, before, wishes.host, wishes.http_port)
    fleet = fleet_of(made, ports, wishes.host, wishes.region)
    (folder / "fleet.json").write_bytes(msgspec.json.format(msgspec.json.encode(fleet), indent=2))
    cluster = Cluster(
        shape=wishes.shape.value,
        zones=len(fleet.zones),
        host=wishes.host,
        pg_port=wishes.pg_port,
        http_port=wishes.http_port,
        supervisor=os.getpid(),
        processes=[],
        storages=wishes.storages,
        links=wishes.links,
        switches=list(wishes.switches),
        region=wishes.region,
        api_port=wishes.api_port,
        websocket_port=websocket_port,
        identifier=before.identifier if before is not None else "",
    )
    (folder / LINKS).unlink(missing_ok=True)
    planned = planned_of(made, ports, wishes.host, wishes.streams, wishes.shard_bytes)
    supervisor = _supervisor(folder, cluster, wishes.shape, made, ports, planned, lock, wishes.clock)
    _prepare_secrets(folder)
    print(f"starting {len(made)} processes ({wishes.shape.value}) in {folder}", flush=True)
    supervisor.start_all()
    try:
        if _wait_ready(supervisor, cluster, begun):
            _learn_cluster(supervisor, folder, cluster)
            _greet(folder, cluster, begun)
            while supervisor.step(None):
                pass
    finally:
        print("stopping", flush=True)
        supervisor.stop_all()
        os.close(lock)


def _check_ports(wishes: Wishes) -> int:
    """The port for PostgreSQL over WebSocket, 0 for none. Raises StartError for a port that cannot be had."""
    taken: dict[int, str] = {}
    wanted = [
        (wishes.pg_port, "--pg-port"),
        (wishes.http_port, "--http-port"),
        (wishes.api_port, "--api-port"),
        (wishes.websocket_port or 0, "--websocket-port"),
    ]
    for port, option in wanted:
        if port == 0:
            continue
        if port in taken:
            raise StartError(f"{taken[port]} and {option} are both {port}")
        taken[port] = option
        if not port_free(wishes.host, port):
            raise StartError(f"port {port} of {wishes.host} is in use: choose another with {option}")
    if wishes.websocket_port is not None:
        return wishes.websocket_port
    return WEBSOCKET_PORT if WEBSOCKET_PORT not in taken and port_free(wishes.host, WEBSOCKET_PORT) else 0


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
    """Before control starts: it takes them as they are. Raises StartError for files that hold none."""
    try:
        ensure_credentials(folder)
        ensure_fleet_key(folder)
    except ValueError as error:
        raise StartError(str(error)) from error


def _learn_cluster(supervisor: Supervisor, folder: Path, cluster: Cluster) -> None:
    """Which cluster `tausql env` and its kin mean when none is named: the oldest. Asked until there is an answer: when
    a fleet starts for the first time, control has to make its tables, and that cluster."""
    first = not cluster.identifier
    end = time.monotonic() + CONTROL_SECONDS
    while supervisor.step(POLL_SECONDS):
        try:
            cluster.identifier = oldest_cluster(reached_in(folder, cluster))
        except ApiError as error:
            if time.monotonic() < end and error.status in (0, 500, 503):
                continue
            print(f"control did not tell which clusters there are: {error}", file=sys.stderr, flush=True)
            return
        if cluster.identifier or not first or time.monotonic() > end:
            cluster.save(folder)
            return


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


def _websocket(cluster: Cluster) -> str:
    if not cluster.websocket_port:
        return ""
    return f"  WebSocket    {cluster.host}:{cluster.websocket_port}, PostgreSQL's protocol in it, TLS\n"


def _greet(folder: Path, cluster: Cluster, begun: float) -> None:
    host = reachable(cluster.host)
    script = Path(sys.executable).with_name("tausql")
    program = script if script.exists() else Path("tausql")
    print(
        f"\nTauSQL is up ({time.monotonic() - begun:.1f} s).\n\n"
        f"  PostgreSQL   {cluster.host}:{cluster.pg_port}, TLS (CA in {certificate_folder(folder) / 'ca.pem'})\n"
        f"{_websocket(cluster)}"
        f"  API          http://{host}:{cluster.api_port} (clusters, keys), region {cluster.region}\n"
        f"  HTTP SQL     http://{host}:{cluster.http_port}/docs\n"
        f"  logs         {folder / 'logs'}\n\n"
        "In another terminal:\n\n"
        f'  eval "$({program} env --data {folder})"   # endpoint, keys, a token: for psql, boto3 and all others\n'
        "  psql -c 'select 1'\n"
        f"  tausql cluster create                     # another cluster; `tausql cluster --help`\n\n"
        "Ctrl-C stops it; its data stays.",
        flush=True,
    )
