"""FOREIGN KEY as a definition becomes a descriptor: which key it points at, and whether its types can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column, ForeignKey, IndexState, Table
from tausql.sql.catalogue.objects import View
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.constraints import ForeignKeyDefinition
from tausql.sql.ddl.limits import KEY_COLUMNS_MAX
from tausql.sql.ddl.names import find_relation
from tausql.sql.expressions.coercion import coerce
from tausql.sql.expressions.nodes import Slot
from tausql.sql.privileges import has_privilege, permission_denied
from tausql.sql.types import type_by_oid


def referenced_table(change: SchemaChange, definition: ForeignKeyDefinition, own: Table) -> Table:
    """The table a foreign key points at; `own`: the one that is being made or changed, which may be it."""
    place = definition.table
    if place.name == own.name and place.schema in (None, own.schema):
        found = find_relation(change, place.schema, place.name)
        if found is None or (isinstance(found, Table) and found.oid == own.oid):
            return own
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{place}" does not exist', position=place.position)
    if isinstance(relation, View):
        raise SqlError(Code.wrong_object_type, f'referenced relation "{place.name}" is not a table')
    if not isinstance(relation, Table):
        raise SqlError(Code.wrong_object_type, f'referenced relation "{place.name}" is not a table')
    objects = change.snapshot.objects
    if not has_privilege(objects, change.user, relation.acl, "r", relation.owner, "x"):
        raise permission_denied("table", relation.name)
    return relation


def check_permanence(child: Table, parent: Table) -> None:
    """Raises 42P16 where one of the two is temporary and the other one is not."""
    kinds = is_temporary(child.oid), is_temporary(parent.oid)
    if kinds[0] != kinds[1]:
        kind = "temporary" if kinds[0] else "permanent"
        raise SqlError(
            Code.invalid_table_definition, f"constraints on {kind} tables may reference only {kind} tables"
        )


def _positions(columns: Sequence[Column], names: Sequence[str]) -> tuple[int, ...]:
    by_name = {column.name: column.position for column in columns if not column.dropped}
    for name in names:
        if name not in by_name:
            raise SqlError(
                Code.undefined_column, f'column "{name}" referenced in foreign key constraint does not exist'
            )
    if len(names) > KEY_COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"cannot have more than {KEY_COLUMNS_MAX} keys in a foreign key")
    return tuple(by_name[name] for name in names)


def _invalid(text: str) -> SqlError:
    return SqlError(Code.invalid_foreign_key, text)


def _target(parent: Table, definition: ForeignKeyDefinition) -> tuple[tuple[int, ...], int]:
    """(referenced positions, oid of the key): the primary key, or the unique index over exactly these columns."""
    if not definition.referenced:
        if not parent.primary_key:
            raise SqlError(Code.undefined_object, f'there is no primary key for referenced table "{parent.name}"')
        return parent.primary_key, parent.oid
    positions = _positions(parent.columns, definition.referenced)
    if len(set(positions)) != len(positions):
        raise _invalid("foreign key referenced-columns list must not contain duplicates")
    if set(positions) == set(parent.primary_key):
        return positions, parent.oid
    for index in parent.indexes:
        plain = index.unique and index.predicate is None and -1 not in index.columns
        if plain and index.state == IndexState.ready and set(index.columns) == set(positions):
            return positions, index.oid
    raise _invalid(f'there is no unique constraint matching given keys for referenced table "{parent.name}"')


def resolved(definition: ForeignKeyDefinition, name: str, oid: int, child: Table, parent: Table) -> ForeignKey:
    """The descriptor. Raises 42703, 42804, 42830 and 42704."""
    columns = _positions(child.columns, definition.columns)
    referenced, key = _target(parent, definition)
    if len(columns) != len(referenced):
        raise _invalid("number of referencing and referenced columns for foreign key disagree")
    for at, to in zip(columns, referenced, strict=True):
        _check_types(name, child.columns[at], parent.columns[to])
    chosen = _positions(child.columns, definition.set_columns)
    for at in chosen:
        if at not in columns:
            raise SqlError(
                Code.invalid_column_reference,
                f'column "{child.columns[at].name}" referenced in ON DELETE SET action must be part of foreign key',
            )
    _check_generated(definition, [child.columns[at] for at in columns])
    return ForeignKey(
        oid=oid,
        name=name,
        columns=columns,
        table=parent.oid,
        referenced=referenced,
        key=key,
        on_delete=definition.on_delete,
        on_update=definition.on_update,
        set_columns=chosen,
        full=definition.full,
        deferrable=definition.deferrable,
        deferred=definition.deferred,
        validated=not definition.not_valid,
    )


def _check_types(name: str, column: Column, target: Column) -> None:
    """Raises 42804 unless the one can be compared with the other."""
    source, wanted = type_by_oid(column.type_oid), type_by_oid(target.type_oid)
    if source is wanted:
        return
    slot = Slot(slot=0, type=source, typmod=-1)
    integers = {20, 21, 23}
    if {source.oid, wanted.oid} <= integers:
        return
    if coerce(slot, wanted) is None:
        raise SqlError(
            Code.datatype_mismatch,
            f'foreign key constraint "{name}" cannot be implemented',
            detail=f'Key columns "{column.name}" and "{target.name}" are of incompatible types: '
            f"{source.display()} and {wanted.display()}.",
        )


def _check_generated(definition: ForeignKeyDefinition, columns: Sequence[Column]) -> None:
    if not any(column.generated is not None for column in columns):
        return
    for event, letter in (("UPDATE", definition.on_update), ("DELETE", definition.on_delete)):
        if letter in ("nd" if event == "DELETE" else "cnd"):
            raise SqlError(
                Code.syntax_error,
                f"invalid ON {event} action for foreign key constraint containing generated column",
            )
