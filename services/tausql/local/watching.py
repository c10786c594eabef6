"""Asks the processes of a local fleet how they are, one short HTTP request each."""

from __future__ import annotations

import http.client
import io
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from tausql.local.cluster import Cluster, ProcessEntry, alive

PROBE_SECONDS = 1.0
KEY_CHARACTERS = 40  # of a key, shown
STATUS_BYTES_MAX = 4 << 20


def readiness(host: str, entry: ProcessEntry) -> tuple[bool, str]:
    """(ready, why not) of one process."""
    if not alive(entry.pid):
        return False, "not running"
    connection = http.client.HTTPConnection(host, entry.http_port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(4096).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, f"does not answer: {error}"
    finally:
        connection.close()
    return answer.status == 200, "" if answer.status == 200 else body


def plan_of(cluster: Cluster) -> dict[str, Any] | None:
    """What control wants, as it says; None where it does not answer."""
    entry = next((one for one in cluster.processes if "control" in one.service.split("+")), None)
    if entry is None:
        return None
    connection = http.client.HTTPConnection(cluster.host, entry.http_port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/v1/plan")
        plan = json.loads(connection.getresponse().read(STATUS_BYTES_MAX))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return plan if isinstance(plan, dict) and plan.get("plans") else None


def plan_tables(plan: dict[str, Any]) -> list[Table]:
    """Who is to judge which keys, and who to keep which rows."""
    streams, shards = plan["streams"], plan["shards"]
    holders = streams["preferred"]
    ranges = _table(f"{streams['wanted']} streams wanted", streams, ("from", "to", "stream", "first choice"))
    for one in streams["placement"]:
        number = str(one["stream"])
        ranges.add_row(_shown(one["low"]), _shown(one["high"]), number, next(iter(holders.get(number, ())), ""))
    rows = _table(f"{len(shards['wanted'])} shards", shards, ("from", "to", "storages"))
    for one in shards["wanted"]:
        rows.add_row(_shown(one["low"]), _shown(one["high"]), " ".join(one["replicas"]))
    return [ranges, rows]


def _table(title: str, part: dict[str, Any], headings: tuple[str, ...]) -> Table:
    waiting = part["waiting_for"]
    caption = f"waiting for {waiting}" if waiting else f"last step: {part['last_step'] or 'none'}"
    table = Table(title=title, caption=caption)
    for heading in headings:
        table.add_column(heading)
    return table


def _shown(key: str) -> str:
    return key if len(key) <= KEY_CHARACTERS else key[:KEY_CHARACTERS] + "..."


def table_of(cluster: Cluster) -> tuple[str, bool]:
    """Tables for people, and whether all are ready."""
    table = Table(title=f"TauSQL, {cluster.shape}, port {cluster.pg_port}")
    for heading in ("process", "services", "zone", "pid", "rpc", "http", "restarts", "ready"):
        table.add_column(heading)
    healthy = alive(cluster.supervisor)
    for entry in cluster.processes:
        ready, reason = readiness(cluster.host, entry)
        healthy = healthy and ready
        columns = (entry.name, entry.service, entry.zone, entry.pid, entry.port, entry.http_port, entry.restarts)
        table.add_row(*map(str, columns), "yes" if ready else f"no: {reason}")
    out = io.StringIO()
    plan = plan_of(cluster)
    console = Console(file=out, width=150)
    for one in (table, *(plan_tables(plan) if plan is not None else ())):
        console.print(one)
    return out.getvalue().rstrip(), healthy
