"""The schema `sys`: background jobs, IAM mappings, what types there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.facts import PG_CLASS, PG_CONSTRAINT, Facts
from tausql.sql.catalogue.shapes import Row, Shape, shape
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.catalogue.views.relation import CatalogueRelation
from tausql.sql.jobs.rows import all_jobs
from tausql.sql.jobs.validation import JOB_TYPE as VALIDATION


def _is_there(snapshot: Snapshot, job: JobRecord) -> bool:
    """Whether the job's object still exists."""
    table = snapshot.by_oid.get(job.table_oid)
    if table is None or job.object_oid == table.oid:
        return table is not None
    oids = {index.oid for index in table.indexes} | {check.oid for check in table.checks}
    return job.object_oid in oids | {key.oid for key in table.foreign_keys}


async def _jobs(facts: Facts, to: Shape, transaction: Transaction) -> Iterable[Row]:
    return [
        [
            job.job_id, job.status, job.details, job.job_type,
            PG_CONSTRAINT if job.job_type == VALIDATION else PG_CLASS, job.object_oid,
            job.object_name if _is_there(facts.snapshot, job) else None, job.start_time, job.update_time,
        ]
        for job in await all_jobs(transaction, facts.snapshot.cluster)
    ]  # fmt: skip


def _mappings(facts: Facts, to: Shape) -> Iterator[Row]:
    for role in sorted(facts.objects.roles.values(), key=lambda one: one.oid):
        for arn, grantor, oid in role.iam:
            yield [oid, arn, role.oid, role.name, grantor, facts.role_name(grantor)]


def sys_relations() -> Sequence[CatalogueRelation]:
    return CatalogueRelation(shape("jobs", "sys"), stored=_jobs), CatalogueRelation(
        shape("iam_pg_role_mappings", "sys"), _mappings
    )
