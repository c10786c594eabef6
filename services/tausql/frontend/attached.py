"""An authenticated client: its transport on one side, its session on the other, and nothing in between.

Once the password is accepted, bytes only need to be handed over. So the protocol's `data_received` *is* the session's
`feed`, and the session's `write` *is* the transport's: a session in this process costs no frame of ours a chunk, and
one in another process only what `relay` must count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tausql.frontend.relay import RemoteSession
from tausql.pgwire.backend import error_response
from tausql.protocol.errors import SqlError
from tausql.protocol.processor import SessionIn


class AttachedClient(asyncio.BaseProtocol):
    """A `ClientOut`. Until `begin`, what the client sends is held (reading is paused by then, so one read at most)."""

    __slots__ = (
        "_early",
        "_gone",
        "_on_gone",
        "_paused",
        "_session",
        "_transport",
        "_waiting",
        "cluster",
        "data_received",
        "write",
    )

    data_received: Callable[[bytes], None]
    write: Callable[[bytes], None]

    def __init__(
        self, transport: asyncio.Transport, on_gone: Callable[[AttachedClient], None], cluster: str = ""
    ) -> None:
        self._transport = transport
        self.cluster = cluster  # identifier
        self._on_gone = on_gone
        self._session: SessionIn | None = None
        self._early: list[bytes] = []
        self._paused = False  # the transport holds more than its high-water mark
        self._waiting: Callable[[], None] | None = None
        self._gone = False
        self.data_received = self._early.append
        self.write = transport.write

    def begin(self, session: SessionIn, first: bytes) -> None:
        """The session is there: give it `first` (what came with the password) and everything after."""
        if self._gone:
            session.lost()
            return
        self._session = session
        early = self._early
        if first:
            early.insert(0, first)
        self.data_received = session.feed
        # Transports keep the bound method they were given.
        self._transport.set_protocol(self)
        for data in early:
            session.feed(data)
        early.clear()
        self._transport.resume_reading()

    def terminate(self, error: SqlError) -> None:
        """End the session from our side, telling the client why where its answer is not cut in two by that."""
        if self._gone:
            return
        session = self._session
        if not isinstance(session, RemoteSession) or session.at_boundary:
            self._transport.write(error_response(error))
        self._session = None
        if session is not None:
            session.lost()
        self.close()

    def end_when_idle(self, error: SqlError) -> None:
        """`terminate` as soon as the session is known to wait outside a transaction. Sessions of this process are not
        watched: their processor drains them itself."""
        session = self._session
        if isinstance(session, RemoteSession):
            session.when_idle(lambda: self.terminate(error))

    def close(self) -> None:
        if self._gone:
            return  # a transport that is over must not get hold of us again
        # TLS says goodbye after what was written, and while it waits for the answer data may still come.
        self.data_received = _drop
        self._transport.set_protocol(self)
        self._transport.close()

    def when_writable(self, function: Callable[[], None]) -> bool:
        if not self._paused:
            return True
        self._waiting = function
        return False

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        waiting = self._waiting
        if waiting is not None:
            self._waiting = None
            waiting()

    def eof_received(self) -> None:
        """A client that closed its sending half has gone: PostgreSQL does not answer it any more either."""

    def connection_lost(self, error: Exception | None) -> None:
        self._gone = True
        self.write = _drop  # a transport that is gone would raise
        self.data_received = _drop  # the session knows us: nothing of the two is to outlive the connection
        self._early.clear()
        session = self._session
        self._session = None
        if session is not None:
            session.lost()
        self._on_gone(self)


def _drop(data: bytes) -> None:
    """Nobody wants it any more."""
