"""SQL over HTTP means what it means over the wire: the same refusals, blocks and switches, on a real processor."""

from __future__ import annotations

import pytest
from processor_client import Client, tags
from processor_fleet import TestFleet
from processor_http import Http, refusal
from test_processor_refusals import lines

ABORTED = ("25P02", "current transaction is aborted, commands ignored until end of transaction block")
MIXED = ("0A000", "ddl and dml are not supported in the same transaction")


@pytest.fixture(scope="module")
def refusing() -> Http:
    fleet = TestFleet()
    wire = Client(fleet)
    for group, _, sql, tag in lines("recorded.tsv"):
        if group == "setup":
            assert tags(wire.query(sql)) == [tag], sql
    return Http(fleet)


@pytest.fixture
def http() -> Http:
    http = Http(TestFleet())
    assert refusal(http.sql("CREATE TABLE t (id int PRIMARY KEY, v int)")) == ("ok", "CREATE TABLE")
    assert refusal(http.sql("INSERT INTO t VALUES (1, 10), (2, NULL)")) == ("ok", "INSERT")
    return http


def refused() -> list[tuple[str, list[str], tuple[str, str]]]:
    """(name, statements, error) of all that is refused, but for blocks that begin as no HTTP transaction can."""
    found = []
    for file in ("recorded.tsv", "errors.tsv"):
        for _, state, sql, told in lines(file):
            statements = sql.split("; ") if file == "errors.tsv" else [sql]
            if state != "ok" and told and not (len(statements) > 1 and "READ ONLY" in statements[0]):
                found.append((sql, statements, (state, told)))
    return found


REFUSED = refused()


@pytest.mark.parametrize(("statements", "error"), [line[1:] for line in REFUSED], ids=[line[0] for line in REFUSED])
def test_what_is_refused_is_refused_in_the_same_words(
    refusing: Http, statements: list[str], error: tuple[str, str]
) -> None:
    if statements[0] != "BEGIN":
        *before, last = statements
        for sql in before:
            assert refusal(refusing.sql(sql))[0] == "ok"
        assert refusal(refusing.sql(last)) == error
        return
    transaction = refusing.begin()
    *before, last = statements[1:]
    for sql in before:
        assert refusal(refusing.sql(sql, transaction=transaction))[0] == "ok"
    assert refusal(refusing.sql(last, transaction=transaction)) == error
    assert refusal(refusing.sql("SELECT 1", transaction=transaction)) == ABORTED
    assert refusing.end(transaction, "rollback").json()["state"] == "rolled back"


def test_a_failed_transaction_says_so_until_it_ends(http: Http) -> None:
    for last in ("commit", "COMMIT"):
        transaction = http.begin()
        http.rows("INSERT INTO t VALUES (3)", transaction=transaction)
        assert refusal(http.sql("SELECT 1 / 0", transaction=transaction)) == ("22012", "division by zero")
        assert refusal(http.sql("SELECT 1", transaction=transaction)) == ABORTED
        if last == "COMMIT":  # as over the wire: no error, but another tag
            assert refusal(http.sql(last, transaction=transaction)) == ("ok", "ROLLBACK")
        else:
            assert refusal(http.end(transaction)) == ("25P02", "the transaction had failed, so it was rolled back")
        assert refusal(http.sql("SELECT 1", transaction=transaction))[0] == "25P01"
    assert http.rows("SELECT count(*) FROM t") == [[2]]


def test_schema_changes_and_rows_do_not_mix(http: Http) -> None:
    transaction = http.begin()
    http.rows("CREATE TABLE u (a int)", transaction=transaction)
    assert refusal(http.sql("INSERT INTO u VALUES (1)", transaction=transaction)) == MIXED
    http.end(transaction, "rollback")
    transaction = http.begin()
    http.rows("INSERT INTO t VALUES (3)", transaction=transaction)
    assert refusal(http.sql("CREATE TABLE u (a int)", transaction=transaction)) == MIXED
    assert refusal(http.end(transaction))[0] == "25P02"
    assert refusal(http.sql("SELECT * FROM u")) == ("42P01", 'relation "u" does not exist')
    assert http.rows("SELECT count(*) FROM t") == [[2]]


def test_conflicts_are_told_at_commit_and_can_be_tried_again(http: Http) -> None:
    first, second = http.begin(), http.begin()
    for transaction in (first, second):
        http.rows("UPDATE t SET v = v + 1 WHERE id = 1", transaction=transaction)
    assert http.end(first).json()["state"] == "committed"
    answer = http.end(second)
    assert answer.status_code == 409
    assert refusal(answer) == ("40001", "change conflicts with another transaction (OC000)")
    assert answer.json()["error"]["retryable"]
    old = http.begin()
    http.rows("SELECT * FROM t", transaction=old)
    http.rows("ALTER TABLE t ADD COLUMN w int")
    http.rows("UPDATE t SET v = 1", transaction=old)
    assert refusal(http.end(old)) == ("40001", "schema has been updated by another transaction (OC001)")
    assert http.rows("SELECT v, w FROM t WHERE id = 1") == [[11, None]]


def test_a_transaction_that_is_left_alone_is_rolled_back(http: Http) -> None:
    transaction = http.begin()
    http.rows("DELETE FROM t", transaction=transaction)
    http.fleet.run(50)
    http.rows("SELECT 1", transaction=transaction)
    http.fleet.run(61)
    assert refusal(http.end(transaction))[0] == "25P01"
    assert http.rows("SELECT count(*) FROM t") == [[2]]


def test_what_needs_a_connection_is_said_to(http: Http) -> None:
    for sql in ("BEGIN", "START TRANSACTION"):
        assert refusal(http.sql(sql))[0] == "25001"
    assert refusal(http.sql("COPY t TO STDOUT")) == ("0A000", "COPY not supported over HTTP")
    assert refusal(http.sql("COPY t FROM STDIN")) == ("0A000", "COPY not supported over HTTP")
    assert refusal(http.sql("SELECT 1; SELECT 2")) == (
        "42601",
        "cannot insert multiple commands into a prepared statement",
    )
    assert refusal(http.sql("")) == ("ok", "")


def test_roles_are_who_they_say(http: Http) -> None:
    http.rows("CREATE ROLE limited WITH LOGIN")
    http.rows("CREATE ROLE nobody")
    http.rows("GRANT SELECT (id) ON t TO limited")
    limited = Http(http.fleet, "limited")
    denied = (401, "08006", "unable to accept connection, access denied")
    answer = limited.sql("SELECT 1")
    assert (answer.status_code, *refusal(answer)) == denied, "nobody has said who may be this role"
    http.rows("AWS IAM GRANT limited TO 'arn:aws:iam::000000000000:user/test'")
    assert limited.rows("SELECT current_user, session_user") == [["limited", "limited"]]
    forbidden = ("42501", "permission denied for table t")
    assert refusal(limited.sql("DELETE FROM t")) == forbidden
    transaction = limited.begin()
    assert limited.rows("SELECT id FROM t ORDER BY id", transaction=transaction) == [[1], [2]]
    answer = limited.sql("SELECT v FROM t", transaction=transaction)
    assert (answer.status_code, *refusal(answer)) == (403, *forbidden)
    for name in ("nobody", "stranger"):
        one = Http(http.fleet, name)
        for answer in (one.sql("SELECT 1"), one.post("transactions")):
            assert (answer.status_code, *refusal(answer)) == denied


def test_extensions() -> None:
    plain, more = Http(TestFleet()), Http(TestFleet(extensions=True))
    for http in (plain, more):
        http.rows("CREATE TABLE t (id int PRIMARY KEY)")
    transaction = plain.begin()
    assert refusal(plain.sql("SAVEPOINT s", transaction=transaction)) == (
        "0A000",
        "unsupported transaction statement: SAVEPOINT",
    )
    transaction = more.begin()
    for sql in (
        "CREATE TABLE u (id int PRIMARY KEY, tags text[])",
        "INSERT INTO t VALUES (1)",
        "SAVEPOINT s",
        "INSERT INTO t VALUES (2)",
        "ROLLBACK TO s",
    ):
        more.rows(sql, transaction=transaction)
    assert more.rows("INSERT INTO u VALUES ($1, $2) RETURNING *", 7, "{a,NULL}", transaction=transaction) == [
        [7, ["a", None]]
    ]
    assert more.end(transaction).status_code == 200
    assert more.rows("SELECT t.id, u.id FROM t, u") == [[1, 7]]
    more.rows("TRUNCATE t")
    assert more.rows("SELECT * FROM t") == []


def test_lenient() -> None:
    plain, lenient = Http(TestFleet()), Http(TestFleet(lenient=True))
    assert refusal(plain.sql("VACUUM")) == ("0A000", "unsupported VACUUM statement")
    assert refusal(lenient.sql("VACUUM")) == ("ok", "VACUUM")
    assert refusal(plain.sql("SELECT pg_try_advisory_lock(1)"))[0] != "ok"
    assert lenient.rows("SELECT pg_try_advisory_lock(1)") == [[True]]


def test_failures_on_demand() -> None:
    plain, http = Http(TestFleet()), Http(TestFleet(testing=True))
    assert refusal(plain.sql("SELECT tausql.fail_next_commit('OC000')"))[0] != "ok"
    http.rows("CREATE TABLE t (id int PRIMARY KEY)")
    for code, message in (
        ("OC000", "change conflicts with another transaction (OC000)"),
        ("OC001", "schema has been updated by another transaction (OC001)"),
    ):
        transaction = http.begin()
        http.rows(f"SELECT tausql.fail_next_commit('{code}')", transaction=transaction)
        http.rows("INSERT INTO t VALUES (1)", transaction=transaction)
        assert refusal(http.end(transaction)) == ("40001", message)
    transaction = http.begin()
    http.rows("SELECT tausql.fail_next_commit('unknown')", transaction=transaction)
    http.rows("INSERT INTO t VALUES (1)", transaction=transaction)
    assert refusal(http.end(transaction))[0] == "40003"
    assert http.rows("SELECT id FROM t") == [[1]]


def test_jobs_can_be_waited_for(http: Http) -> None:
    ((job,),) = http.rows("CREATE INDEX ASYNC ON t (v)")
    http.rows("CALL sys.wait_for_job($1)", job)
    assert http.rows("SELECT status FROM sys.jobs WHERE job_id = $1", job) == [["completed"]]
