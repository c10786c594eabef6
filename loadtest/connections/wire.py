"""A client connection that costs next to nothing: one that holds thousands of them must not be what is measured.

A driver keeps tens of kilobytes a connection, and asyncio's own TLS a read buffer of 256 KiB. This one keeps a
transport, a few fields and, under TLS, OpenSSL's state. It knows of PostgreSQL's protocol what a question and its
answer need.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from struct import Struct
from typing import cast

from tausql.pgwire import client

Answered = Callable[["Connection", str], None]  # the error's SQLSTATE, "lost", or "" where all is well

LOST = "lost"
_HEADER = Struct(">BI")
_READY, _ERROR, _AUTHENTICATION = ord("Z"), ord("E"), ord("R")
_PASSWORD_WANTED = 3
_STATE_FIELD = b"\0C"


class Connection(asyncio.Protocol):
    """One session. `opened` is called once it is ready or has failed; each `ask` calls what it was given."""

    __slots__ = (
        "_answered",
        "_context",
        "_error",
        "_incoming",
        "_outgoing",
        "_password",
        "_rest",
        "_tls",
        "_transport",
    )

    def __init__(self, password: str, context: ssl.SSLContext | None, opened: Answered) -> None:
        self._password = password
        self._context = context
        self._answered: Answered | None = opened
        self._error = ""
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None

    @property
    def alive(self) -> bool:
        return self._transport is not None

    def ask(self, sql: str, answered: Answered) -> None:
        """A simple query."""
        self._answered = answered
        if self._transport is None:
            self._done(LOST)
        else:
            self._send(client.query(sql))

    def close(self) -> None:
        if self._transport is not None:
            self._send(client.TERMINATE)
            self._transport.close()

    # --- the transport's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._context is not None:
            self._transport.write(client.ssl_request())
        else:
            self._send(client.startup("admin", "postgres"))

    def data_received(self, data: bytes) -> None:
        if self._tls is not None:
            self._decrypt(data)
        elif self._context is not None:
            self._start_tls(data)
        else:
            self._read(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._done(self._error or LOST)

    # --- TLS -----------------------------------------------------------------------------------------------------

    def _start_tls(self, data: bytes) -> None:
        assert self._context is not None
        if data != b"S":
            self._abort()
            return
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._decrypt(b"")

    def _decrypt(self, data: bytes) -> None:
        tls, incoming, outgoing = self._tls, self._incoming, self._outgoing
        assert tls is not None
        assert incoming is not None
        assert outgoing is not None
        assert self._transport is not None
        incoming.write(data)
        try:
            if self._context is not None:
                tls.do_handshake()
                self._context = None
                self._send(client.startup("admin", "postgres"))
            while incoming.pending or tls.pending():
                read = tls.read(65536)
                if not read:
                    break
                self._read(read)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._abort()
            return
        if outgoing.pending:
            self._transport.write(outgoing.read())

    def _send(self, data: bytes) -> None:
        assert self._transport is not None
        if self._tls is None:
            self._transport.write(data)
        else:
            assert self._outgoing is not None
            self._tls.write(data)
            self._transport.write(self._outgoing.read())

    # --- messages ------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        data = self._rest + data
        position = 0
        while position + 5 <= len(data):
            kind, length = _HEADER.unpack_from(data, position)
            end = position + 1 + length
            if end > len(data):
                break
            if kind == _ERROR:
                at = data.find(_STATE_FIELD, position, end)
                self._error = data[at + 2 : at + 7].decode()
            elif kind == _READY:
                self._done(self._error)
            elif kind == _AUTHENTICATION and data[position + 8] == _PASSWORD_WANTED:
                self._send(client.password(self._password))
            position = end
        self._rest = data[position:]

    def _done(self, error: str) -> None:
        answered = self._answered
        if answered is not None:
            self._answered = None
            self._error = ""
            answered(self, error)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
