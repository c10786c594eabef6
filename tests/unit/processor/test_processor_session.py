"""A session, from a client's bytes to a client's bytes: statements, transactions, errors."""

from __future__ import annotations

from typing import Any

import pytest
from processor_client import Client, add_table, errors, items, names, notices, rows, shape, status, tags
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.pgwire.client import BackendKeyData, ParameterStatus, ReadyForQuery
from tausql.protocol.processor import PROCESSOR_SHIFT
from tausql.sql.catalogue.descriptors import Column
from tausql.sql.plans import PlanCache


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet(processors=2)
    add_table(fleet, items())
    return fleet


@pytest.fixture
def session(fleet: TestFleet) -> Client:
    return Client(fleet)


def test_greeting(fleet: TestFleet) -> None:
    messages = Client(fleet, 1, {"application_name": "tests", "options": "-c search_path=public"}).greeting
    told = {m.name: m.value for m in messages if isinstance(m, ParameterStatus)}
    assert told["server_version"] == "16.15"
    assert told["client_encoding"] == "UTF8"
    assert told["application_name"] == "tests"
    assert isinstance(messages[-2], BackendKeyData)
    assert messages[-2].process_id >> PROCESSOR_SHIFT == 1
    assert messages[-1] == ReadyForQuery("I")


def test_a_startup_parameter_that_cannot_be_set_is_fatal(fleet: TestFleet) -> None:
    refused = Client(fleet, 0, {"default_transaction_read_only": "on"})
    assert errors(refused.greeting) == [
        ("0A000", 'setting configuration parameter "default_transaction_read_only" not supported')
    ]
    assert refused.out.closed
    assert len(fleet.processor.sessions) == 0


def test_simple_insert_select_update_delete(session: Client) -> None:
    assert tags(session.query("INSERT INTO items VALUES (1, 7, 'one'), (2, 7, NULL)")) == ["INSERT 0 2"]
    answer = session.query("SELECT id, note FROM items WHERE grp = 7 ORDER BY id")
    assert names(answer) == ["id", "note"]
    assert rows(answer) == [("1", "one"), ("2", None)]
    assert tags(answer) == ["SELECT 2"]
    assert tags(session.query("UPDATE items SET note = 'zwei' WHERE id = 2")) == ["UPDATE 1"]
    assert rows(session.query("SELECT note FROM items WHERE id = 2")) == [("zwei",)]
    assert tags(session.query("DELETE FROM items WHERE id = 1")) == ["DELETE 1"]
    assert rows(session.query("SELECT count(*) FROM items")) == [("1",)]


def test_a_select_without_tables_asks_nobody(fleet: TestFleet, session: Client) -> None:
    session.query("SELECT 1")
    fleet.data.reads.clear()
    assert rows(session.query("SELECT 1 + 1")) == [("2",)]
    assert not fleet.data.reads


def test_several_statements_share_a_transaction(session: Client) -> None:
    answer = session.query("INSERT INTO items VALUES (1, 1, 'a'); SELECT 1/0; INSERT INTO items VALUES (2, 1, 'b')")
    assert tags(answer) == ["INSERT 0 1"]
    assert errors(answer) == [("22012", "division by zero")]
    assert status(answer) == "I"
    assert rows(session.query("SELECT count(*) FROM items")) == [("0",)]


def test_empty_query(session: Client) -> None:
    assert shape(session.query("  ; -- nothing")) == ["empty_query", "ReadyForQuery"]


def test_block_with_own_writes(session: Client) -> None:
    assert status(session.query("BEGIN")) == "T"
    session.query("INSERT INTO items VALUES (1, 1, 'a')")
    assert rows(session.query("SELECT note FROM items WHERE id = 1")) == [("a",)]
    other = Client(session.fleet, 1)
    assert rows(other.query("SELECT count(*) FROM items")) == [("0",)]
    answer = session.query("COMMIT")
    assert (tags(answer), status(answer)) == (["COMMIT"], "I")
    assert rows(other.query("SELECT count(*) FROM items")) == [("1",)]


def test_failed_block_takes_only_its_end(session: Client) -> None:
    session.query("BEGIN; INSERT INTO items VALUES (1, 1, 'a')")
    assert status(session.query("SELECT 1/0")) == "E"
    answer = session.query("SELECT 1")
    assert errors(answer)[0][0] == "25P02"
    assert errors(session.query("TRUNCATE items"))[0][0] == "25P02"
    answer = session.query("COMMIT")
    assert (tags(answer), status(answer)) == (["ROLLBACK"], "I")
    assert rows(session.query("SELECT count(*) FROM items")) == [("0",)]


def test_warnings_of_transaction_control(session: Client) -> None:
    assert notices(session.query("COMMIT")) == [("WARNING", "25P01")]
    assert notices(session.query("ROLLBACK")) == [("WARNING", "25P01")]
    session.query("BEGIN")
    answer = session.query("BEGIN")
    assert notices(answer) == [("WARNING", "25001")]
    assert tags(answer) == ["BEGIN"]


def test_isolation_levels_and_read_only(session: Client) -> None:
    assert errors(session.query("BEGIN ISOLATION LEVEL SERIALIZABLE")) == [
        ("0A000", "Unsupported isolation level: SERIALIZABLE")
    ]
    session.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    assert rows(session.query("SHOW transaction_read_only")) == [("on",)]
    assert errors(session.query("INSERT INTO items VALUES (1, 1, 'a')")) == [
        ("25006", "cannot execute INSERT in a read-only transaction")
    ]
    session.query("ROLLBACK")
    assert rows(session.query("SHOW transaction_read_only")) == [("off",)]


def test_conflict_is_told_at_commit_and_in_place_of_the_tag(fleet: TestFleet) -> None:
    first, second = Client(fleet, 0), Client(fleet, 1)
    first.query("INSERT INTO items VALUES (1, 1, 'a')")
    for client_ in (first, second):
        client_.query("BEGIN")
        client_.query("UPDATE items SET note = 'b' WHERE id = 1")
    assert tags(first.query("COMMIT")) == ["COMMIT"]
    answer = second.query("COMMIT")
    assert tags(answer) == []
    assert errors(answer) == [("40001", "change conflicts with another transaction (OC000)")]
    assert status(answer) == "I"


def test_unique_violation_leaves_the_session_usable(session: Client) -> None:
    session.query("INSERT INTO items VALUES (1, 1, 'a')")
    assert errors(session.query("INSERT INTO items VALUES (1, 2, 'b')"))[0][0] == "23505"
    assert rows(session.query("SELECT grp FROM items")) == [("1",)]


def test_an_update_does_not_meet_its_own_rows(session: Client) -> None:
    session.query("INSERT INTO items SELECT g, g, 'x' FROM generate_series(1, 20) AS g")
    session.query("BEGIN")
    session.query("UPDATE items SET note = 'y' WHERE id = 3")
    assert tags(session.query("UPDATE items SET grp = grp + 5 WHERE grp >= 10")) == ["UPDATE 11"]
    assert tags(session.query("INSERT INTO items SELECT id + 100, grp, note FROM items")) == ["INSERT 0 20"]
    assert tags(session.query("UPDATE items SET id = id + 1000 WHERE id > 0")) == ["UPDATE 40"]
    assert rows(session.query("SELECT min(id), max(id), count(*) FROM items")) == [("1001", "1120", "40")]
    session.query("COMMIT")
    assert rows(session.query("SELECT min(id), max(id), count(*) FROM items")) == [("1001", "1120", "40")]


def test_set_show_reset(session: Client) -> None:
    answer = session.query("SET application_name TO 'x'")
    assert [(m.name, m.value) for m in answer if isinstance(m, ParameterStatus)] == [("application_name", "x")]
    assert rows(session.query("SHOW application_name")) == [("x",)]
    session.query("BEGIN; SET LOCAL application_name = 'y'; SET TimeZone = 'Europe/Paris'")
    assert rows(session.query("SHOW application_name")) == [("y",)]
    session.query("ROLLBACK")
    assert rows(session.query("SHOW application_name")) == [("x",)]
    assert rows(session.query("SHOW timezone")) == [("UTC",)]
    session.query("RESET ALL")
    assert rows(session.query("SHOW application_name")) == [("",)]
    assert errors(session.query("SET statement_timeout = 10")) == [
        ("0A000", 'setting configuration parameter "statement_timeout" not supported')
    ]
    assert errors(session.query("SHOW nonsense")) == [("42704", 'unrecognized configuration parameter "nonsense"')]
    assert rows(session.query("SHOW transaction_isolation")) == [("repeatable read",)]
    assert errors(session.query("SET TRANSACTION READ ONLY")) == [
        ("0A000", 'setting configuration parameter "TRANSACTION" not supported')
    ]


def test_schema_changes_and_their_rules(fleet: TestFleet) -> None:
    session, other = Client(fleet, 0), Client(fleet, 1)
    other.query("SELECT 1")
    create = "CREATE TABLE made (id integer PRIMARY KEY, note text)"
    assert tags(session.query(create)) == ["CREATE TABLE"]
    assert tags(session.query("INSERT INTO made VALUES (1, 'a')")) == ["INSERT 0 1"]
    assert rows(other.query("SELECT * FROM made")) == [("1", "a")]
    answer = session.query("BEGIN; CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY)")
    assert errors(answer) == [("0A000", "multiple ddl statements not supported in a transaction")]
    session.query("ROLLBACK")
    insert, drop = "INSERT INTO made VALUES (2, 'b')", "DROP TABLE items"
    for first, second in ((insert, drop), (drop, insert)):
        session.query("BEGIN")
        session.query(first)
        assert errors(session.query(second)) == [("0A000", "ddl and dml are not supported in the same transaction")]
        session.query("ROLLBACK")
    session.query("BEGIN; CREATE TABLE mine (id integer PRIMARY KEY)")
    assert rows(session.query("SELECT count(*) FROM mine")) == [("0",)]
    assert errors(other.query("SELECT count(*) FROM mine"))[0][0] == "42P01"
    session.query("ROLLBACK")
    assert errors(session.query("SELECT count(*) FROM mine"))[0][0] == "42P01"


def test_of_two_schema_changes_at_a_time_one_is_oc001(fleet: TestFleet) -> None:
    first, second = Client(fleet, 0), Client(fleet, 1)
    for at, session in enumerate((first, second)):
        session.query("BEGIN")
        assert tags(session.query(f"CREATE TABLE made_{at} (id integer PRIMARY KEY)")) == ["CREATE TABLE"]
    assert tags(first.query("COMMIT")) == ["COMMIT"]
    assert errors(second.query("COMMIT"))[0][0] == "40001"
    assert tags(second.query("CREATE TABLE made_1 (id integer PRIMARY KEY)")) == ["CREATE TABLE"]


def test_an_older_transaction_keeps_its_schema(fleet: TestFleet) -> None:
    old, new = Client(fleet, 0), Client(fleet, 0)
    old.query("BEGIN")
    old.query("SELECT * FROM items")
    add_table(fleet, items(30_000, "items", Column("extra", 25, -1, False, 3)))
    assert names(new.query("SELECT * FROM items")) == ["id", "grp", "note", "extra"]
    assert names(old.query("SELECT * FROM items WHERE id > 0")) == ["id", "grp", "note"]
    assert names(new.query("SELECT * FROM items")) == ["id", "grp", "note", "extra"]


def test_a_session_grows_too_old() -> None:
    fleet = TestFleet(session_seconds_max=100.0)
    idle, busy = Client(fleet), Client(fleet)
    busy.query("BEGIN")
    fleet.run(101)
    assert errors(idle.take())[0][0] == "57P01"
    assert not busy.out.closed
    fleet.run(301)  # ages are looked at once a second
    assert errors(busy.take())[0][0] == "57P01"
    assert busy.out.closed
    assert len(fleet.processor.sessions) == 0


def test_no_more_sessions_than_there_may_be() -> None:
    fleet = TestFleet(sessions_max=2)
    first, _ = Client(fleet), Client(fleet)
    third = Client(fleet)
    assert errors(third.greeting) == [("53300", "Unable to accept connection, too many open connections.")]
    assert third.out.closed
    first.send(client.TERMINATE)
    assert errors(Client(fleet).greeting) == []


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SAVEPOINT a", "unsupported transaction statement: SAVEPOINT"),
        ("DISCARD ALL", None),
        ("LISTEN a", "unsupported statement: Listen"),
    ],
)
def test_refused_statements(session: Client, sql: str, text: str | None) -> None:
    session.query("BEGIN")
    answer = session.query(sql)
    assert errors(answer)[0][0] == "0A000"
    assert text is None or errors(answer)[0][1] == text
    assert status(answer) == "E"


def test_refusing_again_and_again_keeps_nothing(session: Client) -> None:
    for _ in range(3):
        assert errors(session.query("LISTEN a")) == [("0A000", "unsupported statement: Listen")]
    (statement,) = session.processor.tenants.first.of(()).plans.statements("LISTEN a")
    assert statement.options["error"].__traceback__ is None


def test_names_of_relations_as_oids(session: Client) -> None:
    assert rows(session.query("SELECT 'items'::regclass::oid, 'public.items_grp_idx'::regclass::oid")) == [
        ("30000", "30001")
    ]
    assert rows(session.query("SELECT 30000::regclass, 23::regtype, 'public'::regnamespace::oid")) == [
        ("items", "integer", "2200")
    ]
    assert errors(session.query("SELECT 'nowhere'::regclass")) == [("42P01", 'relation "nowhere" does not exist')]


def test_a_schema_changed_elsewhere_is_noticed_and_the_statement_planned_anew(session: Client) -> None:
    fleet = session.fleet
    session.query("SELECT * FROM items")
    add_table(fleet, items(30_000, "items", Column("extra", 25, -1, False, 3)))
    answer = session.query("SELECT * FROM items")
    assert errors(answer) == []
    assert names(answer) == ["id", "grp", "note", "extra"]
    add_table(fleet, items(30_010, "others", index=False))
    assert errors(session.query("SELECT * FROM others")) == []
    assert errors(session.query("SELECT * FROM nowhere"))[0][0] == "42P01"


def test_a_schema_changed_during_a_transaction_is_oc001(session: Client) -> None:
    session.query("BEGIN")
    session.query("INSERT INTO items VALUES (1, 1, 'a')")
    add_table(session.fleet, items(30_000, "items", Column("extra", 25, -1, False, 3)))
    session.fleet.data.commits.append((session.fleet.data.closed, _schema_change(30_000)))
    answer = session.query("COMMIT")
    assert errors(answer) == [("40001", "schema has been updated by another transaction (OC001)")]


def _schema_change(relation: int) -> Any:
    from tausql.protocol.adjudicator import Commit

    return Commit(b"x" * 16, 0, 0, 0, (1, 1), [], [], [], [0, relation], b"", b"", b"\x90")


def test_a_defect_is_told_to_its_client_only(session: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(PlanCache, "simple", broken)
        answer = session.query("SELECT 1")
    assert errors(answer) == [("XX000", "internal error: ZeroDivisionError")]
    assert rows(session.query("SELECT 1")) == [("1",)]


def test_terminate_and_loss(session: Client) -> None:
    session.query("BEGIN; INSERT INTO items VALUES (1, 1, 'a')")
    session.session.lost()
    other = Client(session.fleet)
    assert rows(other.query("SELECT count(*) FROM items")) == [("0",)]
    other.send(client.TERMINATE)
    assert other.out.closed
    assert len(session.processor.sessions) == 0


def test_cancel_of_a_waiting_statement(session: Client) -> None:
    for storage in session.fleet.storages:
        storage.mood = "drop"
    session.send(client.query("SELECT * FROM items"))
    session.fleet.run(0.5)
    key = next(m for m in session.greeting if isinstance(m, BackendKeyData))
    session.processor.cancel(key.process_id, key.secret + 1)
    assert not session.out.messages
    session.processor.cancel(key.process_id, key.secret)
    answer = session.ready()
    assert errors(answer) == [("57014", "canceling statement due to user request")]
    assert rows(session.query("SELECT 1")) == [("1",)]


def test_a_long_result_lets_others_run_and_can_be_cancelled(session: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    # Virtual time stands still while code runs: here each look at the clock takes a millisecond.
    host = session.processor._host
    looks = iter(range(1, 1 << 30))
    monkeypatch.setattr(type(host), "monotonic", lambda self: self.world.now + next(looks) * 0.001)
    session.out.on_write = lambda: session.fleet.world.at(0.0, None, session.session.cancel)
    answer = session.query("SELECT g FROM generate_series(1, 100000) AS g")
    assert errors(answer) == [("57014", "canceling statement due to user request")]
    assert 0 < len(rows(answer)) < 100_000


def test_a_long_pipeline_lets_others_run(session: Client) -> None:
    other = Client(session.fleet)
    answered: list[int] = []
    other.out.on_write = lambda: answered.append(len(session.out.messages))
    questions = iter((client.query("SELECT 1"),))
    session.out.on_write = lambda: other.send(*questions)  # as soon as the pipeline is under way
    session.fleet.world.at(0.0, None, session.send, client.query("SELECT 1") * 1_000)
    assert len(session.ready(1_000)) == 4_000
    assert answered[0] < 4_000


def test_a_client_that_goes_in_mid_pipeline_is_no_error(session: Client, caplog: pytest.LogCaptureFixture) -> None:
    session.send(client.query("SELECT 1") * 1_000)
    session.session.lost()
    session.fleet.run(0.1)
    assert len(session.processor.sessions) == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_commit_under_way_is_neither_cancelled_nor_lost(session: Client) -> None:
    fleet = session.fleet
    session.query("SELECT * FROM items")
    session.send(client.query("INSERT INTO items VALUES (1, 1, 'a')"))
    fleet.until(lambda: bool(fleet.data.received))
    session.processor.cancel(session.session.process_id, session.session.secret)
    session.session.lost()
    fleet.run(1.0)
    assert len(fleet.data.commits) == 1
    assert len(session.processor.sessions) == 0


def test_drain_waits_for_the_transaction(session: Client) -> None:
    idle = Client(session.fleet)
    session.query("BEGIN")
    session.query("INSERT INTO items VALUES (1, 1, 'a')")
    session.processor.sessions.drain()
    assert errors(idle.take())[0] == ("57P01", "terminating connection due to administrator command")
    assert idle.out.closed
    assert not session.out.closed
    session.send(client.query("COMMIT"))
    answer = session.ready()
    assert tags(answer) == ["COMMIT"]
    session.fleet.run(0.01)
    assert session.out.closed
    refused = Client(session.fleet)
    assert errors(refused.greeting)[0][0] == "57P03"


def test_a_large_result_stops_while_the_client_does_not_take_it(session: Client) -> None:
    session.out.stuck = True
    session.send(client.query("SELECT g, repeat('x', 1000) FROM generate_series(1, 3000) AS g"))
    session.fleet.run(0.1)
    written = sum(map(len, session.out.writes))
    assert 0 < written < 1_000_000
    session.fleet.run(1.0)
    assert sum(map(len, session.out.writes)) == written
    session.out.unstick()
    answer = session.ready()
    assert tags(answer) == ["SELECT 3000"]


def test_pipelined_input_beyond_the_limit_pauses_reading(session: Client) -> None:
    for storage in session.fleet.storages:
        storage.mood = "drop"
    session.send(client.query("SELECT * FROM items"))
    for _ in range(12):
        session.send(client.query("SELECT '" + "x" * 100_000 + "'"))
    assert not session.out.reading
    for storage in session.fleet.storages:
        storage.mood = "answer"
    session.ready(13)
    assert session.out.reading
