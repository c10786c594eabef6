"""Where sequences' values come from: a row of the system table, moved on by small transactions of the system's own.

A rollback must not give values back, so they are not taken in the transaction that uses them. What a session takes
beyond what it needs at once (CACHE) stays with it. A sequence with CACHE 1 is moved once a value, in order; every
session that wants one has to win the same row, which is what its users were told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tausql.processor.catalogue import Catalogue
from tausql.processor.internal import InternalTransaction, InternalTransactions
from tausql.processor.reads import StaleSchemaError
from tausql.processor.transaction import Transaction, Versions
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.objects import Role, Sequence
from tausql.sql.catalogue.system import SEQUENCES, SequenceRow, decode_sequence, encode_row, system_keys
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.privileges import held, permission_denied
from tausql.sql.sequences import PendingCall, Taken, advanced, check_value, sequence_of

if TYPE_CHECKING:
    from tausql.processor.state import SessionState

ATTEMPTS_MAX = 30  # a sequence with CACHE 1 is everybody's at once
TAKEN_MAX = 1 << 20  # values of a sequence with CACHE 1 that one statement takes at a time


class SequenceStore:
    """Takes values out of sequences. One of each processor."""

    __slots__ = ("_internal",)

    def __init__(self, internal: InternalTransactions) -> None:
        self._internal = internal

    async def take(self, oid: int, count: int) -> Taken:
        """At least one value, at most `count` rounded up to the sequence's CACHE. Raises 2200H at its end."""

        async def step(inner: InternalTransaction) -> Taken:
            return await _advance(inner, oid, count)

        return await self._internal.run(step, ATTEMPTS_MAX, _relying_on(oid))

    async def set(self, oid: int, value: int, called: bool) -> None:
        """setval. Raises 22003 for a value out of bounds."""

        async def step(inner: InternalTransaction) -> None:
            sequence, key, row = await _row(inner, oid)
            check_value(sequence, value)
            changed = SequenceRow(value, called, row.settings + 1)
            inner.transaction.update_row(SEQUENCES, key, encode_row(changed), False)

        await self._internal.run(step, ATTEMPTS_MAX, _relying_on(oid))

    async def give_back(self, oid: int, first: int, last: int, increment: int, settings: int) -> None:
        """Values from `first` to `last` were taken and not used: they are there again, unless more were taken since,
        or the sequence has been set, be it to just this value."""

        async def step(inner: InternalTransaction) -> None:
            _, key, row = await _row(inner, oid)
            if row == SequenceRow(last, True, settings):
                back = SequenceRow(first - increment, True, settings)
                inner.transaction.update_row(SEQUENCES, key, encode_row(back), False)

        await self._internal.run(step, ATTEMPTS_MAX, _relying_on(oid))


def _relying_on(oid: int) -> Any:
    def versions(snapshot: Snapshot) -> Versions:
        item = snapshot.objects.by_oid.get(oid)
        return ((oid, item.version),) if item is not None else ((0, snapshot.version),)

    return versions


async def _row(inner: InternalTransaction, oid: int) -> tuple[Sequence, bytes, SequenceRow]:
    if oid not in inner.snapshot.objects.by_oid:  # the session knows it, so it is younger than this snapshot
        raise StaleSchemaError(oid, 0)
    sequence = sequence_of(inner.snapshot, oid)
    key: bytes = system_keys(inner.snapshot.cluster).sequence((oid,))
    (value,) = await inner.transaction.get(SEQUENCES, [key])
    if value is None:
        raise SqlError(Code.undefined_table, f"could not open relation with OID {oid}")
    return sequence, key, decode_sequence(value)


async def _advance(inner: InternalTransaction, oid: int, count: int) -> Taken:
    sequence, key, row = await _row(inner, oid)
    wanted = -(-count // sequence.cache) * sequence.cache
    moved, taken = advanced(sequence, row, wanted)
    inner.transaction.update_row(SEQUENCES, key, encode_row(moved), False)
    return taken


class _Block:
    """Values in store for a session."""

    __slots__ = ("increment", "left", "next", "settings", "small", "version")

    def __init__(self, taken: Taken, version: int, small: bool) -> None:
        self.next = taken.first
        self.left = taken.count
        self.increment = taken.increment
        self.settings = taken.settings
        self.version = version
        self.small = small  # CACHE 1: what is left over goes back


class SessionSequences:
    """`sql.sequences.Sequences` of one session."""

    __slots__ = ("_blocks", "_catalogue", "_current", "_last", "_set", "_state", "_store")

    def __init__(self, store: SequenceStore, catalogue: Catalogue, state: SessionState) -> None:
        self._store = store
        self._catalogue = catalogue
        self._state = state
        self._blocks: dict[int, _Block] = {}
        self._current: dict[int, int] = {}
        self._last = 0  # oid of the sequence used last in this transaction
        self._set: tuple[int, int, bool] | None = None

    def _sequence(self, oid: int, letters: str) -> Sequence:
        """Raises 42501 unless the user has one of the privileges `letters`; "" = whoever it is."""
        snapshot = self._catalogue.at_hand(self._state.block.transaction)
        if snapshot is None:  # a schema change since the statement was planned: what it was planned with is still there
            snapshot = self._catalogue.shared
        if snapshot is None:
            raise SqlError(Code.undefined_table, f"could not open relation with OID {oid}")
        sequence = sequence_of(snapshot, oid)
        if not letters:
            return sequence
        role: Role | None = snapshot.objects.roles.get(self._state.facts().user)
        if role is not None and role.oid == sequence.owner:
            return sequence
        mine = held(snapshot.objects, role, sequence.acl, "S", sequence.owner) if role is not None else ""
        if not set(mine) & set(letters):
            raise permission_denied("sequence", sequence.name)
        return sequence

    def next(self, oid: int, checked: bool = True) -> int | None:
        sequence = self._sequence(oid, "Uw" if checked else "")
        block = self._blocks.get(oid)
        if block is None or not block.left or block.version != sequence.version:
            return None
        value = block.next
        block.next += block.increment
        block.left -= 1
        self._used(oid, value)
        return value

    def _used(self, oid: int, value: int) -> None:
        """What currval says from here on, wherever the session is; lastval is of this transaction."""
        self._current[oid] = value
        self._last = oid
        carried = self._state.carried
        if carried is not None:
            carried.sequence_used(oid, value)

    def restore(self, current: list[tuple[int, int]]) -> None:
        """What the session has used on another processor. Its blocks stayed there: those values are lost."""
        self._current.update(current)

    def set_done(self, oid: int, value: int, called: bool) -> bool:
        check_value(self._sequence(oid, "w"), value)
        if self._set != (oid, value, called):
            return False
        self._set = None
        self._blocks.pop(oid, None)
        if called:
            self._used(oid, value)
        return True

    def current(self, oid: int) -> int:
        sequence = self._sequence(oid, "Ur")
        value = self._current.get(oid)
        if value is None:
            raise SqlError(
                Code.object_not_in_prerequisite_state,
                f'currval of sequence "{sequence.name}" is not yet defined in this session',
            )
        return value

    def last(self) -> int:
        """Of the current transaction only, as Aurora DSQL has it."""
        if not self._last:
            raise SqlError(Code.object_not_in_prerequisite_state, "lastval is not yet defined in this session")
        return self._current[self._last]

    def transaction_ended(self) -> None:
        self._last = 0

    async def fetch(self, pending: PendingCall, count: int) -> None:
        """What a statement waits for; `count` values if it is nextval."""
        oid = pending.oid
        if pending.value is not None:
            own = self._state.block.transaction
            if own is not None and is_temporary(oid):
                check_value(self._sequence(oid, ""), pending.value)
                row = encode_row(SequenceRow(pending.value, pending.called))
                key = system_keys(self._catalogue.cluster).sequence((oid,))
                own.statement((), False).update_row(SEQUENCES, key, row, False)
            else:
                await self._store.set(oid, pending.value, pending.called)
            self._set = (oid, pending.value, pending.called)
            return
        sequence = self._sequence(oid, "")
        transaction = self._state.block.transaction
        if transaction is not None and is_temporary(oid):
            taken = await self._own(transaction, oid, count)
        elif transaction is not None and transaction.changes and transaction.catalogue is not None:
            # It may have made the sequence itself, which nobody else can see yet: the value is taken within it, too.
            view = transaction.statement(((0, transaction.catalogue.version),), True)
            taken = await _advance(InternalTransaction(view, transaction.catalogue, 0), oid, min(count, TAKEN_MAX))
        else:
            taken = await self._store.take(oid, min(count, TAKEN_MAX))
        self._blocks[oid] = _Block(taken, self._sequence(oid, "").version, sequence.cache == 1)

    async def _own(self, transaction: Transaction, oid: int, count: int) -> Taken:
        """Values of a temporary table's sequence, which is nobody else's."""
        snapshot = await self._catalogue.of(transaction)
        view = transaction.statement((), False)
        return await _advance(InternalTransaction(view, snapshot, 0), oid, min(count, TAKEN_MAX))

    async def give_back(self) -> None:
        """What a statement has taken too much of sequences with CACHE 1."""
        for oid, block in list(self._blocks.items()):
            if block.small and block.left and not is_temporary(oid):
                left, block.left = block.left, 0
                last = block.next + (left - 1) * block.increment
                await self._store.give_back(oid, block.next, last, block.increment, block.settings)
