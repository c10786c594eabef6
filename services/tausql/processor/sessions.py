"""The sessions attached to this processor: who they are, how many there may be, how they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tausql.pgwire import backend
from tausql.processor.ages import Ages
from tausql.processor.carrying import NoteOut
from tausql.processor.commits import TRANSACTION_SECONDS_MAX
from tausql.processor.metrics import ProcessorMetrics
from tausql.processor.session import ACTIVITIES, Session
from tausql.processor.tenants import Tenants
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import PROCESSOR_SHIFT, ClientOut, SessionIn, SessionStart
from tausql.runtime.host import Host

NUMBERS = 1 << PROCESSOR_SHIFT
TOO_MANY = "Unable to accept connection, too many open connections."


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
        host: Host,
        tenants: Tenants,
        metrics: ProcessorMetrics,
        index: int,
        sessions_max: int,
        seconds_max: float,
        on_change: Callable[[], None],
    ) -> None:
        self._host = host
        self._tenants = tenants
        self._metrics = metrics
        self._index = index
        self._sessions_max = sessions_max
        self._seconds_max = seconds_max
        self._on_change = on_change
        self._sessions: dict[tuple[int, int], Session] = {}  # by cancel key
        self._ages: Ages[Session] = Ages(host)
        self._when_ended = self._ended  # one bound method for all sessions, and another
        self._when_expired = self._expire
        self._number = 0
        self.draining = False

    def __len__(self) -> int:
        return len(self._sessions)

    def activities(self) -> Counter[str]:
        """How many sessions do what."""
        counts = Counter(dict.fromkeys(ACTIVITIES, 0))
        counts.update(session.activity for session in self._sessions.values())
        return counts

    def attach(self, start: SessionStart, out: ClientOut, notes: NoteOut | None = None) -> SessionIn:
        """notes: see `Session`."""
        if self.draining:
            return _refused(out, Code.cannot_connect_now, "the database system is shutting down")
        if len(self._sessions) >= self._sessions_max:
            return _refused(out, Code.too_many_connections, TOO_MANY)
        restore = start.restore
        key = self._next_key() if restore is None else (restore.process_id, restore.secret)
        if key in self._sessions:
            return _refused(out, Code.cannot_connect_now, "the session is still here")
        shared = self._tenants.of(start.cluster, start.switches)
        if shared is None:
            return _refused(out, Code.too_many_connections, TOO_MANY)
        shared.tenant.entered()
        session = Session(shared, start, out, *key, self._when_ended, notes)
        self._sessions[key] = session
        seconds = self._seconds_max - (restore.age_seconds if restore is not None else 0.0)
        session.due = self._ages.put(session, max(seconds, 0.0), self._when_expired)
        self._metrics.sessions += 1
        self._metrics.sessions_total += 1
        session.greet(start)
        self._on_change()
        return session

    def cancel(self, process_id: int, secret: int) -> bool:
        """False: no session here has this key."""
        session = self._sessions.get((process_id, secret))
        if session is None:
            return False
        session.cancel()
        return True

    def drain(self) -> None:
        """No new sessions; those there are move away, or end as soon as they are outside a transaction."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.move_away(_shutdown())

    def end_cluster(self, cluster: int) -> None:
        """It is being deleted: its clients' sessions end now. Control's own, which removes it, goes on."""
        for session in list(self._sessions.values()):
            shared = session.state.shared
            if shared.tenant.number == cluster and not shared.removal:
                session.stop(_shutdown())

    def stop(self) -> None:
        """No session is left after this, but for those whose commit is under way."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.abandon(_shutdown())

    def _expire(self, session: Session) -> None:
        """It has reached its age. A transaction begun before that may go on for as long as any may."""
        farewell = _too_long(self._seconds_max)
        session.due = self._ages.put(session, TRANSACTION_SECONDS_MAX, lambda old: old.stop(farewell))
        session.leave(farewell)

    def _next_key(self) -> tuple[int, int]:
        """Process ids come round again after some four million sessions, with another secret."""
        first = self._index << PROCESSOR_SHIFT
        while True:
            self._number = self._number % (NUMBERS - 1) + 1
            key = (first | self._number, self._host.random.getrandbits(32))
            if key not in self._sessions:
                return key

    def _ended(self, session: Session) -> None:
        key = (session.process_id, session.secret)
        if self._sessions.pop(key, None) is not None:
            self._ages.remove(session, session.due)
            session.state.shared.tenant.left()
            self._metrics.sessions -= 1
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
