"""A database for tests that takes any statement: schema changes, queries, writes, and the jobs they leave behind."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
from memory_transaction import MemoryStore, run

from tausql.protocol.errors import SqlError
from tausql.sql import ddl
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.store import load
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.ddl import DdlResult
from tausql.sql.engine import prepare
from tausql.sql.execution.referential import Deferred
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.jobs import rows, steps
from tausql.sql.statements import parse_statements
from tausql.sql.tables import AccessCache
from tausql.sql.types.session_format import SessionFormat

CLUSTER = 1
NOW_US = 836_000_000_000_000


class DdlDatabase:
    """Every statement is a transaction of its own, but for deferred constraints: those wait for `commit`."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.version = 0
        self.random = random.Random(1)
        self.settings: dict[str, str] = {}
        self.jobs_done = 0
        self._bytes = itertools.count(1)
        self.snapshot = self._loaded()

    def _loaded(self) -> Snapshot:
        versions: dict[int, int] = {0: self.version}
        snapshot = run(load(self.store.statement(), CLUSTER, versions))
        versions |= dict.fromkeys([*snapshot.by_oid, *snapshot.objects.by_oid], self.version)
        loaded: Snapshot = run(load(self.store.statement(), CLUSTER, versions))
        return loaded

    def context(self, params: tuple[Any, ...] = ()) -> Context:
        return Context(
            params=params,
            now_us=NOW_US,
            session=SessionFacts(search_path=("public",), settings=self.settings),
            format=SessionFormat(),
            random=self.random.random,
            random_bytes=lambda size: next(self._bytes).to_bytes(size, "big"),
        )

    def ddl(self, sql: str) -> DdlResult:
        (statement,) = parse_statements(sql)
        before = self.store.entries.copy()
        try:
            result: DdlResult = run(ddl.execute(statement, self.store.statement(), self.snapshot, self.context()))
        except SqlError:
            self.store.entries = before
            raise
        self.changed()
        return result

    def changed(self) -> None:
        self.version += 1
        self.snapshot = self._loaded()

    def do(self, sql: str, *params: Any) -> list[list[Any]]:
        """Rows of one query or write; a failed one leaves nothing behind. Writes: [[tag]] where nothing is returned."""
        (statement,) = parse_statements(sql)
        if statement.is_ddl:
            return [[self.ddl(sql).tag]]
        prepared = prepare(statement, self.snapshot)
        before = self.store.entries.copy()
        put_off = list(self.store.deferred.events)
        try:
            execution = prepared.open(self.store.statement(), self.context(params))
            found: list[list[Any]] = run(execution.fetch(0))
        except Exception:
            self.store.entries = before
            self.store.deferred.events = put_off
            raise
        return found if prepared.columns is not None else [[execution.tag]]

    def script(self, *statements: str) -> None:
        for sql in statements:
            self.do(sql)

    def commit(self) -> None:
        """What deferred constraints wait for."""
        deferred, self.store.deferred = self.store.deferred, Deferred()
        run(deferred.finish(self.store.statement()))

    def error(self, sql: str, *params: Any) -> SqlError:
        try:
            self.do(sql, *params)
        except SqlError as error:
            return error
        raise AssertionError(f"no error: {sql}")

    def refusal(self, sql: str, *params: Any) -> tuple[str, str]:
        error = self.error(sql, *params)
        return error.sqlstate, error.message

    def table(self, name: str) -> Table:
        return self.snapshot.tables["public", name]

    def jobs(self) -> list[JobRecord]:
        found: list[JobRecord] = run(rows.all_jobs(self.store.statement(), CLUSTER))
        return found

    def work(self, job_id: str | None, batch_rows: int = 2) -> JobRecord:
        """Run a job to its end."""
        assert job_id is not None
        job = run(rows.claim(self.store.statement(), CLUSTER, job_id, "w", 1))
        for _ in range(1000):
            held = msgspec.structs.replace(job, batch_rows=batch_rows)
            job = run(steps.step(self.store.statement(), self.snapshot, AccessCache(), held, 2))
            self.changed()
            if job.status not in rows.OPEN:
                done: JobRecord = job
                return done
        raise AssertionError("the job does not end")

    def entries(self, name: str) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """(index entries there are, those that ought to be) of one table."""
        table = self.table(name)
        access = AccessCache().of(self.snapshot, table)
        prefixes = tuple(index.prefix for index in access.indexes)
        low, high = access.row_range()
        wanted: dict[bytes, bytes] = {}
        for key in self.store.entries.irange(low, high, (True, False)):
            row = access.decode(self.store.entries[key])
            for index in access.indexes:
                entry = index.entry(row, key)
                if entry is not None:
                    assert entry not in wanted
                    wanted[entry] = index.entry_value(row, key)
        there = (
            {key: value for key, value in self.store.entries.items() if key.startswith(prefixes)} if prefixes else {}
        )
        return there, wanted
