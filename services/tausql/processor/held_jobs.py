"""Background jobs that wait until they are told to go on: with `tausql.testing` only.

A migration tool that does not wait for its index works by chance wherever jobs are quick. While jobs are held, no step
of any job of the cluster commits: each step shares the row that says so, and whoever enters it conflicts with the steps
that are under way.
"""

from __future__ import annotations

from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.sql.catalogue.system import COUNTERS, CounterRow, encode_row, system_keys

_ROW = ("jobs held",)


class JobsHeld(Exception):
    """No step may be taken now."""


class HeldJobs:
    """The one switch of the cluster."""

    __slots__ = ("_internal",)

    def __init__(self, internal: InternalTransactions) -> None:
        self._internal = internal

    async def hold(self) -> None:
        """From the moment this returns no step commits."""
        await self._internal.run(_hold)

    async def release(self) -> None:
        await self._internal.run(_release)

    async def held(self) -> bool:
        return await self._internal.run(_is_held)

    async def check(self, within: InternalTransaction) -> None:
        """In a job's step. Raises JobsHeld."""
        if await _is_held(within):
            raise JobsHeld
        within.transaction.share_row(COUNTERS, _key(within))


def _key(within: InternalTransaction) -> bytes:
    key: bytes = system_keys(within.snapshot.cluster).counter(_ROW)
    return key


async def _is_held(within: InternalTransaction) -> bool:
    (row,) = await within.transaction.get(COUNTERS, [_key(within)])
    return row is not None


async def _hold(within: InternalTransaction) -> None:
    if not await _is_held(within):
        within.transaction.insert_row(COUNTERS, _key(within), encode_row(CounterRow(1)))


async def _release(within: InternalTransaction) -> None:
    if await _is_held(within):
        within.transaction.delete_row(COUNTERS, _key(within))
