"""Connections to processors: which one, and from the first byte to a session that is ready."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tausql.frontend.balance import Balance
from tausql.frontend.joining import Joining, greeting_frame
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.witnesses import Witness
from tausql.protocol.fleet import Member
from tausql.protocol.processor import SessionStart
from tausql.runtime import logs
from tausql.runtime.fleet import Directory
from tausql.runtime.tls import Tls
from tausql.runtime.tls_connection import TlsConnection

# A machine that vanishes says nothing, and idle sessions never ask: without these its sessions would wait for ever.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000),
)
_ELSEWHERE = ("57P03", "53300")  # refusals that another processor may not share

log = logs.get("frontend")


Joined = Callable[[Joining, Member, Witness | None], None]


class Refused(NamedTuple):
    """A processor's own words why the session cannot be, anywhere."""

    fields: dict[str, str]


class Placing:
    """Finds processors for sessions."""

    def __init__(self, settings: FrontendSettings, directory: Directory, balance: Balance, tls: Tls | None) -> None:
        self._settings = settings
        self._directory = directory
        self._tls = tls
        self.witnesses: dict[str, Witness] = {}  # those that are ready, by their processor's name
        self.balance = balance

    async def join(self, start: SessionStart, joined: Joined, seconds: float, tried: set[str]) -> bool | Refused:
        """Try some processors, besides those `tried`, which gets their names. True if `joined` has been called, with
        one that is ready; False if there was none. seconds: for a greeting's answer. Raises `GreetingTooLong`."""
        for _ in range(self._settings.processor_attempts):
            member = self.balance.place(tried)
            if member is None:
                return False
            tried.add(member.name)
            joining = await self._try(member, start, joined, seconds)
            if joining is None:
                continue
            if joining.ready:
                return True
            if joining.refusal is not None and joining.refusal.get("C") not in _ELSEWHERE:
                return Refused(joining.refusal)
        return False

    async def _try(self, member: Member, start: SessionStart, joined: Joined, seconds: float) -> Joining | None:
        witness = self.witnesses.get(member.name)
        if witness is not None:
            start = msgspec.structs.replace(start, witness=witness.name)
        joining = Joining(greeting_frame(start), lambda ready: joined(ready, member, witness))
        if not await self.connect(member, joining):
            return None
        try:
            async with asyncio.timeout(seconds):
                await joining.done
        except TimeoutError:
            log.warning("processor does not answer", processor=member.name, session=member.session)
        if not joining.ready:
            joining.transport.abort()
        return joining

    async def connect(self, member: Member, protocol: asyncio.Protocol) -> bool:
        """False, and a word in the log, if it cannot be reached."""
        address, _, port = self._directory.locate(member.session).rpartition(":")
        context = self._tls.client() if self._tls is not None else None
        seconds = self._settings.processor_connect_seconds
        loop = asyncio.get_running_loop()
        transport: asyncio.Transport | None = None
        try:
            async with asyncio.timeout(seconds):
                if context is None:
                    transport, _ = await loop.create_connection(lambda: protocol, address.strip("[]"), int(port))
                else:
                    shaken: asyncio.Future[str] = loop.create_future()
                    tls = _secured(protocol, context, seconds, shaken)
                    transport, _ = await loop.create_connection(lambda: tls, address.strip("[]"), int(port))
                    if reason := await shaken:
                        raise ConnectionError(reason)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.warning("processor cannot be reached", processor=member.name, session=member.session, reason=str(error))
            if transport is not None:
                transport.abort()
            return False
        connected = transport.get_extra_info("socket")
        if connected is not None:
            for level, option, value in _KEEPALIVE:
                connected.setsockopt(level, option, value)
        return True


def _secured(
    protocol: asyncio.Protocol, context: ssl.SSLContext, seconds: float, shaken: asyncio.Future[str]
) -> TlsConnection:
    """The client's side of TLS. `shaken` becomes "" when `protocol` has its connection, else the reason why it has
    none."""

    def ended(reason: str) -> None:
        if not shaken.done():
            shaken.set_result(reason)

    def begin(tls: Any, socket: asyncio.Transport) -> None:
        protocol.connection_made(tls)
        ended("")

    return TlsConnection(protocol, context, seconds, begin, ended, client=True)
