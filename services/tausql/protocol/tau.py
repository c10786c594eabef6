"""Points in cluster time.

A tau is a signed 64-bit integer: microseconds since the Unix epoch shifted left 10, low 10 bits = stream id. Taus of
different streams never tie, so the merge order is total. Streams are 0 to 1022; all ones closes an instant: a tau_start
of an instant sees every commit of that instant, whatever its stream.
"""

from __future__ import annotations

SHIFT = 10
STREAM_MASK = (1 << SHIFT) - 1
STREAM_MAX = STREAM_MASK - 1
TAU_MAX = (1 << 63) - 1


def opening(micros: int) -> int:
    """The lowest tau of an instant."""
    return micros << SHIFT


def closing(micros: int) -> int:
    """The highest tau of an instant: what tau_start and heartbeats use."""
    return micros << SHIFT | STREAM_MASK


def commit_tau(micros: int, stream: int) -> int:
    """The tau a stream gives to a commit in an instant."""
    return micros << SHIFT | stream


def micros_of(tau: int) -> int:
    """The instant of a tau, in microseconds since the Unix epoch."""
    return tau >> SHIFT


def stream_of(tau: int) -> int:
    return tau & STREAM_MASK
