"""How far the journal may forget: what two zones of every range hold durably, and never the transaction window.

One replica's word is not enough (its disk may be the next to go), and the oldest report of all would let a replica that
never comes back fill the journal. So: per range the second best zone, bounded by every replica heard from lately, which
is also how a replica that takes a checkpoint holds the log it will need; nothing at all while a range is not reported.
"""

from __future__ import annotations

from collections import deque

from tausql.protocol.crossbar import Cursor, Durable
from tausql.protocol.journal import Epoch
from tausql.runtime.check import I12, check

REPORTS_KEPT = 64  # of a replica: more than the window at one report every ten seconds
REPLICAS_MAX = 1024


class _Replica:
    __slots__ = ("heard", "reports")

    def __init__(self) -> None:
        self.reports: deque[Durable] = deque(maxlen=REPORTS_KEPT)
        self.heard = 0.0


class Trimming:
    """`zones_needed`: how many zones must hold a record (two, or as many as have storage at all)."""

    __slots__ = ("_hold_seconds", "_replicas", "_trimmed", "zones_needed")

    def __init__(self, zones_needed: int, hold_seconds: float) -> None:
        self.zones_needed = zones_needed
        self._hold_seconds = hold_seconds  # a replica not heard from for longer holds nothing up
        self._replicas: dict[str, _Replica] = {}
        self._trimmed: dict[int, int] = {}

    def report(self, report: Durable, now: float) -> None:
        """A replica says what it would resume from. `now`: monotonic seconds."""
        replica = self._replicas.get(report.replica)
        if replica is None:
            if len(self._replicas) >= REPLICAS_MAX:
                return
            replica = self._replicas[report.replica] = _Replica()
        reports = replica.reports
        if reports and (report.watermark < reports[-1].watermark or _range(report) != _range(reports[-1])):
            reports.clear()  # its disk was wiped, or it serves another range now
        reports.append(report)
        replica.heard = now

    def trim_points(self, window_start: int, now: float) -> list[Cursor]:
        """By stream, up to where records may go: all of them at or below the tau `window_start`. Only points that have
        moved since the last call."""
        by_range: dict[tuple[bytes, bytes], list[Durable]] = {}
        for replica in self._replicas.values():
            if now - replica.heard > self._hold_seconds:
                continue  # perhaps its disk is gone: it neither vouches for anything nor holds anything up
            report = _newest_at(replica.reports, window_start)
            if report is None:
                return []  # it only has reports from inside the window: it may need any of what lies before
            by_range.setdefault(_range(report), []).append(report)
        if not _covers_all(list(by_range)):
            return []
        points: dict[int, Cursor] | None = None
        for reports in by_range.values():
            of_range = self._points_of(reports)
            points = of_range if points is None else _lower(points, of_range)
        moved: list[Cursor] = []
        for stream, cursor in (points or {}).items():
            before = self._trimmed.get(stream, 0)
            if cursor.seq > before:
                check(I12, cursor.seq > before, "a trim point fell", stream=stream)
                self._trimmed[stream] = cursor.seq
                moved.append(cursor)
        return moved

    def _points_of(self, reports: list[Durable]) -> dict[int, Cursor]:
        """What `zones_needed` zones hold, bounded by every replica."""
        best: dict[str, dict[int, Cursor]] = {}
        for report in reports:
            zone = best.setdefault(report.zone, {})
            for cursor in report.cursors:
                if cursor.stream not in zone or zone[cursor.stream].seq < cursor.seq:
                    zone[cursor.stream] = cursor
        points: dict[int, Cursor] = {}
        for stream in {stream for zone in best.values() for stream in zone}:
            held_by = sorted((zone[stream] for zone in best.values() if stream in zone), key=_seq, reverse=True)
            if len(held_by) >= self.zones_needed:
                points[stream] = held_by[self.zones_needed - 1]
        for report in reports:
            points = _lower(points, {cursor.stream: cursor for cursor in report.cursors})
        return points


def _range(report: Durable) -> tuple[bytes, bytes]:
    return report.low, report.high


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


def _covers_all(ranges: list[tuple[bytes, bytes]]) -> bool:
    """True when the ranges leave no key out."""
    reached = b""
    for low, high in sorted(ranges):
        if low > reached:
            return False
        if not high:
            return True
        reached = max(reached, high)
    return False
