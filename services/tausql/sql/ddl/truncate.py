"""TRUNCATE (an extension): a table goes on under new keys, and a job removes what lies under the old ones.

Deleting row by row could not be one transaction: it may change 3,000 rows. So the table's definition says where its
rows and entries lie from now on, which is somewhere empty. To others it is a schema change of that table: a transaction
that uses it gets OC001, and a snapshot taken before goes on seeing every row.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.ddl import sequences
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.jobs_entry import enter_removal
from tausql.sql.ddl.names import find_relation, wrong_kind
from tausql.sql.jobs.rows import OPEN, all_jobs
from tausql.sql.privileges import has_privilege, permission_denied


async def truncate(change: SchemaChange) -> DdlResult:
    """Raises 42P01, 42809, 42501; 0A000 for a table that others reference, unless they are named too or CASCADE is
    said; 55006 while a job works on one of them."""
    words = change.words()
    words.expect("TRUNCATE")
    words.take("TABLE")
    tables: dict[int, Table] = {}
    while True:
        words.take("ONLY")
        place = words.qualified_name()
        words.take("*")
        table = find_relation(change, place.schema, place.name)
        if table is None:
            raise SqlError(Code.undefined_table, f'relation "{place}" does not exist', position=place.position)
        if not isinstance(table, Table):
            raise wrong_kind(place.name, "table", table)
        tables[table.oid] = table
        if not words.take(","):
            break
    restart = words.take_one("RESTART", "CONTINUE") or ""
    if restart:
        words.expect("IDENTITY")
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    _with_references(change, tables, cascade)
    await check_idle(change, tables, "TRUNCATE")
    for table in tables.values():
        if not has_privilege(change.snapshot.objects, change.user, table.acl, "r", table.owner, "D"):
            raise permission_denied("table", table.name)
        await _move(change, table)
        if restart == "RESTART":
            for sequence in sequences.owned_sequences(change, table):
                await sequences.alter(change, sequence, {"restart": None})
    return change.result("TRUNCATE TABLE", jobs_entered=True)


def _with_references(change: SchemaChange, tables: dict[int, Table], cascade: bool) -> None:
    """Tables whose rows point at those that go: with CASCADE they go too."""
    waiting = list(tables.values())
    while waiting:
        table = waiting.pop()
        for oid in table.referenced_by:
            child = change.snapshot.by_oid.get(oid)
            if child is None or oid in tables:
                continue
            if not cascade:
                raise SqlError(
                    Code.feature_not_supported,
                    "cannot truncate a table referenced in a foreign key constraint",
                    detail=f'Table "{child.name}" references "{table.name}".',
                    hint=f'Truncate table "{child.name}" at the same time, or use TRUNCATE ... CASCADE.',
                )
            change.notice(f'truncate cascades to table "{child.name}"')
            tables[oid] = child
            waiting.append(child)


async def check_idle(change: SchemaChange, tables: dict[int, Table], command: str) -> None:
    """A job that reads a table key by key would go on where its rows no longer are."""
    for job in await all_jobs(change.transaction, change.snapshot.cluster):
        if job.status in OPEN and job.job_type != "DROP" and job.table_oid in tables:
            table = tables[job.table_oid]
            raise SqlError(
                Code.object_in_use,
                f'cannot {command} "{table.name}" because job {job.job_id} works on it',
                hint=f"CALL sys.wait_for_job('{job.job_id}') waits for it.",
            )


async def _move(change: SchemaChange, table: Table) -> None:
    # The primary key's index has the oid after its table's, and so have their places: two numbers for the table.
    first = await change.writer.take_oids(2 + len(table.indexes), table.schema)
    name = f"{table.schema}.{table.name}"
    for oid, storage in ((table.oid, table.storage), *((index.oid, index.storage) for index in table.indexes)):
        enter_removal(change, table.oid, oid, name, storage)
    indexes = tuple(msgspec.structs.replace(index, storage=first + 2 + at) for at, index in enumerate(table.indexes))
    change.writer.replace_table(msgspec.structs.replace(table, storage=first, indexes=indexes))


HANDLERS = {"truncate": truncate}
