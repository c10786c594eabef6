"""Two clusters with the same names and numbers on one processor: neither can name, see or touch what the other has."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, notices, rows
from processor_fleet import TestFleet
from test_processor_tenants import session, start

from tausql.pgwire.client import BackendKeyData
from tausql.protocol.adjudicator import Commit
from tausql.protocol.processor import CarriedStatement, Restore

SECRET = "ultramarine"


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet()
    victim = session(fleet, 2)
    for statement in (
        f"CREATE TABLE t (id int PRIMARY KEY, {SECRET} text, CONSTRAINT {SECRET}_check CHECK (id > 0))",
        f"CREATE SCHEMA {SECRET}",
        f"CREATE ROLE {SECRET} WITH LOGIN",
        "CREATE SEQUENCE s START 500 CACHE 1",
        f"CREATE VIEW {SECRET}_view AS SELECT * FROM t",
        f"COMMENT ON TABLE t IS '{SECRET}'",
        f"AWS IAM GRANT {SECRET} TO 'arn:aws:iam::123456789012:role/{SECRET}'",
        f"INSERT INTO t SELECT n, '{SECRET}' || n FROM generate_series(1, 100) n",
        f"CREATE INDEX ASYNC {SECRET}_idx ON t ({SECRET})",
        "ANALYZE t",
        "SELECT nextval('s')",
    ):
        assert not errors(victim.query(statement)), statement
    fleet.run(2.0)
    spy = session(fleet, 3)
    assert not errors(spy.query("CREATE TABLE t (id int PRIMARY KEY, v text)"))
    assert not errors(spy.query("INSERT INTO t VALUES (1, 'mine')"))
    return fleet


@pytest.fixture
def spy(fleet: TestFleet) -> Client:
    return session(fleet, 3)


CATALOGUES = (
    "pg_class", "pg_namespace", "pg_attribute", "pg_roles", "pg_constraint", "pg_index", "pg_description", "pg_views",
    "pg_sequence", "pg_sequences", "pg_stats", "pg_stat_activity", "pg_stat_user_tables", "pg_indexes", "pg_tables",
    "information_schema.tables", "information_schema.columns", "information_schema.sequences", "sys.jobs",
    "sys.iam_pg_role_mappings",
)  # fmt: skip


@pytest.mark.parametrize("relation", CATALOGUES)
def test_no_catalogue_shows_the_other(fleet: TestFleet, spy: Client, relation: str) -> None:
    own = session(fleet, 2).query(f"SELECT * FROM {relation}")
    seen = spy.query(f"SELECT * FROM {relation}")
    assert not errors(own)
    assert not errors(seen)
    assert SECRET not in repr(seen)


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT {SECRET} FROM t",
        f"SELECT * FROM {SECRET}_view",
        f"SELECT '{SECRET}_idx'::regclass",
        "SELECT nextval('s')",
        f"SET search_path = {SECRET}; SELECT * FROM {SECRET}.t",
        f'SELECT * FROM "2".t, {SECRET}.t',
        f"DROP INDEX {SECRET}_idx",
        f"BEGIN; SET LOCAL ROLE {SECRET}",
        "CALL sys.wait_for_job('nope')",
    ],
)
def test_names_of_the_other_are_unknown(fleet: TestFleet, spy: Client, statement: str) -> None:
    stranger = session(fleet, 4)  # what one says who never had a neighbour
    stranger.query("CREATE TABLE t (id int PRIMARY KEY, v text)")
    told = errors(spy.query(statement))
    assert told
    assert told == errors(stranger.query(statement))


def test_a_job_of_the_other_cannot_be_waited_for(fleet: TestFleet, spy: Client) -> None:
    ((job,),) = rows(session(fleet, 2).query("SELECT job_id FROM sys.jobs WHERE job_type = 'INDEX_BUILD'"))
    assert errors(spy.query(f"CALL sys.wait_for_job('{job}')")) == [("42704", f'job "{job}" does not exist')]


def test_numbers_start_anew(fleet: TestFleet, spy: Client) -> None:
    assert rows(spy.query("SELECT 't'::regclass::oid")) == rows(session(fleet, 2).query("SELECT 't'::regclass::oid"))
    spy.query("CREATE SEQUENCE s CACHE 1")
    assert rows(spy.query("SELECT nextval('s')")) == [("1",)]
    assert rows(session(fleet, 2).query("SELECT nextval('s')")) == [("501",)]


def test_the_same_text_is_another_plan(fleet: TestFleet, spy: Client) -> None:
    other = session(fleet, 2)
    for _ in range(3):
        assert rows(spy.query("SELECT * FROM t WHERE id = 1")) == [("1", "mine")]
        assert rows(other.query("SELECT * FROM t WHERE id = 1")) == [("1", f"{SECRET}1")]
    plans = [fleet.processor.tenants.of(cluster, ()) for cluster in (2, 3)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert not set(plans[0].plans.plans) & set(plans[1].plans.plans)
    assert SECRET not in repr(list(plans[1].plans.texts))
    estimate = rows(spy.query("EXPLAIN SELECT * FROM t"))
    assert "rows=100 " not in repr(estimate), "statistics are the other's"


def test_a_schema_change_of_one_leaves_the_plans_of_the_other(fleet: TestFleet, spy: Client) -> None:
    spy.query("SELECT * FROM t")
    before = fleet.processor.metrics.reloads, fleet.processor.metrics.replans
    shared = fleet.processor.tenants.of(3, ())
    assert shared is not None
    snapshot = shared.catalogue.shared
    spy.query("BEGIN")
    spy.query("INSERT INTO t VALUES (5, 'x')")
    session(fleet, 2).query("ALTER TABLE t ADD COLUMN more int")
    assert not errors(spy.query("COMMIT"))
    assert not errors(spy.query("SELECT * FROM t"))
    assert shared.catalogue.shared is snapshot
    assert fleet.processor.metrics.reloads <= before[0] + 1  # the other's own


def test_rows_with_the_same_key_do_not_conflict(fleet: TestFleet, spy: Client) -> None:
    other = session(fleet, 2)
    for one in (spy, other):
        one.query("BEGIN")
        one.query("DELETE FROM t WHERE id = 1")
    assert not errors(spy.query("COMMIT"))
    assert not errors(other.query("COMMIT"))


def test_every_commit_lies_within_its_cluster(fleet: TestFleet) -> None:
    commits: list[Commit] = [request for adjudicator in fleet.adjudicators for request in adjudicator.requests]
    assert commits
    for request in commits:
        keys = [*request.writes, *request.shares, request.low, request.high]
        assert len({key[:4] for key in keys}) == 1


def test_a_cancel_key_of_the_other_wants_its_secret(fleet: TestFleet, spy: Client) -> None:
    other = session(fleet, 2)
    (key,) = [message for message in other.greeting if isinstance(message, BackendKeyData)]
    assert not fleet.processor.cancel(key.process_id, 0)


def test_prepared_statements_are_a_sessions_own(fleet: TestFleet, spy: Client) -> None:
    text = "SELECT * FROM t WHERE id = 1"
    statement = CarriedStatement("p", text, [])
    here = Client(fleet, start=start(3, restore=Restore(71, 1, 1.0, {}, [statement])))
    there = Client(fleet, start=start(2, restore=Restore(72, 2, 1.0, {}, [statement])))
    assert SECRET not in repr(here.query(text))
    assert SECRET in repr(there.query(text))
    assert notices(here.query("SELECT 1")) == []
