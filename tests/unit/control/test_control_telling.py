"""Followers of clusters and keys: everything once, then what differs; slow ones get the newest of what they missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.control.telling import AT_ONCE, Teller
from tausql.protocol.clusters import ClusterRecord, Clusters, WatchClusters
from tausql.rpc.interface import Failure


class Pipe:
    """A `Sink` that takes `room` messages before it is full."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.got: list[Clusters] = []
        self.ended: Failure | None = None
        self.open = True
        self.ready: Callable[[], None] | None = None
        self.closed: Callable[[], None] | None = None

    def push(self, item: Any) -> bool:
        self.got.append(item)
        return len(self.got) < self.room

    def when_ready(self, function: Callable[[], None]) -> None:
        self.ready = function

    def when_closed(self, function: Callable[[], None]) -> None:
        self.closed = function

    def end(self, failure: Failure | None = None) -> None:
        self.ended = failure


def records(*names: str, status: str = "ACTIVE") -> dict[str, ClusterRecord]:
    return {name: ClusterRecord(name, 1, status, "", ()) for name in names}


def teller(followers_max: int = 10) -> Teller:
    return Teller(Clusters, followers_max)


def test_whoever_comes_is_told_everything_and_then_what_differs():
    told, early, late = teller(), Pipe(), Pipe()
    told.follow(WatchClusters("early"), early)  # type: ignore[arg-type]
    assert early.got == []
    assert told.tell(records("a", "b"))
    assert not told.tell(records("a", "b"))
    told.follow(WatchClusters("late"), late)  # type: ignore[arg-type]
    told.tell({**records("a"), **records("c", status="CREATING")})
    assert [(one.full, len(one.changed), one.removed) for one in early.got] == [(True, 2, ()), (False, 1, ("b",))]
    assert late.got == early.got
    assert told.followers == ["early", "late"]
    assert early.closed is not None
    early.closed()
    assert told.followers == ["late"]


def test_nothing_at_all_is_told_too():
    told, pipe = teller(), Pipe()
    told.tell({})
    told.follow(WatchClusters("p"), pipe)  # type: ignore[arg-type]
    assert pipe.got == [Clusters(True, ())]


def test_a_slow_one_gets_the_newest_of_what_it_missed_in_one_piece():
    told, pipe = teller(), Pipe(room=1)
    told.tell(records("a"))
    told.follow(WatchClusters("slow"), pipe)  # type: ignore[arg-type]
    for status in ("IDLE", "INACTIVE", "DELETING"):
        told.tell({**records("a", status=status), **records("b")})
    told.tell(records("a", status="DELETING"))
    assert len(pipe.got) == 1
    pipe.room = 1_000
    assert pipe.ready is not None
    pipe.ready()
    assert len(pipe.got) == 2
    assert [one.status for one in pipe.got[1].changed] == ["DELETING"]
    assert pipe.got[1].removed == ("b",)


def test_many_come_in_pieces_and_too_many_followers_are_refused():
    told, pipe, other = teller(1), Pipe(), Pipe()
    told.tell(records(*(str(number) for number in range(2 * AT_ONCE + 1))))
    told.follow(WatchClusters("p"), pipe)  # type: ignore[arg-type]
    assert [(one.full, len(one.changed)) for one in pipe.got] == [(True, AT_ONCE), (False, AT_ONCE), (False, 1)]
    told.follow(WatchClusters("q"), other)  # type: ignore[arg-type]
    assert other.ended is not None
    told.end()
    assert pipe.ended is not None
