"""Where true time can be, given what several clocks claim.

Averaging the sources would let one broken clock drag everybody along. Each source claims an interval instead, and a
majority of all sources is taken to be right: true time then lies somewhere all but a minority of intervals overlap. The
answer is the hull of all such places. Marzullo's own algorithm returns only the place where the most overlap, which is
narrower, and wrong when a broken clock happens to agree a little with a good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Claim(NamedTuple):
    """`low` <= x <= `high`, says one source."""

    low: int
    high: int


def agree(claims: Sequence[Claim], sources: int) -> Claim | None:
    """The hull of all points that lie in all but a minority of `sources` of the intervals; None where there is no such
    point, or where those who claim anything are no more than a minority.

    claims: at most one a source. A source that said nothing may be right or wrong, so it cannot be counted against a
    place: with two answers of three sources, one of them a liar, the place on which both agree need not hold the truth,
    but all that either says does.
    """
    wrong_max = (sources - 1) // 2
    if len(claims) <= wrong_max:
        return None
    needed = len(claims) - wrong_max
    edges = sorted([(claim.low, -1) for claim in claims] + [(claim.high, 1) for claim in claims])
    low: int | None = None
    high = 0
    overlap = 0
    for at, edge in edges:  # at the same place intervals begin (-1) before they end: both bounds are inclusive
        overlap -= edge
        if low is None and overlap >= needed:
            low = at
        if edge == 1 and overlap == needed - 1:
            high = at
    return None if low is None else Claim(low, high)


def falsetickers(claims: Iterable[tuple[str, Claim]], agreed: Claim) -> list[str]:
    """The names of the sources whose interval does not even touch what the majority agreed upon."""
    return [name for name, claim in claims if claim.high < agreed.low or claim.low > agreed.high]
