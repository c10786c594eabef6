"""Which streams judge a transaction: its conflict keys, dealt out to the owners of their ranges.

Most transactions lie within one range, which two comparisons tell. Else each key is looked up, and the lowest stream of
those found coordinates. Should two holders claim one range, the one heard last is believed: a range leaves a stream
before another has it, so the older claim is the stale one; and where that is wrong the answer is `wrong_shard`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tausql.processor.stretches import latest
from tausql.protocol.adjudicator import AdjudicatorClient, Holding, Part
from tausql.protocol.journal import Epoch

REGISTRY_STREAM = 0  # its holder coordinates schema changes and knows which streams there are


class Holder:
    """One stream's holder, as far as is known. `heard`: a higher one is fresher news."""

    __slots__ = ("client", "epoch", "floor", "heard", "name", "ranges", "stream", "streams")

    def __init__(self, name: str, client: AdjudicatorClient, holding: Holding, heard: int = 0) -> None:
        self.name = name
        self.client = client
        self.heard = heard
        self.stream = holding.stream
        self.epoch: Epoch = (holding.epoch[0], holding.epoch[1])
        self.floor = holding.floor
        self.ranges = holding.ranges
        self.streams = holding.streams


class Assignment(NamedTuple):
    """Who judges which conflict keys of one transaction."""

    coordinator: Holder
    writes: list[bytes]  # the coordinator's own
    shares: list[bytes]
    parts: tuple[Part, ...]  # the others', by rising stream


class Owners:
    """Holders by stream, and by range. Made anew when they change, never changed in place."""

    __slots__ = ("_stretches", "holders")

    def __init__(self, holders: dict[int, Holder]) -> None:
        self.holders = holders
        self._stretches = latest(
            (holder, holder.ranges) for holder in sorted(holders.values(), key=lambda holder: holder.heard)
        )

    def __iter__(self) -> Iterator[tuple[bytes, bytes, Holder | None]]:
        """(low, high, holder) of every stretch of the key space, in order."""
        return iter(self._stretches)

    @property
    def registered(self) -> set[int]:
        """Every stream of the fleet, as far as is known."""
        registry = self.holders.get(REGISTRY_STREAM)
        return {REGISTRY_STREAM} if registry is None else {REGISTRY_STREAM, *registry.streams}

    def sole(self, low: bytes, high: bytes) -> Holder | None:
        """Whoever judges every key from `low` to `high`, both included; None if that is not one, or not known."""
        stretches = self._stretches
        number = stretches.at(low)
        end = stretches.end(number)
        return stretches.items[number] if not end or high < end else None

    def assign(self, writes: list[bytes], shares: list[bytes]) -> Assignment | None:
        """By the owners of the keys; None: one of them has no known owner at present."""
        dealt: dict[int, Part] = {}
        if not (self._deal(writes, dealt, False) and self._deal(shares, dealt, True)):
            return None
        return self._assignment(dealt, min(dealt))

    def assign_to_all(self, writes: list[bytes], shares: list[bytes]) -> Assignment | None:
        """The same for a schema change: every registered stream has its part, perhaps without keys."""
        if REGISTRY_STREAM not in self.holders:
            return None
        dealt = {stream: Part(stream, [], []) for stream in self.registered}
        if not dealt.keys() <= self.holders.keys():
            return None
        if not (self._deal(writes, dealt, False) and self._deal(shares, dealt, True)):
            return None
        return self._assignment(dealt, REGISTRY_STREAM)

    def _assignment(self, dealt: dict[int, Part], coordinator: int) -> Assignment:
        own = dealt.pop(coordinator)
        parts = tuple(dealt[stream] for stream in sorted(dealt))
        return Assignment(self.holders[coordinator], own.writes, own.shares, parts)

    def _deal(self, keys: list[bytes], dealt: dict[int, Part], shared: bool) -> bool:
        """Give each of `keys` to the part of its owner. False: an owner is not known."""
        stretches = self._stretches
        low, end = b"\x00", b"\x00"  # of the stretch at hand: none yet
        pile: list[bytes] = []
        for key in keys:
            if not (low <= key and (not end or key < end)):
                number = stretches.at(key)
                low, end = stretches.lows[number], stretches.end(number)
                owner = stretches.items[number]
                if owner is None:
                    return False
                part = dealt.get(owner.stream)
                if part is None:
                    part = dealt[owner.stream] = Part(owner.stream, [], [])
                pile = part.shares if shared else part.writes
            pile.append(key)
        return True
