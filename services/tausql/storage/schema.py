"""When each relation's schema changed, so that a read planned with another version is told so.

A version is the tau of a change. Relation numbers are a cluster's own, so they are kept with the cluster: the first
four bytes of every key.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct

from tausql.storage.engine import Batch, Engine

SCHEMA = b"s"
SCHEMA_END = b"t"
_layout = Struct(">cIQQ")


def cluster_of(key: bytes) -> int:
    """The cluster a key belongs to."""
    return int.from_bytes(key[:4], "big")


def schema_tau(engine_key: bytes) -> int:
    """The tau of a stored schema change."""
    tau: int = _layout.unpack(engine_key)[3]
    return tau


class SchemaHistory:
    """Taus of schema changes, by cluster and relation, oldest first. Kept in memory whole, and in the engine."""

    __slots__ = ("_clusters",)

    def __init__(self) -> None:
        self._clusters: dict[int, dict[int, list[int]]] = {}

    def load(self, engine: Engine) -> None:
        """Read what the engine holds, in place of what is here."""
        self._clusters = {}
        iterator = engine.iterate()
        iterator.seek(SCHEMA)
        while iterator.valid():
            key = iterator.key()
            if key >= SCHEMA_END:
                break
            _, cluster, relation, tau = _layout.unpack(key)
            self.note(cluster, relation, tau)
            iterator.next()
        if not iterator.valid():
            iterator.status()

    def write(self, batch: Batch, cluster: int, relation: int, tau: int) -> None:
        """Put a change into a batch; `note` it once the batch is written."""
        batch.put(_layout.pack(SCHEMA, cluster, relation, tau), b"")

    def note(self, cluster: int, relation: int, tau: int) -> None:
        self._clusters.setdefault(cluster, {}).setdefault(relation, []).append(tau)

    def version(self, cluster: int, relation: int, tau: int) -> int:
        """The version of a relation current at `tau`, 0 if it had not changed by then."""
        relations = self._clusters.get(cluster)
        if relations is None:
            return 0
        taus = relations.get(relation)
        if taus is None:
            return 0
        if taus[-1] <= tau:
            return taus[-1]
        at = bisect_right(taus, tau)
        return taus[at - 1] if at else 0

    def versions(self, cluster: int, tau: int) -> list[tuple[int, int]]:
        """(relation, version) of every relation of a cluster that had changed by `tau`."""
        relations = self._clusters.get(cluster, {})
        found = [(relation, self.version(cluster, relation, tau)) for relation in sorted(relations)]
        return [(relation, version) for relation, version in found if version]

    def prune(self, engine: Engine, horizon: int) -> Batch | None:
        """Forget changes that no read at or above `horizon` can need. The batch deletes them in the engine; None when
        there is nothing to forget."""
        batch: Batch | None = None
        for cluster, relations in self._clusters.items():
            for relation, taus in relations.items():
                keep_from = bisect_right(taus, horizon) - 1
                if keep_from <= 0:
                    continue
                batch = engine.batch() if batch is None else batch
                for tau in taus[:keep_from]:
                    batch.delete(_layout.pack(SCHEMA, cluster, relation, tau))
                del taus[:keep_from]
        return batch
