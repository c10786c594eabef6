"""psycopg's errors become codes, and a deadline holds whatever the other side does."""

from __future__ import annotations

import socket
from typing import Any

import psycopg
import pytest

from tausql.chaos.driver import Dialler, Target
from tausql.chaos.sessions import ClientError


class Conflict(psycopg.Error):
    sqlstate = "40001"


class FakeConnection:
    """As psycopg's, on one end of a pair of sockets; waits for the other end to speak."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.closed = self.broken = False
        self.error: psycopg.Error | None = None

    def fileno(self) -> int:
        return self.near.fileno()

    def execute(self, statement: bytes, parameters: object) -> Any:
        if self.error is not None:
            raise self.error
        if not self.near.recv(1):
            self.broken = True
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        raise AssertionError("nobody speaks")

    def commit(self) -> None:
        self.execute(b"COMMIT", None)

    def close(self) -> None:
        self.closed = True
        self.near.close()
        self.far.close()


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    made = FakeConnection()
    monkeypatch.setattr(psycopg, "connect", lambda **options: made)
    return made


def code_of(call: Any) -> tuple[str, bool]:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.code, raised.value.usable


def test_a_server_that_never_answers_is_given_up_at_the_deadline(connection: FakeConnection) -> None:
    dialler = Dialler(Target(("host:1",)))
    session = dialler.dial(0, True, 0.01)
    assert code_of(lambda: session.execute("SELECT 1")) == ("deadline", False)
    session.close()
    dialler.close()
    assert connection.closed


def test_a_lost_connection_and_an_error_with_a_sqlstate_are_told_apart(connection: FakeConnection) -> None:
    dialler = Dialler(Target(("host:1",)))
    session = dialler.dial(0, False, 30.0)
    connection.error = Conflict("change conflicts")
    assert code_of(session.commit) == ("40001", True)
    connection.error = None
    connection.far.shutdown(socket.SHUT_RDWR)
    assert code_of(session.commit) == ("lost", False)
    session.close()
    dialler.close()


def test_endpoints_are_taken_in_turn_and_a_refusal_has_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(**options: Any) -> None:
        asked.append((options["host"], options["port"]))
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(psycopg, "connect", refuse)
    dialler = Dialler(Target(("east:5432", "[::1]:5433")))
    for endpoint in range(3):
        assert code_of(lambda endpoint=endpoint: dialler.dial(endpoint, True, 1.0)) == ("connect", False)
    dialler.close()
    assert asked == [("east", "5432"), ("::1", "5433"), ("east", "5432")]


def test_a_token_names_the_cluster_and_the_endpoint_is_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(**options: Any) -> None:
        asked.append(options)
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(psycopg, "connect", refuse)
    token = "abc.dsql.us-east-1.on.aws/?Action=DbConnectAdmin&X-Amz-Date=x"
    dialler = Dialler(Target(("127.0.0.1:5432", "nowhere.invalid:1"), token=token))
    for endpoint in range(2):
        assert code_of(lambda endpoint=endpoint: dialler.dial(endpoint, True, 1.0)) == ("connect", False)
    dialler.close()
    (options,) = asked  # the other endpoint does not resolve
    assert (options["host"], options["hostaddr"]) == ("abc.dsql.us-east-1.on.aws", "127.0.0.1")
    assert options["password"] == token
