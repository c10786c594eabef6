"""Foreign keys, looked after when a statement has done its writes, or at the end of the transaction.

A check that ran row by row would refuse statements PostgreSQL takes (two rows of one INSERT that refer to each other),
and would cost a round trip a row. So writes only queue what they did; `settle` then works it off in rounds: first what
parents set in motion (CASCADE, SET NULL, SET DEFAULT, RESTRICT), whose own writes queue the next round, and once that
is still, what must be there and what must be gone. Each step reads through a view that sees the writes before it.

A parent that a child row was found to need is shared (FOR KEY SHARE): whoever removes it meanwhile is in conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import ForeignKey, Snapshot, Table
from tausql.sql.execution.constraints import RowRules
from tausql.sql.execution.links import Found, Link
from tausql.sql.execution.run import Run
from tausql.sql.execution.writes import Change, apply_changes, foreign_entries
from tausql.sql.expressions import compile_expr
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import DEFAULT, RowScope, bound_value, compiled_check
from tausql.sql.tables import AccessCache, TableAccess, differs

Row = list[Any]
Compiled = Callable[[Sequence[Any], Context], Any]
DEFERRED_MAX = 100_000  # checks that wait for the end of one transaction


class Needed:
    """A child row that needs its parent."""

    __slots__ = ("link", "row", "row_key")

    def __init__(self, link: Link, row: Row, row_key: bytes) -> None:
        self.link = link
        self.row = row
        self.row_key = row_key


class Left:
    """A parent row that went (`new` None) or whose key changed."""

    __slots__ = ("key", "link", "new", "old")

    def __init__(self, link: Link, key: bytes, old: Row, new: Row | None) -> None:
        self.link = link
        self.key = key
        self.old = old
        self.new = new


Event = Needed | Left


class References:
    """The foreign keys that writes of some tables set in motion, as one schema has them. Shared by plans."""

    __slots__ = ("_accesses", "_defaults", "_links_in", "_links_out", "_rules", "_snapshot")

    def __init__(self, snapshot: Snapshot, accesses: AccessCache) -> None:
        self._snapshot = snapshot
        self._accesses = accesses
        self._links_out: dict[int, tuple[Link, ...]] = {}
        self._links_in: dict[int, tuple[Link, ...]] = {}
        self._rules: dict[int, RowRules] = {}
        self._defaults: dict[tuple[int, int], Compiled | None] = {}

    def access(self, table: Table) -> TableAccess:
        return self._accesses.of(self._snapshot, table)

    def out(self, table: Table) -> tuple[Link, ...]:
        """Foreign keys that the table has."""
        found = self._links_out.get(table.oid)
        if found is None:
            by_oid = self._snapshot.by_oid
            found = tuple(
                Link(key, self.access(table), self.access(by_oid[key.table]))
                for key in table.foreign_keys
                if key.table in by_oid
            )
            self._links_out[table.oid] = found
        return found

    def into(self, table: Table) -> tuple[Link, ...]:
        """Foreign keys that point at the table, in the order they were made."""
        found = self._links_in.get(table.oid)
        if found is None:
            children = (self._snapshot.by_oid.get(oid) for oid in table.referenced_by)
            links = [
                link
                for child in children
                if child is not None
                for link in self.out(child)
                if link.key.table == table.oid
            ]
            found = self._links_in[table.oid] = tuple(sorted(links, key=lambda link: link.key.oid))
        return found

    def rules(self, access: TableAccess) -> RowRules:
        """What a row changed by an action must satisfy."""
        found = self._rules.get(access.oid)
        if found is None:
            table = access.table
            checks = [
                (check.name, compiled_check(table.name, table.columns, check.expression)) for check in table.checks
            ]
            found = self._rules[access.oid] = RowRules(table, checks, access.generated)
        return found

    def default(self, table: Table, position: int, context: Context) -> Any:
        """A column's default, as SET DEFAULT writes it."""
        key = table.oid, position
        if key not in self._defaults:
            column = table.columns[position]
            made: Compiled | None = None
            if column.default is not None:
                node = parse_expression(column.default)
                made = compile_expr(bound_value(node, RowScope(table.name, (), DEFAULT), column))
            self._defaults[key] = made
        function = self._defaults[key]
        return None if function is None else function((), context)

    # --- what writes report --------------------------------------------------------------------------------------

    def inserted(self, run: Run, access: TableAccess, rows: Iterable[tuple[Row, bytes]]) -> None:
        links = self.out(access.table)
        if links:
            queue = _queue(run, self)
            queue += [Needed(link, row, key) for row, key in rows for link in links]

    def updated(self, run: Run, access: TableAccess, changes: Iterable[Change]) -> None:
        table = access.table
        out, into = self.out(table), self.into(table)
        if not out and not into:
            return
        queue = _queue(run, self)
        for change in changes:
            for link in into:
                if _changed(change, link.key.referenced):
                    old_key = link.own_key(change.old)
                    if old_key is not None and link.own_key(change.new) != old_key:
                        queue.append(Left(link, old_key, change.old, change.new))
            for link in out:
                if _changed(change, link.key.columns):
                    queue.append(Needed(link, change.new, change.new_key))

    def deleted(self, run: Run, access: TableAccess, rows: Iterable[Row]) -> None:
        links = self.into(access.table)
        if not links:
            return
        queue = _queue(run, self)
        for row in rows:
            for link in links:
                key = link.own_key(row)
                if key is not None:
                    queue.append(Left(link, key, row, None))


def _changed(change: Change, positions: Sequence[int]) -> bool:
    return any(differs(change.old[at], change.new[at]) for at in positions)


def _queue(run: Run, references: References) -> list[Any]:
    if run.referential is None:
        run.referential, run.references = [], references
    return run.referential


def tables_reached(snapshot: Snapshot, table: Table) -> list[Table]:
    """The tables a write of `table` may read or change through foreign keys: a plan relies on all of them."""
    found: dict[int, Table] = {}
    pending = [table]
    while pending:
        one = pending.pop()
        for oid in (*(key.table for key in one.foreign_keys), *one.referenced_by):
            other = snapshot.by_oid.get(oid)
            if other is not None and oid not in found and oid != table.oid:
                found[oid] = other
                pending.append(other)
    return list(found.values())


class Deferred:
    """What one transaction has put off to its end, and how SET CONSTRAINTS has set its constraints."""

    __slots__ = ("all_deferred", "context", "events", "modes")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.modes: dict[int, bool] = {}  # foreign key oid -> deferred
        self.all_deferred: bool | None = None
        self.context: Context | None = None

    def copy(self) -> Deferred:
        """For a savepoint: what is added to one is not in the other."""
        made = Deferred()
        made.events, made.modes = list(self.events), dict(self.modes)
        made.all_deferred, made.context = self.all_deferred, self.context
        return made

    def puts_off(self, key: ForeignKey) -> bool:
        if not key.deferrable:
            return False
        mode = self.modes.get(key.oid, self.all_deferred)
        return key.deferred if mode is None else mode

    def add(self, event: Event, context: Context) -> None:
        if len(self.events) >= DEFERRED_MAX:
            raise SqlError(Code.program_limit_exceeded, "transaction row limit exceeded")
        self.events.append(event)
        self.context = context

    async def finish(self, transaction: Transaction, only: frozenset[int] | None = None) -> None:
        """Check what was put off: all of it, or that of some foreign keys. `transaction`: sees every write so far.
        Raises 23503."""
        chosen = [event for event in self.events if only is None or event.link.key.oid in only]
        if not chosen or self.context is None:
            return
        self.events = [event for event in self.events if only is not None and event.link.key.oid not in only]
        needed = [event for event in chosen if isinstance(event, Needed)]
        await _check_gone([event for event in chosen if isinstance(event, Left)], transaction, self.context)
        await _check_needed(await _still_there(needed, transaction), transaction, self.context)


async def settle(run: Run) -> None:
    """Work off what the statement's writes have queued. Raises 23503, and what an action's own writes raise."""
    if run.referential is None:
        return
    references: References = run.references
    needed: list[Needed] = []
    gone: list[Left] = []
    acted = False
    while run.referential:
        queued, run.referential = run.referential, []
        needed += [event for event in queued if isinstance(event, Needed)]
        for link, lefts in _by_link(event for event in queued if isinstance(event, Left)):
            acted = await _act(link, lefts, gone, run, references) or acted
    deferred = run.transaction.deferred() if _any_deferrable(needed, gone) else None
    if deferred is not None:
        events: list[Event] = [*gone, *needed]
        for event in events:
            if deferred.puts_off(event.link.key):
                deferred.add(event, run.context)
        gone = [event for event in gone if not deferred.puts_off(event.link.key)]
        needed = [event for event in needed if not deferred.puts_off(event.link.key)]
    if gone or needed:
        view = run.transaction.later()
        await _check_gone(gone, view, run.context)
        if acted:  # an action may have removed or changed a row since
            needed = await _still_there(needed, view)
        await _check_needed(needed, view, run.context)


def _any_deferrable(needed: Sequence[Needed], gone: Sequence[Left]) -> bool:
    events: list[Event] = [*needed, *gone]
    return any(event.link.key.deferrable for event in events)


def _by_link(events: Iterable[Left]) -> list[tuple[Link, list[Left]]]:
    grouped: dict[int, tuple[Link, list[Left]]] = {}
    for event in events:
        grouped.setdefault(event.link.key.oid, (event.link, []))[1].append(event)
    return [grouped[oid] for oid in sorted(grouped)]


async def _act(link: Link, lefts: list[Left], gone: list[Left], run: Run, references: References) -> bool:
    """One foreign key's actions for parent rows that left. Whether there were any that may have changed rows."""
    acted = False
    for deleted in (True, False):
        chosen = [event for event in lefts if (event.new is None) is deleted]
        action = link.key.on_delete if deleted else link.key.on_update
        if not chosen:
            continue
        if action == "a":
            gone += chosen
            continue
        later = run.later()
        parents = [(event.key, event.old) for event in chosen]
        found = await link.children(later.transaction, parents, run.context, 1 if action == "r" else 3001)
        if action == "r":
            for event in chosen:
                if event.key in found:
                    raise link.referenced(event.old, run.context)
        elif action == "c" and deleted:
            await _delete_children(link, found, later, references)
        else:
            await _change_children(link, chosen, action, found, later, references)
            if action == "d":
                gone += chosen  # the default may be the very key that goes
        acted = acted or action != "r"
        if later.referential:
            _queue(run, references).extend(later.referential)
    return acted


async def _delete_children(link: Link, found: dict[bytes, Found], later: Run, references: References) -> None:
    child = link.child
    rows = [pair for pairs in found.values() for pair in pairs]
    foreign = await foreign_entries(child, rows, later)
    for row_key, row in rows:
        child.delete(later.transaction, row, row_key, foreign)
    references.deleted(later, child, [row for _, row in rows])


async def _change_children(
    link: Link, events: list[Left], action: str, found: dict[bytes, Found], later: Run, references: References
) -> None:
    """SET NULL, SET DEFAULT, and ON UPDATE CASCADE."""
    child, key, context = link.child, link.key, later.context
    rules = references.rules(child)
    changes: list[Change] = []
    for event in events:
        pairs = found.get(event.key, [])
        if not pairs:
            continue
        if action == "c":
            assert event.new is not None
            values = dict(zip(key.columns, link.child_values(event.new, context), strict=True))
        else:
            chosen = key.set_columns if event.new is None and key.set_columns else key.columns
            values = {at: None if action == "n" else references.default(child.table, at, context) for at in chosen}
        for row_key, row in pairs:
            new = list(row)
            for at, value in values.items():
                new[at] = value
            rules.verify(new, context)
            changes.append(Change(row, new, row_key))
    await apply_changes(child, changes, later, {})
    references.updated(later, child, changes)


async def _still_there(needed: list[Needed], transaction: Transaction) -> list[Needed]:
    """Those whose row has not been deleted or changed again since: then another event tells of it."""
    kept: list[Needed] = []
    for table in {event.link.child.oid for event in needed}:
        own = [event for event in needed if event.link.child.oid == table]
        values = await transaction.get(table, [event.row_key for event in own])
        for event, value in zip(own, values, strict=True):
            if value is None:
                continue
            row = event.link.child.decode(value)
            if not any(differs(row[at], event.row[at]) for at in event.link.key.columns):
                kept.append(event)
    return kept


async def _check_needed(needed: list[Needed], transaction: Transaction, context: Context) -> None:
    """Raises 23503 for the first child row without its parent; shares the parents of the others."""
    grouped: dict[int, list[tuple[int, Needed]]] = {}
    for at, event in enumerate(needed):
        grouped.setdefault(event.link.key.oid, []).append((at, event))
    wrong: list[tuple[int, SqlError]] = []
    for events in grouped.values():
        link = events[0][1].link
        wanted: dict[bytes, tuple[int, Needed]] = {}
        for at, event in events:
            try:
                key = link.parent_key(event.row, context)
            except SqlError as error:
                wrong.append((at, error))
                break
            if key is not None:
                wanted.setdefault(key, (at, event))
        if not wanted:
            continue
        there = await transaction.get(link.parent.oid, list(wanted))
        for (key, (at, event)), value in zip(wanted.items(), there, strict=True):
            if value is None:
                wrong.append((at, link.missing(event.row, context)))
                break
            transaction.share_key(link.parent.oid, link.row_key(key, value))
    if wrong:
        raise min(wrong, key=lambda one: one[0])[1]


async def _check_gone(gone: list[Left], transaction: Transaction, context: Context) -> None:
    """NO ACTION: raises 23503 where a child row refers to a key that no parent row has any more."""
    for link, events in _by_link(gone):
        keys = list({event.key for event in events})
        there = await transaction.get(link.parent.oid, keys)
        back = {key for key, value in zip(keys, there, strict=True) if value is not None}
        left = [event for event in events if event.key not in back]
        if not left:
            continue
        found = await link.children(transaction, [(event.key, event.old) for event in left], context, 1)
        for event in left:
            if event.key in found:
                raise link.referenced(event.old, context)
