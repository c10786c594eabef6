"""While a session moves away, its client hears nothing of the processor it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tausql.frontend.loss import Plan
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.relay import RemoteSession
from tausql.pgwire import backend
from tausql.pgwire.notes import frame
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import Ended, MoveAway, SessionStart

FAREWELL = backend.error_response(SqlError(Code.admin_shutdown, "too old", severity="FATAL"))
MOVE_AWAY = frame(msgspec.msgpack.encode(MoveAway()))
ENDED = frame(msgspec.msgpack.encode(Ended()))


class Out:
    """The client."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self) -> None:
        self.closed = True

    def when_writable(self, function: Callable[[], None]) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Transport:
    """Of a connection to a processor."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, size: int) -> None: ...

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def resume_reading(self) -> None: ...


class Joined:
    """A `Joining` that is ready."""

    def __init__(self) -> None:
        self.transport: Any = Transport()
        self.statuses: dict[str, str] = {}
        self.resolved = None
        self.rest = b""


class Mover:
    """`Mover` that leaves it to the test."""

    def __init__(self) -> None:
        self.asked = 0
        self.losses = 0

    def drained(self, session: RemoteSession) -> None:
        self.asked += 1

    def lost(self, session: RemoteSession, plan: Plan) -> None:
        self.losses += 1

    def gone(self, session: RemoteSession) -> None: ...

    def when_proven(self, session: RemoteSession, function: Callable[[bool], None]) -> None:
        function(False)


def moving(said_with_it: bytes = b"") -> tuple[RemoteSession, Out, Transport, Mover]:
    out, mover, joined = Out(), Mover(), Joined()
    session = RemoteSession(SessionStart("u", "d", {}), out, 1 << 16, FrontendMetrics(), mover, lambda: 0.0)
    session.adopt(joined, Plan())  # type: ignore[arg-type]
    joined.transport.protocol.data_received(MOVE_AWAY + said_with_it)
    assert mover.asked == 1
    return session, out, joined.transport, mover


def test_half_a_farewell_of_the_old_processor_is_not_passed_on() -> None:
    session, out, old, _ = moving()
    old.protocol.data_received(FAREWELL[:20])
    joined = Joined()
    session.adopt(joined, Plan())  # type: ignore[arg-type]
    assert out.data == b""
    assert old.closed
    session.feed(b"Q\0\0\0\x0dselect 1\0")
    assert joined.transport.written == b"Q\0\0\0\x0dselect 1\0"


def test_nor_is_one_that_came_with_the_wish_to_move() -> None:
    session, out, _, _ = moving(FAREWELL + ENDED)
    session.adopt(Joined(), Plan())  # type: ignore[arg-type]
    assert out.data == b""
    assert not session.told.farewell


def test_a_session_that_stays_hears_it_after_all() -> None:
    session, out, old, _ = moving()
    old.protocol.data_received(FAREWELL[:20])
    session.stay()
    assert out.data == FAREWELL[:20]
    old.protocol.data_received(FAREWELL[20:] + ENDED)
    assert out.data == FAREWELL
    old.protocol.connection_lost(None)
    assert out.closed
    assert session.ended


def test_what_the_client_asks_meanwhile_waits() -> None:
    session, out, old, _ = moving()
    session.feed(b"S\0\0\0\x04")
    assert old.written == b""
    session.stay()
    assert old.written == b"S\0\0\0\x04"
    assert out.data == b""


def test_an_old_processor_that_ends_meanwhile_is_no_loss() -> None:
    session, out, old, mover = moving()
    old.protocol.data_received(FAREWELL + ENDED)
    old.protocol.connection_lost(None)
    assert not session.attached
    session.adopt(Joined(), Plan())  # type: ignore[arg-type]
    assert (out.data, out.closed, mover.losses) == (b"", False, 0)
