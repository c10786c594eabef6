"""What `/status` and `/metrics` of a process tell that chaos wants to know."""

from __future__ import annotations

from typing import Any

import msgspec

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
        float(line.rsplit(" ", 1)[1])
        for line in metrics.splitlines()
        if line.startswith((MOVED + "{", MOVED + " "))
    ]
    return sum(values) if values else None
