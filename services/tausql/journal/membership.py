"""Who the replicas of this fleet are: genesis, and which disk answers to which name.

A replica that lost its disk looks exactly like a new one, and a new one that votes could undo what its old disk had
promised. So a blank replica votes only when all N have durably accepted one and the same list of N disks, which can
happen once; whoever is blank later is a learner (`rejoin`). A disk is told apart by its incarnation; the newest one
recorded of every replica goes out with every answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from tausql.journal.entries import Genesis, MemberEntry
from tausql.protocol.journal import Introduce, Introduced, StreamState
from tausql.runtime.check import I12, check


def fleet_id(genesis: Genesis) -> str:
    """The name a list of disks gives its fleet: 32 hexadecimal digits."""
    return hashlib.sha256(msgspec.msgpack.encode(genesis)).hexdigest()[:32]


class Membership:
    """`entry` is what the disk knows, `fleet` its fleet's id, "" until this replica votes."""

    __slots__ = ("_accepted", "_blank", "_persist", "_place", "entry", "fleet", "newest_own", "voters_seen")

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        entry: MemberEntry | None,
        mint: Callable[[], int],
        persist: Callable[[MemberEntry], None],
    ) -> None:
        """`mint` makes an incarnation for a disk that has none. Raises ValueError for a disk of other replicas."""
        ordered = tuple(sorted(names))
        if name not in ordered or len(set(ordered)) != len(ordered):
            raise ValueError(f"{name} is not one of the journal replicas {', '.join(ordered)}")
        self._persist = persist
        self._place = {other: place for place, other in enumerate(ordered)}
        if entry is None:
            incarnation = mint()
            known = tuple(incarnation if other == name else 0 for other in ordered)
            entry = MemberEntry(name, ordered, incarnation, (), False, known)
            persist(entry)
        elif entry.name != name or entry.names != ordered:
            raise ValueError(f"this disk belongs to {entry.name} of {', '.join(entry.names)}")
        self.entry = entry
        self.fleet = fleet_id(entry.genesis) if entry.voter else ""
        self.newest_own = entry.incarnation  # the newest incarnation anyone has heard of under this name
        self.voters_seen = False  # a fleet exists, and this replica is not in it
        self._blank: dict[str, int] = {}  # other blank replicas
        self._accepted: set[str] = set()  # others that have accepted our list

    @property
    def voter(self) -> bool:
        return self.entry.voter

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.entry.names if name != self.entry.name)

    @property
    def superseded(self) -> bool:
        """This disk votes, yet a newer one has taken its name: it must not go on."""
        return self.entry.voter and self.newest_own > self.entry.incarnation

    def introduction(self) -> Introduce:
        return Introduce(self.fleet, self.entry.name, self.entry.incarnation, self.entry.genesis)

    # told by others

    def introduce(self, request: Introduce, streams: Callable[[], tuple[StreamState, ...]]) -> Introduced | None:
        """The answer to a replica that presents itself, to be sent after the next sync. None: not one of ours."""
        place = self._place.get(request.replica)
        if place is None or request.replica == self.entry.name:
            return None
        if self.voter:
            if request.fleet in ("", self.fleet):
                self._record(place, request.incarnation)
        else:
            self._weigh(request.replica, request.incarnation, request.genesis, blank=not request.fleet)
        voter = self.voter
        return Introduced(
            self.fleet,
            self.entry.name,
            self.entry.incarnation,
            voter,
            self.entry.genesis,
            self.entry.known if voter else (),
            streams() if voter else (),
        )

    def introduced(self, answer: Introduced) -> bool:
        """What another said of itself. True: it is a voter of a fleet that has recorded this learner."""
        place = self._place.get(answer.replica)
        if place is None or answer.replica == self.entry.name:
            return False
        if not answer.voter:
            if not self.voter:
                self._weigh(answer.replica, answer.incarnation, answer.genesis, blank=True)
            return False
        own = answer.known[self._place[self.entry.name]] if answer.known else 0
        if self.voter:
            if answer.fleet == self.fleet:
                self.newest_own = max(self.newest_own, own)
                self.merge(answer.known)
            return False
        if self.entry.genesis and fleet_id(self.entry.genesis) == answer.fleet:
            self._become_voter(answer.known)  # it votes, so all had accepted
            return False
        self.voters_seen = True
        if own > self.entry.incarnation:  # an older disk of ours had a greater number: take one above it
            self._write(incarnation=own + 1)
            self.newest_own = own + 1
            return False
        return own == self.entry.incarnation and not self.entry.genesis

    # genesis

    def propose(self) -> bool:
        """Blank among blanks only: accept the list of all of them. True when a list was accepted."""
        if self.voter or self.entry.genesis or self.voters_seen or len(self._blank) < len(self.entry.names) - 1:
            return False
        pairs = {**self._blank, self.entry.name: self.entry.incarnation}
        self._accept(tuple(sorted(pairs.items())))
        return True

    def _weigh(self, replica: str, incarnation: int, genesis: Genesis, blank: bool) -> None:
        """A replica without a vote has presented itself, with the list it has accepted if any."""
        if not genesis:
            if blank:
                self._blank[replica] = incarnation
            return
        if not self.entry.genesis and not self.voters_seen and self._acceptable(genesis):
            self._accept(genesis)
        if genesis == self.entry.genesis and (replica, incarnation) in genesis:
            self._accepted.add(replica)
            self._count()

    def _acceptable(self, genesis: Genesis) -> bool:
        names = tuple(name for name, _ in genesis)
        return names == self.entry.names and (self.entry.name, self.entry.incarnation) in genesis

    def _accept(self, genesis: Genesis) -> None:
        check(I12, not self.entry.genesis, "a second genesis list", accepted=self.entry.genesis, offered=genesis)
        self._write(genesis=genesis)
        self._count()

    def _count(self) -> None:
        if not self.voter and self.entry.genesis and len(self._accepted) == len(self.entry.names) - 1:
            self._become_voter(())

    def _become_voter(self, known: Sequence[int]) -> None:
        listed = tuple(incarnation for _, incarnation in self.entry.genesis)
        self.join(self.entry.genesis, tuple(map(max, listed, known)) if known else listed)

    # incarnations

    def join(self, genesis: Genesis, known: Sequence[int]) -> None:
        """Vote from now on."""
        merged = tuple(map(max, self.entry.known, known))
        self._write(genesis=genesis, voter=True, known=merged)
        self.fleet = fleet_id(genesis)

    def merge(self, known: Sequence[int]) -> None:
        """Take over what another voter has recorded of the others."""
        own = self._place[self.entry.name]
        merged = tuple(
            mine if place == own else max(mine, theirs)
            for place, (mine, theirs) in enumerate(zip(self.entry.known, known, strict=True))
        )
        if merged != self.entry.known:
            self._write(known=merged)

    def _record(self, place: int, incarnation: int) -> None:
        if incarnation > self.entry.known[place]:
            known = list(self.entry.known)
            known[place] = incarnation
            self._write(known=tuple(known))

    def _write(
        self,
        *,
        incarnation: int | None = None,
        genesis: Genesis | None = None,
        voter: bool | None = None,
        known: tuple[int, ...] | None = None,
    ) -> None:
        old = self.entry
        if incarnation is None:
            incarnation = old.incarnation
        if known is None:
            known = old.known
        own = self._place[old.name]
        known = (*known[:own], incarnation, *known[own + 1 :])
        check(I12, all(map(int.__ge__, known, old.known)), "an incarnation falls", old=old.known, new=known)
        self.entry = MemberEntry(
            old.name,
            old.names,
            incarnation,
            old.genesis if genesis is None else genesis,
            old.voter if voter is None else voter,
            known,
        )
        self._persist(self.entry)
