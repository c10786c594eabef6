"""Which stream should judge which range: one small step at a time.

A step is a whole new placement that differs from the last in one range. Steps that somebody asked for, by changing the
number of streams, are urgent; those that the load suggests must go on suggesting themselves for a while before they are
taken (`planner`). A balance struck by counting ranges would be wrong: most tables are cold. So ranges move by their
commits a second, only where the gain is large, and where one range alone is too much it is cut at a key that its holder
says halves it. Every step narrows the gap by a fixed share or joins two ranges, so with a steady load there is an end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tausql.control.key_ranges import below, cover, ends_within, overlap, splits
from tausql.control.reports import Judged, Reports
from tausql.protocol.fleet import Placed
from tausql.protocol.placing import default_placement

Placement = tuple[Placed, ...]

PART_MAX = 0.85  # of the gap between two streams: moving more would only swap them
GAIN_SHARE = 0.1  # of `gap_rate`: moving less is not worth the retries
FULL = 0.5  # share of `ranges_max` above which cold ranges are gathered


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Rates are commits a second."""

    ranges_max: int = 256
    gap_rate: float = 100.0  # streams that differ by less are alike
    gap_share: float = 0.4  # and so are those that differ by less than this share of the busier one's
    cold_rate: float = 5.0  # two ranges that have no more together are better one


class Step(NamedTuple):
    placement: Placement
    why: str
    urgent: bool = False


def observed(reports: Reports) -> Placement | None:
    """Who owns what, as the holders say it; what is on its way counts for who is to have it. None: not all is known."""
    found = [Placed(one.low, one.high, report.stream) for report in reports.streams.values() for one in report.ranges]
    for report in reports.streams.values():
        for given in report.given:
            if not any(overlap(one, given.low, given.high) and one.stream == given.stream for one in found):
                found.append(given)
    found.sort(key=lambda one: one.low)
    return merged(found) if cover(found) else None


def merged(placement: Sequence[Placed]) -> Placement:
    """Neighbours of one stream made one."""
    made: list[Placed] = []
    for one in placement:
        if made and made[-1].stream == one.stream and made[-1].high == one.low:
            made[-1] = Placed(made[-1].low, one.high, one.stream)
        else:
            made.append(one)
    return tuple(made)


def settled(placement: Placement, reports: Reports) -> str:
    """ "" once what is wanted is so; else what is waited for."""
    so = observed(reports)
    if so is None:
        return "word of all holders of what their streams own"
    on_the_way = sorted(report.stream for report in reports.streams.values() if report.given)
    if on_the_way:
        return f"ranges of stream {on_the_way[0]} that are on their way"
    if so != merged(placement):
        return "ranges to move"
    return ""


def first_placement(reports: Reports, count: int) -> Placement | None:
    """What is so; but where all is still one stream's, as at genesis, the default for `count` streams, once there are
    so many. None: not known."""
    so = observed(reports)
    if so is None or reports.registered is None:
        return None
    if len(so) > 1 or so[0].stream != 0:
        return so
    return default_for(reports.registered[:count]) if len(reports.registered) >= count else None


def default_for(streams: Sequence[int]) -> Placement:
    """The default placement, by these streams in their order: numbers are never given twice, so some may be missing."""
    return tuple(Placed(one.low, one.high, streams[one.stream]) for one in default_placement(len(streams)))


def assigned(placement: Placement, low: bytes, high: bytes, stream: int) -> Placement:
    """`placement` with [low, high) given to `stream`, cut where need be."""
    made: list[Placed] = [Placed(low, high, stream)]
    for one in placement:
        if not overlap(one, low, high):
            made.append(one)
            continue
        if one.low < low:
            made.append(Placed(one.low, low, one.stream))
        if high and below(high, one.high):
            made.append(Placed(high, one.high, one.stream))
    return tuple(sorted(made, key=lambda one: one.low))


def next_step(
    placement: Placement,
    streams: Sequence[int],
    reports: Reports,
    limits: StreamLimits,
    pins: Sequence[Placed] = (),
) -> Step | None:
    """The next step from `placement`, all keys. streams: those that are to stay. pins: ranges that do not move."""
    return _Planning(placement, streams, reports, limits, pins).step()


class _Planning:
    """One look."""

    def __init__(
        self,
        placement: Placement,
        streams: Sequence[int],
        reports: Reports,
        limits: StreamLimits,
        pins: Sequence[Placed],
    ) -> None:
        self.placement = placement
        self.streams = streams
        self.limits = limits
        self.pins = pins
        self.rates, self.splits = _figures(placement, reports)
        self.by_stream = _totals(placement, self.rates, streams)

    def step(self) -> Step | None:
        return self._withdraw() or self._deal() or self._balance() or self._gather()

    def _free(self, one: Placed) -> bool:
        return not any(overlap(pin, one.low, one.high) for pin in self.pins)

    def _moved(self, index: int, stream: int) -> Placement:
        one = self.placement[index]
        return (*self.placement[:index], Placed(one.low, one.high, stream), *self.placement[index + 1 :])

    def _cut(self, index: int, key: bytes, stream: int) -> Placement:
        """The part from `key` on to `stream`."""
        one = self.placement[index]
        parts = (Placed(one.low, key, one.stream), Placed(key, one.high, stream))
        return (*self.placement[:index], *parts, *self.placement[index + 1 :])

    def _load(self, stream: int) -> tuple[float, int]:
        ranges = sum(one.stream == stream for one in self.placement)
        return self.by_stream.get(stream) or 0.0, ranges

    def _withdraw(self) -> Step | None:
        """A stream that is not wanted any more loses a range: to a neighbour's, which may then be joined, else to the
        least busy one."""
        for index, one in enumerate(self.placement):
            if one.stream in self.streams:
                continue
            near = {self.placement[at].stream for at in (index - 1, index + 1) if 0 <= at < len(self.placement)}
            choice = [stream for stream in near if stream in self.streams] or list(self.streams)
            to = min(choice, key=lambda stream: (*self._load(stream), stream))
            return Step(self._moved(index, to), f"stream {one.stream} is to go: a range of it to stream {to}", True)
        return None

    def _deal(self) -> Step | None:
        """A stream that has nothing gets a range."""
        owners = {one.stream for one in self.placement}
        idle = next((stream for stream in self.streams if stream not in owners), None)
        if idle is None:
            return None
        if len(self.placement) < self.limits.ranges_max:
            known = [(rate, index) for index, rate in enumerate(self.rates) if rate is not None and rate > 0.0]
            for rate, index in sorted(known, reverse=True):
                if rate < self.limits.gap_rate:
                    break
                key = self.splits[index]
                if key is not None and splits(key, self.placement[index]) and self._free(self.placement[index]):
                    return Step(self._cut(index, key, idle), f"stream {idle} gets half of a busy range", True)
            cut = default_for(self.streams)[self.streams.index(idle)].low
            for index, one in enumerate(self.placement):
                if splits(cut, one) and self._free(one):
                    return Step(self._cut(index, cut, idle), f"stream {idle} gets all from a relation on", True)
        counts = {stream: self._load(stream)[1] for stream in owners}
        for stream in sorted(owners, key=lambda stream: (-counts[stream], stream)):
            if counts[stream] < 2:
                break
            for index in range(len(self.placement) - 1, -1, -1):
                if self.placement[index].stream == stream and self._free(self.placement[index]):
                    return Step(self._moved(index, idle), f"stream {idle} gets a range of stream {stream}", True)
        return None

    def _balance(self) -> Step | None:
        """The busiest stream gives the least busy one what evens them out best."""
        totals = {stream: rate for stream, rate in self.by_stream.items() if rate is not None}
        if len(totals) < len(self.streams) or len(self.streams) < 2:
            return None
        hot = min(totals, key=lambda stream: (-totals[stream], stream))
        cool = min(totals, key=lambda stream: (totals[stream], stream))
        gap = totals[hot] - totals[cool]
        if gap < max(self.limits.gap_rate, self.limits.gap_share * totals[hot]):
            return None
        found: list[tuple[float, int, bytes | None]] = []
        for index, one in enumerate(self.placement):
            rate = self.rates[index]
            if one.stream != hot or rate is None or not self._free(one):
                continue
            found.append((rate, index, None))
            key = self.splits[index]
            if splits(key, one) and len(self.placement) < self.limits.ranges_max:
                found.append((rate / 2, index, key))
        fitting = [
            # In order of what is left of the gap; a whole range before a cut that is no better.
            (abs(gap - 2 * part), key is not None, index, key)
            for part, index, key in found
            if self.limits.gap_rate * GAIN_SHARE <= 2 * part <= 2 * gap * PART_MAX
        ]
        if not fitting:
            return None
        _, _, index, key = min(fitting, key=lambda one: one[:3])
        why = f"stream {hot} commits {totals[hot]:.0f}/s, stream {cool} {totals[cool]:.0f}/s: "
        if key is None:
            return Step(self._moved(index, cool), why + "a range moves")
        return Step(self._cut(index, key, cool), why + "half a range moves")

    def _gather(self) -> Step | None:
        """Two cold neighbours become one: of one stream at once; of two, only where there are many ranges."""
        crowded = len(self.placement) > self.limits.ranges_max * FULL
        owned = {stream: self._load(stream)[1] for stream in self.streams}
        for index in range(len(self.placement) - 1):
            one, two = self.placement[index], self.placement[index + 1]
            rates = (self.rates[index], self.rates[index + 1])
            if rates[0] is None or rates[1] is None or sum(rate or 0.0 for rate in rates) > self.limits.cold_rate:
                continue
            if not (self._free(one) and self._free(two)):
                continue
            if one.stream == two.stream:
                joined = Placed(one.low, two.high, one.stream)
                return Step((*self.placement[:index], joined, *self.placement[index + 2 :]), "two cold ranges are one")
            if crowded and owned[two.stream] > 1:
                return Step(self._moved(index + 1, one.stream), "a cold range goes to its neighbour's stream")
        return None


def _figures(placement: Placement, reports: Reports) -> tuple[list[float | None], list[bytes | None]]:
    """By range: commits a second, and a key to cut it at. A row over several ranges is dealt out evenly: its stream
    counts no finer, and a stream's sum is right."""
    rates: list[float | None] = []
    keys: list[bytes | None] = []
    pieces: dict[int, list[Placed]] = {}
    for one in placement:
        pieces.setdefault(one.stream, []).append(one)
    shares = {
        report.stream: [
            (row, sum(overlap(one, row.low, row.high) for one in pieces.get(report.stream, ())))
            for row in report.ranges
        ]
        for report in reports.streams.values()
    }
    for one in placement:
        rows = [(row, count) for row, count in shares.get(one.stream, ()) if overlap(row, one.low, one.high)]
        known = [row.commits / count for row, count in rows if row.commits is not None]
        rates.append(sum(known) if rows and len(known) == len(rows) and _whole(one, [row for row, _ in rows]) else None)
        inner = [row for row, _ in rows if row.split is not None and row.commits is not None]
        inner.sort(key=lambda row: row.commits or 0.0, reverse=True)
        keys.append(next((row.split for row in inner if splits(row.split, one)), None))
    return rates, keys


def _whole(one: Placed, rows: list[Judged]) -> bool:
    """Whether these rows, sorted, are all of a range: it may be on its way still."""
    reached = one.low
    for row in rows:
        if row.low > reached:
            return False
        if ends_within(one.high, row.high):
            return True
        reached = row.high
    return False


def _totals(placement: Placement, rates: list[float | None], streams: Sequence[int]) -> Mapping[int, float | None]:
    """By stream: commits a second. None: not known."""
    totals: dict[int, float | None] = dict.fromkeys(streams, 0.0)
    for one, rate in zip(placement, rates, strict=True):
        before = totals.get(one.stream, 0.0)
        totals[one.stream] = None if rate is None or before is None else before + rate
    return totals
