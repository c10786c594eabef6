"""Which processor takes the next session: the least loaded of the own zone, else of another.

Loads are heard of up to 100 ms late, and a burst of clients arrives in less: choosing by the last word alone would
send the whole burst to one processor. So what was placed since a processor last spoke is counted on top of it.
"""

from __future__ import annotations

from collections.abc import Collection

from tausql.protocol.fleet import Member
from tausql.protocol.processor import Load


class _Candidate:
    __slots__ = ("load", "member", "placed")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.load: Load | None = None  # None: not heard of, or lost
        self.placed = 0  # sessions sent there since `load`


class Balance:
    """Pure: loads come in, choices go out."""

    __slots__ = ("_candidates", "_zone")

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._candidates: dict[str, _Candidate] = {}

    @property
    def known(self) -> int:
        """Processors whose load is known."""
        return sum(candidate.load is not None for candidate in self._candidates.values())

    @property
    def available(self) -> bool:
        """True if a session could be placed now."""
        return any(_room(candidate) > 0 for candidate in self._candidates.values())

    def joined(self, member: Member) -> None:
        """A processor is there; nothing is placed there until it speaks."""
        self._candidates[member.name] = _Candidate(member)

    def left(self, name: str) -> None:
        """A processor is there no more."""
        self._candidates.pop(name, None)

    def loaded(self, name: str, load: Load) -> None:
        """A processor spoke. One that is not there is ignored."""
        candidate = self._candidates.get(name)
        if candidate is not None:
            candidate.load = load
            candidate.placed = 0

    def lost(self, name: str) -> None:
        """A processor cannot be heard any more: nothing is placed there until it speaks again."""
        candidate = self._candidates.get(name)
        if candidate is not None:
            candidate.load = None

    def place(self, excluded: Collection[str] = ()) -> Member | None:
        """A processor for one session, counted as placed. None: there is none with room, besides `excluded`."""
        best: _Candidate | None = None
        best_rank = (True, 0.0)
        for candidate in self._candidates.values():
            if candidate.member.name in excluded or _room(candidate) <= 0:
                continue
            rank = (candidate.member.zone != self._zone, _fullness(candidate))
            if best is None or rank < best_rank:
                best, best_rank = candidate, rank
        if best is None:
            return None
        best.placed += 1
        return best.member

    def status(self) -> list[dict[str, object]]:
        return [
            {
                "name": candidate.member.name,
                "zone": candidate.member.zone,
                "known": candidate.load is not None,
                "sessions": candidate.load.sessions + candidate.placed if candidate.load else None,
                "sessions_max": candidate.load.sessions_max if candidate.load else None,
                "draining": candidate.load.draining if candidate.load else None,
            }
            for candidate in self._candidates.values()
        ]


def _room(candidate: _Candidate) -> int:
    load = candidate.load
    if load is None or load.draining:
        return 0
    return load.sessions_max - load.sessions - candidate.placed


def _fullness(candidate: _Candidate) -> float:
    load = candidate.load
    return (load.sessions + candidate.placed) / load.sessions_max if load is not None else 1.0
