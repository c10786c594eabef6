"""Sessions on processors, wherever those are: in this process by a call, elsewhere over TCP.

Both PostgreSQL clients and HTTP SQL open their sessions here, so where a session runs is decided in one place. A
processor in the same process always gets the session: one hop less is worth more than a better balance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tausql.frontend import refusals
from tausql.frontend.balance import Balance
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.relay import GreetingTooLong, RemoteSession, greeting_frame
from tausql.frontend.settings import FrontendSettings
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.processor import (
    PROCESSOR_SHIFT,
    CancelSession,
    ClientOut,
    Load,
    ProcessorClient,
    SessionHost,
    SessionIn,
    SessionStart,
)
from tausql.rpc.interface import Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Fleet, Member
from tausql.runtime.host import Host, Timer
from tausql.runtime.tasks import spawn

CANCELS_MAX = 128  # cancel requests under way; each is one short connection
WATCH_AGAIN_SECONDS = 0.5

Opened = Callable[[SessionIn | SqlError], None]

log = logs.get("frontend")


class Sessions:
    """Opens and cancels sessions. `local`: the processor of this process, if there is one."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Fleet,
        settings: FrontendSettings,
        metrics: FrontendMetrics,
        local: SessionHost | None,
    ) -> None:
        self._host = host
        self._network = network
        self._settings = settings
        self._metrics = metrics
        self._local = local
        self._members = {member.index: member for member in fleet.processor if member.session}
        self.balance = Balance(host.zone, self._members.values())
        self._streams: dict[str, Stream] = {}
        self._timers: dict[str, Timer] = {}
        self._cancels = 0
        self._stopped = False

    @property
    def available(self) -> bool:
        """True if a session can be opened now."""
        return self._local is not None or self.balance.available

    def start(self) -> None:
        if self._local is None:
            for member in self._members.values():
                self._watch(member)

    def stop(self) -> None:
        self._stopped = True
        for stream in self._streams.values():
            stream.cancel()
        for timer in self._timers.values():
            timer.cancel()
        self._streams.clear()
        self._timers.clear()

    def open(self, start: SessionStart, out: ClientOut, opened: Opened) -> None:
        """A session for `out`. `opened` gets it, or the FATAL error to tell the client: from within `open` where the
        processor is in this process, later otherwise."""
        self._metrics.sessions += 1
        if self._local is not None:
            try:
                session = self._local.attach(start, out)
            except SqlError as error:
                opened(error)
                return
            opened(session)
            return
        try:
            frame = greeting_frame(start)
        except GreetingTooLong:
            opened(SqlError(Code.protocol_violation, "startup parameters are too long", severity="FATAL"))
            return
        spawn("open session", self._open_remote(frame, out, opened))

    def cancel(self, process_id: int, secret: int) -> None:
        """Pass a cancel request on to the processor its key names. Unknown keys are ignored, as PostgreSQL does."""
        self._metrics.cancels += 1
        if self._local is not None:
            self._local.cancel(process_id, secret)
        member = self._members.get(process_id >> PROCESSOR_SHIFT)
        # With a processor of our own the key may still name another process that shares our port.
        if member is None or (self._local is not None and len(self._members) < 2):
            return
        if self._cancels >= CANCELS_MAX:
            log.warning("cancel request dropped: too many under way", processor=member.name)
            return
        spawn("cancel session", self._cancel_remote(member, process_id, secret))

    async def _open_remote(self, frame: bytes, out: ClientOut, opened: Opened) -> None:
        tried: set[str] = set()
        for _ in range(self._settings.processor_attempts):
            member = self.balance.place(tried)
            if member is None:
                break
            tried.add(member.name)
            session = RemoteSession(frame, out, self._settings.write_buffer_bytes, self._metrics)
            if await self._connect(member, session):
                opened(session)
                return
        self._metrics.refused_no_processor += 1
        opened(refusals.no_processor())

    async def _connect(self, member: Member, protocol: asyncio.BaseProtocol) -> bool:
        address, _, port = member.session.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.processor_connect_seconds):
                await loop.create_connection(lambda: protocol, address.strip("[]"), int(port))
        except (OSError, TimeoutError) as error:
            log.warning("processor cannot be reached", processor=member.name, session=member.session, reason=str(error))
            return False
        return True

    async def _cancel_remote(self, member: Member, process_id: int, secret: int) -> None:
        self._cancels += 1
        try:
            done = asyncio.get_running_loop().create_future()
            frame = greeting_frame(CancelSession(process_id, secret))
            if await self._connect(member, _CancelSender(frame, done)):
                await asyncio.wait((done,), timeout=self._settings.processor_connect_seconds)
        finally:
            self._cancels -= 1

    def _watch(self, member: Member) -> None:
        name = member.name
        self._timers.pop(name, None)

        def on_load(load: Load) -> None:
            self.balance.loaded(name, load)
            self._metrics.processors_known = self.balance.known

        def on_end(failure: object) -> None:
            self.balance.lost(name)
            self._metrics.processors_known = self.balance.known
            self._streams.pop(name, None)
            if not self._stopped:
                self._timers[name] = self._host.later(WATCH_AGAIN_SECONDS, self._watch, member)

        client = ProcessorClient(self._network.connect(member.address, "processor"))
        self._streams[name] = client.watch_load(on_load, on_end)


class _CancelSender(asyncio.Protocol):
    """Sends one greeting and waits until the processor has closed, so that the cancel is done before the client's
    connection is closed: clients take that for the sign."""

    __slots__ = ("_done", "_frame")

    def __init__(self, frame: bytes, done: asyncio.Future[None]) -> None:
        self._frame = frame
        self._done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._frame)  # uvloop's are no subclasses of it

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)
