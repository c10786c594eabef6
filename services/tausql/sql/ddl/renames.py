"""ALTER TABLE ... RENAME, SET SCHEMA and OWNER TO; ALTER INDEX ... RENAME. Texts that mention the old name are written
anew: checks, generated values, index expressions, and the queries of views."""

from __future__ import annotations

import msgspec
from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Column, Index, Table
from tausql.sql.catalogue.objects import Sequence, View
from tausql.sql.catalogue.system import NameRow
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA
from tausql.sql.ddl import sequences
from tausql.sql.ddl.access_lists import owner_changed
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import identifier
from tausql.sql.ddl.names import Relation, check_owner, creation_schema, find_relation
from tausql.sql.ddl.naming import constraint_names, relation_taken
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.ddl.roles import new_owner, role_name
from tausql.sql.ddl.table_change import TableChange
from tausql.sql.ddl.view_texts import rename_column_in_views, rename_relation_in_views
from tausql.sql.expressions.parsing import parse_expression


async def rename(change: SchemaChange, table: Table, words: Words) -> bool:
    """The forms of ALTER TABLE that stand alone. False: it is none of them."""
    if words.take("RENAME"):
        if words.take("TO"):
            name = words.name()
            words.expect_end()
            await _rename_table(change, table, name)
        elif words.take("CONSTRAINT"):
            old = words.name()
            words.expect("TO")
            new = words.name()
            words.expect_end()
            await _rename_constraint(change, table, old, new)
        else:
            words.take("COLUMN")
            old = words.name()
            words.expect("TO")
            new = words.name()
            words.expect_end()
            _rename_column(change, table, old, new)
        return True
    if words.take("SET", "SCHEMA"):
        schema = words.name()
        words.expect_end()
        await _set_schema(change, table, schema)
        return True
    return False


async def rename_other(change: SchemaChange, relation: Relation, words: Words) -> bool:
    """ALTER TABLE i RENAME TO j of an index, a view or a sequence, as PostgreSQL takes it."""
    if not words.take("RENAME", "TO"):
        return False
    name = words.name()
    words.expect_end()
    if isinstance(relation, tuple):
        table, index = relation
        check_owner(change, table.owner, "index", index.name)
        change.writer.replace_table(await _renamed_index(change, table, index, name))
        return True
    if isinstance(relation, View | Sequence):
        kind = "view" if isinstance(relation, View) else "sequence"
        check_owner(change, relation.owner, kind, relation.name)
        await _move_name(change, relation.schema, relation.name, relation.schema, name, NameRow(relation.oid, kind))
        change.writer.replace_object(msgspec.structs.replace(relation, name=name))
        if isinstance(relation, View):
            rename_relation_in_views(change, relation.oid, relation.schema, relation.name, relation.schema, name)
        return True
    return False


async def _move_name(change: SchemaChange, schema: str, old: str, new_schema: str, new: str, row: NameRow) -> None:
    """Raises 42P07 where the new name is taken."""
    if relation_taken(change.snapshot, new_schema, new):
        raise SqlError(Code.duplicate_table, f'relation "{new}" already exists')
    await change.writer.claim_names(new_schema, {new: row})
    change.writer.release_name(schema, old)


async def _rename_table(change: SchemaChange, table: Table, name: str) -> None:
    await _move_name(change, table.schema, table.name, table.schema, name, NameRow(table.oid, "table"))
    change.writer.replace_table(msgspec.structs.replace(table, name=name))
    rename_relation_in_views(change, table.oid, table.schema, table.name, table.schema, name)


async def _renamed_index(change: SchemaChange, table: Table, index: Index, name: str) -> Table:
    await _move_name(change, table.schema, index.name, table.schema, name, NameRow(index.oid, "index"))
    made = msgspec.structs.replace(index, name=name)
    return msgspec.structs.replace(
        table, indexes=tuple(made if other.oid == index.oid else other for other in table.indexes)
    )


async def _rename_constraint(change: SchemaChange, table: Table, old: str, new: str) -> None:
    known = constraint_names(table)
    if old not in known:
        raise SqlError(Code.undefined_object, f'constraint "{old}" for table "{table.name}" does not exist')
    if new in known:
        raise SqlError(Code.duplicate_object, f'constraint "{new}" for relation "{table.name}" already exists')
    if table.primary_key and old == table.primary_key_name:
        await _move_name(change, table.schema, old, table.schema, new, NameRow(table.oid + 1, "index"))
        change.writer.replace_table(msgspec.structs.replace(table, primary_key_name=new))
        return
    index = next((one for one in table.indexes if one.constraint and one.name == old), None)
    if index is not None:
        change.writer.replace_table(await _renamed_index(change, table, index, new))
        return
    change.writer.replace_table(
        msgspec.structs.replace(
            table,
            checks=tuple(
                msgspec.structs.replace(check, name=new) if check.name == old else check for check in table.checks
            ),
            foreign_keys=tuple(
                msgspec.structs.replace(key, name=new) if key.name == old else key for key in table.foreign_keys
            ),
        )
    )


def _renamed(text: str, old: str, new: str) -> str:
    """An expression of the table with one column called otherwise."""
    node = parse_expression(text)
    changed = False
    for column in node.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier) and identifier(column.this) == old:
            column.set("this", exp.to_identifier(new, quoted=True))
            changed = True
    return expression_text(node) if changed else text


def _rename_column(change: SchemaChange, table: Table, old: str, new: str) -> None:
    found = table.column(old)
    if found is None:
        raise SqlError(Code.undefined_column, f'column "{old}" does not exist')
    if table.column(new) is not None:
        raise SqlError(Code.duplicate_column, f'column "{new}" of relation "{table.name}" already exists')

    def column(one: Column) -> Column:
        if one.position == found.position:
            return msgspec.structs.replace(one, name=new)
        if one.generated is None or one.dropped:
            return one
        return msgspec.structs.replace(one, generated=_renamed(one.generated, old, new))

    def index(one: Index) -> Index:
        if not one.expressions and one.predicate is None:
            return one
        return msgspec.structs.replace(
            one,
            expressions=tuple(_renamed(text, old, new) for text in one.expressions),
            predicate=None if one.predicate is None else _renamed(one.predicate, old, new),
        )

    change.writer.replace_table(
        msgspec.structs.replace(
            table,
            columns=tuple(column(one) for one in table.columns),
            indexes=tuple(index(one) for one in table.indexes),
            checks=tuple(
                msgspec.structs.replace(check, expression=_renamed(check.expression, old, new))
                for check in table.checks
            ),
        )
    )
    rename_column_in_views(change, table, old, new)


async def _set_schema(change: SchemaChange, table: Table, name: str) -> None:
    """The table with its indexes and the sequences of its columns."""
    schema = creation_schema(change, name).name
    if schema == table.schema:
        return
    if TEMPORARY_SCHEMA in (schema, table.schema):
        raise not_supported("cannot move objects into or out of temporary schemas")
    owned = sequences.owned_sequences(change, table)
    moving: dict[str, NameRow] = {table.name: NameRow(table.oid, "table")}
    if table.primary_key:
        moving[table.primary_key_name] = NameRow(table.oid + 1, "index")
    moving |= {index.name: NameRow(index.oid, "index") for index in table.indexes}
    moving |= {sequence.name: NameRow(sequence.oid, "sequence") for sequence in owned}
    for moved in moving:
        if relation_taken(change.snapshot, schema, moved):
            raise SqlError(Code.duplicate_table, f'relation "{moved}" already exists in schema "{schema}"')
    await change.writer.claim_names(schema, moving)
    for moved in moving:
        change.writer.release_name(table.schema, moved)
    change.writer.replace_table(msgspec.structs.replace(table, schema=schema))
    for sequence in owned:
        change.writer.replace_object(msgspec.structs.replace(sequence, schema=schema))
    rename_relation_in_views(change, table.oid, table.schema, table.name, schema, table.name)


async def set_owner(altered: TableChange, words: Words) -> None:
    change = altered.change
    owner = new_owner(change, role_name(change, words))
    altered.set(owner=owner.oid, acl=owner_changed(altered.table.acl, altered.table.owner, owner.oid))
    for sequence in sequences.owned_sequences(change, altered.table):
        change.writer.replace_object(msgspec.structs.replace(sequence, owner=owner.oid))


async def alter_index(change: SchemaChange) -> DdlResult:
    """ALTER INDEX [IF EXISTS] name RENAME TO name: all there is to alter."""
    words = change.words()
    words.expect("ALTER", "INDEX")
    missing_ok = words.take("IF", "EXISTS")
    place = words.qualified_name()
    if not words.next_is("RENAME"):
        raise not_supported("ALTER INDEX not supported")
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        missing = f'relation "{place}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_table, missing)
        change.notice(f"{missing}, skipping")
        return change.result("ALTER INDEX")
    if isinstance(relation, Table):
        raise SqlError(Code.wrong_object_type, f'"{place.name}" is not an index', hint="Use ALTER TABLE instead.")
    if not await rename_other(change, relation, words):
        raise words.error()
    return change.result("ALTER INDEX")
