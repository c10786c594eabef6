"""Asks the processes of a local fleet how they are, one short HTTP request each."""

from __future__ import annotations

import http.client
import io

from rich.console import Console
from rich.table import Table

from tausql.local.cluster import Cluster, ProcessEntry, alive

PROBE_SECONDS = 1.0


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


def table_of(cluster: Cluster) -> tuple[str, bool]:
    """A table for people, and whether all are ready."""
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
    Console(file=out, width=150).print(table)
    return out.getvalue().rstrip(), healthy
