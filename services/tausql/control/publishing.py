"""The map, to whoever follows it.

A follower that reads slowly gets the newest map when it can take one, never a queue of old ones.
"""

from __future__ import annotations

from tausql.control.followers import Followers
from tausql.protocol.control import FleetMap, WatchFleet
from tausql.protocol.fleet import Fleet
from tausql.rpc.interface import Encoded, Sink


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
        self._followers = Followers(followers_max, _Follower, self._tell)
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
        return self._followers.names

    def publish(self, fleet: Fleet) -> bool:
        """Tell everybody. False: that is what they have been told already."""
        if fleet == self.fleet:
            return False
        self._newest = Encoded(FleetMap(fleet))
        for follower in self._followers.all:
            self._tell(follower)
        return True

    def follow(self, request: WatchFleet, sink: Sink) -> None:
        self._followers.add(request, sink)

    def end(self) -> None:
        """Control is leaving: ask another."""
        self._followers.end()

    def _tell(self, follower: _Follower) -> None:
        newest = self._newest
        if newest is None or follower.busy or follower.told is newest or not follower.sink.open:
            return
        follower.told = newest
        self._followers.push(follower, newest)
