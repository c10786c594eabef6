"""How much one epoch of one stream takes on: what is beyond is refused before it is judged."""

from __future__ import annotations

from typing import NamedTuple

from tausql.protocol.adjudicator import Commit

_RECORD_BYTES_MAX = 15 << 20  # a message holds 16 MiB; one record must fit into an append with room to spare
_KEYS_UNCOUNTED = 1000  # at most 1 KiB each: not worth adding up


def too_large(request: Commit) -> bool:
    """Would its record not fit into a message of the journal's?"""
    keys = len(request.writes) + len(request.shares)
    if keys <= _KEYS_UNCOUNTED and len(request.body) < _RECORD_BYTES_MAX // 2:
        return False
    named = sum(map(len, request.writes)) + sum(map(len, request.shares))
    return len(request.body) + named + keys * 5 > _RECORD_BYTES_MAX


class TenureLimits(NamedTuple):
    """Microseconds and seconds as named; see `settings` for why."""

    window_micros: int = 360_000_000
    history_bytes_max: int = 256 << 20
    outcomes_max: int = 500_000
    limit_ahead_micros: int = 1_000_000
    limit_seconds_between: float = 0.4
    resign_seconds: float = 0.5
    waiting_max: int = 4096
