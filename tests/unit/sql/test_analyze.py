"""ANALYZE: what a sample says, compared with what PostgreSQL would say of the same rows."""

from __future__ import annotations

import pytest
from database import Database, table
from memory_transaction import run

from tausql.sql.catalogue.statistics import TableStatistics
from tausql.sql.catalogue.stored_statistics import read_journal, read_statistics
from tausql.sql.jobs.analyze import analyze_table, sample
from tausql.sql.tables import AccessCache


@pytest.fixture(scope="module")
def db() -> Database:
    made = Database(
        table(500, "things", ["id integer", "grp integer", "amount numeric(12,2)", "name text", "tags json"], ["id"]),
        table(600, "empty", ["id integer"], ["id"]),
    )
    for at in range(1000):
        made.execute(
            "insert into things values ($1, case when $1 % 2 = 0 then 7 else $1 % 40 end, $1 * 0.5,"
            " case when $1 % 4 > 0 then 'n' || $1 end, '{}')",
            at,
        )  # fmt: skip
    return made


def analyzed(db: Database, oid: int, *wanted: int, now: int = 5) -> TableStatistics | None:
    target = db.snapshot.by_oid[oid]
    run(analyze_table(db.store.statement(), db.snapshot, target, wanted, now))
    found: TableStatistics | None = run(read_statistics(db.store.statement(), db.snapshot, target))
    return found


def test_columns_of_a_small_table(db: Database) -> None:
    found = analyzed(db, 500)
    assert found is not None
    assert (found.rows, found.analyzed) == (1000, 5)
    key, group, amount, name, tags = (found.columns[attnum] for attnum in range(1, 6))
    assert (key.distinct, key.null_fraction, key.width, key.common) == (-1, 0, 4, ())
    assert (key.histogram[0], key.histogram[-1], len(key.histogram)) == (0, 999, 101)
    assert key.correlation == pytest.approx(1)
    assert group.distinct == 20
    assert group.common[0] == 7
    assert group.fractions[0] == pytest.approx(0.525)
    assert sum(group.fractions) == pytest.approx(1)
    assert str(amount.histogram[-1]) == "499.50"
    assert name.null_fraction == pytest.approx(0.25)
    assert name.distinct == pytest.approx(-0.75)
    assert (tags.distinct, tags.histogram) == (0, ())
    assert run(read_journal(db.store.statement(), 1)).tables == {500: 5}


def test_one_column_alone_leaves_the_others(db: Database) -> None:
    analyzed(db, 500, now=6)
    db.execute("update things set grp = 1")
    found = analyzed(db, 500, 2, now=7)
    assert found is not None
    assert found.columns[2].distinct == 1
    assert found.columns[1].distinct == -1


def test_an_empty_table(db: Database) -> None:
    found = analyzed(db, 600)
    assert found is not None
    assert found.rows == 0
    assert found.columns[1].null_fraction == 0


def test_a_sample_is_of_bounded_size_and_says_how_many_rows_there_are(db: Database) -> None:
    access = AccessCache().of(db.snapshot, db.snapshot.by_oid[500])
    db.store.scans.clear()
    rows, stands_for = run(sample(db.store.statement(), access, 100))
    assert 50 <= len(rows) <= 200
    assert len(rows) * stands_for == pytest.approx(1000, rel=0.3)
    assert rows == sorted(rows)
    assert db.store.scans[-1].sample == stands_for
