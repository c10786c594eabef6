"""Roles and privileges: who may do what, decided once a plan and user."""

from __future__ import annotations

import pytest
from processor_client import Client, do, error, errors, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import NoticeResponse
from tausql.protocol.processor import SessionStart


@pytest.fixture
def fleet() -> TestFleet:
    return TestFleet()


@pytest.fixture
def admin(fleet: TestFleet) -> Client:
    client = Client(fleet)
    do(
        client,
        "CREATE TABLE g (a int PRIMARY KEY, b text, c int)",
        "INSERT INTO g VALUES (1, 'one', 1)",
        "CREATE SEQUENCE q CACHE 1",
        "CREATE ROLE r1",
        "CREATE ROLE r2 LOGIN",
    )
    return client


@pytest.fixture
def other(fleet: TestFleet, admin: Client) -> Client:
    return Client(fleet, start=SessionStart("r2", "postgres", {}))


def told(session: Client, sql: str) -> list[tuple[str, str, str]]:
    return [(m.fields["S"], m.fields["C"], m.fields["M"]) for m in session.query(sql) if isinstance(m, NoticeResponse)]


DENIED = ("42501", "permission denied for table g")


def test_nothing_is_permitted_until_it_is_granted(admin: Client, other: Client) -> None:
    for sql in (
        "SELECT * FROM g",
        "INSERT INTO g VALUES (2)",
        "UPDATE g SET b = 'x'",
        "DELETE FROM g",
        "COPY g TO STDOUT",
        "EXPLAIN SELECT * FROM g",
        "SELECT count(*) FROM g",
        "SELECT 1 WHERE EXISTS (SELECT FROM g)",
    ):
        assert error(other, sql) == DENIED
    do(admin, "GRANT SELECT, INSERT ON g TO r2")
    assert rows(other.query("SELECT a FROM g")) == [("1",)]
    do(other, "INSERT INTO g VALUES (2)")
    assert error(other, "UPDATE g SET b = 'x'") == DENIED
    assert error(other, "SELECT a FROM g FOR UPDATE") == DENIED
    do(admin, "REVOKE SELECT ON TABLE g FROM r2")
    assert error(other, "SELECT a FROM g") == DENIED
    assert error(other, "INSERT INTO g VALUES (3) RETURNING a") == DENIED


def test_privileges_come_through_roles_and_public(admin: Client, other: Client) -> None:
    do(admin, "GRANT SELECT ON g TO r1", "GRANT r1 TO r2")
    assert rows(other.query("SELECT a FROM g")) == [("1",)]
    do(admin, "REVOKE r1 FROM r2")
    assert error(other, "SELECT a FROM g") == DENIED
    do(admin, "GRANT ALL ON g TO PUBLIC")
    assert tags(other.query("DELETE FROM g WHERE a = 1")) == ["DELETE 1"]


def test_privileges_on_columns(admin: Client, other: Client) -> None:
    do(admin, "GRANT SELECT (a, b), UPDATE (b) ON g TO r2")
    assert rows(other.query("SELECT a, b FROM g")) == [("1", "one")]
    assert rows(other.query("SELECT count(*) FROM g")) == [("1",)]
    assert error(other, "SELECT * FROM g") == DENIED
    assert error(other, "SELECT c FROM g") == DENIED
    do(other, "UPDATE g SET b = 'two' WHERE a = 1")
    do(admin, "CREATE SCHEMA own AUTHORIZATION r2", "REVOKE SELECT (b) ON g FROM r2")
    do(
        other,
        "UPDATE g SET b = 'two' WHERE a = 1",
        "CREATE VIEW own.w AS SELECT a FROM g",
        "CREATE VIEW own.x AS SELECT c FROM g",
    )
    assert rows(other.query("SELECT * FROM own.w")) == [("1",)]
    assert error(other, "SELECT * FROM own.x") == DENIED
    assert error(other, "UPDATE g SET a = 2 WHERE a = 1") == DENIED


def test_a_view_reads_with_its_owners_rights(admin: Client, other: Client) -> None:
    do(admin, "CREATE VIEW w AS SELECT a FROM g", "GRANT SELECT ON w TO r2")
    assert rows(other.query("SELECT a FROM w")) == [("1",)]
    assert error(other, "DELETE FROM w") == ("42501", "permission denied for view w")
    do(admin, "ALTER VIEW w SET (security_invoker = true)")
    assert error(other, "SELECT a FROM w") == DENIED


def test_schemas_and_sequences(admin: Client, other: Client) -> None:
    assert error(other, "CREATE TABLE t (a int)") == ("42501", "permission denied for schema public")
    assert error(other, "CREATE SCHEMA s") == ("42501", "permission denied for database postgres")
    assert error(other, "SELECT nextval('q')") == ("42501", "permission denied for sequence q")
    do(admin, "CREATE SCHEMA s", "CREATE TABLE s.t (a int)", "GRANT SELECT ON ALL TABLES IN SCHEMA s TO r2")
    assert error(other, "SELECT * FROM s.t") == ("42501", "permission denied for schema s")
    do(admin, "GRANT USAGE, CREATE ON SCHEMA s TO r2", "GRANT USAGE ON SEQUENCE q TO r2")
    assert rows(other.query("SELECT * FROM s.t")) == []
    assert rows(other.query("SELECT nextval('q')")) == [("1",)]
    do(other, "CREATE TABLE s.own (a int)", "INSERT INTO s.own VALUES (1)", "DROP TABLE s.own")
    assert error(other, "DROP TABLE g") == ("42501", "must be owner of table g")


def test_other_processors_learn_of_what_was_revoked() -> None:
    fleet = TestFleet(processors=2)
    admin = Client(fleet)
    do(
        admin,
        "CREATE SCHEMA s",
        "CREATE TABLE s.t (a int)",
        "CREATE ROLE r1",
        "CREATE ROLE r2 LOGIN",
        "GRANT r1 TO r2",
        "GRANT USAGE ON SCHEMA s TO r2",
        "GRANT SELECT ON s.t TO r1",
    )
    other = Client(fleet, 1, start=SessionStart("r2", "postgres", {}))
    assert rows(other.query("SELECT a FROM s.t")) == []
    do(other, "SELECT a FROM s.t")
    do(admin, "REVOKE r1 FROM r2")
    assert error(other, "SELECT a FROM s.t") == ("42501", "permission denied for table t")
    do(admin, "GRANT r1 TO r2")
    do(other, "SELECT a FROM s.t")
    do(admin, "REVOKE USAGE ON SCHEMA s FROM r2")
    assert error(other, "SELECT a FROM s.t") == ("42501", "permission denied for schema s")


def test_default_privileges(admin: Client, other: Client) -> None:
    do(
        admin,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO r2",
        "CREATE VIEW w AS SELECT 1 AS x",
    )
    assert rows(other.query("SELECT x FROM w")) == [("1",)]
    do(
        admin,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM r2",
        "CREATE VIEW w2 AS SELECT 1 AS x",
    )
    assert error(other, "SELECT x FROM w2") == ("42501", "permission denied for view w2")


def test_grant_options(admin: Client, other: Client) -> None:
    do(admin, "GRANT SELECT ON g TO r2 WITH GRANT OPTION")
    do(other, "GRANT SELECT ON g TO r1")
    assert told(other, "GRANT SELECT, INSERT ON g TO r1") == [
        ("WARNING", "01007", 'not all privileges were granted for "g"')
    ]
    assert error(admin, "REVOKE SELECT ON g FROM r2") == ("2BP01", "dependent privileges exist")
    do(admin, "REVOKE SELECT ON g FROM r2 CASCADE")
    assert error(other, "GRANT SELECT ON g TO r1") == DENIED


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE ROLE r1", ("42710", 'role "r1" already exists')),
        ("CREATE ROLE pg_x", ("42939", 'role name "pg_x" is reserved')),
        ("CREATE ROLE x PASSWORD 'y'", ("0A000", "PASSWORD not supported for CREATE ROLE")),
        ("ALTER ROLE r1 SET search_path = s", ("0A000", "unsupported statement: AlterRoleSet")),
        ("ALTER ROLE admin RENAME TO x", ("0A000", "Role admin not supported")),
        ("DROP ROLE nobody", ("42704", 'role "nobody" does not exist')),
        ("DROP ROLE admin", ("55006", "current user cannot be dropped")),
        ("GRANT r1 TO r1", ("0LP01", 'role "r1" is a member of role "r1"')),
        ("GRANT SELECT ON nothing TO r1", ("42P01", 'relation "nothing" does not exist')),
        ("GRANT SELECT ON g TO nobody", ("42704", 'role "nobody" does not exist')),
        ("GRANT foo ON g TO r1", ("42601", 'unrecognized privilege type "foo"')),
        ("GRANT USAGE ON g TO r1", ("0LP01", "invalid privilege type USAGE for table")),
        ("GRANT INSERT ON SEQUENCE q TO r1", ("0LP01", "invalid privilege type INSERT for sequence")),
        ("GRANT DELETE (a) ON g TO r1", ("0LP01", "invalid privilege type DELETE for column")),
        ("GRANT SELECT (zz) ON g TO r1", ("42703", 'column "zz" of relation "g" does not exist')),
        (
            "GRANT SELECT ON g TO PUBLIC WITH GRANT OPTION",
            ("0LP01", "grant options can only be granted to roles"),
        ),
    ],
)
def test_refusals(admin: Client, sql: str, expected: tuple[str, str]) -> None:
    assert error(admin, sql) == expected


def test_a_role_that_something_hangs_on_stays(admin: Client) -> None:
    do(admin, "GRANT SELECT ON g TO r1")
    refused = admin.query("DROP ROLE r1")
    assert errors(refused) == [("2BP01", "role r1 cannot be dropped because some objects depend on it")]
    do(admin, "REVOKE SELECT ON g FROM r1", "DROP ROLE r1", "ALTER ROLE r2 RENAME TO r3", "DROP USER r3")


def test_who_creates_roles(admin: Client, other: Client) -> None:
    assert error(other, "CREATE ROLE x") == ("42501", "permission denied to create role")
    assert error(other, "GRANT r1 TO r2") == ("42501", 'permission denied to grant role "r1"')
    do(admin, "CREATE ROLE maker CREATEROLE", "GRANT maker TO r2")


@pytest.mark.parametrize(
    ("user", "message"),
    [("nobody", 'role "nobody" does not exist'), ("r1", 'role "r1" is not permitted to log in')],
)
def test_who_may_log_in(fleet: TestFleet, admin: Client, user: str, message: str) -> None:
    refused = Client(fleet, start=SessionStart(user, "postgres", {}))
    assert errors(refused.greeting) == [("28000", message)]
    assert refused.out.closed


@pytest.mark.parametrize("switches", [(), ("lenient",)])
@pytest.mark.parametrize("parameters", [{"role": "r1"}, {"ROLE": "admin"}, {"options": "-c role=admin"}])
def test_nobody_comes_in_as_somebody_else(
    fleet: TestFleet, admin: Client, parameters: dict[str, str], switches: tuple[str, ...]
) -> None:
    """A startup packet has no transaction in which a membership could be looked up, and its sender is who he is."""
    refused = Client(fleet, start=SessionStart("r2", "postgres", parameters, switches=switches))
    name = "ROLE" if "ROLE" in parameters else "role"
    assert errors(refused.greeting) == [("0A000", f'setting configuration parameter "{name}" not supported')]
    assert refused.out.closed
    nobody = Client(fleet, start=SessionStart("r2", "postgres", {"role": "none"}, switches=switches))
    assert rows(nobody.query("SELECT current_user")) == [("r2",)]


def test_nobody_becomes_another_role_before_it_is_known_who_may(fleet: TestFleet) -> None:
    early = Client(fleet, start=SessionStart("admin", "postgres", {}, cluster=9))
    assert error(early, "BEGIN; SET LOCAL ROLE postgres; SELECT current_user") == (
        "57P03",
        "the catalogue has not been read yet",
    )
