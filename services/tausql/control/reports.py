"""What adjudicators and storages report of what they own and keep, read from their status pages.

Control plans only with what it knows. A figure that is missing or cannot be read is None, a part that is missing is no
part of the report, and whoever plans leaves alone what it has no figures of: a process of another version, or one that
has just started, makes control wait and never guess.

Processes count, and control makes rates of two readings: so no process keeps windows or timers for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp
from typing import Any, NamedTuple

import msgspec

from tausql.protocol.fleet import Placed

SMOOTHING_SECONDS = 10.0  # a rate is one of about so long
READING_SECONDS_MIN = 0.2  # two readings closer together than that say nothing
ROWS_MAX = 20_000


class Answer(NamedTuple):
    """One process's status page, as far as it is about one of its services."""

    name: str  # of the member
    service: str
    status: Any
    draining: bool = False


class Judged(NamedTuple):
    """A range that a stream owns."""

    low: bytes
    high: bytes
    commits: float | None  # a second
    split: bytes | None  # a key that halves them


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What the holder of a stream says of it."""

    stream: int
    holder: str
    epoch: tuple[int, ...]
    ranges: tuple[Judged, ...]  # sorted, apart
    given: tuple[Placed, ...]  # on their way to another stream
    registered: tuple[int, ...] | None  # stream 0 only
    commits: float | None


class Kept(NamedTuple):
    """A shard, as one storage process has it."""

    low: bytes
    high: bytes
    serving: bool
    size: int | None  # bytes
    load: float | None  # reads and writes a second
    split: bytes | None  # a key that halves the bytes
    load_split: bytes | None  # a key that halves the load


@dataclass(frozen=True, slots=True)
class Reports:
    """Everybody's, of about the same moment."""

    at: float = 0.0  # monotonic seconds
    streams: dict[int, StreamReport] = field(default_factory=dict)
    storages: dict[str, tuple[Kept, ...]] = field(default_factory=dict)  # by name: those that say what they keep
    answered: frozenset[str] = frozenset()
    draining: frozenset[str] = frozenset()

    @property
    def registered(self) -> tuple[int, ...] | None:
        first = self.streams.get(0)
        return None if first is None else first.registered


class _Range(msgspec.Struct):
    low: str
    high: str
    commits: float | None = None
    split: str | None = None


class _Given(msgspec.Struct):
    low: str
    high: str
    to: int


class _Stream(msgspec.Struct):
    stream: int
    held: bool = False
    epoch: list[int] = []
    commits: float | None = None
    registered: list[int] | None = None
    ranges: list[_Range] | None = None
    given: list[_Given] = []


class _Adjudicator(msgspec.Struct):
    streams: list[_Stream] = []


class _Shard(msgspec.Struct):
    low: str
    high: str
    serving: bool = False
    bytes: float | None = None
    reads: float | None = None
    writes: float | None = None
    split: str | None = None
    load_split: str | None = None


class _Storage(msgspec.Struct):
    shards: list[_Shard] | None = None


class _Reading(NamedTuple):
    value: float
    at: float
    rate: float | None


class Reader:
    """Reads answers, and remembers the last counts."""

    __slots__ = ("_before", "_now", "troubles")

    def __init__(self) -> None:
        self._before: dict[tuple[str, ...], _Reading] = {}
        self._now: dict[tuple[str, ...], _Reading] = {}
        self.troubles: dict[str, str] = {}  # by member: what could not be read last time

    def read(self, answers: Iterable[Answer], now: float) -> Reports:
        """now: monotonic seconds."""
        self._before, self._now, self.troubles = self._now, {}, {}
        streams: dict[int, StreamReport] = {}
        storages: dict[str, tuple[Kept, ...]] = {}
        answered, draining = set(), set()
        for answer in answers:
            answered.add(answer.name)
            if answer.draining:
                draining.add(answer.name)
            try:
                if answer.service == "adjudicator":
                    for one in self._streams(answer, now):
                        known = streams.get(one.stream)
                        if known is None or known.epoch < one.epoch:
                            streams[one.stream] = one
                elif answer.service == "storage":
                    kept = self._kept(answer, now)
                    if kept is not None:
                        storages[answer.name] = kept
            except (msgspec.ValidationError, ValueError) as error:
                self.troubles[answer.name] = str(error)
        return Reports(now, streams, storages, frozenset(answered), frozenset(draining))

    def _streams(self, answer: Answer, now: float) -> list[StreamReport]:
        found: list[StreamReport] = []
        for one in msgspec.convert(answer.status, _Adjudicator).streams:
            if not one.held or one.ranges is None:
                continue
            key = (answer.name, str(one.stream))
            ranges = tuple(
                Judged(
                    bytes.fromhex(row.low),
                    bytes.fromhex(row.high),
                    self._rate((*key, row.low, row.high), row.commits, now),
                    _key(row.split),
                )
                for row in one.ranges[:ROWS_MAX]
            )
            given = tuple(Placed(bytes.fromhex(row.low), bytes.fromhex(row.high), row.to) for row in one.given)
            found.append(
                StreamReport(
                    stream=one.stream,
                    holder=answer.name,
                    epoch=tuple(one.epoch),
                    ranges=tuple(sorted(ranges)),
                    given=given,
                    registered=None if one.registered is None else tuple(sorted(one.registered)),
                    commits=self._rate(key, one.commits, now),
                )
            )
        return found

    def _kept(self, answer: Answer, now: float) -> tuple[Kept, ...] | None:
        told = msgspec.convert(answer.status, _Storage).shards
        if told is None:
            return None
        made = [
            Kept(
                low=bytes.fromhex(row.low),
                high=bytes.fromhex(row.high),
                serving=row.serving,
                size=None if row.bytes is None else int(row.bytes),
                load=self._rate((answer.name, row.low, row.high), _sum(row.reads, row.writes), now),
                split=_key(row.split),
                load_split=_key(row.load_split),
            )
            for row in told[:ROWS_MAX]
        ]
        return tuple(sorted(made, key=lambda one: one.low))

    def _rate(self, key: tuple[str, ...], count: float | None, now: float) -> float | None:
        """A second, smoothed. None: not known yet, or the count began anew."""
        if count is None:
            return None
        before = self._before.get(key)
        if before is None or count < before.value:
            self._now[key] = _Reading(count, now, None)
            return None
        seconds = now - before.at
        if seconds < READING_SECONDS_MIN:
            self._now[key] = before
            return before.rate
        fresh = (count - before.value) / seconds
        weight = 1.0 if before.rate is None else 1.0 - exp(-seconds / SMOOTHING_SECONDS)
        rate = fresh if before.rate is None else before.rate + (fresh - before.rate) * weight
        self._now[key] = _Reading(count, now, rate)
        return rate


def _key(text: str | None) -> bytes | None:
    return bytes.fromhex(text) if text else None


def _sum(*counts: float | None) -> float | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
