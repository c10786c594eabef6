"""Removing all that a cluster has: for control, once the cluster is to be deleted.

Neither dropping its tables one by one nor deleting its keys will do alone: whoever still has a snapshot could go on
writing where the keys have gone already. So the catalogue goes first, in one schema change of every relation there is.
From then on a straggler's commit is refused, and the rest are keys that nobody can name, which go by their prefix, a
bounded transaction each time. Whoever begins again finds what is left and nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.protocol.clusters import SYSTEM_CLUSTER
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import cluster_range
from tausql.protocol.storage import Scan
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION
from tausql.sql.catalogue.system import COUNTERS, JOBS, OBJECTS, RELATIONS, system_keys, system_range

REMOVAL_SWITCH: Final = "removal"  # of the sessions that may: control's, no frontend passes it
BATCH_KEYS: Final = 3_000

_FENCE = ("removal",)


async def remove_some(internal: InternalTransactions) -> tuple[int, bool]:
    """One transaction's worth of the cluster's keys: (how many, whether nothing was left). Raises SqlError."""
    removed = await internal.run(_remove_catalogue)
    if removed:
        return removed, False
    removed = await internal.run(_remove_keys)
    return removed, removed == 0


async def _remove_catalogue(within: InternalTransaction) -> int:
    """All tables, objects and jobs at once; 0: there are none."""
    cluster = within.snapshot.cluster
    if cluster == SYSTEM_CLUSTER:
        raise SqlError(Code.insufficient_privilege, "the system cluster cannot be removed")
    view = within.transaction
    removed = 0
    for relation in (RELATIONS, OBJECTS, JOBS):
        low, high = system_range(cluster, relation)
        scanner = view.scan(relation, Scan(low, high))
        while page := await scanner.next_page():
            for key, _ in page:
                view.delete_entry(relation, key, False)
            removed += len(page)
    if removed:
        _fence(within)
        view.change_schema(GLOBAL_RELATION)
        for oid in (*within.snapshot.by_oid, *within.snapshot.objects.by_oid):
            view.change_schema(oid)
    return removed


async def _remove_keys(within: InternalTransaction) -> int:
    """Whatever else there is under the cluster's prefix."""
    low, high = cluster_range(within.snapshot.cluster)
    page: list[tuple[bytes, Any]] = await within.transaction.scan(
        0, Scan(low, high, limit=BATCH_KEYS, page_rows=BATCH_KEYS)
    ).next_page()
    if page:
        _fence(within)
    for key, _ in page:
        within.transaction.delete_entry(0, key, False)
    return len(page)


def _fence(within: InternalTransaction) -> None:
    """A commit is judged by its keys: two removals at a time meet at this one."""
    within.transaction.lock_row(COUNTERS, system_keys(within.snapshot.cluster).counter(_FENCE))
