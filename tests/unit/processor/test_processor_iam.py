"""AWS IAM GRANT and REVOKE, and who may connect by them."""

from __future__ import annotations

import pytest
from processor_client import Client, errors, notices, rows, tags
from processor_fleet import TestFleet

from tausql.pgwire.client import ErrorResponse, ReadyForQuery
from tausql.protocol.processor import Restore, SessionStart

ARN = "arn:aws:iam::123456789012:role/app"
OTHER = "arn:aws:iam::123456789012:user/path/eve"
DENIED = ("08006", "unable to accept connection, access denied")
MAPPINGS = "SELECT arn, pg_role_oid::regrole, pg_role_name, grantor_pg_role_name FROM sys.iam_pg_role_mappings"


@pytest.fixture
def fleet() -> TestFleet:
    fleet = TestFleet(processors=2)
    admin = Client(fleet)
    for statement in ("CREATE ROLE r WITH LOGIN", "CREATE ROLE nologin", "CREATE TABLE t (id int PRIMARY KEY)"):
        assert not errors(admin.query(statement))
    return fleet


@pytest.fixture
def admin(fleet: TestFleet) -> Client:
    return Client(fleet)


def connect(fleet: TestFleet, arn: str = ARN, at: int = 0, restore: Restore | None = None, user: str = "r") -> Client:
    return Client(fleet, at, start=SessionStart(user, "postgres", {}, mapped=arn, restore=restore))


def test_a_link_is_made_shown_and_cut(admin: Client) -> None:
    assert tags(admin.query(f"AWS IAM GRANT r TO '{ARN}'")) == ["AWS IAM GRANT"]
    assert tags(admin.query(f'aws iam grant "r" to "{OTHER}";')) == ["AWS IAM GRANT"]
    assert sorted(rows(admin.query(MAPPINGS))) == [(ARN, "r", "r", "admin"), (OTHER, "r", "r", "admin")]
    before = rows(admin.query(f"SELECT iam_oid FROM sys.iam_pg_role_mappings WHERE arn = '{OTHER}'"))
    assert tags(admin.query(f"AWS IAM REVOKE r FROM '{ARN}'")) == ["AWS IAM REVOKE"]
    assert rows(admin.query("SELECT iam_oid FROM sys.iam_pg_role_mappings")) == before


def test_granting_again_changes_nothing(admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    answer = admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    assert not errors(answer)
    assert notices(answer)
    assert len(rows(admin.query(MAPPINGS))) == 1


@pytest.mark.parametrize(
    ("statement", "sqlstate", "text"),
    [
        (f"AWS IAM GRANT nobody TO '{ARN}'", "42704", "Role nobody does not exist"),
        (f"AWS IAM REVOKE nobody FROM '{ARN}'", "42704", "Role nobody does not exist"),
        (f"AWS IAM REVOKE r FROM '{ARN}'", "42704", f"IAM role {ARN} does not exist"),
        ("AWS IAM GRANT r TO 'me'", "22023", "IAM role must look like an IAM ARN"),
        ("AWS IAM GRANT r TO 'arn:aws:sts::123456789012:assumed-role/a/b'", "22023", None),
        (f"AWS IAM GRANT r TO '{ARN}\n'", "22023", None),
        (f"AWS IAM GRANT public TO '{ARN}'", "0A000", "Role public not supported"),
        (f"AWS IAM GRANT pg_read_all_data TO '{ARN}'", "0A000", "Role pg_read_all_data not supported"),
        (f"AWS IAM GRANT admin TO '{ARN}'", "0LP01", "Cannot establish trust with role admin"),
        (f"AWS IAM GRANT nologin TO '{ARN}'", "0LP01", "role nologin must have the LOGIN attribute"),
        ("AWS IAM GRANT r TO", "42601", None),
        (f"AWS IAM GRANT r FROM '{ARN}'", "42601", None),
        (f"AWS IAM GRANT r TO '{ARN}' twice", "42601", None),
        ("AWS IAM", "42601", None),
    ],
)
def test_refusals(admin: Client, statement: str, sqlstate: str, text: str | None) -> None:
    ((code, message),) = errors(admin.query(statement))
    assert code == sqlstate, message
    assert text is None or message == text


def test_only_admin_may(fleet: TestFleet) -> None:
    other = Client(fleet, start=SessionStart("r", "postgres", {}))
    message = "permission denied to grant IAM trust with role r"
    assert errors(other.query(f"AWS IAM GRANT r TO '{ARN}'")) == [("42501", message)]
    assert errors(other.query(f"AWS IAM REVOKE r FROM '{ARN}'")) == [("42501", message)]


def test_it_is_part_of_its_transaction_as_any_schema_change(fleet: TestFleet, admin: Client) -> None:
    admin.query("BEGIN")
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    assert errors(admin.query("CREATE ROLE q"))[0][0] == "0A000"
    admin.query("ROLLBACK")
    assert rows(admin.query(MAPPINGS)) == []
    admin.query("BEGIN")
    assert not errors(admin.query(f"AWS IAM GRANT r TO '{ARN}'"))
    assert rows(Client(fleet, 1).query(MAPPINGS)) == []
    admin.query("COMMIT")
    assert len(rows(Client(fleet, 1).query(MAPPINGS))) == 1


def test_a_linked_role_is_not_dropped(admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    text = "role r cannot be dropped because some objects depend on it"
    assert errors(admin.query("DROP ROLE r")) == [("2BP01", text)]
    admin.query(f"AWS IAM REVOKE r FROM '{ARN}'")
    assert not errors(admin.query("DROP ROLE r"))


def test_who_is_not_linked_is_not_let_in(fleet: TestFleet, admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    assert isinstance(connect(fleet, at=1).greeting[-1], ReadyForQuery)
    for user, arn in (("r", OTHER), ("nologin", ARN), ("nobody", ARN)):
        refused = connect(fleet, arn, 1, user=user)
        assert errors(refused.greeting) == [DENIED]
        (told,) = [m for m in refused.greeting if isinstance(m, ErrorResponse)]
        assert told.fields["H"] == f"User: {arn} is not authorized to access this resource"
        assert told.fields["S"] == "FATAL"
        assert refused.out.closed
    assert isinstance(connect(fleet, "arn:aws:iam::1:user/x", user="admin").greeting[-1], ReadyForQuery)


def test_a_link_that_is_cut_ends_the_sessions_at_their_next_transaction(fleet: TestFleet, admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    here, there = connect(fleet), connect(fleet, at=1)
    there.query("BEGIN")
    admin.query(f"AWS IAM REVOKE r FROM '{ARN}'")
    admin.query("SELECT * FROM t")
    here.send(b"Q\x00\x00\x00\x0dSELECT 1\x00")
    fleet.until(lambda: here.out.closed)
    assert errors(here.take()) == [DENIED]
    fleet.run(60.0)
    assert not errors(there.query("SELECT 1")), "its transaction began before"
    there.query("COMMIT")
    there.send(b"Q\x00\x00\x00\x0dSELECT 1\x00")
    fleet.until(lambda: there.out.closed)
    assert errors(there.take()) == [DENIED]


def test_a_session_that_was_elsewhere_is_asked_again(fleet: TestFleet, admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    fresh = connect(fleet, at=1, restore=Restore(5, 6, 1.0, {"application_name": "x"}, []))
    assert rows(fresh.query("SHOW application_name")) == [("x",)]
    admin.query(f"AWS IAM REVOKE r FROM '{ARN}'")
    assert errors(connect(fleet, at=1, restore=Restore(7, 8, 1.0, {}, [])).greeting) == [DENIED]


def test_links_of_one_cluster_say_nothing_of_another(fleet: TestFleet, admin: Client) -> None:
    admin.query(f"AWS IAM GRANT r TO '{ARN}'")
    second = Client(fleet, start=SessionStart("admin", "postgres", {}, cluster=2))
    second.query("CREATE ROLE r WITH LOGIN")
    assert rows(second.query(MAPPINGS)) == []
    refused = Client(fleet, start=SessionStart("r", "postgres", {}, cluster=2, mapped=ARN))
    assert errors(refused.greeting) == [DENIED]
