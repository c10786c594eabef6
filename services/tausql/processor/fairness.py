"""Whose turn it is: a processor's one thread, dealt out to clusters rather than to whoever has most to do.

The event loop is fair to sockets: a cluster with a thousand busy sessions gets a thousand turns for another's one. So
as soon as two clusters are at work, the time each takes is measured, and one that has used up its share waits behind
the others: deficit round robin, where an item is a request that begins or a long statement that goes on. Answers of
storage are worked off as they come, but are charged. While one cluster is alone nothing is measured and nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from tausql.processor.coroutines import Wait, turn
from tausql.runtime.host import Host

QUANTUM_SECONDS: Final = 0.002  # what each gets in a round; a long statement gives way every 10 ms
ITEM_SECONDS: Final = 0.00002  # what an item costs at least
PUMP_SECONDS: Final = 0.002  # at a time, before the loop looks at its sockets again
WINDOW_SECONDS: Final = 1.0  # without a second cluster at work, after which the one is alone


class Share:
    """One cluster's. `credit`: seconds it may take before others come first; below nothing it waits for its round."""

    __slots__ = ("credit", "queue", "turns")

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.credit = QUANTUM_SECONDS
        self.queue: deque[Callable[[], None]] = deque()

    def may_run(self) -> bool:
        """Something of the cluster is to begin. False: let it `wait`."""
        turns = self.turns
        if turns.last is not self:
            turns.switch(self)
        return not self.queue and (self.credit > 0 or not turns.shared)

    def wait(self, function: Callable[[], None]) -> None:
        """Call `function` when it is the cluster's turn, in order."""
        if not self.queue:
            self.turns.enter(self)
        self.queue.append(function)

    def turn(self) -> Awaitable[None]:
        """Resolved when others have had theirs."""
        if not self.turns.shared and not self.queue:
            return turn(self.turns.host)
        wait: Wait[None] = Wait()
        self.wait(lambda: wait.resolve(None))
        return wait


class Turns:
    """Of one processor. `last`: who began something last; `shared`: whether several are at work."""

    __slots__ = ("_armed", "_ring", "_switched", "clock", "host", "last", "shared")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.clock = host.monotonic
        self.last: Share | None = None
        self.shared = False
        self._switched = False
        self._ring: deque[Share] = deque()  # those that wait, in the order of their turns
        self._armed = False

    def switch(self, share: Share) -> None:
        """Another one than before begins something."""
        if self.last is None:
            self.last = share
            return
        self.last = share
        self._switched = True
        if not self.shared:
            self.shared = True
            self.host.later(WINDOW_SECONDS, self._look)

    def enter(self, share: Share) -> None:
        """It has something that waits."""
        self._ring.append(share)
        if not self._armed:
            self._armed = True
            self.host.soon(self._pump)

    def _look(self) -> None:
        if self._switched:
            self._switched = False
            self.host.later(WINDOW_SECONDS, self._look)
        else:
            self.shared = False

    def _pump(self) -> None:
        ring = self._ring
        end = self.clock() + PUMP_SECONDS
        while ring:
            share = self._next()
            share.credit -= ITEM_SECONDS
            function = share.queue.popleft()
            if not share.queue:
                ring.popleft()
            elif share.credit <= 0:
                ring.rotate(-1)
            function()
            if self.clock() >= end:
                break
        self._armed = bool(ring)
        if ring:
            self.host.soon(self._pump)

    def _next(self) -> Share:
        """At the front of the ring afterwards. Where all have used up theirs, as many rounds pass as it takes."""
        ring = self._ring
        best = max(share.credit for share in ring)
        if best <= 0:
            more = (int(-best / QUANTUM_SECONDS) + 1) * QUANTUM_SECONDS
            for share in ring:
                share.credit = min(share.credit + more, QUANTUM_SECONDS)
        while ring[0].credit <= 0:
            ring.rotate(-1)
        return ring[0]
