"""The newest schema change of every relation: a commit that relied on an older one is refused (OC001).

Schema is no key of the conflict table: every commit relies on some schema and none of them may refuse each other, and
"changed since my snapshot" must be told apart from a row conflict. Two schema changes of one cluster meet because each
lists relation 0 of its cluster both as relied on and as changed. Relation numbers are a cluster's own, and one stream
judges for many clusters: alone they would have one cluster's CREATE TABLE refuse the commits of all others.
"""

from __future__ import annotations

from collections.abc import Sequence

_RELATION_BITS = 32
_CLUSTER_BYTES = 4  # of every key, at its start


def cluster_of(key: bytes) -> int:
    """The cluster a key belongs to."""
    return int.from_bytes(key[:_CLUSTER_BYTES], "big")


class SchemaChanges:
    """Newest change tau per cluster and relation, above the floor; and the changes that are voted for and pending."""

    __slots__ = ("_newest", "_pending", "_relations_max", "floor")

    def __init__(self, floor: int, relations_max: int = 100_000) -> None:
        self.floor = floor  # what is forgotten lies at or below it
        self._relations_max = relations_max
        self._newest: dict[int, int] = {}  # cluster << 32 | relation -> tau
        self._pending: set[int] = set()  # cluster << 32 | relation

    def __len__(self) -> int:
        return len(self._newest)

    def find(self, tau_start: int, key: bytes, relied_on: Sequence[int]) -> int | None:
        """The first relation, of the cluster that `key` belongs to, that has changed after `tau_start` or is about to,
        or None. Only meaningful for tau_start above `floor`."""
        newest, pending = self._newest, self._pending
        if newest or pending:
            cluster = cluster_of(key) << _RELATION_BITS
            for relation in relied_on:
                if newest.get(cluster | relation, 0) > tau_start or cluster | relation in pending:
                    return relation
        return None

    def reserve(self, key: bytes, changes: Sequence[int]) -> None:
        """A change of these relations is voted for: `find` has just said that none is pending (whoever changes a
        relation relies on it)."""
        cluster = cluster_of(key) << _RELATION_BITS
        self._pending.update(cluster | relation for relation in changes)

    def release(self, key: bytes, changes: Sequence[int]) -> None:
        """That change is settled."""
        cluster = cluster_of(key) << _RELATION_BITS
        self._pending.difference_update(cluster | relation for relation in changes)

    def record(self, tau: int, key: bytes, changes: Sequence[int]) -> None:
        """These relations of the cluster that `key` belongs to changed at `tau`."""
        newest = self._newest
        cluster = cluster_of(key) << _RELATION_BITS
        for relation in changes:
            before = newest.pop(cluster | relation, 0)  # so that the dictionary stays (nearly) in tau order
            newest[cluster | relation] = max(tau, before)
        while len(newest) > self._relations_max:
            oldest = next(iter(newest))
            self.floor = max(self.floor, newest.pop(oldest))

    def forget(self, floor: int) -> None:
        """Nobody at or below `floor` is judged any more: changes up to there cannot matter."""
        newest = self._newest
        while newest:
            oldest = next(iter(newest))
            if newest[oldest] > floor:
                return
            del newest[oldest]
