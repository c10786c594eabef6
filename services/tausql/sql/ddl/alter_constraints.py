"""ALTER TABLE ... ADD, DROP, ALTER and VALIDATE CONSTRAINT."""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Check, ForeignKey, IndexState, Table
from tausql.sql.catalogue.system import NameRow
from tausql.sql.catalogue.temporary import is_temporary, not_of_temporary
from tausql.sql.ddl.add_keys import add_key
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.constraints import (
    CheckDefinition,
    UniqueDefinition,
    read_attributes,
    read_table_constraint,
)
from tausql.sql.ddl.create_table import check_text
from tausql.sql.ddl.dependencies import CASCADE_HINT
from tausql.sql.ddl.filling import check_rows
from tausql.sql.ddl.foreign_keys import check_permanence, referenced_table, resolved
from tausql.sql.ddl.jobs_entry import enter_job
from tausql.sql.ddl.names import shown
from tausql.sql.ddl.naming import Names, constraint_names, only_column
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.table_change import TableChange
from tausql.sql.jobs.validation import JOB_TYPE

COMMAND = "ALTER TABLE"
_UNSUPPORTED_ADD = "unsupported ALTER TABLE ADD CONSTRAINT statement"


def _undefined(table: Table, name: str) -> SqlError:
    return SqlError(Code.undefined_object, f'constraint "{name}" of relation "{table.name}" does not exist')


def _taken(table: Table, name: str) -> SqlError:
    return SqlError(Code.duplicate_object, f'constraint "{name}" for relation "{table.name}" already exists')


async def add_constraint(altered: TableChange, words: Words) -> None:
    """CHECK and FOREIGN KEY as NOT VALID, and UNIQUE USING INDEX; with extensions all of them. Raises 0A000."""
    change, table = altered.change, altered.table
    at = words.at
    name = words.name() if words.take("CONSTRAINT") else ""
    if words.take("UNIQUE", "USING", "INDEX"):
        await _use_index(altered, name, words)
        return
    if words.next_is("PRIMARY", "KEY", "USING"):
        raise not_supported(_UNSUPPORTED_ADD)
    words.at = at
    definition = read_table_constraint(words, COMMAND)
    extended = change.statement.dialect.extensions
    if isinstance(definition, UniqueDefinition):
        if not extended:
            raise not_supported(_UNSUPPORTED_ADD)
        if definition.name in {check.name for check in table.checks} | {key.name for key in table.foreign_keys}:
            raise _taken(table, definition.name)
        await add_key(altered, definition)
        return
    if not definition.not_valid and not extended:
        raise not_supported(_UNSUPPORTED_ADD)
    taken = constraint_names(table)
    if definition.name and definition.name in taken:
        raise _taken(table, definition.name)
    names = Names(change.snapshot, table.schema, table.name, taken)
    oid = await change.writer.take_oids(1, table.schema)
    if isinstance(definition, CheckDefinition):
        text = check_text(change, table.name, table.columns, definition)
        made = Check(
            definition.name or names.of_constraint(only_column(definition.node), "check"),
            text, oid, not definition.not_valid, definition.no_inherit,
        )  # fmt: skip
        altered.set(checks=(*table.checks, made))
        if made.validated:
            await check_rows(change, table, made, None)
        return
    parent = referenced_table(change, definition, table)
    check_permanence(table, parent)
    parent = altered.parents.get(parent.oid, parent)
    key_name = definition.name or names.of_constraint("_".join(definition.columns), "fkey")
    key = resolved(definition, key_name, oid, table, parent)
    altered.set(foreign_keys=(*table.foreign_keys, key))
    if key.validated:
        await check_rows(change, table, key, parent)
    if table.oid in parent.referenced_by:
        return
    if parent.oid == table.oid:
        altered.set(referenced_by=(*table.referenced_by, table.oid))
    else:
        altered.parents[parent.oid] = msgspec.structs.replace(parent, referenced_by=(*parent.referenced_by, table.oid))


async def _use_index(altered: TableChange, name: str, words: Words) -> None:
    """ADD CONSTRAINT name UNIQUE USING INDEX index: the index becomes the constraint's and takes its name."""
    change, table = altered.change, altered.table
    index_name = words.name()
    attributes = read_attributes(words)
    if attributes.deferrable or attributes.deferred:
        raise not_supported("DEFERRABLE constraint not supported")
    found = next((index for index in table.indexes if index.name == index_name), None)
    if found is None:
        other = change.snapshot.indexes.get((table.schema, index_name))
        if other is not None:
            raise SqlError(
                Code.object_not_in_prerequisite_state,
                f'index "{index_name}" does not belong to table "{table.name}"',
            )
        raise SqlError(Code.undefined_object, f'index "{index_name}" does not exist')
    if found.constraint:
        raise SqlError(
            Code.object_not_in_prerequisite_state, f'index "{index_name}" is already associated with a constraint'
        )
    if found.state is not IndexState.ready:
        raise SqlError(Code.object_not_in_prerequisite_state, f'index "{index_name}" is not valid')
    for wrong, text in (
        (not found.unique, f'"{index_name}" is not a unique index'),
        (bool(found.expressions), f'index "{index_name}" contains expressions'),
        (found.predicate is not None, f'"{index_name}" is a partial index'),
    ):
        if wrong:
            raise SqlError(
                Code.wrong_object_type, text,
                detail="Cannot create a primary key or unique constraint using such an index.",
            )  # fmt: skip
    new_name = name or index_name
    if new_name in constraint_names(table):
        raise SqlError(Code.duplicate_object, f'constraint "{new_name}" for relation "{table.name}" already exists')
    if new_name != index_name:
        change.notice(f'ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "{index_name}" to "{new_name}"')
        await change.writer.claim_names(table.schema, {new_name: NameRow(found.oid, "index")})
        change.writer.release_name(table.schema, index_name)
    oid = await change.writer.take_oids(1, table.schema)
    made = msgspec.structs.replace(found, name=new_name, constraint=True, constraint_oid=oid)
    altered.set(indexes=tuple(made if index.oid == found.oid else index for index in table.indexes))


async def drop_constraint(altered: TableChange, words: Words) -> None:
    change, table = altered.change, altered.table
    missing_ok = words.take("IF", "EXISTS")
    name = words.name()
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    if table.primary_key and name == table.primary_key_name:
        raise not_supported("unsupported ALTER TABLE DROP CONSTRAINT statement")
    if name not in constraint_names(table):
        if not missing_ok:
            raise _undefined(table, name)
        change.notice(f'constraint "{name}" of relation "{table.name}" does not exist, skipping')
        return
    index = next((one for one in table.indexes if one.constraint and one.name == name), None)
    if index is not None:
        _release(altered, index.oid, name, cascade)
        altered.remove_index(index)
        return
    altered.set(
        checks=tuple(check for check in table.checks if check.name != name),
        foreign_keys=tuple(key for key in table.foreign_keys if key.name != name),
    )


def _release(altered: TableChange, index_oid: int, name: str, cascade: bool) -> None:
    """Foreign keys that point at a unique constraint go with it, or keep it."""
    change, table = altered.change, altered.table
    for oid in table.referenced_by:
        child = table if oid == table.oid else altered.parents.get(oid) or change.snapshot.by_oid.get(oid)
        keys = [key for key in child.foreign_keys if key.key == index_oid] if child is not None else []
        if child is None or not keys:
            continue
        lines = [f"constraint {key.name} on table {shown(change, child.schema, child.name)}" for key in keys]
        if not cascade:
            raise SqlError(
                Code.dependent_objects_still_exist,
                f"cannot drop constraint {name} on table {shown(change, table.schema, table.name)} because other "
                "objects depend on it",
                detail="\n".join(f"{line} depends on index {name}" for line in lines),
                hint=CASCADE_HINT,
            )
        for line in lines:
            change.notice(f"drop cascades to {line}")
        kept = tuple(key for key in child.foreign_keys if key not in keys)
        if oid == table.oid:
            altered.set(foreign_keys=kept)
        else:
            altered.parents[oid] = msgspec.structs.replace(child, foreign_keys=kept)


async def alter_constraint(altered: TableChange, words: Words) -> None:
    """ALTER CONSTRAINT name [NOT] DEFERRABLE INITIALLY ...: of foreign keys only."""
    table = altered.table
    name = words.name()
    attributes = read_attributes(words, not_valid=False)
    if name not in constraint_names(table):
        raise _undefined(table, name)
    found = next((key for key in table.foreign_keys if key.name == name), None)
    if found is None:
        raise SqlError(
            Code.wrong_object_type,
            f'constraint "{name}" of relation "{table.name}" is not a foreign key constraint',
        )
    deferred = bool(attributes.deferred)
    made = msgspec.structs.replace(found, deferrable=bool(attributes.deferrable) or deferred, deferred=deferred)
    altered.set(foreign_keys=tuple(made if key.oid == found.oid else key for key in table.foreign_keys))


async def validate_async(change: SchemaChange, table: Table, words: Words) -> DdlResult:
    """ALTER TABLE ASYNC t VALIDATE CONSTRAINT c: enters the job that looks at every row; its id."""
    if not words.take("VALIDATE", "CONSTRAINT"):
        raise not_supported("ASYNC not supported for ALTER TABLE")
    if is_temporary(table.oid):
        raise not_of_temporary("jobs")
    name = words.name()
    words.expect_end()
    if name not in constraint_names(table):
        raise _undefined(table, name)
    constraints: list[Check | ForeignKey] = [*table.checks, *table.foreign_keys]
    found = next((one for one in constraints if one.name == name), None)
    if found is None:
        raise SqlError(
            Code.wrong_object_type,
            f'constraint "{name}" of relation "{table.name}" is not a foreign key or check constraint',
        )
    if not found.oid:  # made by an older version
        oid = await change.writer.take_oids(1, table.schema)
        checks = tuple(
            msgspec.structs.replace(check, oid=oid) if check.name == name else check for check in table.checks
        )
        change.writer.replace_table(msgspec.structs.replace(table, checks=checks))
        found = msgspec.structs.replace(found, oid=oid)
    job_id = enter_job(
        change.transaction, change.snapshot, change.context, job_type=JOB_TYPE, table_oid=table.oid,
        object_oid=found.oid, object_name=f"{table.schema}.{name}",
    )  # fmt: skip
    return change.result(COMMAND, job_id=job_id, jobs_entered=True)
