"""Schema changes as transactions over the catalogue's rows."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from memory_transaction import MemoryStore, run

from tausql.protocol.errors import SqlError
from tausql.sql import ddl
from tausql.sql.catalogue.descriptors import IndexState, Snapshot
from tausql.sql.catalogue.store import load
from tausql.sql.catalogue.system import JobRecord
from tausql.sql.expressions.context import Context, SessionFacts
from tausql.sql.jobs import index_build, removal, rows
from tausql.sql.statements import parse_statements
from tausql.sql.tables import AccessCache

CLUSTER = 1


class Cluster:
    """A catalogue in memory: every statement is a transaction of its own."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.version = 0
        self.versions: dict[int, int] = {}
        counter = itertools.count(1)
        self.context = Context(
            session=SessionFacts(search_path=("public",)), random_bytes=lambda size: next(counter).to_bytes(size, "big")
        )

    @property
    def snapshot(self) -> Snapshot:
        return run(load(self.store.statement(), CLUSTER, self.versions))

    def execute(self, sql: str) -> ddl.DdlResult:
        (statement,) = parse_statements(sql)
        transaction = self.store.statement()
        result = run(ddl.execute(statement, transaction, self.snapshot, self.context))
        self.bump()
        return result

    def bump(self) -> None:
        """As if every relation had changed: tests look at shapes, not at versions."""
        self.version += 1
        self.versions = dict.fromkeys([0, *self.snapshot.by_oid], self.version)

    def insert(self, table: str, *values: list[object]) -> None:
        found = self.snapshot.tables["public", table]
        access = AccessCache().of(self.snapshot, found)
        for row in values:
            access.insert(self.store.statement(), row, access.key_of(row))

    def jobs(self) -> list[JobRecord]:
        return run(rows.all_jobs(self.store.statement(), CLUSTER))

    def work(self, job_id: str, batch_rows: int = 2) -> JobRecord:
        """Run a job to its end."""
        job = run(rows.claim(self.store.statement(), CLUSTER, job_id, "w", 1))
        for _ in range(100):
            held = msgspec.structs.replace(job, batch_rows=batch_rows)
            if job.job_type == "INDEX_BUILD":
                job = run(index_build.build_step(self.store.statement(), self.snapshot, AccessCache(), held, now=2))
            else:
                job = run(removal.removal_step(self.store.statement(), self.snapshot, held, now=2))
            self.bump()
            if job.status not in rows.OPEN:
                return job
        raise AssertionError("the job does not end")


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def refusal(cluster: Cluster, sql: str) -> tuple[str, str]:
    with pytest.raises(SqlError) as caught:
        cluster.execute(sql)
    return caught.value.sqlstate, caught.value.message


def test_create_table_enters_columns_constraints_and_names(cluster: Cluster) -> None:
    cluster.execute(
        "CREATE TABLE Orders (id bigint PRIMARY KEY, customer bigint NOT NULL, note varchar(20) DEFAULT upper('x'),"
        " total numeric CHECK (total > 0), made timestamptz DEFAULT date_trunc('day', now()), UNIQUE (customer, note))"
    )
    table = cluster.snapshot.tables["public", "orders"]
    assert [column.name for column in table.columns] == ["id", "customer", "note", "total", "made"]
    assert [column.not_null for column in table.columns] == [True, True, False, False, False]
    assert table.columns[2].default == "upper('x')"
    assert table.columns[3].typmod == (18 << 16 | 6) + 4
    assert table.columns[4].default == "date_trunc('day', now())"
    assert table.primary_key == (0,)
    assert table.primary_key_name == "orders_pkey"
    assert [(index.name, index.columns, index.unique) for index in table.indexes] == [
        ("orders_customer_note_key", (1, 2), True)
    ]
    assert [(check.name, check.expression) for check in table.checks] == [("orders_total_check", "total > 0")]
    assert len({table.oid, table.oid + 1, table.indexes[0].oid}) == 3


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message"),
    [
        ("CREATE TABLE t (a int)", "42P07", 'relation "t" already exists'),
        ("CREATE TABLE t_pkey (a int)", "42P07", 'relation "t_pkey" already exists'),
        ("CREATE TABLE u (a int, a text)", "42701", 'column "a" specified more than once'),
        ("CREATE TABLE u (a int PRIMARY KEY, b int PRIMARY KEY)", "42P16", None),
        ("CREATE TABLE u (a int, PRIMARY KEY (b))", "42703", 'column "b" named in key does not exist'),
        ("CREATE TABLE u (a bytea PRIMARY KEY)", "0A000", "datatype bytea is not supported in a key"),
        ("CREATE TABLE u (a serial)", "42704", 'type "serial" does not exist'),
        ("CREATE TABLE u (a money)", "0A000", "datatype money not supported"),
        ("CREATE TABLE u (a int[])", "0A000", "datatype integer[] not supported"),
        ("CREATE TABLE u (a nothing)", "42704", 'type "nothing" does not exist'),
        ("CREATE TABLE u (a varchar(70000))", "54000", None),
        ("CREATE TABLE u (a int DEFAULT 'x')", "22P02", None),
        ("CREATE TABLE u (a int DEFAULT b)", "0A000", "cannot use column reference in DEFAULT expression"),
        ("CREATE TABLE pg_catalog.u (a int)", "42501", None),
        ("CREATE TABLE nix.u (a int)", "3F000", 'schema "nix" does not exist'),
        (f"CREATE TABLE u ({', '.join(f'c{n} int' for n in range(256))})", "54011", None),
        ("CREATE INDEX ASYNC ON nix (a)", "42P01", 'relation "nix" does not exist'),
        ("CREATE INDEX ASYNC ON t (nix)", "42703", 'column "nix" does not exist'),
        ("CREATE INDEX ON t (v)", "0A000", "unsupported mode. please use CREATE INDEX ASYNC."),
        ("DROP TABLE nix", "42P01", 'table "nix" does not exist'),
        ("DROP INDEX nix", "42704", 'index "nix" does not exist'),
        ("DROP INDEX t", "42809", '"t" is not an index'),
        ("DROP TABLE t_v_key", "42809", '"t_v_key" is not a table'),
    ],
)
def test_refusals(cluster: Cluster, sql: str, sqlstate: str, message: str | None) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)")
    state, text = refusal(cluster, sql)
    assert state == sqlstate, text
    assert message is None or text == message


def test_if_exists_and_if_not_exists_give_notices(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY)")
    again = cluster.execute("CREATE TABLE IF NOT EXISTS t (other text)")
    assert [notice.message for notice in again.notices] == ['relation "t" already exists, skipping']
    gone = cluster.execute("DROP TABLE IF EXISTS nix")
    assert [notice.message for notice in gone.notices] == ['table "nix" does not exist, skipping']
    assert len(cluster.snapshot.tables) == 1


def test_name_is_free_again_after_drop_and_oids_are_not_reused(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)")
    first = cluster.snapshot.tables["public", "t"]
    cluster.execute("DROP TABLE t")
    assert not cluster.snapshot.tables
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)")
    assert cluster.snapshot.tables["public", "t"].oid > first.indexes[0].oid


def test_index_is_built_in_batches_and_then_ready(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    cluster.insert("t", *([number, f"v{number % 3}"] for number in range(7)))
    made = cluster.execute("CREATE INDEX ASYNC ON t (v)")
    assert made.job_id is not None
    assert len(made.job_id) == 26
    table = cluster.snapshot.tables["public", "t"]
    assert table.indexes[0].state is IndexState.building
    job = cluster.work(made.job_id)
    assert (job.status, job.details) == ("completed", "")
    table = cluster.snapshot.tables["public", "t"]
    assert table.indexes[0].state is IndexState.ready
    access = AccessCache().of(cluster.snapshot, table)
    expected = {
        access.index_entry(table.indexes[0], [number, f"v{number % 3}"], access.key_of([number, ""]))[0]
        for number in range(7)
    }
    prefix = access.index_prefix(table.indexes[0])
    assert {key for key in cluster.store.entries if key.startswith(prefix)} == expected


def test_unique_index_over_duplicates_fails_and_stays_enforced(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    cluster.insert("t", [1, "same"], [2, "other"], [3, "same"])
    made = cluster.execute("CREATE UNIQUE INDEX ASYNC one_v ON t (v)")
    job = cluster.work(str(made.job_id))
    assert (job.status, job.details) == ("failed", "Found duplicate key while validating index for UCVs")
    assert cluster.snapshot.tables["public", "t"].indexes[0].state is IndexState.failed
    cluster.execute("DROP INDEX one_v")
    assert not cluster.snapshot.tables["public", "t"].indexes


def test_build_ends_quietly_when_its_index_was_dropped(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    made = cluster.execute("CREATE INDEX ASYNC v_index ON t (v)")
    cluster.execute("DROP INDEX v_index")
    job = cluster.work(str(made.job_id))
    assert (job.status, job.details) == ("completed", 'relation "public.v_index" does not exist')


def test_drop_job_removes_every_row_and_entry(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)")
    cluster.insert("t", *([number, f"v{number}"] for number in range(5)))
    table = cluster.snapshot.tables["public", "t"]
    access = AccessCache().of(cluster.snapshot, table)
    prefixes = (access.prefix, access.index_prefix(table.indexes[0]))
    assert sum(key.startswith(prefixes) for key in cluster.store.entries) == 10
    cluster.execute("DROP TABLE t")
    for job in cluster.jobs():
        assert cluster.work(job.job_id).status == "completed"
    assert not any(key.startswith(prefixes) for key in cluster.store.entries)


def test_a_job_is_claimed_by_one_worker_until_its_lease_ends(cluster: Cluster) -> None:
    cluster.execute("CREATE TABLE t (id int PRIMARY KEY)")
    job_id = str(cluster.execute("CREATE INDEX ASYNC ON t (id)").job_id)
    assert run(rows.claim(cluster.store.statement(), CLUSTER, job_id, "one", 10)) is not None
    assert run(rows.claim(cluster.store.statement(), CLUSTER, job_id, "two", 20)) is None
    later = 10 + rows.LEASE_MICROS + 1
    assert run(rows.claim(cluster.store.statement(), CLUSTER, job_id, "two", later)) is not None


@pytest.mark.parametrize("text", ["", "abc", "!" * 26, "a" * 27])
def test_bad_job_id(text: str) -> None:
    with pytest.raises(SqlError) as caught:
        rows.checked_job_id(text)
    assert (caught.value.sqlstate, caught.value.message) == ("22P02", "Unable to convert text to UUID")
