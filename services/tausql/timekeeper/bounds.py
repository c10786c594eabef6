"""The timekeeper's core: one reading, made an interval.

A reading alone would claim to be exact. What the clock's keeper says of its error is added on both sides, and the
answer never contradicts an earlier one: the lower bound does not step back even if the machine's clock is set back.
"""

from __future__ import annotations

from tausql.protocol.timekeeper import Time


class TimeBounds:
    """Answers of one timekeeper's life. All in microseconds since the Unix epoch."""

    __slots__ = ("_earliest", "_latest")

    def __init__(self) -> None:
        self._earliest = 0
        self._latest = 0

    def answer(self, sent: int, wall_us: int, error_us: int) -> Time:
        """The interval for a clock that shows `wall_us` and is off by at most `error_us`."""
        self._earliest = max(self._earliest, wall_us - error_us)
        self._latest = max(self._latest, wall_us + error_us)
        return Time(sent, self._earliest, self._latest)
