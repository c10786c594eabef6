"""From the first startup byte to an authenticated client: what a stranger may say, and what we answer.

Only this part of a connection is a conversation of ours; it is written for clarity. Afterwards the transport gets
another protocol (`attached`), and this object is forgotten.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tausql.frontend import refusals
from tausql.frontend.attached import AttachedClient
from tausql.frontend.choosing import named_cluster
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.gate import Attempt, Gate, Guest
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.sessions import Sessions
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.tls import ALPN, server_name_of
from tausql.frontend.websocket import WebSocketPipe
from tausql.pgwire import backend
from tausql.pgwire.limits import protocol_violation
from tausql.pgwire.messages import Malformed, Password
from tausql.pgwire.startup import (
    PROTOCOL_3_0,
    CancelRequest,
    Startup,
    StartupEvent,
    StartupPacket,
)
from tausql.protocol.errors import SqlError
from tausql.protocol.processor import SessionIn
from tausql.runtime import logs
from tausql.runtime.tls_connection import TlsConnection

if TYPE_CHECKING:
    from tausql.access.connect_tokens import ConnectTokens
    from tausql.access.signatures import Signatures
    from tausql.frontend.http_door import HttpDoor

_LINGER_SECONDS = 1.0

log = logs.get("frontend")


@dataclass(slots=True)
class House:
    """What every connection of a frontend shares."""

    settings: FrontendSettings
    metrics: FrontendMetrics
    gate: Gate
    sessions: Sessions
    clients: set[AttachedClient]
    on_empty: Callable[[], None]  # the last client has gone
    draining: bool = False
    clusters: ClusterDirectory | None = None  # these three: what HTTP needs besides
    tokens: ConnectTokens | None = None
    signatures: Signatures | None = None
    http: HttpDoor | None = None  # SQL over HTTP on WebSocket's port


class Entrance(asyncio.Protocol):
    """One connection until it is attached or refused. `on_end` is called once, then.

    encrypted: under TLS. direct: TLS from the first byte, which needs ALPN. first: bytes read before the transport was
    made.
    """

    __slots__ = (
        "_client",
        "_closing",
        "_direct",
        "_encrypted",
        "_first",
        "_host",
        "_house",
        "_late",
        "_linger",
        "_on_end",
        "_packet",
        "_startup",
        "_transport",
        "welcome",
    )

    def __init__(
        self, house: House, client: str, on_end: Callable[[], None], encrypted: bool, direct: bool, first: bytes
    ) -> None:
        self._house = house
        self._client = client
        self._on_end: Callable[[], None] | None = on_end
        self._encrypted = encrypted
        self._direct = direct
        self._first = first
        self._startup = Startup(encrypted)
        self._packet: StartupPacket | None = None
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._linger: asyncio.TimerHandle | None = None
        self._host = ""  # that the client asked for
        self.welcome: bool | None = False  # it has shown a good token; None: it cancels, which tells nothing
        self._late: bytes | None = None  # what comes while the password waits to be looked at; None: it does not wait

    @property
    def connected(self) -> bool:
        """It has a transport: what is to be told can be told."""
        return self._transport is not None

    def connection_made(self, connected: asyncio.BaseTransport | TlsConnection | WebSocketPipe) -> None:
        transport = self._transport = cast(asyncio.Transport, connected)  # neither uvloop's nor ours are subclasses
        transport.set_write_buffer_limits(self._house.settings.write_buffer_bytes)
        self._host = server_name_of(transport.get_extra_info("ssl_object"))
        if self._direct and not _speaks_postgresql(transport):
            # Without it, a browser could be talked into sending us another protocol's bytes.
            self._house.metrics.tls_failures += 1
            self._refuse(refusals.no_alpn())
        elif self._first:
            self.data_received(self._first)

    def data_received(self, data: bytes) -> None:
        if self._late is not None:  # reading is paused: one read at most
            self._late += data
            return
        while not self._closing and self._late is None:
            event = self._startup.feed(data)
            if event is None:
                return
            self._handle(event)
            data = b""

    def time_out(self) -> None:
        """The time for authentication is over."""
        if not self._closing and self._transport is not None:
            self._house.metrics.timeouts += 1
            self._refuse(refusals.authentication_timeout())

    def shut(self) -> None:
        """The frontend stops."""
        if not self._closing and self._transport is not None:
            self._refuse(refusals.shutting_down_before_start())

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        if self._linger is not None:
            self._linger.cancel()
        self._end()

    def _handle(self, event: StartupEvent) -> None:
        match event:
            case StartupPacket():
                self._ask_for_password(event)
            case Password():
                self._check(event)
            case CancelRequest():
                self._house.sessions.cancel(event.process_id, event.secret)
                self.welcome = None
                self._close()
            case Malformed():
                self._house.metrics.protocol_violations += 1
                self._refuse(event.error)
            case _:
                # TLS and GSS requests are answered before there is a transport; a second one is out of place.
                self._house.metrics.protocol_violations += 1
                self._refuse(protocol_violation("unexpected encryption request"))

    def _ask_for_password(self, packet: StartupPacket) -> None:
        house = self._house
        if not self._encrypted and house.settings.tls == "required":
            house.metrics.plaintext_refused += 1
            self._refuse(refusals.plaintext())
            return
        if house.draining:
            self._refuse(refusals.shutting_down_before_start())
            return
        self._packet = packet
        self._startup.expect_password()
        answer = backend.AUTHENTICATION_CLEARTEXT_PASSWORD
        if packet.needs_negotiation:
            answer = backend.negotiate_protocol_version(PROTOCOL_3_0, packet.unknown_options) + answer
        self._write(answer)

    def _check(self, password: Password) -> None:
        """Look at the password once enough is known to decide: nearly always at once."""
        assert self._transport is not None
        self._transport.pause_reading()
        self._late = b""
        self._house.gate.when_known(lambda: self._decide(password))

    def _decide(self, password: Password) -> None:
        house, packet = self._house, self._packet
        if self._closing:
            return
        assert packet is not None
        try:
            named = named_cluster(packet.parameters)
        except SqlError as malformed:
            malformed.severity = "FATAL"
            self._refuse(malformed)
            return
        attempt = Attempt(packet.user, packet.database, password.data, self._client, self._host, named, self._encrypted)
        guest = house.gate.check(attempt)
        if isinstance(guest, SqlError):
            self._refuse(guest)
            return
        self.welcome = True
        if len(house.clients) >= house.settings.connections_max:
            house.metrics.refused_full += 1
            self._refuse(refusals.too_many_connections())
            return
        refused = house.gate.enter(guest)
        if refused is not None:
            self._refuse(refused)
            return
        self._write(backend.AUTHENTICATION_OK)
        self._attach(packet, guest)

    def _attach(self, packet: StartupPacket, guest: Guest) -> None:
        transport, house = self._transport, self._house
        assert transport is not None
        client = AttachedClient(transport, lambda gone: _leave(house, gone, guest), guest.record.identifier)
        house.clients.add(client)
        house.metrics.clients = len(house.clients)
        transport.set_protocol(client)
        first = self._startup.rest + (self._late or b"")
        self._closing = True
        self._end()

        def opened(session: SessionIn | SqlError) -> None:
            if isinstance(session, SqlError):
                client.terminate(session)
            else:
                client.begin(session, first)
                if house.draining:
                    client.end_when_idle(refusals.shutting_down())

        house.sessions.open(guest.start(packet.database, packet.parameters, self._encrypted), client, opened)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _refuse(self, error: SqlError) -> None:
        self._write(backend.error_response(error))
        transport = self._transport
        if self._late is not None:
            self._late = None
            if transport is not None:
                transport.resume_reading()
        if self._encrypted or transport is None:
            self._close()
            return
        # Closing a socket that holds unread bytes resets the connection, and the client would never read why. So we
        # only say that nothing more comes, and drop what the client still sends, for a moment.
        self._closing = True
        transport.write_eof()
        self._linger = asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.close)

    def _close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()
        self._end()

    def _end(self) -> None:
        on_end = self._on_end
        if on_end is not None:
            self._on_end = None
            on_end()


def _leave(house: House, client: AttachedClient, guest: Guest) -> None:
    house.gate.leave(guest)
    house.clients.discard(client)
    house.metrics.clients = len(house.clients)
    if not house.clients:
        house.on_empty()


def _speaks_postgresql(transport: asyncio.Transport) -> bool:
    connection = transport.get_extra_info("ssl_object")
    return isinstance(connection, ssl.SSLObject) and connection.selected_alpn_protocol() == ALPN
