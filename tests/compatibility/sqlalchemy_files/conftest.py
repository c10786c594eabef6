"""What the compliance suite has to know of Aurora DSQL's dialect, and must not do to a server that is no PostgreSQL."""

from __future__ import annotations

import os
import re

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import provision as postgresql  # noqa: F401  (enters PostgreSQL's ways)
from sqlalchemy.testing import provision

for driver in ("psycopg", "psycopg2"):
    registry.register(f"auroradsql.{driver}", f"aurora_dsql_sqlalchemy.{driver}", f"AuroraDSQLDialect_{driver}")


def _nothing(*_: object) -> None:
    """No extensions to create, no locks of others to wait for, no prepared transactions to end."""


for shared in (provision.upsert, provision.set_default_schema_on_connection):
    shared.for_db("auroradsql")(shared.fns["postgresql"])
for each in (
    provision.post_configure_engine,
    provision.prepare_for_drop_tables,
    provision.drop_all_schema_objects_pre_tables,
    provision.drop_all_schema_objects_post_tables,
):
    each.for_db("postgresql", "auroradsql")(_nothing)


INDEX = re.compile(r"^\s*CREATE (UNIQUE )?INDEX (?!ASYNC)")
IDENTITY = re.compile(r"AS IDENTITY(?: \((?![^)]*CACHE)([^)]*)\)|(?! \())")


@event.listens_for(Engine, "before_cursor_execute", retval=True)
def _in_the_dialect(
    connection: object, cursor: object, statement: str, parameters: object, *_: object
) -> tuple[str, object]:
    """What PostgreSQL's own dialect does not say and Aurora DSQL wants said: ASYNC, and CACHE."""
    if os.environ["TAUSQL_DIALECT"] == "stock" and "CREATE" in statement[:20]:
        statement = INDEX.sub(lambda found: f"CREATE {found[1] or ''}INDEX ASYNC ", statement)
        statement = IDENTITY.sub(lambda found: f"AS IDENTITY ({found[1] or ''} CACHE 65536)", statement)
        if statement.lstrip().startswith("CREATE SEQUENCE") and "CACHE" not in statement:
            statement += " CACHE 65536"
    return statement, parameters


@event.listens_for(Engine, "after_cursor_execute")
def _await_indexes(connection: object, cursor: object, statement: str, *_: object) -> None:
    """An index that is finished while something else goes on changes the schema under it (OC001)."""
    if " INDEX ASYNC " in statement:
        with psycopg.connect("", autocommit=True) as other:
            jobs = other.execute("SELECT job_id FROM sys.jobs WHERE status IN ('submitted', 'processing')").fetchall()
            for (job,) in jobs:
                other.execute(f"CALL sys.wait_for_job('{job}')".encode())


from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403
