"""How much the caches of many clusters may keep together.

A limit for each would have to be tiny, or five hundred idle clusters would fill the memory one by one; a common cache
would let one cluster push out what all others use, and tell by its speed what they run. So each keeps its own, and
where together they keep too much, the one that keeps most loses its least recently used.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Room(Generic[K, V]):
    """`capacity`: entries in all stores together."""

    __slots__ = ("_stores", "capacity", "count")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self._stores: list[OrderedDict[K, V]] = []

    def store(self) -> OrderedDict[K, V]:
        """A new one. Put into it with `put` only."""
        made: OrderedDict[K, V] = OrderedDict()
        self._stores.append(made)
        return made

    def leave(self, store: OrderedDict[K, V]) -> None:
        """It is not used any more."""
        self._stores = [one for one in self._stores if one is not store]
        self.count -= len(store)
        store.clear()

    def put(self, store: OrderedDict[K, V], key: K, value: V) -> None:
        """As the newest of `store`."""
        before = len(store)
        store[key] = value
        self.count += len(store) - before
        if self.count > self.capacity:
            largest = store if len(self._stores) == 1 else max(self._stores, key=len)
            largest.popitem(last=False)
            self.count -= 1


class PlanRooms:
    """Of all that a plan cache keeps; `capacity` of each kind."""

    __slots__ = ("plans", "refused", "texts")

    def __init__(self, capacity: int) -> None:
        self.plans: Room[tuple[Any, ...], Any] = Room(capacity)
        self.texts: Room[str, Any] = Room(capacity)
        self.refused: Room[tuple[str, int], None] = Room(capacity)
