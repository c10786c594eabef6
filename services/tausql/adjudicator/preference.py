"""Who is to hold which stream, as far as there is a choice.

Which process holds a stream is decided by the journal, and by chance whenever one restarts. What is here makes chance
rare: candidates stand back for those that are preferred, and a holder that finds a better one present hands over.
Neither is needed for anything to be right; so a better one that does not take what it is given is offered it less and
less often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tausql.protocol.fleet import Fleet

PRESENT_SECONDS = 3.0  # so long somebody has to be there before anything is handed over
PAUSE_SECONDS = 5.0  # between two attempts for one stream, doubled with each
PAUSE_SECONDS_MAX = 300.0


class _Attempt(NamedTuple):
    name: str
    at: float
    pause: float


class Preference:
    """As seen by the adjudicator named `own`. `present(name)`: is there a connection to that one?"""

    __slots__ = ("_attempts", "_own", "_present", "_since")

    def __init__(self, own: str, present: Callable[[str], bool]) -> None:
        self._own = own
        self._present = present
        self._since: dict[int, tuple[str, float]] = {}  # stream -> the first one, and since when it is there
        self._attempts: dict[int, _Attempt] = {}

    def before(self, fleet: Fleet, stream: int) -> list[str]:
        """The others that are to be preferred for `stream`: those that the map names, then all in turn, the streams
        dealt out round by round."""
        names = [one.name for one in sorted(fleet.adjudicator, key=lambda one: (one.index, one.name))]
        if not names:
            return []
        first = stream % len(names)
        named = [name for name in fleet.preferred.get(stream, ()) if name in names]
        order = list(dict.fromkeys([*named, *names[first:], *names[:first]]))
        return order[: order.index(self._own)] if self._own in order else order

    def due(self, fleet: Fleet, stream: int, now: float) -> bool:
        """Is `stream`, held here, to be handed over now (monotonic seconds)? Call about once a second."""
        named = fleet.preferred.get(stream, ())
        first = named[0] if named else self._own
        if first == self._own or not self._present(first):
            self._since.pop(stream, None)
            return False
        name, since = self._since.setdefault(stream, (first, now))
        if name != first:
            self._since[stream] = (first, now)
            return False
        if now - since < PRESENT_SECONDS:
            return False
        last = self._attempts.get(stream)
        pause = PAUSE_SECONDS
        if last is not None and last.name == first and now - last.at < 2 * PAUSE_SECONDS_MAX:
            if now - last.at < last.pause:
                return False
            pause = min(last.pause * 2, PAUSE_SECONDS_MAX)
        self._attempts[stream] = _Attempt(first, now, pause)
        return True
