"""ALTER TABLE ASYNC ... VALIDATE CONSTRAINT: looking at the rows that were there before the constraint was.

Rows written since obey it already, and a parent row cannot go while a child refers to it, so a batch needs no
protection from those who write meanwhile: what it has seen to be right stays right.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import SqlError
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Check, ForeignKey, Snapshot, Table
from tausql.sql.catalogue.enum_names import knows_labels
from tausql.sql.catalogue.store import CatalogueWriter
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.execution.links import Link
from tausql.sql.expressions.context import Context
from tausql.sql.jobs.rows import finished, held, renewed, write_job
from tausql.sql.stored_expressions import compiled_check
from tausql.sql.tables import AccessCache, TableAccess

JOB_TYPE = "VALIDATE_CONSTRAINT"


def _target(snapshot: Snapshot, job: JobRecord) -> tuple[Table, Check | ForeignKey] | None:
    table = snapshot.by_oid.get(job.table_oid)
    if table is None:
        return None
    constraints: list[Check | ForeignKey] = [*table.checks, *table.foreign_keys]
    for constraint in constraints:
        if constraint.oid == job.object_oid:
            return table, constraint
    return None


async def validation_step(
    transaction: Transaction, snapshot: Snapshot, access: AccessCache, job: JobRecord, now: int
) -> JobRecord | None:
    """One batch. Same answers as `build_step`."""
    current = await held(transaction, snapshot.cluster, job)
    if current is None:
        return None
    target = _target(snapshot, current)
    if target is None:
        ended = finished(current, "completed", f'constraint "{current.object_name}" does not exist', now)
        write_job(transaction, snapshot.cluster, ended)
        return ended
    table, constraint = target
    path = access.of(snapshot, table)
    low, high = path.row_range()
    scan = Scan(current.progress or low, high, limit=job.batch_rows, page_rows=job.batch_rows)
    page = await transaction.scan(table.oid, scan).next_page()
    if not page:
        CatalogueWriter(transaction, snapshot).replace_table(_validated(table, constraint))
        moved = finished(current, "completed", "", now)
    else:
        wrong = await _violation(transaction, snapshot, access, path, constraint, page)
        if wrong:
            moved = finished(current, "failed", wrong, now)
        else:
            moved = msgspec.structs.replace(renewed(current, now), progress=page[-1][0] + b"\x00")
    write_job(transaction, snapshot.cluster, moved)
    return moved


async def _violation(
    transaction: Transaction, snapshot: Snapshot, accesses: AccessCache, path: TableAccess,
    constraint: Check | ForeignKey, page: list[tuple[bytes, bytes]],
) -> str:  # fmt: skip
    """What is wrong with the first row that does not satisfy the constraint; "" where all do."""
    table, context = path.table, Context()
    knows_labels(context.format, snapshot.objects)
    rows = [path.decode(value) for _, value in page]
    try:
        if isinstance(constraint, Check):
            passes = compiled_check(table.name, table.columns, constraint.expression)
            if any(passes(row, context) is False for row in rows):
                return f'check constraint "{constraint.name}" of relation "{table.name}" is violated by some row'
            return ""
        parent = snapshot.by_oid[constraint.table]
        link = Link(constraint, path, accesses.of(snapshot, parent))
        keys = {link.parent_key(row, context): row for row in rows}
    except SqlError as error:
        return error.message
    wanted = [key for key in keys if key is not None]
    for key, value in zip(wanted, await transaction.get(parent.oid, wanted) if wanted else [], strict=True):
        if value is None:
            return link.missing(keys[key], context).message
    return ""


def _validated(table: Table, constraint: Check | ForeignKey) -> Table:
    return msgspec.structs.replace(
        table,
        checks=tuple(
            msgspec.structs.replace(check, validated=True) if check.oid == constraint.oid else check
            for check in table.checks
        ),
        foreign_keys=tuple(
            msgspec.structs.replace(key, validated=True) if key.oid == constraint.oid else key
            for key in table.foreign_keys
        ),
    )
