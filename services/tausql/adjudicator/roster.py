"""The journal's replicas as this process knows them, and how new their disks are.

A replica whose disk was wiped has forgotten what it promised; its name and address stay the same, so neither tells.
Every answer therefore names the sender's incarnation and the newest it knows of each other replica, and whatever an
older incarnation once granted or acknowledged stops counting the moment anybody names a newer one. That knowledge is
one for all streams of the process.
"""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.journal import Description, JournalClient


class Roster:
    """`clients[i]`, `names[i]`, `newest[i]` (incarnation) speak of replica i. `fleet` is "" until a majority agrees."""

    __slots__ = ("_described", "_order", "_seen", "clients", "fleet", "majority", "names", "newest")

    def __init__(self, names: Sequence[str], clients: Sequence[JournalClient]) -> None:
        if len(names) != len(clients) or not names:
            raise ValueError("a journal needs as many names as channels, and at least one")
        self.names = tuple(names)
        self.clients = tuple(clients)
        self.majority = len(names) // 2 + 1
        self.newest = [0] * len(names)
        self.fleet = ""
        self._order: tuple[int, ...] = ()  # position in `known` -> replica
        self._seen: list[tuple[int, ...]] = [()] * len(names)
        self._described: dict[int, Description] = {}

    @property
    def ready(self) -> bool:
        return bool(self.fleet)

    def describe(self, index: int, description: Description) -> str:
        """Take what replica `index` says of itself. Returns what is wrong with it, "" if nothing."""
        if description.replica != self.names[index]:
            return f"replica {description.replica!r} answers at the address of {self.names[index]!r}"
        if not description.fleet:
            return ""  # genesis is not complete
        if sorted(description.replicas) != sorted(self.names):
            return f"the journal consists of {description.replicas}, not of {self.names}"
        self._described[index] = description
        self.newest[index] = max(self.newest[index], description.incarnation)
        for fleet in {answer.fleet for answer in self._described.values()}:
            alike = [answer for answer in self._described.values() if answer.fleet == fleet]
            if len(alike) >= self.majority and not self.fleet:
                self.fleet = fleet
                self._order = tuple(self.names.index(name) for name in alike[0].replicas)
        if self.fleet and description.fleet != self.fleet:
            return f"replica {description.replica!r} belongs to fleet {description.fleet!r}, not {self.fleet!r}"
        return ""

    def current(self, index: int, incarnation: int, known: tuple[int, ...]) -> bool:
        """Merge what an answer of replica `index` says about incarnations. Does the answer itself still count?"""
        newest = self.newest
        if known != self._seen[index]:
            for replica, seen in zip(self._order, known, strict=False):
                if seen > newest[replica]:
                    newest[replica] = seen
            self._seen[index] = known
        if incarnation > newest[index]:
            newest[index] = incarnation
        return incarnation == newest[index]
