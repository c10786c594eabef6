"""What goes with an object when it is dropped, and why that is refused without CASCADE.

The catalogue is small and whole in every snapshot, so dependencies are not kept in a table of their own that could
contradict it: they are read off the objects themselves when something is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.objects import DefaultAcl, Domain, Function, Role, Schema, Statistics, View
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.names import check_owner, shown
from tausql.sql.ddl.stored_texts import mentioned
from tausql.sql.types import type_by_oid

CASCADE_HINT = "Use DROP ... CASCADE to drop the dependent objects too."
REPORTED_MAX = 100  # PostgreSQL tells a client so many, the rest as a number


class Item(NamedTuple):
    """Something that can be dropped. `kind`: schema, table, view, sequence, function, domain, statistics; column,
    default (`attnum` says of which column); constraint, index (`extra`: its name)."""

    kind: str
    oid: int
    attnum: int = 0
    extra: str = ""


def description(change: SchemaChange, item: Item) -> str:
    """As PostgreSQL's messages call it."""
    snapshot = change.snapshot
    if item.kind in ("column", "default", "constraint"):
        table = snapshot.by_oid[item.oid]
        on = f"table {shown(change, table.schema, table.name)}"
        if item.kind == "constraint":
            return f"constraint {item.extra} on {on}"
        column = f"column {table.columns[item.attnum - 1].name} of {on}"
        return column if item.kind == "column" else f"default value for {column}"
    if item.kind == "index":
        return f"index {shown(change, snapshot.by_oid[item.oid].schema, item.extra)}"
    if item.kind == "table":
        table = snapshot.by_oid[item.oid]
        return f"table {shown(change, table.schema, table.name)}"
    found = snapshot.objects.by_oid[item.oid]
    match found:
        case Schema():
            return f"schema {found.name}"
        case Function():
            return f"function {signature(change, found)}"
        case Domain():
            return f"type {shown(change, found.schema, found.name)}"
        case Statistics():
            return f"statistics object {shown(change, found.schema, found.name)}"
        case View() | SequenceObject():
            return f"{item.kind} {shown(change, found.schema, found.name)}"
        case _:
            return item.kind


def signature(change: SchemaChange, function: Function) -> str:
    """name(types of its input arguments)."""
    return f"{shown(change, function.schema, function.name)}({argument_types(change, function)})"


def argument_types(change: SchemaChange, function: Function) -> str:
    return ",".join(
        type_name(change, argument.type_oid) for argument in function.arguments if argument.mode in ("i", "b", "v")
    )


def type_name(change: SchemaChange, oid: int) -> str:
    """A type as messages write it; a domain or a relation's row type by its name."""
    item = change.snapshot.objects.by_oid.get(oid)
    if isinstance(item, Domain | View):
        return shown(change, item.schema, item.name)
    table = change.snapshot.by_oid.get(oid)
    return shown(change, table.schema, table.name) if table is not None else type_by_oid(oid).sql_name


def dependents(change: SchemaChange, item: Item) -> list[Item]:
    """What relies on `item` directly, oldest first; what goes with it silently (see `belongings`) is not among them."""
    if item.kind == "schema":
        return _held(change, item)
    found: list[Item] = []
    attnum = item.attnum if item.kind == "column" else 0
    if item.kind in ("table", "column", "view", "sequence", "function", "domain"):
        for other in change.snapshot.objects.by_oid.values():
            if isinstance(other, View | Function) and other.oid != item.oid:
                relies = any(oid == item.oid and (not attnum or at == attnum) for oid, at in other.depends)
                if relies or (isinstance(other, Function) and _uses_type(other, item)):
                    found.append(Item("view" if isinstance(other, View) else "function", other.oid))
        found += _of_tables(change, item)
    return sorted(dict.fromkeys(found), key=lambda one: one.oid)


def _uses_type(function: Function, item: Item) -> bool:
    if item.kind not in ("domain", "table", "view"):
        return False
    return function.returns_oid == item.oid or any(argument.type_oid == item.oid for argument in function.arguments)


def _held(change: SchemaChange, item: Item) -> list[Item]:
    schema = change.snapshot.objects.by_oid[item.oid]
    assert isinstance(schema, Schema)
    found: list[Item] = [
        Item("table", table.oid) for table in change.snapshot.by_oid.values() if table.schema == schema.name
    ]
    for other in change.snapshot.objects.by_oid.values():
        if isinstance(other, Schema | Role | DefaultAcl) or other.schema != schema.name:
            continue
        if isinstance(other, SequenceObject) and other.owned_by is not None:
            continue
        if isinstance(other, Statistics):
            continue
        found.append(Item(kind_of_object(other), other.oid))
    return sorted(found, key=lambda one: one.oid)


def kind_of_object(item: object) -> str:
    match item:
        case View():
            return "view"
        case SequenceObject():
            return "sequence"
        case Function():
            return "function"
        case Domain():
            return "domain"
        case Statistics():
            return "statistics"
        case Schema():
            return "schema"
        case _:
            return "table"


def _of_tables(change: SchemaChange, item: Item) -> list[Item]:
    """Columns, defaults and constraints of tables that rely on `item`."""
    found: list[Item] = []
    for table in change.snapshot.by_oid.values():
        if item.kind == "domain":
            found += [Item("column", table.oid, c.position + 1) for c in table.live_columns if c.domain == item.oid]
        if item.kind in ("sequence", "function"):
            found += _by_text(change, table, item)
        if item.kind == "table" and table.oid != item.oid:
            found += [Item("constraint", table.oid, 0, key.name) for key in table.foreign_keys if key.table == item.oid]
        if item.kind == "column" and table.oid != item.oid:
            found += [
                Item("constraint", table.oid, 0, key.name)
                for key in table.foreign_keys
                if key.table == item.oid and item.attnum - 1 in key.referenced
            ]
    return found


def _by_text(change: SchemaChange, table: Table, item: Item) -> list[Item]:
    found: list[Item] = []
    for column in table.live_columns:
        text = column.default if column.generated is None else column.generated
        if text is not None and item.oid in mentioned(change.snapshot, text):
            found.append(Item("default", table.oid, column.position + 1))
    if item.kind == "function":
        found += [
            Item("constraint", table.oid, 0, check.name)
            for check in table.checks
            if item.oid in mentioned(change.snapshot, check.expression)
        ]
        generated = [column for column in table.live_columns if column.generated is not None]
        found += [Item("column", table.oid, c.position + 1) for c in generated if item.oid in c.bodies]
        found += [Item("index", table.oid, 0, index.name) for index in table.indexes if item.oid in index.bodies]
    return found


def belongings(change: SchemaChange, item: Item) -> list[Item]:
    """What goes with `item` without a word: the sequences its columns own, its statistics."""
    if item.kind not in ("table", "column"):
        return []
    attnum = item.attnum
    found: list[Item] = []
    for other in change.snapshot.objects.by_oid.values():
        if isinstance(other, SequenceObject) and other.owned_by is not None:
            table, column = other.owned_by
            if table == item.oid and attnum in (0, column):
                found.append(Item("sequence", other.oid))
        if isinstance(other, Statistics) and other.table == item.oid and (not attnum or attnum - 1 in other.columns):
            found.append(Item("statistics", other.oid))
    return found


async def drop(change: SchemaChange, items: Sequence[Item], cascade: bool) -> bool:
    """Drop objects and what relies on them. Whether background jobs were entered. Raises 2BP01 without `cascade`."""
    return await remove(change, everything(change, items, cascade))


def everything(change: SchemaChange, items: Sequence[Item], cascade: bool) -> list[Item]:
    """`items`, what goes with them silently and, with `cascade`, what relies on any of it (a NOTICE says so)."""
    taken: dict[Item, None] = dict.fromkeys(items)
    told: list[tuple[Item, Item]] = []  # (dependent, what it depends on)
    pending = [(item, item) for item in items]
    while pending:
        item, cause = pending.pop(0)
        for other in belongings(change, item):
            if other not in taken:
                taken[other] = None
                pending.append((other, item))
        nested = []
        for other in dependents(change, item):
            if other not in taken and not _covered(other, taken):
                taken[other] = None
                told.append((other, item if item.kind != "sequence" or cause == item else cause))
                nested.append((other, other))
        pending = nested + pending
    if told and not cascade:
        raise _refused(change, items, told)
    if told:
        _tell(change, [other for other, _ in told])
    return list(taken)


def _covered(item: Item, taken: dict[Item, None]) -> bool:
    """A part of a table that goes as a whole, or of a column that goes."""
    if item.kind not in ("column", "default", "constraint", "index"):
        return False
    return Item("table", item.oid) in taken or Item("column", item.oid, item.attnum) in taken


def _refused(change: SchemaChange, items: Sequence[Item], told: list[tuple[Item, Item]]) -> SqlError:
    if len(items) == 1:
        text = f"cannot drop {description(change, items[0])} because other objects depend on it"
    else:
        text = "cannot drop desired object(s) because other objects depend on them"
    lines = [f"{description(change, other)} depends on {description(change, item)}" for other, item in told]
    return SqlError(Code.dependent_objects_still_exist, text, detail=_shortened(lines, "depend"), hint=CASCADE_HINT)


def _shortened(lines: list[str], verb: str) -> str:
    if len(lines) <= REPORTED_MAX:
        return "\n".join(lines)
    more = len(lines) - REPORTED_MAX
    noun = "object" if more == 1 else "objects"
    ending = "(see server log for list)"
    return "\n".join([*lines[:REPORTED_MAX], f"and {more} other {noun} {ending}" if verb else ""])


def _tell(change: SchemaChange, others: list[Item]) -> None:
    if len(others) == 1:
        change.notice(f"drop cascades to {description(change, others[0])}")
        return
    lines = [f"drop cascades to {description(change, other)}" for other in others]
    change.notices.append(
        SqlError(
            Code.successful_completion,
            f"drop cascades to {len(others)} other objects",
            detail=_shortened(lines, "cascade"),
            severity="NOTICE",
        )
    )


# --- removing ----------------------------------------------------------------------------------------------------


async def remove(change: SchemaChange, items: Sequence[Item]) -> bool:
    """Out of the catalogue, all of it; tables that only lose a part are replaced once. Whether jobs were entered."""
    from tausql.sql.ddl.drop_table import remove_table
    from tausql.sql.ddl.indexes import without_index
    from tausql.sql.ddl.sequences import remove as remove_sequence

    gone = {item.oid for item in items if item.kind == "table"}
    parts: dict[int, Table] = {}
    jobs = False
    for item in items:
        if item.kind == "table":
            remove_table(change, change.snapshot.by_oid[item.oid])
            jobs = True
        elif item.kind in ("column", "default", "constraint"):
            if item.oid not in gone:
                parts[item.oid] = _without(parts.get(item.oid, change.snapshot.by_oid[item.oid]), item)
        elif item.kind == "index":
            table = parts.get(item.oid, change.snapshot.by_oid[item.oid])
            index = next((one for one in table.indexes if one.name == item.extra), None)
            if index is not None and item.oid not in gone:
                parts[item.oid] = without_index(change, table, index)
                jobs = True
        else:
            found = change.snapshot.objects.by_oid[item.oid]
            if isinstance(found, SequenceObject):
                remove_sequence(change, found)
                _forget_sequence(change, found, gone, items, parts)
            else:
                if isinstance(found, View):
                    change.writer.release_name(found.schema, found.name)
                change.writer.remove_object(found)
    _unreference(change, gone, parts)
    for table in parts.values():
        change.writer.replace_table(table)
    return jobs


def _unreference(change: SchemaChange, gone: set[int], parts: dict[int, Table]) -> None:
    """Tables that a dropped table or foreign key referenced know of it no more."""
    before = change.snapshot.by_oid
    touched = {key.table for oid in (*gone, *parts) for key in before[oid].foreign_keys} - gone
    for oid in touched & before.keys():
        table = parts.get(oid, before[oid])
        left = tuple(
            other
            for other in table.referenced_by
            if other not in gone and any(k.table == oid for k in parts.get(other, before[other]).foreign_keys)
        )
        if left != table.referenced_by:
            parts[oid] = msgspec.structs.replace(table, referenced_by=left)


def _forget_sequence(
    change: SchemaChange, sequence: SequenceObject, gone: set[int], items: Sequence[Item], parts: dict[int, Table]
) -> None:
    """An identity column whose sequence went with something else is no identity column any more."""
    if not sequence.identity or sequence.owned_by is None:
        return
    oid, attnum = sequence.owned_by
    if oid in gone or Item("column", oid, attnum) in items or oid not in change.snapshot.by_oid:
        return
    table = parts.get(oid, change.snapshot.by_oid[oid])
    parts[oid] = _with_column(table, attnum, lambda column: msgspec.structs.replace(column, identity="", sequence=0))


def _with_column(table: Table, attnum: int, changed: Callable[[Column], Column]) -> Table:
    columns = tuple(changed(c) if c.position == attnum - 1 else c for c in table.columns)
    return msgspec.structs.replace(table, columns=columns)


def _without(table: Table, item: Item) -> Table:
    if item.kind == "default":
        return _with_column(
            table, item.attnum, lambda column: msgspec.structs.replace(column, default=None, generated=None)
        )
    if item.kind == "constraint":
        return msgspec.structs.replace(
            table,
            foreign_keys=tuple(key for key in table.foreign_keys if key.name != item.extra),
            checks=tuple(check for check in table.checks if check.name != item.extra),
        )
    return _with_column(table, item.attnum, lambda column: msgspec.structs.replace(column, dropped=True, default=None))


Find = Callable[[str | None, str], View | SequenceObject | Domain | Statistics | None]


async def drop_statement(change: SchemaChange, what: str, find: Find) -> DdlResult:
    """DROP kind [IF EXISTS] name, ... [CASCADE | RESTRICT] of what is named without arguments."""
    words = change.words()
    words.expect("DROP", words.peek(1))
    missing_ok = words.take("IF", "EXISTS")
    names = [words.qualified_name()]
    while words.take(","):
        names.append(words.qualified_name())
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    items: list[Item] = []
    for name in names:
        found = find(name.schema, name.name)
        if found is None:
            missing = f'{_LABELS.get(what, what)} "{name}" does not exist'
            if name.schema is not None and name.schema not in change.snapshot.objects.schemas:
                missing = f'schema "{name.schema}" does not exist'
                if not missing_ok:
                    raise SqlError(Code.invalid_schema_name, missing)
            if not missing_ok:
                raise SqlError(_MISSING.get(what, Code.undefined_object), missing)
            change.notice(f"{missing}, skipping")
            continue
        check_owner(change, found.owner, _LABELS.get(what, what), found.name)
        if isinstance(found, SequenceObject):
            _check_identity(change, found)
        item = Item(what, found.oid)
        if item not in items:
            items.append(item)
    jobs = await drop(change, items, cascade)
    return change.result(change.statement.tag, jobs_entered=jobs)


_LABELS = {"domain": "type", "statistics": "statistics object"}
_MISSING = {"view": Code.undefined_table, "sequence": Code.undefined_table}


def _check_identity(change: SchemaChange, sequence: SequenceObject) -> None:
    if not sequence.identity or sequence.owned_by is None:
        return
    table = change.snapshot.by_oid.get(sequence.owned_by[0])
    if table is None:
        return
    column = f"column {table.columns[sequence.owned_by[1] - 1].name} of table {shown(change, table.schema, table.name)}"
    raise SqlError(
        Code.dependent_objects_still_exist,
        f"cannot drop sequence {shown(change, sequence.schema, sequence.name)} because {column} requires it",
        hint=f"You can drop {column} instead.",
    )
