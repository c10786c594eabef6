"""What a session tells a frontend of another process, and a session that was on another processor before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from processor_client import Client, add_table, errors, items, names, rows, status, tags
from processor_fleet import TestFleet
from processor_relayed import Relayed, in_loop

from tausql.pgwire import client
from tausql.pgwire.notes import split
from tausql.processor.session import Session
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.processor import (
    CARRIED_BYTES_MAX,
    CarriedStatement,
    Changed,
    CommitNote,
    Immovable,
    Lost,
    Note,
    Restore,
    SessionStart,
)
from tausql.sql.catalogue.descriptors import Column

decode = msgspec.msgpack.Decoder(Note).decode


def relayed(**settings: Any) -> Relayed:
    fleet = TestFleet(processors=2, **settings)
    add_table(fleet, items())
    fleet.adjudicators[0].decides = True
    return Relayed(fleet)


def notes_of(one: Relayed, *data: bytes, count: int = 1) -> list[Note]:
    """The notes among the answer to `data`."""
    start = len(one.wire.said)
    one.send(*data)
    one.answered(count)
    return [decode(body) for body in split(one.wire.said[start:])[1]]


def settings_of(notes: list[Note]) -> list[dict[str, str]]:
    return [note.settings for note in notes if isinstance(note, Changed)]


def query(sql: str) -> bytes:
    return client.query(sql)


def test_who_changes_nothing_says_nothing() -> None:
    def body() -> None:
        one = relayed()
        assert notes_of(one, query("SELECT 1")) == []
        assert notes_of(one, query("SELECT * FROM items")) == []
        for _ in range(2):
            messages = client.parse("SELECT $1::int"), client.bind([b"1"]), client.describe_portal(), client.execute()
            assert notes_of(one, *messages, client.SYNC) == []
        assert split(b"".join(one.out.writes))[1] == []

    in_loop(body)


def test_settings_are_told_when_they_outlive_their_transaction() -> None:
    def body() -> None:
        one = relayed()
        assert settings_of(notes_of(one, query("SET TimeZone = 'Asia/Tokyo'"))) == [{"TimeZone": "Asia/Tokyo"}]
        assert notes_of(one, query("SET TimeZone = 'Asia/Tokyo'")) == []
        assert notes_of(one, query("BEGIN; SET TimeZone = 'UTC'; SET LOCAL application_name = 'x'")) == []
        assert notes_of(one, query("ROLLBACK")) == []
        told = notes_of(one, query("BEGIN; SET TimeZone = 'UTC'; SET LOCAL application_name = 'x'; COMMIT"))
        assert settings_of(told) == [{"TimeZone": "UTC"}]
        assert settings_of(notes_of(one, query("SELECT set_config('search_path', 'sys', false)"))) == [
            {"search_path": "sys"}
        ]
        assert settings_of(notes_of(one, query("RESET ALL"))) == [{"search_path": '"$user", public'}]

    in_loop(body)


def test_named_statements_are_told_with_what_the_client_knows_of_them() -> None:
    def body() -> None:
        one = relayed()
        sql = "SELECT note FROM items WHERE id = $1"
        parsed = CarriedStatement("s", sql, [23])
        described = CarriedStatement("s", sql, [23], True, [("note", 25, -1)])
        assert notes_of(one, client.parse(sql, "s"), client.SYNC) == [Changed(statements=[parsed])]
        assert notes_of(one, client.describe_statement("s"), client.SYNC) == [Changed(statements=[described])]
        assert notes_of(one, client.describe_statement("s"), client.SYNC) == []
        assert notes_of(one, client.close_statement("s"), client.SYNC) == [Changed(closed=["s"])]
        assert notes_of(one, client.close_statement("s"), client.SYNC) == []
        notes_of(one, client.parse(sql, "s"), client.SYNC)
        assert notes_of(one, query("DEALLOCATE ALL")) == [Changed(cleared=True)]

    in_loop(body)


def test_the_unnamed_statement_is_told_while_it_waits_for_its_first_use() -> None:
    def body() -> None:
        one = relayed()
        first, second = (CarriedStatement("", f"SELECT {n}", [], True, [("?column?", 23, -1)]) for n in (1, 2))
        asked = client.parse("SELECT 1"), client.describe_statement(), client.SYNC
        assert notes_of(one, *asked) == [Changed(statements=[first])]
        used = client.bind([]), client.execute(), client.SYNC
        for _ in range(2):
            assert notes_of(one, *used) == []
        at_once = client.parse("SELECT 2"), client.bind([]), client.execute(), client.SYNC
        assert notes_of(one, *at_once) == [Changed(closed=[""])]
        assert notes_of(one, *at_once) == []
        again = client.parse("SELECT 2"), client.describe_statement(), client.SYNC
        assert notes_of(one, *again) == [Changed(statements=[second])]
        assert notes_of(one, query("SELECT 3")) == [Changed(closed=[""])]

    in_loop(body)


def test_commit_is_announced_with_the_answer_it_will_have() -> None:
    def body() -> None:
        one = relayed()
        (note,) = notes_of(one, query("INSERT INTO items VALUES (1, 1, 'a') RETURNING id"))
        assert isinstance(note, CommitNote)
        assert (note.number, note.final, note.settings) == (1, True, {})
        (_, commit) = one.fleet.data.commits[0]
        assert note.question == Outcome(commit.txn, commit.tau_start, commit.deadline, commit.stream, commit.epoch)
        start = len(one.wire.said)
        (note,) = notes_of(one, query("BEGIN; INSERT INTO items VALUES (2, 1, 'a'); COMMIT; SELECT 1"))
        assert isinstance(note, CommitNote)
        assert (note.number, note.final) == (2, False)
        visible = split(one.wire.said[start:])[0]
        assert visible.startswith(note.withheld + note.after)

    in_loop(body)


def test_too_much_to_carry_makes_a_session_immovable() -> None:
    def body() -> None:
        one = relayed()
        large = "SELECT '" + "x" * (CARRIED_BYTES_MAX // 4) + "'"
        for number in range(3):
            notes_of(one, client.parse(large, f"s{number}"), client.SYNC)
            assert not one.session.carried.immovable
        (note,) = notes_of(one, client.parse(large, "s3"), client.SYNC)
        assert isinstance(note, Immovable)
        assert one.session.carried.immovable == note.reason
        assert notes_of(one, client.parse("SELECT 1", "s4"), client.SYNC) == []
        assert rows(Client(one.fleet).query("SELECT 1")) == [("1",)]
        one.fleet.processors[0].sessions.drain()
        assert errors(one.take()) == [("57P01", "terminating connection due to administrator command")]

    in_loop(body)


def test_drained_session_moves_when_it_is_idle() -> None:
    def body() -> None:
        one = relayed()
        first, second = one.fleet.processors
        one.send(query("BEGIN; INSERT INTO items VALUES (1, 1, 'a')"))
        one.answered()
        first.sessions.drain()
        assert len(first.sessions) == 1
        one.send(query("COMMIT"))
        assert tags(one.answered()) == ["COMMIT"]
        assert (len(first.sessions), len(second.sessions)) == (0, 1)
        one.send(query("SELECT note FROM items"))
        assert rows(one.answered()) == [("a",)]

    in_loop(body)


def test_the_value_of_a_sequence_moves_with_its_session() -> None:
    def body() -> None:
        one = relayed()
        notes_of(one, query("CREATE SEQUENCE q CACHE 65536"))
        notes_of(one, query("CREATE SEQUENCE other CACHE 65536"))
        told = [note.sequences for note in notes_of(one, query("SELECT nextval('q')")) if isinstance(note, Changed)]
        assert [[value for _, value in sequences] for sequences in told] == [[1]]
        assert notes_of(one, query("SELECT currval('q')")) == []
        notes_of(one, query("SELECT setval('q', 50), setval('other', 7, false)"))
        one.fleet.processors[0].sessions.drain()
        one.send(query("SELECT currval('q')"))
        assert rows(one.answered()) == [("50",)]
        assert len(one.moves) == 1
        one.send(query("SELECT currval('other')"))
        assert [code for code, _ in errors(one.answered())] == ["55000"]
        one.send(query("SELECT nextval('q')"))  # what was left of its block stayed behind
        assert rows(one.answered()) == [("51",)]

    in_loop(body)


def test_the_value_of_a_sequence_is_known_where_its_commit_is() -> None:
    def body() -> None:
        one = relayed()
        notes_of(one, query("CREATE SEQUENCE q CACHE 65536"))
        one.wire.stuck = True
        one.send(query("INSERT INTO items VALUES (nextval('q'), 1, 'a')"))
        one.run(0.1)
        (note,) = [decode(body) for body in split(one.wire.said)[1] if isinstance(decode(body), CommitNote)][-1:]
        assert isinstance(note, CommitNote)
        assert [value for _, value in note.sequences] == [1]
        assert list(one.session.carried.sequences.values()) == [1]

    in_loop(body)


def test_session_still_in_a_transaction_when_its_processor_stops_is_lost_and_goes_on() -> None:
    def body() -> None:
        one = relayed()
        one.send(query("BEGIN; INSERT INTO items VALUES (1, 1, 'a')"))
        one.answered()
        one.fleet.processors[0].sessions.drain()
        one.fleet.processors[0].sessions.stop()
        one.send(query("INSERT INTO items VALUES (2, 1, 'b')"))
        answer = one.answered()
        assert [code for code, _ in errors(answer)] == ["40001"]
        assert status(answer) == "E"
        one.send(query("SELECT 1"))
        assert [code for code, _ in errors(one.answered())] == ["25P02"]
        one.send(query("COMMIT"))
        assert tags(one.answered()) == ["ROLLBACK"]
        one.send(query("SELECT count(*) FROM items"))
        assert rows(one.answered()) == [("0",)]

    in_loop(body)


def test_commit_waits_for_a_kernel_that_does_not_take_its_announcement() -> None:
    def body() -> None:
        for taken in (True, False):
            one = relayed()
            one.wire.stuck = True
            one.send(query("INSERT INTO items VALUES (1, 1, 'a')"))
            one.run(1.0)
            assert one.fleet.data.commits == []
            assert one.wire.on_pushed is not None
            one.wire.stuck = False
            one.wire.on_pushed(taken)
            answer = one.answered()
            assert [code for code, _ in errors(answer)] == ([] if taken else ["40001"])
            assert len(one.fleet.data.commits) == taken

    in_loop(body)


def restored(fleet: TestFleet, restore: Restore) -> Client:
    return Client(fleet, start=SessionStart("admin", "postgres", {}, restore=restore))


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet(processors=1)
    add_table(fleet, items())
    return fleet


def test_restored_statement_is_planned_when_it_is_first_used(fleet: TestFleet) -> None:
    sql = "SELECT note FROM items WHERE id = $1"
    one = restored(fleet, Restore(77, 88, 1.0, {}, [CarriedStatement("s", sql, [23])]))
    assert isinstance(one.session, Session)
    assert (one.session.process_id, one.session.secret) == (77, 88)
    one.send(client.describe_statement("s"), client.SYNC)
    assert names(one.ready()) == ["note"]
    one.send(client.bind([b"1"], statement="s"), client.execute(), client.SYNC)
    assert tags(one.ready()) == ["SELECT 0"]


def test_restored_statement_does_not_answer_with_other_columns_than_the_client_was_told(fleet: TestFleet) -> None:
    told = CarriedStatement("s", "SELECT * FROM items", [], True, [("id", 23, -1), ("grp", 23, -1), ("note", 25, -1)])
    add_table(fleet, items(30_000, "items", Column("more", 23, -1, False, 3)))
    one = restored(fleet, Restore(77, 88, 1.0, {}, [told]))
    one.send(client.bind([], statement="s"), client.execute(), client.SYNC)
    assert errors(one.ready()) == [("0A000", "cached plan must not change result type")]


@pytest.mark.parametrize("extended", [False, True])
def test_lost_block_fails_once_with_40001(fleet: TestFleet, extended: bool) -> None:
    one = restored(fleet, Restore(77, 88, 1.0, {}, [], Lost.untold))
    assert status(one.greeting) == "E"
    run = one.execute if extended else one.query
    for code in ("40001", "25P02"):
        answer = run("SELECT 1")
        assert [found for found, _ in errors(answer)] == [code]
        assert status(answer) == "E"
    assert tags(run("ROLLBACK")) == ["ROLLBACK"]
    assert rows(run("SELECT 1")) == [("1",)]


@pytest.mark.parametrize("extended", [False, True])
def test_commit_of_a_lost_block_fails_and_ends_it(fleet: TestFleet, extended: bool) -> None:
    one = restored(fleet, Restore(77, 88, 1.0, {}, [], Lost.untold))
    answer = (one.execute if extended else one.query)("COMMIT")
    assert [code for code, _ in errors(answer)] == ["40001"]
    assert status(answer) == "I"


def test_session_reaches_its_age_wherever_it_is(fleet: TestFleet) -> None:
    one = restored(fleet, Restore(77, 88, 3_599.0, {}, []))
    fleet.run(2.0)
    assert one.out.closed


def test_settings_that_a_processor_does_not_know_are_refused(fleet: TestFleet) -> None:
    one = restored(fleet, Restore(77, 88, 1.0, {"work_mem": "1MB"}, []))
    assert [code for code, _ in errors(one.greeting)] == ["0A000"]
    assert one.out.closed


def test_what_a_lenient_cluster_lets_a_session_have_moves_with_it() -> None:
    def body() -> None:
        one = relayed(lenient=True, extensions=True)
        for sql in (
            "SET my.tenant = '7'; SET statement_timeout = '30s'; SET ROLE admin",
            "INSERT INTO items VALUES (1, 1, 'a')",
            "PREPARE get(int) AS SELECT note FROM items WHERE id = $1",
            "SET default_transaction_read_only = on",
        ):
            one.send(query(sql))
            assert not errors(one.answered()), sql
        first, second = one.fleet.processors
        first.sessions.drain()
        one.fleet.run(1.0)
        assert (len(first.sessions), len(second.sessions)) == (0, 1)
        for sql, told in (
            ("SHOW my.tenant", "7"),
            ("SHOW statement_timeout", "30s"),
            ("SHOW role", "admin"),
            ("EXECUTE get(1)", "a"),
        ):
            one.send(query(sql))
            assert rows(one.answered()) == [(told,)]
        one.send(query("DELETE FROM items"))
        assert errors(one.answered())[0][0] == "25006"

    in_loop(body)


def test_a_session_with_temporary_tables_stays() -> None:
    def body() -> None:
        one = relayed(extensions=True)
        (note,) = notes_of(one, query("CREATE TEMP TABLE mine (id int)"))
        assert isinstance(note, Immovable)
        assert note.reason == "it has temporary tables"

    in_loop(body)


def test_a_session_whose_commits_fail_on_demand_stays() -> None:
    def body() -> None:
        one = relayed(testing=True)
        (note,) = notes_of(one, query("SELECT tausql.fail_next_commit('OC000')"))
        assert isinstance(note, Immovable)
        one.fleet.processors[0].sessions.drain()
        assert errors(one.take()) == [("57P01", "terminating connection due to administrator command")]

    in_loop(body)
