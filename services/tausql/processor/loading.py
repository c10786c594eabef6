"""Rows into a cluster that is being restored, as they were kept: keys and values, past every table.

INSERT would need the catalogue, check what was checked when it was written, and give out new ids. So rows and entries
come in raw, and the catalogue comes last: until then nobody can name what is there, and then all of it is.

Whoever restores may be two, or may ask again because an answer was lost, while the first request still waits to be
committed. A row of the counters says which attempt and which batch came last; every batch reads and writes it, so a
late one is judged like any write that comes too late.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.protocol.backup import Loaded, LoadPairs
from tausql.protocol.clusters import SYSTEM_CLUSTER
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import cluster_range
from tausql.rpc.interface import Cause, Reply
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION
from tausql.sql.catalogue.system import COUNTERS, encode_row, system_keys

LOADS_MAX: Final = 8  # batches in hand
RESTORED: Final = ("restore",)  # the counter's name

_FINISHED: Final = -1


class Progress(msgspec.Struct, array_like=True):
    """The counter's row: it begins as every counter's does."""

    batch: int
    attempt: str


_decode = msgspec.msgpack.Decoder(Progress).decode


class Loading:
    """`find`: the internal transactions of a cluster; None: there is no room for it."""

    def __init__(self, find: Callable[[int], InternalTransactions | None]) -> None:
        self._find = find
        self._busy = 0

    def load(self, request: LoadPairs, reply: Reply) -> None:
        low, high = cluster_range(request.cluster)
        if request.cluster == SYSTEM_CLUSTER or not all(low <= key < high for key, _ in request.pairs):
            reply.fail(Cause.refused, "keys of another cluster")
            return
        internal = self._find(request.cluster) if self._busy < LOADS_MAX else None
        if internal is None:
            reply.fail(Cause.overloaded, "too many restores at once")
            return
        self._busy += 1

        def ended(value: Any, error: Exception | None) -> None:
            self._busy -= 1
            if error is None:
                reply.answer(Loaded(value))
            elif isinstance(error, SqlError) and error.code is Code.object_not_in_prerequisite_state:
                reply.fail(Cause.refused, error.message)
            else:
                reply.fail(Cause.unavailable, str(error))

        internal.begin(partial(_load, request), ended)


async def _load(request: LoadPairs, within: InternalTransaction) -> bool:
    """Whether the cluster was restored to the end before."""
    view = within.transaction
    counter = system_keys(request.cluster).counter(RESTORED)
    (row,) = await view.get(COUNTERS, [counter])
    known = _decode(row) if row is not None else None
    if known is not None and known.batch == _FINISHED:
        return True
    if request.batch == 0:
        if known is None and within.snapshot.version:
            raise _refused("the cluster has been used")
    elif known is None or known.attempt != request.attempt:
        raise _refused("another attempt at this restore has begun")
    elif known.batch == request.batch:
        return False  # the answer was lost
    elif known.batch != request.batch - 1:
        raise _refused(f"batch {request.batch} after {known.batch}")
    for key, value in request.pairs:
        if value is None:
            view.delete_entry(0, key, False)
        else:
            view.put_entry(0, key, value, False)
    if request.last:
        view.change_schema(GLOBAL_RELATION)
    progress = Progress(_FINISHED if request.last else request.batch, request.attempt)
    view.put_entry(COUNTERS, counter, encode_row(progress), True)
    return False


def _refused(why: str) -> SqlError:
    return SqlError(Code.object_not_in_prerequisite_state, why)
