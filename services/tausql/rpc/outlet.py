"""What one end of a connection has to say, gathered into as few frames as the moment allows.

Writing each message at once costs a system call each. Messages wait in a list until the present callback has run: at
the end of a received frame for its own connection, else at the end of the loop's turn, so that everything that became
ready together leaves together. Nothing ever waits for a timer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.runtime.host import Host

ROUNDS_MAX = 8  # deliveries over memory may cause more of them: so often in one turn before the loop looks at sockets
ENTRIES_MAX = 2 * 16_384  # of list elements, two a message


class Turn:
    """All outlets of a process that have something to say, flushed together by one `soon`."""

    __slots__ = ("_asked", "_dirty", "_host")

    def __init__(self, host: Host) -> None:
        self._host = host
        self._dirty: list[Outlet] = []
        self._asked = False

    def mark(self, outlet: Outlet) -> None:
        self._dirty.append(outlet)
        if not self._asked:
            self._asked = True
            self._host.soon(self._flush)

    def _flush(self) -> None:
        for _ in range(ROUNDS_MAX):
            dirty, self._dirty = self._dirty, []
            for outlet in dirty:
                outlet.flush()
            if not self._dirty:
                self._asked = False
                return
        self._host.soon(self._flush)


class Outlet:
    """One end's messages on their way out, as [head, message, head, message, ...].

    transmit: takes the list over; None while there is no connection, and messages then stay here.
    """

    __slots__ = ("congested", "entries", "marked", "paused", "transmit", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.entries: list[Any] = []
        self.marked = False  # a flush is already due
        self.transmit: Callable[[list[Any]], None] | None = None
        self.paused = False  # the transport has bytes that the kernel did not take yet
        self.congested: Callable[[], bool] = _never

    def put(self, head: int, message: Any) -> None:
        self.entries += (head, message)
        if not self.marked:
            self.marked = True
            self.turn.mark(self)

    @property
    def full(self) -> bool:
        """True while so much waits for the peer that nothing should be added without need."""
        return len(self.entries) >= ENTRIES_MAX or (self.paused and self.congested())

    def flush(self) -> None:
        self.marked = False
        entries = self.entries
        if entries and self.transmit is not None:
            self.entries = []
            self.transmit(entries)

    def clear(self) -> None:
        self.entries = []


def _never() -> bool:
    return False
