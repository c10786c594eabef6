"""The extended protocol and COPY, message by message."""

from __future__ import annotations

import pytest
from processor_client import Client, add_table, errors, items, names, rows, shape, status, tags
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.pgwire.client import CopyChunk, CopyInResponse, ParameterDescription, RowDescription
from tausql.protocol.adjudicator import Reason
from tausql.sql.catalogue.descriptors import Column


@pytest.fixture
def session() -> Client:
    fleet = TestFleet(processors=2)
    add_table(fleet, items())
    return Client(fleet)


def fill(session: Client, count: int) -> None:
    session.query(f"INSERT INTO items SELECT g, g % 3, 'n' || g FROM generate_series(1, {count}) AS g")


def test_parse_bind_describe_execute_sync_is_one_write(session: Client) -> None:
    fill(session, 3)
    session.out.writes.clear()
    answer = session.execute("SELECT note FROM items WHERE id = $1", b"2")
    assert shape(answer) == [
        "parse_complete",
        "bind_complete",
        "RowDescription",
        "DataRow",
        "CommandComplete",
        "ReadyForQuery",
    ]
    assert rows(answer) == [("n2",)]
    assert len(session.out.writes) == 1


def test_describe_statement_tells_types(session: Client) -> None:
    session.send(
        client.parse("INSERT INTO items VALUES ($1, $2, $3) RETURNING note", "s"), client.describe_statement("s")
    )
    session.send(client.SYNC)
    answer = session.ready()
    (types,) = [m for m in answer if isinstance(m, ParameterDescription)]
    assert types.types == (23, 23, 25)
    assert names(answer) == ["note"]


def test_binary_formats(session: Client) -> None:
    fill(session, 2)
    session.send(
        client.parse("SELECT id, note FROM items WHERE id = $1"),
        client.bind([(2).to_bytes(4, "big")], parameter_formats=(1,), result_formats=(1, 0)),
        client.execute(),
        client.SYNC,
    )
    answer = session.ready()
    (row,) = [m.values for m in answer if hasattr(m, "values")]
    assert list(row) == [b"\0\0\0\x02", b"n2"]


def test_named_portal_with_row_limits(session: Client) -> None:
    fill(session, 5)
    session.send(
        client.query("BEGIN"),
        client.parse("SELECT id FROM items ORDER BY id", "s"),
        client.bind([], "p", "s"),
        client.execute("p", 2),
        client.SYNC,
    )
    answer = session.ready(2)
    assert shape(answer)[-2:] == ["portal_suspended", "ReadyForQuery"]
    session.send(client.query("UPDATE items SET note = 'changed', id = id + 100 WHERE id > 3"))
    session.ready()
    session.send(client.execute("p", 2), client.execute("p", 2), client.execute("p", 2), client.SYNC)
    answer = session.ready()
    assert rows(answer) == [("3",), ("4",), ("5",)]
    assert tags(answer) == ["SELECT 1", "SELECT 0"]
    session.send(client.close_portal("p"), client.SYNC)
    session.ready()
    session.send(client.execute("p"), client.SYNC)
    answer = session.ready()
    assert errors(answer) == [("34000", 'portal "p" does not exist')]
    assert status(answer) == "E"


def test_portals_end_with_their_transaction(session: Client) -> None:
    fill(session, 5)
    session.send(
        client.parse("SELECT id FROM items", "s"), client.bind([], "p", "s"), client.execute("p", 2), client.SYNC
    )
    session.ready()
    session.send(client.execute("p", 2), client.SYNC)
    assert errors(session.ready())[0][0] == "34000"


def test_after_an_error_everything_is_skipped_until_sync(session: Client) -> None:
    session.send(
        client.parse("INSERT INTO items VALUES (1, 1, 'a')"),
        client.bind([]),
        client.execute(),
        client.parse("SELECT nonsense FROM items"),
        client.bind([]),
        client.execute(),
        client.SYNC,
        client.parse("SELECT count(*) FROM items"),
        client.bind([]),
        client.execute(),
        client.SYNC,
    )
    answer = session.ready(2)
    assert [code for code, _ in errors(answer)] == ["42703"]
    assert tags(answer) == ["INSERT 0 1", "SELECT 1"]
    assert rows(answer) == [("0",)]


def test_a_pipeline_shares_one_transaction_and_commits_at_sync(session: Client) -> None:
    insert = "INSERT INTO items VALUES ($1, 1, 'a')"
    session.send(
        client.parse(insert), client.bind([b"1"]), client.execute(), client.bind([b"2"]), client.execute(), client.SYNC
    )
    assert tags(session.ready()) == ["INSERT 0 1", "INSERT 0 1"]
    assert len(session.fleet.data.commits) == 1


def test_a_commit_that_loses_comes_in_place_of_its_tag(session: Client) -> None:
    session.query("SELECT 1")
    session.fleet.adjudicators[0].mood = Reason.conflict
    answer = session.execute("INSERT INTO items VALUES (1, 1, 'a')")
    assert tags(answer) == []
    assert errors(answer)[0][0] == "40001"
    assert status(answer) == "I"


def test_flush_without_sync(session: Client) -> None:
    session.send(client.parse("SELECT $1::int", "s"), client.describe_statement("s"), client.FLUSH)
    session.fleet.run(0.01)
    assert shape(session.take()) == ["parse_complete", "ParameterDescription", "RowDescription"]
    session.send(client.bind([b"5"], "", "s"), client.execute(), client.SYNC)
    assert rows(session.ready()) == [("5",)]


def test_names_of_statements(session: Client) -> None:
    session.send(client.parse("SELECT 1", "s"), client.parse("SELECT 1", "s"), client.SYNC)
    assert errors(session.ready()) == [("42P05", 'prepared statement "s" already exists')]
    session.send(client.bind([], "", "t"), client.SYNC)
    assert errors(session.ready()) == [("26000", 'prepared statement "t" does not exist')]
    session.query("DEALLOCATE ALL")
    session.send(client.bind([], "", "s"), client.SYNC)
    assert errors(session.ready())[0][0] == "26000"
    session.send(client.parse("SELECT 1; SELECT 2"), client.SYNC)
    assert errors(session.ready()) == [("42601", "cannot insert multiple commands into a prepared statement")]
    session.send(client.parse("SELECT $1::int"), client.bind([]), client.SYNC)
    assert errors(session.ready())[0][0] == "08P01"


def test_what_a_session_may_keep_is_bounded(session: Client) -> None:
    long = "SELECT '" + "x" * 900_000 + "'"
    for number in range(25):
        session.send(client.parse(long, f"s{number}"), client.SYNC)
        answer = session.ready()
    assert errors(answer) == [("54000", "too many prepared statements")]
    session.send(client.close_statement("s0"), client.parse(long, "again"), client.SYNC)
    assert errors(session.ready()) == []
    session.query("DEALLOCATE ALL")
    assert session.session.state.statement_characters == 0
    session.send(client.query("BEGIN"), client.parse("SELECT length($1)", "s"), client.SYNC)
    session.ready(2)
    for number in range(15):
        session.send(client.bind([b"x" * 9_000_000], f"p{number}", "s"), client.SYNC)
        answer = session.ready()
        if errors(answer):
            break
    assert number == 7
    assert errors(answer) == [("54000", "too many portals")]
    session.query("ROLLBACK")
    assert session.session.state.portal_bytes == 0


def test_transaction_control_and_show_through_the_extended_protocol(session: Client) -> None:
    assert status(session.execute("BEGIN")) == "T"
    answer = session.execute("SHOW TRANSACTION ISOLATION LEVEL")
    assert rows(answer) == [("repeatable read",)]
    assert names(answer) == ["transaction_isolation"]
    session.execute("INSERT INTO items VALUES (1, 1, 'a')")
    assert shape(session.execute("")) == [
        "parse_complete",
        "bind_complete",
        "no_data",
        "empty_query",
        "ReadyForQuery",
    ]
    answer = session.execute("COMMIT")
    assert (tags(answer), status(answer)) == (["COMMIT"], "I")


def test_a_cached_plan_follows_the_schema_or_says_why_not(session: Client) -> None:
    session.send(client.parse("SELECT * FROM items", "s"), client.describe_statement("s"), client.SYNC)
    session.ready()
    session.send(client.parse("SELECT id FROM items", "t"), client.describe_statement("t"), client.SYNC)
    session.ready()
    add_table(session.fleet, items(30_000, "items", Column("extra", 25, -1, False, 3)))
    session.send(client.bind([], "", "t"), client.execute(), client.SYNC)
    assert errors(session.ready()) == []
    session.send(client.bind([], "", "s"), client.execute(), client.SYNC)
    assert errors(session.ready()) == [("0A000", "cached plan must not change result type")]


def test_an_unnamed_statement_whose_columns_changed_is_worth_a_retry(session: Client) -> None:
    session.execute("SELECT * FROM items")
    add_table(session.fleet, items(30_000, "items", Column("extra", 25, -1, False, 3)))
    assert errors(session.execute("SELECT * FROM items"))[0][0] == "40001"
    assert names(session.execute("SELECT * FROM items")) == ["id", "grp", "note", "extra"]


def test_garbage_is_fatal(session: Client) -> None:
    session.send(b"\x01garbage, garbage")
    assert errors(session.take())[0][0] == "08P01"
    assert session.out.closed


def test_copy_in_and_out(session: Client) -> None:
    session.send(client.query("COPY items (id, note) FROM STDIN"))
    session.fleet.until(lambda: any(isinstance(m, CopyInResponse) for m in session.out.messages))
    text = "".join(f"{n}\tnote {n}\n" for n in range(250)) + "900\t\\N\n"
    half = len(text) // 2
    session.send(client.copy_data(text[:half].encode()))
    session.fleet.run(0.01)
    session.send(client.copy_data(text[half:].encode()), client.COPY_DONE)
    assert tags(session.ready()) == ["COPY 251"]
    answer = session.query(
        "COPY (SELECT id, grp, note FROM items WHERE id > 248 ORDER BY id) TO STDOUT WITH (FORMAT csv)"
    )
    assert b"".join(m.data for m in answer if isinstance(m, CopyChunk)) == b"249,,note 249\n900,,\n"
    assert tags(answer) == ["COPY 2"]
    answer = session.query("COPY items TO STDOUT")
    assert tags(answer) == ["COPY 251"]


def test_copy_in_errors_roll_back_and_swallow_the_rest(session: Client) -> None:
    session.send(client.query("COPY items (id) FROM STDIN"))
    session.fleet.run(0.01)
    session.send(client.copy_data(b"1\nnonsense\n"), client.copy_data(b"3\n"), client.COPY_DONE)
    answer = session.ready()
    assert [code for code, _ in errors(answer)] == ["22P02"]
    session.send(client.query("COPY items (id) FROM STDIN"))
    session.fleet.run(0.01)
    session.send(client.copy_fail("changed my mind"))
    assert errors(session.ready()) == [("57014", "COPY from stdin failed: changed my mind")]
    assert rows(session.query("SELECT count(*) FROM items")) == [("0",)]


def test_copy_in_through_the_extended_protocol(session: Client) -> None:
    session.send(client.parse("COPY items (id) FROM STDIN"), client.bind([]), client.execute(), client.SYNC)
    session.fleet.run(0.01)
    session.send(client.copy_data(b"1\n2\n"), client.COPY_DONE, client.SYNC)
    answer = session.ready()
    assert tags(answer) == ["COPY 2"]
    assert not any(isinstance(m, RowDescription) for m in answer)
    assert rows(session.query("SELECT count(*) FROM items")) == [("2",)]


def test_what_is_copied_in_stands_whatever_an_identity_column_says(session: Client) -> None:
    identity = "id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY"
    sql = f"CREATE TABLE kept ({identity}, v text, up text GENERATED ALWAYS AS (upper(v)) STORED)"
    assert not errors(session.query(sql))
    session.send(client.query("COPY kept (id, v) FROM STDIN"))
    session.send(client.copy_data(b"7\ta\n9\tb\n"), client.COPY_DONE)
    assert tags(session.ready()) == ["COPY 2"]
    assert rows(session.query("SELECT id, v, up FROM kept ORDER BY id")) == [("7", "a", "A"), ("9", "b", "B")]
    session.send(client.query("COPY kept FROM STDIN"))
    session.send(client.copy_data(b"10\tc\n"), client.COPY_DONE)
    assert tags(session.ready()) == ["COPY 1"]
    assert errors(session.query("COPY kept (up) TO STDOUT")) == [("42P10", 'column "up" is a generated column')]
    answer = session.query("COPY kept TO STDOUT")
    assert b"".join(m.data for m in answer if isinstance(m, CopyChunk)).endswith(b"10\tc\n")


def test_call_takes_parameters(session: Client) -> None:
    ((job,),) = rows(session.query("CREATE INDEX ASYNC ON items (note)"))
    assert job is not None
    for sql in ("CALL sys.wait_for_job($1)", "call sys.wait_for_job( $1::text )"):
        answer = session.execute(sql, job.encode())
        assert rows(answer) == [("t",)], errors(answer)
        session.send(client.parse(sql, "s"), client.describe_statement("s"), client.close_statement("s"), client.SYNC)
        (described,) = [m for m in session.ready() if isinstance(m, ParameterDescription)]
        assert list(described.types) == [25]
    assert errors(session.execute("CALL sys.wait_for_job($1)", b"x"))[0][0] == "22P02"
    assert errors(session.execute("CALL sys.wait_for_job($1)"))[0][0] == "08P01"
    assert errors(session.query("CALL sys.wait_for_job($1)"))[0][0] == "42P02"
