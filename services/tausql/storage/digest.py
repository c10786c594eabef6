"""The rows of a range at a tau as one number, so that replicas can be compared without sending rows (I11).

The state hash that the applier keeps says that two replicas were told the same; it says nothing of what a disk gives
back, and versions that one has collected and another has not are in it for ever. A digest is of what a read sees.
"""

from __future__ import annotations

from hashlib import blake2b

from tausql.protocol.storage import Digested
from tausql.storage.engine import Engine
from tausql.storage.versions import VersionReader

ROWS_MAX = 500  # looked at in one turn: about two milliseconds
_MASK = (1 << 64) - 1


def row_hash(key: bytes, row: bytes) -> int:
    """64 bits of one row; the key's length is part of it, so that no byte can wander from one to the other."""
    return int.from_bytes(blake2b(len(key).to_bytes(4, "big") + key + row, digest_size=8).digest(), "big")


def digest(engine: Engine, low: bytes, high: bytes, tau: int, rows_max: int = ROWS_MAX) -> Digested:
    """The digest of the rows of [low, high) that a read at `tau` sees, of at most `rows_max` keys. Raises
    EngineFailed."""
    scan = VersionReader(engine.iterate()).ascending(low, high)
    rows = state_hash = 0
    for _ in range(rows_max):
        found = scan.next(tau)
        if found is None:
            return Digested(rows, state_hash & _MASK, None)
        key, row = found
        if row is not None:
            rows += 1
            state_hash += row_hash(key, row)
    return Digested(rows, state_hash & _MASK, key + b"\x00")
