"""How long a client felt a fault: the longest time between two successes around it, less the usual one.

Counting failed requests would not tell: a database that answers nothing for ten seconds fails one request a client. And
an average over the run hides what one fault did. So each fault has a window, from when it struck to when the next one
did, and of a gap it is charged what lies in its window: a gap that goes on over the next fault is shared.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple


class Away(NamedTuple):
    """Seconds. `database`: nobody was served; `client`: the unluckiest one was not, beyond what is usual for one."""

    database: float
    client: float


def usual_gap(successes: Sequence[float]) -> float:
    """Between two successes, mostly; 0 with fewer than two."""
    gaps = [after - before for before, after in pairwise(successes)]
    return median(gaps) if gaps else 0.0


def longest_away(successes: Sequence[float], begun: float, until: float) -> float:
    """Seconds beyond the usual without a success in the window [begun, until) of a fault. `successes` are sorted
    instants; one usual gap may have begun before the window."""
    usual = usual_gap(successes)
    first = bisect_right(successes, begun)
    previous = max(successes[first - 1], begun - usual) if first else begun - usual
    longest = 0.0
    for at in successes[first : bisect_left(successes, until)]:
        longest = max(longest, at - previous - usual)
        previous = at
    return max(longest, until - previous - usual)


def away(streams: Iterable[Sequence[float]], begun: float, until: float) -> Away:
    """Of several probes of one kind."""
    every = list(streams)
    database = longest_away(sorted(at for stream in every for at in stream), begun, until)
    return Away(database, max([database, *(longest_away(stream, begun, until) for stream in every)]))
