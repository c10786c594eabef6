"""What comes before a session: TLS and GSS requests, cancel requests, the startup packet, the password.

These packets have no type byte, may come from anybody, and decide over encryption. So: small limits, every length
checked before it is believed, and nothing that arrived in the clear is ever read as if it had come through TLS.
The machine yields one event at a time, because each needs an answer before the next bytes mean anything.
"""

from __future__ import annotations

from struct import Struct

import msgspec

from tausql.pgwire.limits import PASSWORD_BYTES_MAX, STARTUP_BYTES_MAX, protocol_violation
from tausql.pgwire.messages import Malformed, Password
from tausql.protocol.errors import Code, SqlError, not_supported

PROTOCOL_3_0 = 3 << 16
CANCEL_CODE = 1234 << 16 | 5678
SSL_CODE = 1234 << 16 | 5679
GSS_CODE = 1234 << 16 | 5680

_INT32 = Struct(">I")
_HEADER = Struct(">BI")
_PARAMETERS_MAX = 256


class SslRequest(msgspec.Struct, frozen=True):
    """Answer `S` and begin TLS, or `N` and go on in the clear."""


class GssRequest(msgspec.Struct, frozen=True):
    """Answer `N`: there is no GSS encryption here."""


class CancelRequest(msgspec.Struct, frozen=True):
    """Close afterwards, without an answer."""

    process_id: int
    secret: int


class StartupPacket(msgspec.Struct, frozen=True):
    """`parameters` holds what was sent but `user`, `database` and the `_pq_.` protocol options."""

    user: str
    database: str  # the user's name where none was given, as in PostgreSQL
    parameters: dict[str, str]
    minor: int = 0  # of the protocol version asked for
    unknown_options: tuple[str, ...] = ()

    @property
    def needs_negotiation(self) -> bool:
        """True when NegotiateProtocolVersion must be sent: something newer than 3.0 was asked for."""
        return self.minor > 0 or bool(self.unknown_options)


StartupEvent = SslRequest | GssRequest | CancelRequest | StartupPacket | Password | Malformed


class Startup:
    """One connection's beginning. `encrypted`: TLS is already on (then no TLS request is accepted any more)."""

    __slots__ = ("_broken", "_data", "_password_expected", "encrypted")

    def __init__(self, encrypted: bool) -> None:
        self.encrypted = encrypted
        self._data = b""
        self._password_expected = False
        self._broken = False

    @property
    def rest(self) -> bytes:
        """What came after the last event: after the password, the session's first bytes."""
        return self._data

    def expect_password(self) -> None:
        """The password was asked for: the next event is `Password`."""
        self._password_expected = True

    def feed(self, data: bytes) -> StartupEvent | None:
        """The next event, or None while it is incomplete. `feed(b"")` goes on with what is left over. Never raises."""
        if self._broken:
            return None
        self._data += data
        event: StartupEvent | None
        try:
            event = self._password() if self._password_expected else self._packet()
        except SqlError as error:
            event = Malformed(error, 0)
        except UnicodeDecodeError:
            event = Malformed(protocol_violation("invalid startup packet layout: the text is not UTF-8"), 0)
        if type(event) is Malformed:
            self._broken = True
        return event

    def _password(self) -> Password | None:
        data = self._data
        if len(data) < 5:
            return None
        kind, length = _HEADER.unpack_from(data)
        if kind != ord("p"):
            raise protocol_violation(f"expected password response, got message type {kind}")
        if not 5 <= length <= PASSWORD_BYTES_MAX:
            raise protocol_violation("invalid message length")
        if len(data) < 1 + length:
            return None
        secret = data[5 : 1 + length]
        if secret.find(0) != len(secret) - 1:
            raise protocol_violation("invalid password packet size")
        self._data = data[1 + length :]
        self._password_expected = False
        return Password(secret[:-1])

    def _packet(self) -> StartupEvent | None:
        data = self._data
        if len(data) < 4:
            return None
        (length,) = _INT32.unpack_from(data)
        if not 8 <= length <= STARTUP_BYTES_MAX:
            raise protocol_violation("invalid length of startup packet")
        if len(data) < length:
            return None
        (code,) = _INT32.unpack_from(data, 4)
        self._data = data[length:]
        if code == CANCEL_CODE:
            return _cancel(data[8:length])
        if code in (SSL_CODE, GSS_CODE):
            return self._encryption(code, length)
        return _startup(code, data[8:length])

    def _encryption(self, code: int, length: int) -> StartupEvent:
        what = "SSL" if code == SSL_CODE else "GSSAPI encryption"
        if length != 8 or self.encrypted:
            raise protocol_violation(f"unexpected {what} request")
        if self._data:
            # Whoever can put bytes on the wire could have them taken for the client's first encrypted ones.
            raise protocol_violation(f"received unencrypted data after {what} request")
        return SslRequest() if code == SSL_CODE else GssRequest()


def _cancel(body: bytes) -> CancelRequest:
    if len(body) != 8:
        raise protocol_violation("invalid length of cancel request")
    return CancelRequest(*Struct(">II").unpack(body))


def _startup(version: int, body: bytes) -> StartupPacket:
    major, minor = version >> 16, version & 0xFFFF
    if major != 3:
        error = not_supported(f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")
        error.severity = "FATAL"
        raise error
    fields = _texts(body)
    parameters: dict[str, str] = {}
    unknown: list[str] = []
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if name.startswith("_pq_."):
            unknown.append(name)
        else:
            parameters[name] = value
    user = parameters.pop("user", "")
    if not user:
        raise SqlError(
            Code.invalid_authorization_specification,
            "no PostgreSQL user name specified in startup packet",
            severity="FATAL",
        )
    database = parameters.pop("database", "") or user
    return StartupPacket(user, database, parameters, minor, tuple(unknown))


def _texts(body: bytes) -> list[str]:
    """Zero-ended texts up to an empty name, which must be the last byte."""
    if body[-1:] != b"\0" or (len(body) > 1 and body[-2] != 0):
        raise protocol_violation("invalid startup packet layout: expected terminator as last byte")
    if len(body) == 1:
        return []
    fields = body[:-2].split(b"\0")
    if len(fields) % 2 or any(not name for name in fields[::2]):
        raise protocol_violation("invalid startup packet layout: expected terminator as last byte")
    if len(fields) > 2 * _PARAMETERS_MAX:
        raise protocol_violation("invalid startup packet: too many parameters")
    return [field.decode() for field in fields]
