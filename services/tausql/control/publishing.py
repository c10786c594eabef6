"""The map, to whoever follows it.

A follower that reads slowly gets the newest map when it can take one, never a queue of old ones.
"""

from __future__ import annotations

from functools import partial

from tausql.protocol.control import FleetMap, WatchFleet
from tausql.protocol.fleet import Fleet
from tausql.rpc.interface import Cause, Encoded, Failure, Sink


class _Follower:
    __slots__ = ("busy", "name", "sink", "told")

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink
        self.told: Encoded | None = None  # the map it has
        self.busy = False  # its buffer is full: it says when there is room


class Publisher:
    """Streams of maps. Those who ask before there is a map wait for it."""

    def __init__(self, followers_max: int) -> None:
        self._followers_max = followers_max
        self._followers: dict[int, _Follower] = {}
        self._count = 0
        self._newest: Encoded | None = None

    @property
    def fleet(self) -> Fleet | None:
        """The map as it was last published."""
        if self._newest is None:
            return None
        told: FleetMap = self._newest.message  # type: ignore[assignment]
        return told.fleet

    @property
    def followers(self) -> list[str]:
        """Who follows, by name."""
        return sorted(follower.name for follower in self._followers.values())

    def publish(self, fleet: Fleet) -> bool:
        """Tell everybody. False: that is what they have been told already."""
        if fleet == self.fleet:
            return False
        self._newest = Encoded(FleetMap(fleet))
        for follower in list(self._followers.values()):
            self._tell(follower)
        return True

    def follow(self, request: WatchFleet, sink: Sink) -> None:
        if len(self._followers) >= self._followers_max:
            sink.end(Failure(Cause.overloaded, f"{self._followers_max} processes follow the map already"))
            return
        self._count += 1
        follower = self._followers[self._count] = _Follower(request.name, sink)
        sink.when_closed(partial(self._gone, self._count))
        self._tell(follower)

    def end(self) -> None:
        """Control is leaving: ask another."""
        followers, self._followers = self._followers, {}
        for follower in followers.values():
            follower.sink.end(Failure(Cause.unavailable, "control is leaving"))

    def _gone(self, number: int) -> None:
        self._followers.pop(number, None)

    def _tell(self, follower: _Follower) -> None:
        newest = self._newest
        if newest is None or follower.busy or follower.told is newest or not follower.sink.open:
            return
        follower.told = newest
        if not follower.sink.push(newest):
            follower.busy = True
            follower.sink.when_ready(partial(self._ready, follower))

    def _ready(self, follower: _Follower) -> None:
        follower.busy = False
        self._tell(follower)
