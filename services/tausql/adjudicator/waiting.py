"""Who waits for a higher limit, and in which order they are judged once there is one.

First come, first served would let one cluster that sends thousands of commits at once stand before all others, and fill
the room there is so that those are turned away. So they are judged in turns, one of each cluster, and where there is no
room left the cluster that has most gives up its newest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """`room`: how many may wait. Nothing in it is in two places."""

    __slots__ = ("_by_cluster", "_count", "_room")

    def __init__(self, room: int) -> None:
        self._room = room
        self._count = 0
        self._by_cluster: dict[int, deque[T]] = {}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for queue in self._by_cluster.values():
            yield from queue

    def add(self, cluster: int, item: T) -> T | None:
        """None: `item` waits. Else the one that there is no room for any more: `item` itself, or another's newest."""
        own = self._by_cluster.get(cluster)
        turned_away = None
        if self._count >= self._room:
            largest = max(self._by_cluster.values(), key=len, default=None)
            if largest is None or largest is own or len(largest) <= (len(own) if own is not None else 0) + 1:
                return item
            turned_away = largest.pop()
            self._count -= 1
        if own is None:
            own = self._by_cluster[cluster] = deque()
        own.append(item)
        self._count += 1
        return turned_away

    def take(self) -> list[T]:
        """All of them, in the order they are to be judged in; none is left."""
        if len(self._by_cluster) == 1:
            (only,) = self._by_cluster.values()
            items = list(only)
        else:
            items = []
            queues = deque(self._by_cluster.values())
            while queues:
                queue = queues.popleft()
                items.append(queue.popleft())
                if queue:
                    queues.append(queue)
        self._by_cluster = {}
        self._count = 0
        return items
