"""What a cluster takes beyond Aurora DSQL, when its owner has switched it on: settings of tools, failures on demand."""

from __future__ import annotations

from typing import Any

import pytest
from processor_client import Client, add_table, errors, items, notices, rows, shape, tags
from processor_fleet import TestFleet

from tausql.pgwire import client


def session_of(**switches: Any) -> Client:
    fleet = TestFleet(**switches)
    add_table(fleet, items())
    return Client(fleet)


def run(session: Client, *statements: str) -> None:
    for sql in statements:
        assert not errors(messages := session.query(sql)), (sql, errors(messages))


def value(session: Client, sql: str) -> str | None:
    ((only,),) = rows(session.query(sql))
    return only


def test_show_tells_the_switches_and_set_cannot_change_them() -> None:
    session = session_of(extensions=True)
    shown = {name: setting for name, setting, _ in rows(session.query("SHOW ALL"))}
    assert {name: setting for name, setting in shown.items() if name and name.startswith("tausql.")} == {
        "tausql.dialect": "2026-09",
        "tausql.extensions": "on",
        "tausql.lenient": "off",
        "tausql.testing": "off",
    }
    assert value(session, "SELECT current_setting('tausql.extensions')") == "on"
    assert errors(session.query("SET tausql.lenient = on"))[0][0] == "0A000"
    assert all(description for name, _, description in rows(session.query("SHOW ALL")))


def test_set_config_is_a_function_like_any_other() -> None:
    session = session_of()
    sql = "SELECT set_config('TimeZone', 'Europe/' || note, false), note FROM (VALUES ('Paris')) AS v (note)"
    assert rows(session.query(sql)) == [("Europe/Paris", "Paris")]
    assert value(session, "SHOW TimeZone") == "Europe/Paris"
    assert rows(session.execute("SELECT set_config($1, $2, false)", b"extra_float_digits", b"3")) == [("3",)]
    run(session, "BEGIN")
    assert value(session, "SELECT pg_catalog.set_config('search_path', '', true)") == ""
    assert value(session, "SHOW search_path") == ""
    run(session, "ROLLBACK")
    assert value(session, "SHOW search_path") == '"$user", public'
    assert value(session, "SELECT set_config('TimeZone', NULL, false)") == "UTC"
    assert errors(session.query("SELECT set_config(NULL, 'x', false)")) == [("22004", "SET requires parameter name")]


# --- lenient ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "shown", "told"),
    [
        ("SET statement_timeout = '90 s'", "statement_timeout", "90s"),
        ("SET lock_timeout = 60000", "lock_timeout", "1min"),
        ("SET client_min_messages TO WARNING", "client_min_messages", "warning"),
        ("SET row_security = off", "row_security", "off"),
        ("SET xmloption = content", "xmloption", "content"),
        ("SET standard_conforming_strings = on", "standard_conforming_strings", "on"),
        ("SET default_transaction_isolation = 'repeatable read'", "default_transaction_isolation", "repeatable read"),
        ("SET work_mem = '64MB'", "work_mem", "64MB"),
        ("SET synchronize_seqscans TO off", "synchronize_seqscans", "off"),
        ("SET default_tablespace = ''", "default_tablespace", ""),
        ("SET default_table_access_method = heap", "default_table_access_method", "heap"),
        ("SET my.own = 'x'", "my.own", "x"),
        ("SET ROLE admin", "role", "admin"),
    ],
)
def test_harmless_settings_are_taken(sql: str, shown: str, told: str) -> None:
    session = session_of(lenient=True)
    assert tags(session.query(sql)) == ["SET"]
    assert value(session, f"SHOW {shown}") == told
    run(session, "RESET ALL", "RESET ROLE")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SET standard_conforming_strings = off", "22023"),
        ("SET bytea_output = escape", "22023"),
        ("SET default_transaction_isolation = serializable", "22023"),
        ("SET session_replication_role = replica", "22023"),
        ("SET default_tablespace = fast", "22023"),
        ("SET statement_timeout = -1", "22023"),
        ("SET statement_timeout = 'soon'", "22023"),
        ("SET shared_buffers = 1", "0A000"),
        ("SET tausql.testing = on", "0A000"),
        ("SET TRANSACTION SNAPSHOT 'x'", "0A000"),
        ("SET SESSION AUTHORIZATION somebody", "0A000"),
        ("LISTEN x", "0A000"),
        ("SAVEPOINT s", "0A000"),
    ],
)
def test_what_would_change_results_is_not(sql: str, error: str) -> None:
    assert errors(session_of(lenient=True).query(sql))[0][0] == error


def test_what_tools_send_and_nothing_here_needs() -> None:
    session = session_of(lenient=True)
    for sql, tag in (
        ("DISCARD ALL", "DISCARD ALL"),
        ("CLOSE ALL", "CLOSE CURSOR ALL"),
        ("UNLISTEN *", "UNLISTEN"),
        ("SET SESSION AUTHORIZATION DEFAULT", "SET"),
        ("VACUUM ANALYZE items", "VACUUM"),
    ):
        assert tags(session.query(sql)) == [tag], sql
    assert value(session, "SELECT pg_backend_pid()") == str(session.session.process_id)  # type: ignore[attr-defined]
    assert value(session, "SELECT pg_try_advisory_lock(1)") == "t"
    run(session, "SELECT pg_advisory_lock(1), pg_advisory_xact_lock(1, 2)", "SELECT pg_advisory_unlock_all()")
    assert errors(session.query("LOCK TABLE items IN ACCESS SHARE MODE"))[0][0] == "25P01"
    run(session, "BEGIN", "LOCK TABLE items IN ACCESS SHARE MODE", "COMMIT")


def test_access_modes_are_honoured() -> None:
    session = session_of(lenient=True)
    run(session, "BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    assert value(session, "SHOW transaction_read_only") == "on"
    assert errors(session.query("INSERT INTO items VALUES (1, 1, 'a')"))[0][0] == "25006"
    run(session, "ROLLBACK", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    assert errors(session.query("INSERT INTO items VALUES (1, 1, 'a')"))[0][0] == "25006"
    run(session, "BEGIN READ WRITE", "INSERT INTO items VALUES (1, 1, 'a')", "COMMIT")
    run(session, "SET default_transaction_read_only = off", "INSERT INTO items VALUES (2, 1, 'a')")


def test_statements_and_idle_sessions_are_timed_out() -> None:
    session = session_of(lenient=True)
    run(session, "SET statement_timeout = 50")
    for storage in session.fleet.storages:
        storage.mood = "drop"
    assert errors(session.query("SELECT * FROM items")) == [("57014", "canceling statement due to statement timeout")]
    for storage in session.fleet.storages:
        storage.mood = "answer"
    assert rows(session.query("SELECT * FROM items")) == []
    run(session, "SET idle_in_transaction_session_timeout = '2s'", "BEGIN")
    session.fleet.run(1.5)
    run(session, "SELECT 1")
    session.fleet.run(1.5)
    assert not session.out.closed
    session.fleet.run(1.0)
    assert errors(session.take()) == [("25P03", "terminating connection due to idle-in-transaction timeout")]
    assert session.out.closed


def test_messages_below_the_level_are_not_sent() -> None:
    session = session_of(lenient=True)
    assert notices(session.query("COMMIT")) == [("WARNING", "25P01")]
    run(session, "SET client_min_messages = error")
    assert notices(session.query("COMMIT")) == []


# --- failures on demand ----------------------------------------------------------------------------------------------


def test_the_next_commit_fails_as_asked() -> None:
    session = session_of(testing=True)
    sql = "INSERT INTO items VALUES (1, 1, 'a')"
    run(session, "SELECT tausql.fail_next_commit('OC000')", "SELECT * FROM items")
    conflict = ("40001", "change conflicts with another transaction (OC000)")
    assert errors(session.query(sql)) == [conflict]
    run(session, sql, "CALL tausql.fail_next_commit('OC001', 2)", "BEGIN", "DELETE FROM items")
    changed = ("40001", "schema has been updated by another transaction (OC001)")
    assert errors(session.query("COMMIT")) == [changed]
    assert errors(session.execute("DELETE FROM items")) == [changed]
    assert value(session, "SELECT count(*) FROM items") == "1"
    run(session, "DELETE FROM items")


def test_an_unknown_outcome_did_happen() -> None:
    session = session_of(testing=True)
    run(session, "SELECT tausql.fail_next_commit('unknown')")
    assert errors(session.query("INSERT INTO items VALUES (1, 1, 'a')"))[0][0] == "40003"
    assert value(session, "SELECT count(*) FROM items") == "1"


def test_a_share_of_all_commits_fails() -> None:
    session = session_of(testing=True, fail_commits_share=0.3, fail_commits_with="OC001")
    failed = sum(bool(errors(session.query(f"INSERT INTO items VALUES ({n}, 1, 'a')"))) for n in range(100))
    assert 15 <= failed <= 45
    assert value(session, "SELECT count(*) FROM items") == str(100 - failed)


def test_held_jobs_wait_until_they_are_released() -> None:
    session = session_of(testing=True)
    run(session, "SELECT tausql.hold_jobs()")
    assert value(session, "SELECT tausql.jobs_held() AS held") == "t"
    job = value(session, "CREATE INDEX ASYNC ON items (note)")
    session.fleet.run(120)
    assert value(session, "SELECT status FROM sys.jobs") in ("submitted", "processing")
    session.send(client.query(f"CALL sys.wait_for_job('{job}')"))
    session.fleet.run(5)
    assert shape(session.take()) == []
    other = Client(session.fleet)
    run(other, "SELECT tausql.release_jobs()")
    assert rows(session.ready()) == [("t",)]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT tausql.fail_next_commit('OC002')", "22023"),
        ("SELECT tausql.fail_next_commit('OC000', 9999999)", "22023"),
        ("SELECT tausql.fail_next_commit()", "42883"),
        ("SELECT tausql.fail_next_commit(now())", "42601"),
        ("SELECT tausql.hold_jobs(), 1", "42601"),
        ("SELECT tausql.nothing()", "42883"),
    ],
)
def test_calls_that_make_no_sense(sql: str, error: str) -> None:
    assert errors(session_of(testing=True).query(sql))[0][0] == error


def test_without_the_switch_there_are_no_such_calls() -> None:
    assert errors(session_of().query("SELECT tausql.hold_jobs()"))[0][0] in ("3F000", "42883")


# --- PREPARE ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["lenient", "extensions"])
def test_prepare_and_execute_as_statements(switch: str) -> None:
    session = session_of(**{switch: True})
    assert tags(session.query("PREPARE put AS INSERT INTO items VALUES ($1, $2, $3)")) == ["PREPARE"]
    run(session, "EXECUTE put(1, 2 + 5, 'a, (b')", "EXECUTE put('2', NULL, upper('c'))")
    run(session, "PREPARE get(pg_catalog.int4) AS SELECT note FROM items WHERE id = $1")
    assert rows(session.query("EXECUTE get(1)")) == [("a, (b",)]
    assert tags(session.query("EXECUTE get(2)")) == ["SELECT 1"]
    run(session, "BEGIN", "EXECUTE put(3, 3, 'd')", "ROLLBACK")
    assert rows(session.query("EXECUTE get(3)")) == []
    for sql, state in (
        ("EXECUTE get", "42601"),
        ("EXECUTE nothing", "26000"),
        ("PREPARE get AS SELECT 1", "42P05"),
        ("PREPARE x AS COMMIT", "42601"),
        ("PREPARE x", "42601"),
        ("PREPARE x(nonsense) AS SELECT 1", "42704"),
        ("EXECUTE get('x')", "22P02"),
    ):
        assert errors(session.query(sql))[0][0] == state, sql
    assert tags(session.query("DEALLOCATE get")) == ["DEALLOCATE"]
    assert errors(session.query("DEALLOCATE get"))[0][0] == "26000"
