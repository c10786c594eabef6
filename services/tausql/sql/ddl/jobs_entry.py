"""Background jobs that a schema change leaves behind, entered in its own transaction."""

from __future__ import annotations

import base64

from tausql.protocol.keys import relation_prefix
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.system import JOBS, JobRecord, encode_row, system_keys
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.expressions.context import Context


def enter_job(transaction: Transaction, snapshot: Snapshot, context: Context, **what: object) -> str:
    """Write a new job's row; its id: 26 characters of base 32, as Aurora DSQL's are."""
    job_id = base64.b32encode(context.random_bytes(16)).decode().lower().rstrip("=")
    record = JobRecord(
        job_id=job_id,
        status="submitted",
        details="",
        start_time=context.now_us,
        update_time=context.now_us,
        **what,  # type: ignore[arg-type]  # checked by msgspec's own signature at run time
    )
    transaction.insert_row(JOBS, system_keys(snapshot.cluster).job((job_id,)), encode_row(record))
    return job_id


def enter_removal(change: SchemaChange, table_oid: int, oid: int, name: str, storage: int) -> None:
    """The job that removes every key of a relation or an index that is dropped. `storage`: see `Table`. Those of a
    temporary table go at once."""
    prefix = relation_prefix(change.snapshot.cluster, storage or oid)
    if is_temporary(table_oid):
        change.transaction.temporary().clear(prefix)
        return
    enter_job(
        change.transaction,
        change.snapshot,
        change.context,
        job_type="DROP",
        table_oid=table_oid,
        object_oid=oid,
        object_name=name,
        prefix=prefix,
    )
