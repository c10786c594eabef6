"""What has changed, to whoever follows: clusters, keys, change streams.

A follower gets everything once and then only what differs. One that reads slowly is told the newest state of what it
has missed when it can take it, never a queue of old ones: what is remembered for it is names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from operator import ne
from typing import Any

import msgspec

from tausql.control.followers import Followers
from tausql.rpc.interface import Sink

AT_ONCE = 100  # records in one message: with policies and tags as long as they may be, a few megabytes

Make = Callable[[bool, tuple[Any, ...], tuple[str, ...]], msgspec.Struct]  # full, changed, removed


class _Follower:
    __slots__ = ("begun", "busy", "missed", "name", "sink")

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink
        self.begun = False  # it has been told everything once, or is being told
        self.busy = False  # its buffer is full: it says when there is room
        self.missed: dict[str, None] = {}  # names, in order


class Teller:
    """One kind of records, by name. Those who ask before anything is known wait for it. `differ`: whether a change of
    a record is worth telling."""

    def __init__(self, make: Make, followers_max: int, differ: Callable[[Any, Any], bool] = ne) -> None:
        self._make = make
        self._differ = differ
        self._followers = Followers(followers_max, _Follower, self._push)
        self._known: dict[str, Any] | None = None

    @property
    def followers(self) -> list[str]:
        return self._followers.names

    @property
    def known(self) -> Mapping[str, Any]:
        return self._known or {}

    def tell(self, records: Mapping[str, Any]) -> bool:
        """These are all records now. False: that is what everybody knows."""
        before, self._known = self._known, dict(records)
        if before is not None:
            differ = self._differ
            differing = [name for name, one in records.items() if name not in before or differ(before[name], one)]
            differing += [name for name in before if name not in records]
            if not differing:
                return False
            for follower in self._followers.all:
                if follower.begun:
                    follower.missed.update(dict.fromkeys(differing))
        for follower in self._followers.all:
            self._push(follower)
        return True

    def follow(self, request: Any, sink: Sink) -> None:
        self._followers.add(request, sink)

    def end(self) -> None:
        """Control is leaving: ask another."""
        self._followers.end()

    def _push(self, follower: _Follower) -> None:
        known = self._known
        if known is None:
            return
        full = not follower.begun
        if full:
            follower.begun = True
            follower.missed = dict.fromkeys(known)
        while (follower.missed or full) and not follower.busy and follower.sink.open:
            names = list(islice(follower.missed, AT_ONCE))
            for name in names:
                del follower.missed[name]
            changed = tuple(known[name] for name in names if name in known)
            removed = tuple(name for name in names if name not in known)
            self._followers.push(follower, self._make(full, changed, removed))
            full = False
