"""Who follows a stream of control's: so many at the most, each told at its own pace.

What is told, and what a slow follower is told instead of all it has missed, is for whoever has something to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tausql.rpc.interface import Cause, Failure, Sink


class Follower(Protocol):
    name: str
    sink: Sink
    busy: bool  # its buffer is full: it says when there is room


F = TypeVar("F", bound=Follower)


class Followers(Generic[F]):
    """make: a follower of this name. tell: tell one what it lacks, unless it is busy."""

    def __init__(self, count_max: int, make: Callable[[str, Sink], F], tell: Callable[[F], None]) -> None:
        self._count_max = count_max
        self._make = make
        self._tell = tell
        self._all: dict[int, F] = {}
        self._count = 0

    @property
    def all(self) -> tuple[F, ...]:
        return tuple(self._all.values())

    @property
    def names(self) -> list[str]:
        return sorted(follower.name for follower in self._all.values())

    def add(self, request: Any, sink: Sink) -> None:
        """Another one, `request.name`; refused where there are too many."""
        if len(self._all) >= self._count_max:
            sink.end(Failure(Cause.overloaded, f"{self._count_max} processes follow already"))
            return
        self._count += 1
        follower = self._all[self._count] = self._make(request.name, sink)
        sink.when_closed(partial(self._gone, self._count))
        self._tell(follower)

    def push(self, follower: F, item: Any) -> None:
        """Send it an item; if that fills its buffer, it is busy until there is room, and then told what it lacks."""
        if not follower.sink.push(item):
            follower.busy = True
            follower.sink.when_ready(partial(self._ready, follower))

    def end(self) -> None:
        """Control is leaving: ask another."""
        followers, self._all = self._all, {}
        for follower in followers.values():
            follower.sink.end(Failure(Cause.unavailable, "control is leaving"))

    def _gone(self, number: int) -> None:
        self._all.pop(number, None)

    def _ready(self, follower: F) -> None:
        follower.busy = False
        self._tell(follower)
