"""How far the journal may forget: what two zones hold durably of every key, and never the transaction window.

One replica's word is not enough (its disk may be the next to go), and the oldest report of all would let a replica that
never comes back fill the journal. So: of every key the second best zone, bounded by every replica heard from lately,
which is also how a replica that takes a checkpoint holds the log it will need; nothing at all while a key is not
reported. Replicas cut their ranges as they like: what is compared are the pieces that all of their cuts make.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tausql.protocol.crossbar import Cursor, Durable
from tausql.protocol.journal import Epoch
from tausql.protocol.ranges import Lookup, common
from tausql.protocol.tau import micros_of
from tausql.runtime.check import I12, check

REPORTS_KEPT = 64  # of a replica: more than the window at one report every ten seconds
REPLICAS_MAX = 1024
LAGS_KEPT = 3
ZONES_NEEDED_MAX = 2


class _Replica:
    __slots__ = ("heard", "lags", "reports")

    def __init__(self) -> None:
        self.reports: deque[Durable] = deque(maxlen=REPORTS_KEPT)
        self.lags: deque[int] = deque(maxlen=LAGS_KEPT)  # microseconds, at the last reports
        self.heard = 0.0


class _Held(NamedTuple):
    """What a replica would have and need after losing power, as of the newest report outside the window."""

    zone: str
    ranges: Lookup
    cursors: dict[int, Cursor]


class Trimming:
    """`zones_needed`: how many zones must hold a record; it only rises."""

    __slots__ = ("_hold_seconds", "_replicas", "_trimmed", "zones_needed")

    def __init__(self, zones_needed: int, hold_seconds: float) -> None:
        self.zones_needed = zones_needed
        self._hold_seconds = hold_seconds  # a replica not heard from for longer holds nothing up
        self._replicas: dict[str, _Replica] = {}
        self._trimmed: dict[int, int] = {}

    def report(self, report: Durable, now: float, micros: int | None = None) -> None:
        """A replica says what it would resume from. `now`: monotonic seconds; `micros`: since the epoch, if known."""
        if not report.ranges and not report.cursors:
            self._replicas.pop(report.replica, None)  # it keeps nothing and needs nothing any more
            return
        replica = self._replicas.get(report.replica)
        if replica is None:
            if len(self._replicas) >= REPLICAS_MAX:
                return
            replica = self._replicas[report.replica] = _Replica()
        reports = replica.reports
        if reports and report.watermark < reports[-1].watermark:
            reports.clear()  # its disk was wiped
        reports.append(report)
        replica.heard = now
        if micros is not None:
            replica.lags.append(micros - micros_of(report.watermark) if report.ranges else 0)
        zones = {one.reports[-1].zone for one in self._replicas.values() if one.reports[-1].ranges}
        self.zones_needed = max(self.zones_needed, min(ZONES_NEEDED_MAX, len(zones)))

    def lag_micros(self, now: float) -> int:
        """How far the slowest replica that has rows was behind at its last reports, all of them; 0 where there is none.
        One that is silent counts as it was when it spoke: it may have died, and is left behind if it does not return.
        One that has just returned counts once it has had the time to catch up."""
        return max(
            (
                min(replica.lags)
                for replica in self._replicas.values()
                if now - replica.heard <= self._hold_seconds and len(replica.lags) == LAGS_KEPT
            ),
            default=0,
        )

    def trim_points(self, window_start: int, now: float) -> list[Cursor]:
        """By stream, up to where records may go: all of them at or below the tau `window_start`. Only points that have
        moved since the last call."""
        held: list[_Held] = []
        for replica in self._replicas.values():
            if now - replica.heard > self._hold_seconds:
                continue  # perhaps its disk is gone: it neither vouches for anything nor holds anything up
            report = _newest_at(replica.reports, window_start)
            if report is None:
                return []  # it only has reports from inside the window: it may need any of what lies before
            # It vouches for what it had then and still has; ranges that came since count once their report is older.
            ranges = common(report.ranges, replica.reports[-1].ranges)
            held.append(_Held(report.zone, Lookup(ranges), {cursor.stream: cursor for cursor in report.cursors}))
        points = self._points_of(held)
        moved: list[Cursor] = []
        for stream, cursor in points.items():
            before = self._trimmed.get(stream, 0)
            if cursor.seq > before:
                check(I12, cursor.seq > before, "a trim point fell", stream=stream)
                self._trimmed[stream] = cursor.seq
                moved.append(cursor)
        return moved

    def _points_of(self, held: list[_Held]) -> dict[int, Cursor]:
        """What `zones_needed` zones hold of every key, bounded by every replica; nothing where a key lacks them."""
        holders: set[tuple[int, ...]] = set()
        for key in {b"", *(bound for one in held for piece in one.ranges.ranges for bound in piece)}:
            # Nobody's range begins or ends within the piece that begins at `key`.
            holders.add(tuple(number for number, one in enumerate(held) if one.ranges.holds(key)))
        points: dict[int, Cursor] | None = None
        for numbers in holders:
            of_piece = self._in_zones([held[number] for number in numbers])
            points = of_piece if points is None else _lower(points, of_piece)
        for one in held:
            points = _lower(points or {}, one.cursors)
        return points or {}

    def _in_zones(self, holders: list[_Held]) -> dict[int, Cursor]:
        best: dict[str, dict[int, Cursor]] = {}
        for one in holders:
            zone = best.setdefault(one.zone, {})
            for cursor in one.cursors.values():
                if cursor.stream not in zone or zone[cursor.stream].seq < cursor.seq:
                    zone[cursor.stream] = cursor
        points: dict[int, Cursor] = {}
        for stream in {stream for zone in best.values() for stream in zone}:
            by_zone = sorted((zone[stream] for zone in best.values() if stream in zone), key=_seq, reverse=True)
            if len(by_zone) >= self.zones_needed:
                points[stream] = by_zone[self.zones_needed - 1]
        return points


def _seq(cursor: Cursor) -> tuple[int, Epoch]:
    return cursor.seq, cursor.epoch


def _newest_at(reports: deque[Durable], tau: int) -> Durable | None:
    for report in reversed(reports):
        if report.watermark <= tau:
            return report
    return None


def _lower(one: dict[int, Cursor], other: dict[int, Cursor]) -> dict[int, Cursor]:
    """Per stream the lower of two positions; a stream that one of them does not name stays untrimmed."""
    return {stream: min(cursor, other[stream], key=_seq) for stream, cursor in one.items() if stream in other}
