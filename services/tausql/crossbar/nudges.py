"""Who has to be told that somebody waits: the holders of streams not yet closed to the tau wanted.

Many reads wait for nearly the same instant, and a nudge for each would be a storm. One nudge a stream is out at a time
unless a higher tau is wanted, or the last nudge is so old that its holder may have gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from tausql.protocol.adjudicator import Nudge

REPEAT_SECONDS = 0.02


class Nudges:
    """What was asked for and when, by stream."""

    __slots__ = ("_out", "wanted")

    def __init__(self) -> None:
        self.wanted = 0  # the highest tau anybody waits for
        self._out: dict[int, tuple[int, float]] = {}  # stream -> (tau, monotonic seconds)

    def want(self, tau: int, closed: Mapping[int, int], now: float) -> list[Nudge]:
        """The nudges to send now. `closed`: by stream; `now`: monotonic seconds."""
        if tau > self.wanted:
            self.wanted = tau
        nudges: list[Nudge] = []
        for stream, to in closed.items():
            if to >= tau:
                continue
            out = self._out.get(stream)
            if out is not None and out[0] >= tau and now - out[1] < REPEAT_SECONDS:
                continue
            self._out[stream] = (tau, now)
            nudges.append(Nudge(stream, tau))
        return nudges
