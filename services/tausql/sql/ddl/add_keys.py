"""ALTER TABLE .. ADD PRIMARY KEY | UNIQUE (extensions): what pg_dump writes behind the rows.

A table's rows lie under their primary key, so one that gets a key has all of its rows written anew, somewhere else, and
every index with them, since entries name rows by their keys. That is done in the statement's transaction, which limits
such a table to 3,000 rows; what lay under the old keys is removed by a job, as after TRUNCATE.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Index, Table
from tausql.sql.catalogue.system import NameRow
from tausql.sql.ddl import limits
from tausql.sql.ddl.constraints import UniqueDefinition
from tausql.sql.ddl.create_table import key_positions
from tausql.sql.ddl.filling import all_rows, fill_index, not_unique
from tausql.sql.ddl.jobs_entry import enter_removal
from tausql.sql.ddl.naming import Names
from tausql.sql.ddl.table_change import TableChange
from tausql.sql.ddl.truncate import check_idle
from tausql.sql.tables import table_access


async def add_key(altered: TableChange, definition: UniqueDefinition) -> None:
    """Raises 42P16 for a second primary key, 42703; 23502 and 23505 for rows that do not fit, 54000 for too many."""
    if definition.primary:
        await _add_primary(altered, definition)
    else:
        await _add_unique(altered, definition)


async def _add_unique(altered: TableChange, definition: UniqueDefinition) -> None:
    change, table = altered.change, altered.table
    limits.check_index_count(len(table.indexes) + 2)
    key, include = key_positions(table.columns, definition)
    names = Names(change.snapshot, table.schema, table.name)
    name = definition.name or names.of_index("_".join(definition.columns + definition.include), "key")
    oid = await change.writer.take_oids(2, table.schema)
    await change.writer.claim_names(table.schema, {name: NameRow(oid, "index")})
    index = Index(
        oid=oid, name=name, columns=key, unique=True, constraint=True, include=include,
        nulls_not_distinct=definition.nulls_not_distinct, constraint_oid=oid + 1,
    )  # fmt: skip
    altered.set(indexes=(*table.indexes, index))
    await fill_index(change, altered.table, index)


async def _add_primary(altered: TableChange, definition: UniqueDefinition) -> None:
    change, table = altered.change, altered.table
    if table.primary_key:
        raise SqlError(Code.invalid_table_definition, f'multiple primary keys for table "{table.name}" are not allowed')
    await check_idle(change, {table.oid: table}, "ALTER TABLE")
    key, include = key_positions(table.columns, definition)
    if {*key, *include} == {column.position for column in table.live_columns}:
        include = ()  # that is how a primary key is shown that was given none
    name = definition.name or Names(change.snapshot, table.schema, table.name).of_index("", "pkey")
    # The primary key's index has the oid after its table's, and so have their places: two numbers for the table.
    first = await change.writer.take_oids(3 + len(table.indexes), table.schema)
    await change.writer.claim_names(table.schema, {name: NameRow(table.oid + 1, "index")})
    columns = tuple(
        msgspec.structs.replace(column, not_null=True) if column.position in key else column for column in table.columns
    )
    altered.set(
        columns=columns, primary_key=key, primary_key_name=name, primary_key_include=include,
        primary_key_oid=first + 2 + len(table.indexes), storage=first,
        indexes=tuple(msgspec.structs.replace(index, storage=first + 2 + at) for at, index in enumerate(table.indexes)),
    )  # fmt: skip
    await _rewrite(altered, table)
    for oid, storage in ((table.oid, table.storage), *((index.oid, index.storage) for index in table.indexes)):
        enter_removal(change, table.oid, oid, f"{table.schema}.{table.name}", storage)
    altered.jobs = True


async def _rewrite(altered: TableChange, old: Table) -> None:
    """Every row of `old` under its new key, and its entries."""
    change, table = altered.change, altered.table
    access = table_access(change.snapshot.cluster, table)
    transaction = change.transaction.later()
    seen: set[bytes] = set()
    async for _, row in all_rows(transaction, table_access(change.snapshot.cluster, old)):
        for at in table.primary_key:
            if row[at] is None:
                column = table.columns[at].name
                raise SqlError(
                    Code.not_null_violation, f'column "{column}" of relation "{table.name}" contains null values',
                    schema=table.schema, table=table.name, column=column,
                )  # fmt: skip
        key = access.key_of(row)
        if key in seen:
            names = [table.columns[at].name for at in table.primary_key]
            values = [row[at] for at in table.primary_key]
            oids = [table.columns[at].type_oid for at in table.primary_key]
            raise not_unique(table.primary_key_name, names, values, oids, change.context.format)
        seen.add(key)
        access.insert(transaction, row, key)
