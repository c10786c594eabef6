"""Transactions of the system itself: background jobs, procedures, looking at the catalogue.

The same reads, writes and commits as a client's, without a session, and repeated when they lose a race.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tausql.processor.catalogue import Catalogue
from tausql.processor.coroutines import Bare, Driver, OnEnd, sleep, start
from tausql.processor.reads import StaleSchemaError
from tausql.processor.transaction import EPOCH_2000_MICROS, StatementView, Transaction, Transactions, Versions
from tausql.protocol.errors import Code, SqlError, schema_changed
from tausql.runtime.host import Host
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION, Snapshot

T = TypeVar("T")

ATTEMPTS_MAX = 10
BACKOFF_SECONDS_MIN = 0.005
BACKOFF_SECONDS_MAX = 0.5


class InternalTransaction:
    """What an internal transaction's function gets.

    transaction: to read and write with, one view for all of it. snapshot: the schema at its tau_start; the transaction
    fails (and is tried again) if that changes before it commits. now_us: microseconds since 2000.
    """

    __slots__ = ("now_us", "snapshot", "transaction")

    def __init__(self, transaction: StatementView, snapshot: Snapshot, now_us: int) -> None:
        self.transaction = transaction
        self.snapshot = snapshot
        self.now_us = now_us


class InternalTransactions:
    """Runs them."""

    __slots__ = ("_catalogue", "_host", "_parts")

    def __init__(self, host: Host, parts: Transactions, catalogue: Catalogue) -> None:
        self._host = host
        self._parts = parts
        self._catalogue = catalogue

    async def run(
        self,
        function: Callable[[InternalTransaction], Bare[T]],
        attempts_max: int = ATTEMPTS_MAX,
        relies_on: Callable[[Snapshot], Versions] | None = None,
    ) -> T:
        """Run `function` in a transaction and commit it; again, from the start, on 40001. Its value. Raises SqlError.

        relies_on: the versions it relies on, of the schema at hand; None: all of the schema, as it is just now.

        To be awaited from a bare coroutine only (`processor.coroutines`); from elsewhere, see `begin`."""
        backoff = BACKOFF_SECONDS_MIN
        for attempt in range(1, attempts_max + 1):
            try:
                return await self._once(function, relies_on)
            except SqlError as error:
                if error.code is not Code.serialization_failure or attempt == attempts_max:
                    raise
            await sleep(self._host, backoff * (0.5 + self._host.random.random()))
            backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)
        raise schema_changed()

    def begin(self, function: Callable[[InternalTransaction], Bare[T]], on_end: OnEnd) -> Driver:
        """The same from a plain callback: `on_end(value, error)`, possibly before this returns."""
        return start(self.run(function), on_end)

    async def _once(
        self, function: Callable[[InternalTransaction], Bare[T]], relies_on: Callable[[Snapshot], Versions] | None
    ) -> T:
        transaction = Transaction(self._parts, False)
        if relies_on is None:
            snapshot = await self._catalogue.renewed(transaction)
            view = transaction.statement(((GLOBAL_RELATION, snapshot.version),), True)
        else:
            snapshot = await self._catalogue.of(transaction)
            view = transaction.statement(relies_on(snapshot), True)
        try:
            now_us = self._parts.snapshots.latest() - EPOCH_2000_MICROS
            value = await function(InternalTransaction(view, snapshot, now_us))
            await transaction.commit()
        except StaleSchemaError:
            if relies_on is not None:  # the next attempt is to find the schema as it is now
                await self._catalogue.renewed(Transaction(self._parts, False))
            raise schema_changed() from None
        if transaction.changes:
            self._catalogue.changed(transaction.tau_commit)
        return value
