"""The rows of one cluster as those of another: every place where a cluster's number is written.

Keys begin with it. So do the values of index entries, which are keys of rows; they are told from rows without a
catalogue, as no row of MessagePack begins as a key or a covering value does. Of the system's rows only those of jobs
have keys in them, and what a processor said of itself when it took one over.
"""

from __future__ import annotations

from msgspec.structs import replace

from tausql.protocol.adjudicator import PostImage
from tausql.protocol.keys import COVERING_MARKER, covering_value, included_in, relation_prefix, row_key_of
from tausql.sql.catalogue.system import COUNTERS, FIRST_USER_OID, JOBS, decode_job, encode_row, system_keys

CLUSTER_BYTES = 4
RELATION_END = 8


def relation_of(key: bytes) -> int:
    return int.from_bytes(key[CLUSTER_BYTES:RELATION_END], "big")


def is_system(key: bytes) -> bool:
    return relation_of(key) < FIRST_USER_OID


class Rewriting:
    """From the cluster of number `old` to that of number `new`."""

    def __init__(self, old: int, new: int) -> None:
        self._old = relation_prefix(old, 0)[:CLUSTER_BYTES]
        self._new = relation_prefix(new, 0)[:CLUSTER_BYTES]
        self._own = system_keys(new).counter(("restore",))  # how far this restore has come

    def image(self, key: bytes, value: bytes | None) -> PostImage | None:
        """None: nothing of it belongs into the new cluster."""
        if key[:CLUSTER_BYTES] != self._old:
            return None
        moved = self._key(key)
        relation = relation_of(key)
        if relation == COUNTERS and moved == self._own:
            return None
        if value is None:
            return moved, None
        if relation == JOBS:
            job = decode_job(value)
            return moved, encode_row(
                replace(job, prefix=self._key(job.prefix), progress=self._key(job.progress), worker="", lease=0)
            )
        if value[:CLUSTER_BYTES] == self._old:
            return moved, self._key(value)
        if value[:1] == COVERING_MARKER:
            return moved, covering_value(self._key(row_key_of(value)), included_in(value) or b"")
        return moved, value

    def _key(self, key: bytes) -> bytes:
        return self._new + key[CLUSTER_BYTES:] if key[:CLUSTER_BYTES] == self._old else key
