"""The sessions attached to this processor: who they are, how many there may be, how they end."""

from __future__ import annotations

from collections.abc import Callable

from tausql.pgwire import backend
from tausql.processor.commits import TRANSACTION_SECONDS_MAX
from tausql.processor.session import Session
from tausql.processor.state import Shared
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import PROCESSOR_SHIFT, ClientOut, SessionIn, SessionStart
from tausql.runtime.host import Timer

NUMBERS = 1 << PROCESSOR_SHIFT


class NoSession:
    """In place of a session that was refused."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """The client has been told why."""

    def lost(self) -> None:
        """It had nothing."""


class Sessions:
    """Attaches sessions, cancels their statements, and ends them. Implements `protocol.processor.SessionHost`.

    index: this processor's number, which cancel keys carry. on_change: called when their number has changed.
    """

    def __init__(
        self,
        shared: Shared,
        index: int,
        sessions_max: int,
        seconds_max: float,
        on_change: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._index = index
        self._sessions_max = sessions_max
        self._seconds_max = seconds_max
        self._on_change = on_change
        self._sessions: dict[int, Session] = {}  # by process id
        self._timers: dict[int, Timer] = {}
        self._number = 0
        self.draining = False

    def __len__(self) -> int:
        return len(self._sessions)

    def attach(self, start: SessionStart, out: ClientOut) -> SessionIn:
        if self.draining:
            return _refused(out, Code.cannot_connect_now, "the database system is shutting down")
        if len(self._sessions) >= self._sessions_max:
            return _refused(out, Code.too_many_connections, "Unable to accept connection, too many open connections.")
        shared = self._shared
        process_id = self._next_id()
        session = Session(shared, start, out, process_id, shared.host.random.getrandbits(32), self._ended)
        self._sessions[process_id] = session
        self._timers[process_id] = shared.host.later(self._seconds_max, self._expire, session)
        shared.metrics.sessions += 1
        shared.metrics.sessions_total += 1
        session.greet(start)
        self._on_change()
        return session

    def cancel(self, process_id: int, secret: int) -> None:
        """Nothing happens for a wrong key: whoever guesses learns nothing."""
        session = self._sessions.get(process_id)
        if session is not None and session.secret == secret:
            session.cancel()

    def drain(self) -> None:
        """No new sessions; those there are end as soon as they are outside a transaction."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.leave(_shutdown())

    def stop(self) -> None:
        """End them all now."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.stop(_shutdown())

    def _expire(self, session: Session) -> None:
        """It has reached its age. A transaction begun before that may go on for as long as any may."""
        farewell = _too_long(self._seconds_max)
        self._timers[session.process_id] = self._shared.host.later(TRANSACTION_SECONDS_MAX, session.stop, farewell)
        session.leave(farewell)

    def _next_id(self) -> int:
        first = self._index << PROCESSOR_SHIFT
        while True:
            self._number = self._number % (NUMBERS - 1) + 1
            process_id = first | self._number
            if process_id not in self._sessions:
                return process_id

    def _ended(self, session: Session) -> None:
        if self._sessions.pop(session.process_id, None) is not None:
            self._timers.pop(session.process_id).cancel()
            self._shared.metrics.sessions -= 1
            self._on_change()


def _refused(out: ClientOut, code: Code, message: str) -> SessionIn:
    out.write(backend.error_response(SqlError(code, message, severity="FATAL")))
    out.close()
    return NoSession()


def _shutdown() -> SqlError:
    return SqlError(Code.admin_shutdown, "terminating connection due to administrator command", severity="FATAL")


def _too_long(seconds: float) -> SqlError:
    return SqlError(
        Code.admin_shutdown,
        "terminating connection due to its age",
        detail=f"A connection lasts {seconds:g} seconds at most.",
        severity="FATAL",
    )
