"""What a processor is told, with a reason for every default."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for
from tausql.sql.dialect import Dialect


class ProcessorSettings(ServiceSettings):
    """Environment: TAUSQL_PROCESSOR_<FIELD>."""

    model_config = settings_for("PROCESSOR")

    cluster: int = Field(
        default=1,
        ge=1,
        lt=1 << 32,
        description="The cluster that is there from the start and stays: the fleet's first. Others come with their "
        "first session.",
    )
    tenants_max: int = Field(
        default=2_000,
        ge=2,
        description="Clusters at a time; one without a session goes when another needs its place. An idle one costs "
        "less than 100 KB.",
    )
    tenant_seconds: float = Field(
        default=300.0, gt=0, description="A cluster without sessions and jobs is forgotten after so long."
    )
    session_listen: str = Field(
        default="",
        description="`host:port` for sessions that frontends relay; empty: as the fleet's map says, none if it says "
        "nothing (the frontend shares the process).",
    )
    sessions_max: int = Field(
        default=2_000,
        ge=1,
        description="Sessions at a time. Idle ones cost some 5 KB each; it is what they do that fills a core. "
        "`tausql up` allows 10,000.",
    )
    session_seconds_max: float = Field(
        default=3_600.0, gt=0, description="A session's longest life, as in Aurora DSQL: 60 minutes."
    )
    greeting_seconds: float = Field(
        default=10.0, gt=0, description="How long a frontend may take to say whose session it relays."
    )
    hedge_seconds: float = Field(
        default=0.05,
        gt=0,
        description="A read not answered by then is asked of another zone too; some 50 times what a read takes.",
    )
    read_seconds: float = Field(
        default=10.0, gt=0, description="A read not answered by then fails (57P03): a takeover takes 3 s at most."
    )
    commit_seconds: float = Field(
        default=5.0, gt=0, description="A commit gets its instant by then or never: a takeover takes 3 s at most."
    )
    holder_seconds: float = Field(
        default=5.0, gt=0, description="How long a commit waits for its stream to find a holder before 40001."
    )
    outcome_seconds: float = Field(
        default=30.0, gt=0, description="How long past a commit's deadline its outcome is asked for before 40003."
    )
    plans_max: int = Field(default=2_000, ge=1, description="Plans kept, of all clusters together; one is some 10 KB.")
    load_seconds: float = Field(default=0.1, gt=0, description="Frontends hear of a changed load at most this often.")
    drain_seconds: float = Field(
        default=8.0, ge=0, description="How long open transactions may go on once the process is told to stop."
    )
    dialect: Literal["2026-09"] = Field(
        default="2026-09", description="The month whose Aurora DSQL is followed: what it took and refused by then."
    )
    extensions: bool = Field(
        default=False,
        description="What PostgreSQL has and Aurora DSQL has not: SAVEPOINT, TRUNCATE, CREATE TABLE AS and the like. "
        "For all clusters, the same in all processors, as the two below; control can switch them on for a cluster.",
    )
    lenient: bool = Field(
        default=False,
        description="Accept settings and functions that tools ask for and that change nothing here, so that pg_dump, "
        "pgAdmin, Flyway and the like get through.",
    )
    testing: bool = Field(
        default=False,
        description="Let every client have commits fail and jobs held (`tausql.fail_next_commit`, ...), so that "
        "retries can be tested. Never where there is data that matters.",
    )

    fail_commits_share: float = Field(
        default=0.0, ge=0, le=1, description="With `testing`: this share of all commits fails, at random."
    )
    fail_commits_with: Literal["OC000", "OC001", "unknown"] = Field(
        default="OC000", description="With `testing`: what they fail with; `unknown` is 40003, and they do commit."
    )

    @property
    def sql_dialect(self) -> Dialect:
        return Dialect(self.dialect, self.extensions, self.lenient, self.testing)
