"""Cancel requests, on their way to the processor that has the session.

A key names the processor that the session began on. Sessions move, and processors' numbers are not quite unique, so a
processor may not know the key: then all are asked. That makes a stranger's guesses dear for us, so few are under way at
once, and what is beyond is dropped: a cancel request is a wish, never a promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from tausql.frontend.joining import greeting_frame
from tausql.frontend.placing import Placing
from tausql.frontend.settings import FrontendSettings
from tausql.protocol.fleet import Member
from tausql.protocol.processor import CANCEL_KNOWN, CancelSession
from tausql.runtime import logs
from tausql.runtime.tasks import spawn

CANCELS_MAX = 128  # cancel requests under way
CONNECTIONS_MAX = 128  # of all of them together
PROCESSORS_MAX = 1024  # asked for one key

log = logs.get("frontend")


class Cancelling:
    """Passes cancel requests on."""

    def __init__(self, settings: FrontendSettings, placing: Placing) -> None:
        self._placing = placing
        self._seconds = settings.processor_connect_seconds
        self._connections = asyncio.Semaphore(CONNECTIONS_MAX)
        self._under_way = 0

    def cancel(self, members: Sequence[Member], index: int, process_id: int, secret: int) -> None:
        """Ask `members`: those with this `index` first, and the others if none of those knows the key."""
        if not members:
            return
        if self._under_way >= CANCELS_MAX:
            log.warning("cancel request dropped: too many under way")
            return
        self._under_way += 1
        spawn("cancel session", self._cancel(members[:PROCESSORS_MAX], index, CancelSession(process_id, secret)))

    async def _cancel(self, members: Sequence[Member], index: int, request: CancelSession) -> None:
        frame = greeting_frame(request)
        try:
            named = [member for member in members if member.index == index]
            if not await self._ask(named, frame):
                await self._ask([member for member in members if member.index != index], frame)
        finally:
            self._under_way -= 1

    async def _ask(self, members: Sequence[Member], frame: bytes) -> bool:
        """True if one of them had the session."""
        return any(await asyncio.gather(*(self._ask_one(member, frame) for member in members)))

    async def _ask_one(self, member: Member, frame: bytes) -> bool:
        async with self._connections:
            asking = _Asking(frame)
            if await self._placing.connect(member, asking):
                await asyncio.wait((asking.known,), timeout=self._seconds)
                asking.close()
            return asking.known.done() and asking.known.result()


class _Asking(asyncio.Protocol):
    """Sends one greeting and waits for the byte that answers it."""

    __slots__ = ("_frame", "_transport", "known")

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._transport: asyncio.Transport | None = None
        self.known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._transport.write(self._frame)

    def data_received(self, data: bytes) -> None:
        self._answer(data[:1] == CANCEL_KNOWN)

    def connection_lost(self, error: Exception | None) -> None:
        self._answer(False)

    def _answer(self, known: bool) -> None:
        if not self.known.done():
            self.known.set_result(known)
