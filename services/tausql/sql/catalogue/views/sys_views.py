"""The schema `sys`: background jobs, IAM mappings, what types there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.facts import PG_CLASS, PG_CONSTRAINT, Facts
from tausql.sql.catalogue.shapes import Row, Shape, parsed_columns
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.catalogue.views.relation import CatalogueRelation
from tausql.sql.jobs.rows import all_jobs
from tausql.sql.jobs.validation import JOB_TYPE as VALIDATION

_JOBS: Final = (
    "job_id:text status:text details:text job_type:text class_id:oid object_id:oid object_name:text"
    " start_time:timestamptz update_time:timestamptz"
)
_MAPPINGS: Final = (
    "iam_oid:oid arn:text pg_role_oid:oid pg_role_name:name grantor_pg_role_oid:oid grantor_pg_role_name:name"
)


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
    number = 0
    for role in sorted(facts.objects.roles.values(), key=lambda one: one.oid):
        for arn, grantor in role.iam:
            number += 1
            yield [number, arn, role.oid, role.name, grantor, facts.role_name(grantor)]


def sys_relations() -> Sequence[CatalogueRelation]:
    jobs = Shape("sys", "jobs", 14100, parsed_columns(_JOBS.split()), True)
    mappings = Shape("sys", "iam_pg_role_mappings", 14101, parsed_columns(_MAPPINGS.split()), True)
    return CatalogueRelation(jobs, stored=_jobs), CatalogueRelation(mappings, _mappings)
