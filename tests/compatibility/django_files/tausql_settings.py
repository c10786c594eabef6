"""Settings of Django's own tests: one database, through the adapter, with BIGINT identity keys as most tests expect.

Aurora DSQL has one database and no TRUNCATE. The database under test is the one there is, and what a test wrote is
deleted after it, children before their parents. Indexes are waited for, and a schema change that meets a background
job's own is tried again, as every client of Aurora DSQL has to.

Three things of the adapter are changed, so that whole applications are not lost for one of their tables: foreign keys
are added after the tables (it writes them into CREATE TABLE, where the other table has to exist), addresses are text
(there are no columns of type inet), and partial unique indexes are made ASYNC as well.
"""

from __future__ import annotations

import os
from typing import Any

from aurora_dsql_django.base import DatabaseWrapper
from aurora_dsql_django.creation import DatabaseCreation
from aurora_dsql_django.features import DatabaseFeatures
from aurora_dsql_django.operations import DatabaseOperations
from aurora_dsql_django.schema import DatabaseSchemaEditor
from django.db.utils import OperationalError

RETRIES = 50
PLAIN = "TAUSQL_PLAIN" in os.environ  # PostgreSQL itself, to see what the adapter alone cannot do
_DATABASE: dict[str, Any] = {
    "ENGINE": "aurora_dsql_django",
    "NAME": "postgres",
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    "USE_SEQUENCE_AUTOFIELDS": True,
    "TEST": {"NAME": "postgres"},
}
DATABASES = {"default": _DATABASE, "other": _DATABASE | {"TEST": {"NAME": "postgres", "MIRROR": "default"}}}
SECRET_KEY = "not a secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tausql_runner.Runner"


def _create(self: DatabaseCreation, *_: Any, **__: Any) -> str:
    return self._get_test_db_name()


def _flush(self: DatabaseOperations, style: Any, tables: list[str], **_: Any) -> list[str]:
    """DELETEs in the order in which foreign keys let them pass."""
    with self.connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, p.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
            "JOIN pg_class p ON p.oid = k.confrelid WHERE k.contype = 'f' AND k.conrelid <> k.confrelid"
        )
        links = set(cursor.fetchall())
    left, ordered = sorted(tables), []
    while left:
        parents = {parent for child, parent in links if child in left}
        free = [table for table in left if table not in parents] or left
        ordered += free
        left = [table for table in left if table not in free]
    return [f"DELETE FROM {self.quote_name(table)}" for table in ordered]


_execute = DatabaseSchemaEditor.execute


def _retried(self: DatabaseSchemaEditor, sql: Any, params: Any = ()) -> None:
    if PLAIN:
        with self.connection.cursor() as cursor:
            cursor.execute(str(sql).replace("ASYNC ", ""), params)
        return
    for _ in range(RETRIES):
        try:
            _execute(self, sql, params)
            break
        except OperationalError as error:
            if "OC001" not in str(error) or self.connection.in_atomic_block:
                raise
    else:
        raise RuntimeError(f"still in conflict after {RETRIES} attempts: {sql}")
    if " INDEX ASYNC " in str(sql) and not self.connection.in_atomic_block and not self.collect_sql:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT job_id FROM sys.jobs WHERE status IN ('submitted', 'processing')")
            for (job,) in cursor.fetchall():
                cursor.execute("CALL sys.wait_for_job(%s)", [job])


DatabaseSchemaEditor.execute = _retried
DatabaseCreation._create_test_db = _create
DatabaseCreation._destroy_test_db = lambda *_, **__: None
DatabaseOperations.sql_flush = _flush
DatabaseFeatures.supports_collation_on_charfield = False  # collation C, and no other
DatabaseFeatures.supports_collation_on_textfield = False
DatabaseFeatures.test_collations = dict.fromkeys(DatabaseFeatures.test_collations)
DatabaseOperations.deferrable_sql = lambda _: " DEFERRABLE INITIALLY DEFERRED"
DatabaseOperations.adapt_ipaddressfield_value = lambda _, value: value or None
DatabaseSchemaEditor.sql_create_inline_fk = None
DatabaseSchemaEditor.sql_create_unique_index = DatabaseSchemaEditor.sql_create_unique_index.replace(
    "UNIQUE INDEX ", "UNIQUE INDEX ASYNC "
)
_wrapped = DatabaseWrapper.__init__


def _initialise(self: DatabaseWrapper, *given: Any, **named: Any) -> None:
    _wrapped(self, *given, **named)
    self.data_types = self.data_types | {"GenericIPAddressField": "text", "IPAddressField": "text"}


DatabaseWrapper.__init__ = _initialise
