"""Sessions over psycopg, with a deadline that holds.

A driver that waits for an answer waits for ever when the process at the other end is stopped or its machine is gone:
the kernel, or nobody at all, keeps the connection up, and neither keepalives nor a statement timeout of the server
help. So one thread looks at all sessions and shuts the socket of whoever waits too long; the driver then sees a lost
connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from tausql.access.connect_tokens import host_in
from tausql.chaos.sessions import CONNECT, DEADLINE, LOST, Answer, ClientError

LOOK_SECONDS = 0.05
CONNECT_SECONDS_MIN = 2  # the least a connect timeout can be in libpq


class Target(msgspec.Struct, frozen=True):
    """Where to connect. `endpoints`: `host:port`, tried in turn, whatever the cluster's own name resolves to; `sslmode`
    as in libpq."""

    endpoints: tuple[str, ...]
    user: str = "admin"
    token: str = ""  # the cluster's name is in it
    database: str = "postgres"
    sslmode: str = "require"
    sslrootcert: str = ""


class PsycopgSession:
    """One connection; `due` is when its present call must have been answered, None between calls."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], deadline_seconds: float) -> None:
        self._connection = connection
        self._deadline_seconds = deadline_seconds
        # A descriptor of its own: the driver may close its one while we look at it, and the number may be somebody
        # else's connection a moment later.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._cut = False
        self.due: float | None = None

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Answer:
        self.due = time.monotonic() + self._deadline_seconds
        try:
            cursor = self._connection.execute(statement.encode(), parameters or None)
            rows = cursor.fetchall() if cursor.description is not None else []
            return Answer(rows, cursor.rowcount)
        except psycopg.Error as error:
            raise self._told(error) from error
        finally:
            self.due = None

    def commit(self) -> None:
        self._end(self._connection.commit)

    def rollback(self) -> None:
        self._end(self._connection.rollback)

    def _end(self, end: Callable[[], None]) -> None:
        self.due = time.monotonic() + self._deadline_seconds
        try:
            end()
        except psycopg.Error as error:
            raise self._told(error) from error
        finally:
            self.due = None

    def _told(self, error: psycopg.Error) -> ClientError:
        usable = not (self._connection.closed or self._connection.broken)
        code = error.sqlstate or (DEADLINE if self._cut else LOST)
        return ClientError(code, str(error).strip(), usable)

    def cut(self) -> None:
        """Wake whoever waits for an answer. Called by another thread."""
        self._cut = True
        with contextlib.suppress(OSError):  # the other side was quicker
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
        self._socket.close()


class Dialler:
    """Opens sessions and keeps their deadlines. Close it in the end; sessions are closed by who opened them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sessions: set[PsycopgSession] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._keep_deadlines, name="deadlines", daemon=True)
        self._watch.start()

    def dial(self, endpoint: int, autocommit: bool, deadline_seconds: float) -> PsycopgSession:
        """A `sessions.Dial`."""
        target = self._target
        host, _, port = target.endpoints[endpoint % len(target.endpoints)].rpartition(":")
        options: dict[str, Any] = {"sslrootcert": target.sslrootcert} if target.sslrootcert else {}
        name = host_in(target.token.encode())
        try:
            if name is not None:  # libpq goes to the address, and asks for the cluster by its name
                options["hostaddr"] = _address(host.strip("[]"))
            connection = psycopg.connect(
                host=name or host.strip("[]"),
                port=port,
                user=target.user,
                password=target.token,
                dbname=target.database,
                sslmode=target.sslmode,
                application_name="tausql chaos",
                connect_timeout=max(CONNECT_SECONDS_MIN, int(deadline_seconds)),
                autocommit=autocommit,
                **options,
            )
        except (psycopg.Error, OSError) as error:
            raise ClientError(CONNECT, str(error).strip(), usable=False) from error
        session = _Registered(connection, deadline_seconds, self)
        with self._lock:
            self._sessions.add(session)
        return session

    def forget(self, session: PsycopgSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def close(self) -> None:
        self._stop.set()
        self._watch.join()

    def _keep_deadlines(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [session for session in self._sessions if session.due is not None and now > session.due]
            for session in late:
                session.cut()


def _address(host: str) -> str:
    """Where the host is now: a Service may get another address. Raises OSError."""
    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])


class _Registered(PsycopgSession):
    """A session that its dialler looks at until it is closed."""

    def __init__(
        self, connection: psycopg.Connection[tuple[Any, ...]], deadline_seconds: float, dialler: Dialler
    ) -> None:
        super().__init__(connection, deadline_seconds)
        self._dialler = dialler

    def close(self) -> None:
        self._dialler.forget(self)
        super().close()
