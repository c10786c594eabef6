"""`DIR/cluster.json`: what runs where, for people, scripts and the next start."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import msgspec

from tausql.local.shapes import Place, Ports

FILE = "cluster.json"
LINKS = "links.json"
PORTS = range(20_000, 32_000)


class ProcessEntry(msgspec.Struct):
    """One process. `service`: what runs in it, joined by `+`; `port`: its RPC listener."""

    name: str
    service: str
    zone: str
    index: int
    pid: int
    port: int
    http_port: int
    session_port: int = 0
    restarts: int = 0


class Cluster(msgspec.Struct):
    """The file, whole."""

    shape: str
    zones: int
    host: str
    pg_port: int
    http_port: int
    supervisor: int  # pid; 0 once it is down
    processes: list[ProcessEntry]
    storages: int = 1  # in each zone
    links: bool = False  # processes look for rules about their links in LINKS
    switches: list[str] = []  # of SQL beyond Aurora DSQL: extensions, lenient, testing
    region: str = "us-east-1"
    api_port: int = 8081
    websocket_port: int = 0  # 0: PostgreSQL over WebSocket is not served
    identifier: str = ""  # of the oldest of the fleet's clusters, once control has told it

    def save(self, folder: Path) -> None:
        """Atomically, so that a reader never sees half of it."""
        aside = folder / f".{FILE}.{os.getpid()}"
        aside.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        aside.replace(folder / FILE)


def load(folder: Path) -> Cluster | None:
    """The cluster last started in this folder. Raises ValueError when the file is not one of ours."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Cluster)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} is not a cluster file: {error}") from error


def alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # gone meanwhile, or a system without /proc
        return not Path("/proc/self").exists()
    return state != "Z"  # ended, and its parent has not asked how yet


def reachable(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)


def port_free(host: str, port: int) -> bool:
    """Whether this port can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def assign_ports(made: list[Place], before: Cluster | None, host: str, http_port: int) -> dict[str, Ports]:
    """Ports for every process: those it had before where they are free, so that clients and dashboards find them
    again; else free ones. The first process with a frontend serves HTTP SQL at `http_port`.

    They lie below the range from which the system takes the near ends of connections: between two starts of a process
    a connection of another one could otherwise take its port."""
    old = {entry.name: entry for entry in before.processes} if before is not None else {}
    taken: set[int] = {http_port}
    candidates = iter(random.sample(PORTS, len(PORTS)))

    def choose(wish: int) -> int:
        if wish and wish not in taken and port_free(host, wish):
            taken.add(wish)
            return wish
        port = next(port for port in candidates if port not in taken and port_free(host, port))
        taken.add(port)
        return port

    ports: dict[str, Ports] = {}
    http_given = False
    for place in made:
        entry = old.get(place.name)
        rpc = choose(entry.port if entry is not None else 0)
        if "frontend" in place.services and not http_given:
            http, http_given = http_port, True
        else:
            http = choose(entry.http_port if entry is not None else 0)
        session = choose(entry.session_port if entry is not None else 0) if "processor" in place.services else 0
        ports[place.name] = Ports(rpc, http, session)
    return ports
