"""What is wanted next, from what is wanted now and what is so.

The planner has no memory that matters. Everything it needs to go on is what processes do and own, and they say so: a
control that starts with nothing wants nothing until it knows what is so, and from there on takes the same small steps
another would have taken. What it does remember is for calm: since when a step has suggested itself, who has not been
heard of since when, and what people asked for by hand, all of which may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from tausql.control import planning_shards, planning_streams
from tausql.control.key_ranges import below, overlap, splits
from tausql.control.planning_preferred import REGION_BITS, prefer, preferred_zone
from tausql.control.planning_shards import Hints, ShardLimits, Storages
from tausql.control.planning_streams import StreamLimits
from tausql.control.reports import Reports
from tausql.control.wanted import STREAMS_MAX, Wanted
from tausql.protocol.fleet import Fleet, Member, Placed, Shard

PINS_MAX = 64
CUTS_MAX = 1_024
LEAVING_MAX = 64
ZONES_MAX = 10_000


_FIRST = {True: "tables dealt out to the streams", False: "what is so"}  # by whether it is new


class Refused(Exception):
    """What was asked for by hand cannot be wanted; the message says why."""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    streams: int = 2  # to begin with; streams there are already stay until somebody says otherwise
    zone: str = ""  # whose adjudicators are preferred; "auto": the one with most processors; "": none
    stream: StreamLimits = field(default_factory=StreamLimits)
    shard: ShardLimits = field(default_factory=ShardLimits)
    sustain_seconds: float = 20.0  # a step that the load suggests must have done so for so long
    step_seconds: float = 10.0  # between two moves of a range from stream to stream
    away_seconds: float = 10.0  # an adjudicator silent for so long is not preferred
    gone_seconds: float = 600.0  # a storage silent for so long is replaced


class _Suggested(Protocol):
    @property
    def urgent(self) -> bool: ...


class _Calm:
    """Takes a step that is not urgent only when there has been one to take for a while. What follows from it is taken
    at once."""

    __slots__ = ("_since", "last", "last_at")

    def __init__(self) -> None:
        self._since: float | None = None
        self.last = ""
        self.last_at: float | None = None

    def takes(self, step: _Suggested | None, now: float, sustain_seconds: float, moving: bool = False) -> bool:
        """moving: a step is still being carried out, so that there is none to take says nothing."""
        if step is None:
            self._since = self._since if moving else None
            return False
        if step.urgent:
            return True
        if self._since is None:
            self._since = now
        return now - self._since >= sustain_seconds

    def took(self, why: str, now: float) -> None:
        self.last, self.last_at = why, now

    def told(self, now: float) -> dict[str, Any]:
        ago = None if self.last_at is None else round(now - self.last_at, 1)
        return {"last_step": self.last, "seconds_ago": ago}


class Planner:
    """`turn` after `turn`, each with the newest map and reports. `wanted`: the outcome. Not thread-safe, no I/O."""

    def __init__(self, limits: PlanLimits, now: float, before: Wanted | None = None) -> None:
        """before: what another control wanted, to go on from; None: found out from what is so."""
        self.limits = limits
        self.wanted = before if before is not None else Wanted()
        self.reports = Reports(now)
        self.steps = 0
        self.waits: dict[str, str] = {"streams": "the first reports", "shards": "the first reports"}
        self._numbers: tuple[int, ...] = ()  # of the streams that are to stay
        self._elsewhere = ""
        self._began = now
        self._heard: dict[str, float] = {}
        self._zones: dict[str, str] = {}
        self._pins: tuple[Placed, ...] = ()
        self._cuts: frozenset[bytes] = frozenset()
        self._leaving: dict[tuple[bytes, bytes], str] = {}
        self._stream_calm, self._shard_calm = _Calm(), _Calm()

    def turn(self, fleet: Fleet, reports: Reports, now: float) -> Wanted:
        """One look, and at most one step for streams and one for shards. now: monotonic seconds."""
        self.reports = reports
        self._note(fleet, reports, now)
        region = planning_region(fleet)
        self._elsewhere = "" if region == fleet.region else region
        if self._elsewhere:
            self._change(streams=0, placement=(), preferred={})
            self.waits["streams"] = f"region {region}, which plans them"
        else:
            self._plan_streams(fleet, reports, now)
        self._plan_shards(fleet, reports, now)
        return self.wanted

    def status(self, now: float) -> dict[str, Any]:
        wanted = self.wanted
        return {
            "streams": {
                "wanted": wanted.streams,
                "registered": list(self.reports.registered or ()) or None,
                "preferred": {str(stream): list(names) for stream, names in wanted.preferred.items()},
                "placement": [
                    {"low": one.low.hex(), "high": one.high.hex(), "stream": one.stream} for one in wanted.placement
                ],
                "pinned": [{"low": one.low.hex(), "high": one.high.hex(), "stream": one.stream} for one in self._pins],
                "waiting_for": self.waits["streams"],
                **self._stream_calm.told(now),
            },
            "shards": {
                "wanted": [
                    {"low": one.low.hex(), "high": one.high.hex(), "replicas": list(one.replicas)}
                    for one in wanted.shards
                ],
                "waiting_for": self.waits["shards"],
                **self._shard_calm.told(now),
            },
        }

    # who is there

    def _note(self, fleet: Fleet, reports: Reports, now: float) -> None:
        for name in reports.answered:
            self._heard[name] = now
        for one in (*fleet.storage, *fleet.adjudicator):
            if one.zone and _own(one, fleet):
                self._zones[one.name] = one.zone
        for memory in (self._heard, self._zones):
            while len(memory) > ZONES_MAX:
                del memory[next(iter(memory))]

    def _silent(self, name: str, now: float) -> float:
        return now - self._heard.get(name, self._began)

    # streams

    def _change(self, **changes: Any) -> None:
        self.wanted = msgspec.structs.replace(self.wanted, **changes)

    def _plan_streams(self, fleet: Fleet, reports: Reports, now: float) -> None:
        if not self.wanted.placement:
            placement = self._first_placement(reports)
            if placement is None:
                return
            self._step_streams(placement, _FIRST[placement != planning_streams.observed(reports)], now)
        self._plan_preferred(fleet, reports, now)
        self.waits["streams"] = planning_streams.settled(self.wanted.placement, reports)
        registered = reports.registered
        if registered is None:
            return
        self._numbers = registered[: self.wanted.streams]
        withdrawing = any(one.stream not in self._numbers for one in self.wanted.placement)
        if self.waits["streams"] and not withdrawing:
            return
        calm = self._stream_calm
        if calm.last_at is not None and now - calm.last_at < self.limits.step_seconds and not withdrawing:
            return
        step = planning_streams.next_step(self.wanted.placement, self._numbers, reports, self.limits.stream, self._pins)
        if calm.takes(step, now, self.limits.sustain_seconds) and step is not None:
            self._step_streams(step.placement, step.why, now)

    def _first_placement(self, reports: Reports) -> planning_streams.Placement | None:
        registered = reports.registered
        if registered is not None and not self.wanted.streams:
            self._change(streams=max(self.limits.streams, len(registered)))
        placement = planning_streams.first_placement(reports, self.wanted.streams)
        if placement is None:
            self.waits["streams"] = "the streams that are wanted, or word of what they own"
        return placement

    def _step_streams(self, placement: planning_streams.Placement, why: str, now: float) -> None:
        self._change(placement=placement)
        self._stream_calm.took(why, now)
        self.waits["streams"] = "the last step"
        self.steps += 1

    def _plan_preferred(self, fleet: Fleet, reports: Reports, now: float) -> None:
        before = dict(self.wanted.preferred)
        for stream, report in reports.streams.items():
            before.setdefault(stream, (report.holder,))
        away = {
            one.name
            for one in fleet.adjudicator
            if one.name in reports.draining
            or (_own(one, fleet) and self._silent(one.name, now) > self.limits.away_seconds)
        }
        streams = {*(reports.registered or self._numbers), *(one.stream for one in self.wanted.placement)}
        zone = preferred_zone(fleet, self.limits.zone)
        preferred = prefer(streams, fleet.adjudicator, before, zone, away)
        if preferred != self.wanted.preferred:
            self._change(preferred=preferred)

    # shards

    def _plan_shards(self, fleet: Fleet, reports: Reports, now: float) -> None:
        names = [one.name for one in fleet.storage if _own(one, fleet) and one.zone]
        gone = {
            name
            for name in {*names, *(name for shard in self.wanted.shards for name in shard.replicas)}
            if self._silent(name, now) > self.limits.gone_seconds
        }
        if not self.wanted.shards:
            shards = self._first_shards(fleet, reports, [name for name in names if name not in gone], now)
            if shards is None:
                return
            self._step_shards(shards, "what is so", now)
        away = {name for name in names if name in reports.draining}
        storages = Storages(self._zones, gone, away)
        filling = planning_shards.waiting(self.wanted.shards, storages, reports)
        self.waits["shards"] = f"{filling[0][1]} to serve all it should" if filling else ""
        ranges = {(shard.low, shard.high) for shard in self.wanted.shards}
        self._leaving = {at: name for at, name in self._leaving.items() if at in ranges}
        hints = Hints(self._cuts, self._leaving)
        step = planning_shards.next_step(self.wanted.shards, storages, reports, self.limits.shard, hints)
        if self._shard_calm.takes(step, now, self.limits.sustain_seconds, bool(filling)) and step is not None:
            self._step_shards(step.shards, step.why, now)

    def _first_shards(self, fleet: Fleet, reports: Reports, names: list[str], now: float) -> tuple[Shard, ...] | None:
        """Waits for the storages of all zones, which a zone with a journal replica is meant to have: what one of them
        has must not look unwanted only because it was restarting when control was."""
        meant = {one.zone for one in fleet.journal if one.zone and _own(one, fleet)}
        missing = meant - {self._zones[name] for name in names}
        if missing and now - self._began < self.limits.gone_seconds:
            self.waits["shards"] = f"a storage in zone {min(missing)}"
            return None
        shards = planning_shards.first_shards(reports, names)
        if shards is None:
            self.waits["shards"] = "word of every storage of what it keeps" if names else "a storage"
        return shards

    def _step_shards(self, shards: tuple[Shard, ...], why: str, now: float) -> None:
        self._change(shards=shards)
        self._shard_calm.took(why, now)
        self.waits["shards"] = "the last step"
        self.steps += 1

    # by hand

    def ask_streams(self, count: int) -> None:
        """So many streams from now on. Raises Refused."""
        self._may_plan_streams()
        if not 1 <= count <= STREAMS_MAX:
            raise Refused(f"from 1 to {STREAMS_MAX} streams")
        pinned = sorted(one.stream for one in self._pins if one.stream not in self._numbers[:count])
        if pinned:
            raise Refused(f"a range is pinned to stream {pinned[0]}")
        self._change(streams=count)

    def ask_placement(self, low: bytes, high: bytes, stream: int | None, now: float) -> None:
        """[low, high) to `stream`, and to stay there; None: let the planner move what overlaps it. Raises Refused."""
        self._may_plan_streams()
        if high and low >= high:
            raise Refused("the range is empty")
        rest = tuple(one for one in self._pins if not overlap(one, low, high))
        if stream is None:
            self._pins = rest
            return
        if not self.wanted.placement:
            raise Refused(f"waiting for {self.waits['streams'] or 'a plan'}")
        if stream not in self._numbers:
            raise Refused(f"there is no stream {stream}: there are {', '.join(map(str, self._numbers))}")
        placement = planning_streams.assigned(self.wanted.placement, low, high, stream)
        if len(placement) > self.limits.stream.ranges_max or len(rest) >= PINS_MAX:
            raise Refused(f"at most {self.limits.stream.ranges_max} ranges, {PINS_MAX} of them pinned")
        self._pins = (*rest, Placed(low, high, stream))
        self._step_streams(placement, f"by hand: a range to stream {stream}", now)

    def ask_split(self, key: bytes, now: float) -> None:
        """Cut the shard that `key` lies in there, and leave it cut. Raises Refused."""
        shards = self._known_shards()
        found = next((index for index, one in enumerate(shards) if splits(key, one)), None)
        if found is None:
            raise Refused("a shard starts there already")
        if len(shards) >= self.limits.shard.shards_max or len(self._cuts) >= CUTS_MAX:
            raise Refused(f"at most {self.limits.shard.shards_max} shards, {CUTS_MAX} of them cut by hand")
        one = shards[found]
        parts = (Shard(one.low, key, one.replicas), Shard(key, one.high, one.replicas))
        self._cuts |= {key}
        self._step_shards((*shards[:found], *parts, *shards[found + 1 :]), "by hand: a cut", now)

    def ask_move(self, key: bytes, source: str, target: str, now: float) -> None:
        """The shard that `key` lies in from `source` to `target`, which has to serve it first. Raises Refused."""
        shards = self._known_shards()
        found = next(index for index, one in enumerate(shards) if below(key, one.high))
        one = shards[found]
        if source not in one.replicas:
            raise Refused(f"{source} is no replica of it: {', '.join(one.replicas)}")
        if target in one.replicas:
            raise Refused(f"{target} is a replica of it already")
        if target not in self.reports.storages:
            raise Refused(f"{target} is no storage that answers")
        if self._zones.get(source) != self._zones.get(target):
            raise Refused(f"{source} is in zone {self._zones.get(source)}, {target} in {self._zones.get(target)}")
        if len(self._leaving) >= LEAVING_MAX or (one.low, one.high) in self._leaving:
            raise Refused("it is being moved already" if len(self._leaving) < LEAVING_MAX else "too many are")
        self._leaving[(one.low, one.high)] = source
        moved = Shard(one.low, one.high, tuple(sorted((*one.replicas, target))))
        self._step_shards((*shards[:found], moved, *shards[found + 1 :]), f"by hand: {source} to {target}", now)

    def _may_plan_streams(self) -> None:
        if self._elsewhere:
            raise Refused(f"the control of region {self._elsewhere} plans the streams")

    def _known_shards(self) -> tuple[Shard, ...]:
        if not self.wanted.shards:
            raise Refused(f"waiting for {self.waits['shards'] or 'a plan'}")
        return self.wanted.shards


def planning_region(fleet: Fleet) -> str:
    """Whose control plans the streams: that of the adjudicators that are preferred. It alone hears of all streams as
    long as they are where they are wanted; where they are not, nobody hears of all, and nothing is planned."""
    first = min(fleet.adjudicator, key=lambda one: (one.index >> REGION_BITS, one.region), default=None)
    return first.region if first is not None and first.region else fleet.region


def _own(one: Member, fleet: Fleet) -> bool:
    return one.region in ("", fleet.region)
