"""A replica core on a real store, with the shell's order of things but no shell: what tests drive by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tausql.journal.replica import Replica
from tausql.journal.store import Store
from tausql.runtime.host import ClockUnsure, Interval
from tausql.simulation.disk import SimulatedDisk


class StillClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.micros = 0
        self.ready = True

    def now(self) -> Interval:
        if not self.ready:
            raise ClockUnsure("no bound")
        return Interval(self.micros, self.micros)


class Ground:
    """`said` waits for `sync`, as does everything in `asked`; `pushed` is what tails would get."""

    def __init__(
        self,
        name: str,
        names: list[str],
        disk: SimulatedDisk,
        chance: random.Random,
        *,
        segment_bytes_max: int = 1 << 20,
        reluctance_seconds: float = 0.0,
        spare_bytes: int = 0,
        reserve_bytes: int = 0,
    ) -> None:
        self.disk = disk
        self.store = Store(
            disk,
            segment_bytes_max=segment_bytes_max,
            cache_bytes_max=2000,
            reserve_bytes=reserve_bytes,
            spare_bytes=spare_bytes,
        )
        self.clock = StillClock()
        self.seconds = 0.0
        self.persist = self.store.write
        self.log_state = self.store.stream
        self.has_room = self.store.has_room
        self.can_hold = self.store.can_hold
        self.trim = self.store.trim
        self.read = self.store.read
        self.waiting: list[Callable[[], None]] = []
        self.asked: list[tuple[str, Any, int]] = []
        self.pushed: list[tuple[int, int, list[Any]]] = []
        self.replica = Replica(
            name,
            names,
            self.store.member,
            self,
            self.clock,
            lambda: self.seconds,
            lambda: chance.getrandbits(20) + 1,
            reluctance_seconds=reluctance_seconds,
        )

    def streams(self) -> list[Any]:
        return list(self.store.streams.values())

    def fresh(self, stream: int, keep_seq: int, records: list[Any]) -> None:
        self.pushed.append((stream, keep_seq, records))

    def committed(self, stream: int) -> None: ...

    def rebased(self, stream: int) -> None: ...

    def ask(self, replica: str, request: Any, round_number: int) -> None:
        self.asked.append((replica, request, round_number))

    def say(self, function: Callable[[], None]) -> None:
        """Do `function` (send an answer) after the next sync."""
        self.waiting.append(function)

    def sync(self, send: Callable[[str, Any, int], None]) -> None:
        """One turn of the shell: flush, then answers, then questions."""
        self.store.flush()
        waiting, self.waiting = self.waiting, []
        for function in waiting:
            function()
        asked, self.asked = self.asked, []
        for replica, request, round_number in asked:
            send(replica, request, round_number)
