"""INSERT, UPDATE, DELETE: all rows are made first, then what they collide with is read in one round trip, then written.

Writing row by row would cost a round trip a row, and would refuse `SET id = id + 1` depending on the order the rows
come in. Here uniqueness is judged on what the statement leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import row_key_of
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.execution.constraints import RowRules, duplicate
from tausql.sql.execution.run import Batch, Node, Row, Run
from tausql.sql.execution.subplans import Subplans
from tausql.sql.expressions.context import Context
from tausql.sql.tables import KEY_BYTES_MAX, IndexAccess, TableAccess, check_key

if TYPE_CHECKING:
    from tausql.sql.execution.referential import References

Projection = Callable[[Row, Context], Row]
Predicate = Callable[[Row, Context], bool]

ROWS_MAX = 3000  # of one transaction; more can never commit, so they are not collected


class Returning:
    """Computes what RETURNING shows from the rows written."""

    __slots__ = ("project", "subplans")

    def __init__(self, project: Projection, subplans: Subplans | None) -> None:
        self.project = project
        self.subplans = subplans

    async def rows(self, rows: Batch, run: Run) -> Batch:
        if self.subplans is not None:
            await self.subplans.prepare(rows, run)
        return [self.project(row, run.context) for row in rows]


class Write:
    """A statement that writes. `run` gives the number of rows and those of RETURNING. `references`: foreign keys to be
    looked after when it is done (`referential.settle`), None where its table has none and none points at it."""

    __slots__ = ("access", "references", "returning", "source")

    def __init__(self, access: TableAccess, source: Node, returning: Returning | None) -> None:
        self.references: References | None = None
        self.access = access
        self.source = source
        self.returning = returning

    async def run(self, run: Run) -> tuple[int, Batch]:
        raise NotImplementedError

    async def _collect(self, run: Run) -> Batch:
        """The source's rows. Stops beyond what a transaction may write."""
        cursor = self.source.open(run)
        found: Batch = []
        while True:
            rows = await cursor.next()
            if not rows:
                if run.parts:
                    run.begin_write()
                return found
            found = found + rows if found else rows
            run.memory.hold(rows)
            if len(found) > ROWS_MAX and not is_temporary(self.access.oid):
                raise SqlError(
                    Code.program_limit_exceeded,
                    "transaction row limit exceeded",
                    detail=f"A transaction may modify at most {ROWS_MAX} rows.",
                )

    async def _answer(self, count: int, rows: Batch, run: Run) -> tuple[int, Batch]:
        return count, await self.returning.rows(rows, run) if self.returning is not None else []


class ConflictAction:
    """ON CONFLICT. `arbiters`: None = every unique constraint; index oids, 0 = the primary key. `update` None: DO
    NOTHING; else it makes the new row from [existing row, its key, proposed row]."""

    __slots__ = ("arbiters", "passes", "subplans", "update")

    def __init__(
        self,
        arbiters: tuple[int, ...] | None,
        update: Projection | None,
        passes: Predicate | None,
        subplans: Subplans | None,
    ) -> None:
        self.arbiters = arbiters
        self.update = update
        self.passes = passes
        self.subplans = subplans

    def covers(self, index: IndexAccess | None) -> bool:
        if self.arbiters is None:
            return True
        return (0 if index is None else index.index.oid) in self.arbiters


class Collision:
    """Why a row cannot be inserted: `index` None = the primary key; the row that is there already."""

    __slots__ = ("index", "own", "row_key")

    def __init__(self, index: IndexAccess | None, row_key: bytes, own: bool) -> None:
        self.index = index
        self.row_key = row_key
        self.own = own  # proposed by this same statement


class Insert(Write):
    """The source's rows are whole rows by position."""

    __slots__ = ("conflict", "rules")

    def __init__(
        self, access: TableAccess, source: Node, rules: RowRules, conflict: ConflictAction | None,
        returning: Returning | None,
    ) -> None:  # fmt: skip
        super().__init__(access, source, returning)
        self.rules = rules
        self.conflict = conflict

    async def run(self, run: Run) -> tuple[int, Batch]:
        rows = await self._collect(run)
        access, context = self.access, run.context
        for row in rows:
            self.rules.verify(row, context)
        if access.has_primary_key:
            keys = [access.key_of(row) for row in rows]
        else:
            keys = [access.hidden_key(context.random_bytes(16)) for _ in rows]
        wanted = self._unique_keys(rows, keys)
        there = await self._there(wanted, run)
        if self.conflict is not None:
            return await self._with_conflicts(rows, keys, there, run)
        self._insert_all(rows, keys, there, run)
        if self.rules.view_checks:
            self.rules.verify_views(rows, context)
        return await self._answer(len(rows), rows, run)

    def _unique_keys(self, rows: Batch, keys: Sequence[bytes]) -> list[bytes]:
        """Every key that must be free. A hidden key is random: nobody has it."""
        wanted: list[bytes] = list(keys) if self.access.has_primary_key else []
        for index in self.access.unique_indexes:
            for row in rows:
                entry = index.unique_entry(row)
                if entry is not None:
                    wanted.append(entry)
        return wanted

    async def _there(self, wanted: Sequence[bytes], run: Run) -> dict[bytes, bytes]:
        if not wanted:
            return {}
        values = await run.transaction.get(self.access.oid, wanted)
        return {key: row_key_of(value) for key, value in zip(wanted, values, strict=True) if value is not None}

    def _insert_all(self, rows: Batch, keys: Sequence[bytes], there: dict[bytes, bytes], run: Run) -> None:
        access, transaction = self.access, run.transaction
        taken: dict[bytes, bytes] = {}
        simple = len(rows) == 1 and not there
        for row, key in zip(rows, keys, strict=True):
            if not simple:
                collision = self._collision(row, key, there, taken)
                if collision is not None:
                    raise duplicate(access, collision.index, row, run.context)
                self._take(row, key, taken)
            access.insert(transaction, row, key)
        if self.references is not None:
            self.references.inserted(run, access, zip(rows, keys, strict=True))

    def _collision(
        self, row: Row, key: bytes, there: dict[bytes, bytes], taken: dict[bytes, bytes], covered: bool | None = None
    ) -> Collision | None:
        """The first constraint the row violates. `covered`: only those ON CONFLICT covers, or only the others."""
        conflict = self.conflict
        if self.access.has_primary_key and (covered is None or conflict is None or conflict.covers(None) == covered):
            if key in taken:
                return Collision(None, taken[key], True)
            if key in there:
                return Collision(None, key, False)
        for index in self.access.unique_indexes:
            if covered is not None and conflict is not None and conflict.covers(index) != covered:
                continue
            entry = index.unique_entry(row)
            if entry is None:
                continue
            if entry in taken:
                return Collision(index, taken[entry], True)
            if entry in there:
                return Collision(index, there[entry], False)
        return None

    def _take(self, row: Row, key: bytes, taken: dict[bytes, bytes]) -> None:
        if self.access.has_primary_key:
            taken[key] = key
        for index in self.access.unique_indexes:
            entry = index.unique_entry(row)
            if entry is not None:
                taken[entry] = key

    async def _with_conflicts(
        self, rows: Batch, keys: Sequence[bytes], there: dict[bytes, bytes], run: Run
    ) -> tuple[int, Batch]:
        access, conflict = self.access, self.conflict
        assert conflict is not None
        taken: dict[bytes, bytes] = {}
        inserted: list[tuple[Row, bytes]] = []
        touched: list[tuple[Row, bytes]] = []  # (proposed row, key of the row that is there)
        order: list[tuple[bool, int]] = []
        for row, key in zip(rows, keys, strict=True):
            collision = self._collision(row, key, there, taken, covered=True)
            if collision is not None:
                if conflict.update is None:
                    continue
                if collision.own:
                    raise _second_time()
                order.append((False, len(touched)))
                touched.append((row, collision.row_key))
                continue
            other = self._collision(row, key, there, taken, covered=False)
            if other is not None:
                raise duplicate(access, other.index, row, run.context)
            self._take(row, key, taken)
            order.append((True, len(inserted)))
            inserted.append((row, key))
        updated = await self._update_existing(touched, taken, run)
        for row, key in inserted:
            access.insert(run.transaction, row, key)
        if self.references is not None:
            self.references.inserted(run, access, inserted)
        shown: Batch = []
        for is_insert, at in order:
            row_shown = inserted[at][0] if is_insert else updated[at]
            if row_shown is not None:
                shown.append(row_shown)
        if self.rules.view_checks:
            self.rules.verify_views(shown, run.context)
        return await self._answer(len(shown), shown, run)

    async def _update_existing(
        self, touched: list[tuple[Row, bytes]], taken: dict[bytes, bytes], run: Run
    ) -> list[Row | None]:
        """DO UPDATE: the new rows, None where its WHERE says no (PostgreSQL locks such a row: so do we)."""
        access, conflict, context = self.access, self.conflict, run.context
        if not touched or conflict is None or conflict.update is None:
            return []
        values = await run.transaction.get(access.oid, [key for _, key in touched])
        joined: Batch = []
        for (row, key), value in zip(touched, values, strict=True):
            if value is None:
                raise SqlError(Code.internal_error, "an index entry names a row that is not there")
            joined.append([*access.decode(value), key, *row])
        if conflict.subplans is not None:
            await conflict.subplans.prepare(joined, run)
        changes: list[Change] = []
        results: list[Row | None] = []
        width = access.width
        changed: set[bytes] = set()
        for row in joined:
            if row[width] in changed:
                raise _second_time()
            if conflict.passes is not None and not conflict.passes(row, context):
                run.transaction.lock_row(access.oid, row[width])
                results.append(None)
                continue
            changed.add(row[width])
            new = conflict.update(row, context)
            self.rules.verify(new, context)
            changes.append(Change(row[:width], new, row[width]))
            results.append(new)
        await apply_changes(access, changes, run, taken)
        if self.references is not None:
            self.references.updated(run, access, changes)
        return results


def _second_time() -> SqlError:
    return SqlError(
        Code.cardinality_violation,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
        hint="Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )


class Change:
    """One row of an UPDATE. `new_key` differs from `key` where a primary key column changes."""

    __slots__ = ("key", "new", "new_key", "old")

    def __init__(self, old: Row, new: Row, key: bytes) -> None:
        self.old = old
        self.new = new
        self.key = key
        self.new_key = key


class Update(Write):
    """The source's rows hold the old row at `start`, its key behind it; `change` makes the new row."""

    __slots__ = ("change", "rules", "start", "subplans")

    def __init__(
        self, access: TableAccess, source: Node, start: int, change: Projection, subplans: Subplans | None,
        rules: RowRules, returning: Returning | None,
    ) -> None:  # fmt: skip
        super().__init__(access, source, returning)
        self.start = start
        self.change = change
        self.subplans = subplans
        self.rules = rules

    async def run(self, run: Run) -> tuple[int, Batch]:
        rows = await self._collect(run)
        access, context, start = self.access, run.context, self.start
        end = start + access.width
        if self.subplans is not None:
            await self.subplans.prepare(rows, run)
        changes: list[Change] = []
        shown: Batch = []
        met = run.met(access.oid)
        for row in rows:
            key = row[end]
            if key in met:
                continue  # joined with several rows: the first counts
            met.add(key)
            new = self.change(row, context)
            self.rules.verify(new, context)
            changes.append(Change(row[start:end], new, key))
            if self.returning is not None:
                shown.append([*row[:start], *new, *row[end:]])
        await apply_changes(access, changes, run, {})
        if self.rules.view_checks:
            self.rules.verify_views([change.new for change in changes], context)
        if self.references is not None:
            self.references.updated(run, access, changes)
        return await self._answer(len(changes), shown, run)


async def apply_changes(access: TableAccess, changes: list[Change], run: Run, taken: dict[bytes, bytes]) -> None:
    """Checks uniqueness against what stays and writes. `taken`: unique keys that other rows of the statement take."""
    transaction = run.transaction
    key_columns = access.key_columns
    freed: set[bytes] = set()
    claimed: list[tuple[bytes, IndexAccess | None, Change]] = []
    unfinished: list[bytes] = []
    moved: list[list[IndexAccess]] = []
    covered: list[list[IndexAccess]] = []
    for change in changes:
        old, new = change.old, change.new
        rekeyed = any(old[at] != new[at] for at in key_columns)
        if rekeyed:
            change.new_key = access.key_of(new)
            rekeyed = change.new_key != change.key
        if rekeyed:
            freed.add(change.key)
            claimed.append((change.new_key, None, change))
        changed = list(access.indexes) if rekeyed else access.changed_indexes(old, new)
        moved.append(changed)
        covered.append(access.covered_anew(old, new, changed))
        unfinished += [key for index in covered[-1] if not index.ready for key in _unique_entry_of(index, change)]
        for index in changed:
            if not index.unique:
                continue
            before, after = index.entry(old, change.key), index.unique_entry(new)
            if before is not None:
                freed.add(before)
                if not index.ready:
                    unfinished.append(before)
            if after is not None:
                claimed.append((after, index, change))
    foreign = await _check_claims(access, claimed, freed, unfinished, taken, changes, run)
    for change, changed in zip(changes, moved, strict=True):
        for index in changed:
            before = index.entry(change.old, change.key)
            if before is not None and before not in foreign:
                transaction.delete_entry(access.oid, before, index.unique)
        if change.new_key != change.key:
            transaction.delete_row(access.oid, change.key)
    for change, changed, recovered in zip(changes, moved, covered, strict=True):
        value = access.value_of(change.new)
        if change.new_key != change.key:
            if len(change.new_key) > KEY_BYTES_MAX:
                check_key([change.new[at] for at in key_columns])
            transaction.insert_row(access.oid, change.new_key, value)
        else:
            transaction.update_row(
                access.oid, change.key, value, any(index.unique and index.plain for index in changed)
            )
        for index in changed:
            access.put_entry(transaction, index, change.new, change.new_key)
        for index in recovered:  # no key of it changes, so nobody's key share is in the way
            entry = index.entry(change.new, change.key)
            if entry is not None and entry not in foreign:
                transaction.put_entry(access.oid, entry, index.entry_value(change.new, change.key), False)


def _unique_entry_of(index: IndexAccess, change: Change) -> list[bytes]:
    entry = index.entry(change.old, change.key) if index.unique else None
    return [] if entry is None else [entry]


async def _check_claims(
    access: TableAccess,
    claimed: list[tuple[bytes, IndexAccess | None, Change]],
    freed: set[bytes],
    unfinished: list[bytes],
    taken: dict[bytes, bytes],
    changes: list[Change],
    run: Run,
) -> frozenset[bytes]:
    """Raises 23505. Answers which unique entries to be deleted name another row (of indexes never valid)."""
    if not claimed and not unfinished:
        return frozenset()
    wanted = list({key for key, _, _ in claimed} | set(unfinished))
    values = await run.transaction.get(access.oid, wanted)
    there = {key: row_key_of(value) for key, value in zip(wanted, values, strict=True) if value is not None}
    owners = {change.key for change in changes}
    foreign = frozenset(key for key in unfinished if key in there and there[key] not in owners)
    for key, index, change in claimed:
        other = taken.get(key)
        if other is not None and other != change.new_key:
            raise duplicate(access, index, change.new, run.context)
        taken[key] = change.new_key
        if key in there and not (key in freed and key not in foreign):
            if index is not None and there[key] == change.key:
                continue
            raise duplicate(access, index, change.new, run.context)
        if other is not None and index is None:
            raise duplicate(access, index, change.new, run.context)
    return foreign


class Delete(Write):
    """The source's rows hold the row at `start`, its key behind it."""

    __slots__ = ("start",)

    def __init__(self, access: TableAccess, source: Node, start: int, returning: Returning | None) -> None:
        super().__init__(access, source, returning)
        self.start = start

    async def run(self, run: Run) -> tuple[int, Batch]:
        rows = await self._collect(run)
        access, start = self.access, self.start
        end = start + access.width
        met = run.met(access.oid)
        chosen: Batch = []
        for row in rows:
            if row[end] not in met:
                met.add(row[end])
                chosen.append(row)
        foreign = await foreign_entries(access, [(row[end], row[start:end]) for row in chosen], run)
        for row in chosen:
            access.delete(run.transaction, row[start:end], row[end], foreign)
        if self.references is not None:
            self.references.deleted(run, access, [row[start:end] for row in chosen])
        return await self._answer(len(chosen), chosen, run)


async def foreign_entries(access: TableAccess, rows: Sequence[tuple[bytes, Row]], run: Run) -> frozenset[bytes]:
    """Entries of never-valid unique indexes that name other rows than those deleted: (key, row)."""
    owners: dict[bytes, set[bytes]] = {}
    if all(index.ready for index in access.unique_indexes):
        return frozenset()
    for key, row in rows:
        for entry in access.unfinished_unique_keys(row, key):
            owners.setdefault(entry, set()).add(key)
    if not owners:
        return frozenset()
    wanted = list(owners)
    values = await run.transaction.get(access.oid, wanted)
    return frozenset(
        entry
        for entry, value in zip(wanted, values, strict=True)
        if value is not None and row_key_of(value) not in owners[entry]
    )
