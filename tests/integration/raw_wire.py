"""A client that says whatever it likes: bytes over TLS to the frontend, and what comes back."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator

from loadtest.tausql_fleet import Fleet

from tausql.pgwire import client

TIMEOUT_SECONDS = 20


class RawWire:
    """One connection."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self._reader = client.BackendReader()
        self._seen: list[client.BackendMessage] = []

    def send(self, data: bytes) -> None:
        self.stream.sendall(data)

    def until_ready(self) -> list[client.BackendMessage]:
        """Every message up to ReadyForQuery. Raises AssertionError when the connection ends before."""
        found: list[client.BackendMessage] = []
        while True:
            while self._seen:
                found.append(self._seen.pop(0))
                if isinstance(found[-1], client.ReadyForQuery):
                    return found
            assert self._receive(), f"the connection ended after {found}"

    def until_end(self) -> list[client.BackendMessage]:
        """Every message until the server closes the connection."""
        while self._receive():
            pass
        found, self._seen = self._seen, []
        return found

    def _receive(self) -> bool:
        try:
            data = self.stream.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return False
        self._seen += self._reader.feed(data)
        return bool(data)


@contextlib.contextmanager
def raw_connection(fleet: Fleet) -> Iterator[RawWire]:
    """Over TLS, before anything of PostgreSQL's startup was said."""
    context = ssl.create_default_context(cafile=str(fleet.folder / "tls" / "ca.pem"))
    with socket.create_connection((fleet.host, fleet.pg_port), timeout=TIMEOUT_SECONDS) as plain:
        plain.sendall(client.ssl_request())
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=fleet.host) as stream:
            yield RawWire(stream)


@contextlib.contextmanager
def raw_session(fleet: Fleet) -> Iterator[RawWire]:
    """Authenticated and ready."""
    with raw_connection(fleet) as wire:
        wire.send(client.startup("admin", "postgres"))
        wire.send(client.password(fleet.password))
        wire.until_ready()
        yield wire


def errors(messages: list[client.BackendMessage]) -> list[str]:
    """The SQLSTATEs told."""
    return [message.fields["C"] for message in messages if isinstance(message, client.ErrorResponse)]


def message(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A message whose header may lie about its length."""
    return kind + struct.pack(">i", len(body) + 4 if length is None else length) + body
