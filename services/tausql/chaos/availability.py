"""How long a client felt a fault: the longest time between two successes around it, less the usual one.

Counting failed requests would not tell: a database that answers nothing for ten seconds fails one request a client. And
an average over the run hides what one fault did. So each fault has a window, from when it struck to when the next one
did. A gap is charged to the fault in whose window it began, up to the first strike within it, and all the rest to the
fault that struck then: further ones that strike while nobody is served anyway are charged nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

INFINITY = float("inf")


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


def longest_each(successes: Sequence[float], strikes: Sequence[float], end: float) -> list[float]:
    """For each of `strikes` (sorted instants) the longest gap charged to it, in seconds beyond the usual."""
    usual = usual_gap(successes)
    longest = [0.0] * len(strikes)
    for begun, until in pairwise([-INFINITY, *successes, end]):
        first = bisect_right(strikes, begun)  # that lies in this gap
        if first < len(strikes) and strikes[first] < until:
            longest[first] = max(longest[first], until - max(begun, strikes[first] - usual) - usual)
            until = strikes[first]
        if first and begun != -INFINITY:
            longest[first - 1] = max(longest[first - 1], until - begun - usual)
    return longest


class Charged:
    """Of several probes of one kind, what is charged to each of `strikes`."""

    def __init__(self, streams: Iterable[Sequence[float]], strikes: Sequence[float], end: float) -> None:
        every = list(streams)
        database = longest_each(sorted(at for stream in every for at in stream), strikes, end)
        clients = [longest_each(stream, strikes, end) for stream in every]
        self.each = [
            Away(found, max([found, *(client[at] for client in clients)])) for at, found in enumerate(database)
        ]
