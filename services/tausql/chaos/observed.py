"""What `/status` and `/metrics` of a process tell that chaos wants to know."""

from __future__ import annotations

import http.client
from typing import Any

import msgspec

from tausql.local.cluster import ProcessEntry

ASK_SECONDS = 1.0

MOVED = "tausql_frontend_sessions_moved_total"


def holds_stream(status: bytes) -> bool:
    """Whether an adjudicator in that process decides commits now: the one whose death is felt."""
    try:
        told: Any = msgspec.json.decode(status)
    except msgspec.DecodeError:
        return False
    adjudicator = told.get("adjudicator", told) if isinstance(told, dict) else {}
    streams = adjudicator.get("streams", []) if isinstance(adjudicator, dict) else []
    return any(isinstance(stream, dict) and stream.get("held") is True for stream in streams)


def moved_sessions(metrics: str) -> float | None:
    """The sum over all labels; None where the process does not count."""
    values = [
        float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith((MOVED + "{", MOVED + " "))
    ]
    return sum(values) if values else None


def ask(host: str, entry: ProcessEntry, path: str) -> bytes:
    """The body, empty where it does not answer: what is asked for here only makes a better choice or report."""
    connection = http.client.HTTPConnection(host, entry.http_port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
    return body if answer.status == 200 else b""
