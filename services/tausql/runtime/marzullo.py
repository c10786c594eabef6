"""Where true time can be, given what several clocks claim.

Averaging the sources would let one broken clock drag everybody along. Each source claims an interval instead, and a
majority is taken to be right: true time then lies somewhere a majority of intervals overlap. The answer is the hull of
all such places. Marzullo's own algorithm returns only the place where the most overlap, which is narrower, and wrong
when a broken clock happens to agree a little with a good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Claim(NamedTuple):
    """`low` <= x <= `high`, says one source."""

    low: int
    high: int


def agree(claims: Sequence[Claim], sources: int) -> Claim | None:
    """The hull of all points that lie in a majority of `sources` intervals; None where there is no such point.

    claims: at most one a source; sources that said nothing count as disagreeing.
    """
    majority = sources // 2 + 1
    edges = sorted([(claim.low, -1) for claim in claims] + [(claim.high, 1) for claim in claims])
    low: int | None = None
    high = 0
    overlap = 0
    for at, edge in edges:  # at the same place intervals begin (-1) before they end: both bounds are inclusive
        overlap -= edge
        if low is None and overlap >= majority:
            low = at
        if edge == 1 and overlap == majority - 1:
            high = at
    return None if low is None else Claim(low, high)


def falsetickers(claims: Iterable[tuple[str, Claim]], agreed: Claim) -> list[str]:
    """The names of the sources whose interval does not even touch what the majority agreed upon."""
    return [name for name, claim in claims if claim.high < agreed.low or claim.low > agreed.high]
