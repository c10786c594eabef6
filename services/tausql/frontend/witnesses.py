"""Witnesses: what proves, after a processor was killed, that a commit was not sent.

A session's own connection is proof only if it ended in good order, and a kernel ends one in good order only if its
process had read everything. A busy processor never has. So there is one more connection to every processor, on which
nothing is ever sent that it might leave unread, and on which it tells of each commit before it sends it. It ends in
good order whenever the process ends but its machine does not, and then, whatever is not told of there was not sent.

A processor sends no commit for a session whose witness is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tausql.frontend.joining import greeting_frame
from tausql.protocol.fleet import Member
from tausql.protocol.processor import WITNESS_READY, WITNESSED
from tausql.protocol.processor import Witness as WitnessGreeting
from tausql.runtime.host import Host

END_SECONDS = 1.0  # how much later than a session's end its witness's may come

Key = tuple[int, int]  # process id and secret


class Witness(asyncio.Protocol):
    """One connection to one processor. `on_ready` is called when it may be named, `on_end` once when it is over."""

    __slots__ = (
        "_cut",
        "_data",
        "_numbers",
        "_on_end",
        "_on_ready",
        "_transport",
        "_waiting",
        "clean",
        "ended",
        "member",
        "name",
        "ready",
    )

    def __init__(
        self, host: Host, member: Member, on_ready: Callable[[Witness], None], on_end: Callable[[Witness], None]
    ) -> None:
        self.member = member
        self.name = host.random.getrandbits(128).to_bytes(16, "big")
        self.ready = False
        self.ended = False
        self.clean = False  # in good order
        self._cut = False
        self._on_ready = on_ready
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._numbers: dict[Key, int] = {}  # of the last commit of each session, 0 = none
        self._waiting: dict[Key, Callable[[], None]] = {}

    def add(self, key: Key) -> None:
        """A session names this witness."""
        self._numbers[key] = 0

    def remove(self, key: Key) -> None:
        self._numbers.pop(key, None)
        self._waiting.pop(key, None)

    def proves(self, key: Key, commits: int) -> bool:
        """True if the session has certainly sent no more than so many commits."""
        return self.clean and self._numbers.get(key, -1) == commits

    def when_ended(self, host: Host, key: Key, function: Callable[[], None]) -> None:
        """Call `function` once it has ended, or after a while."""
        if self.ended:
            function()
            return
        self._waiting[key] = function
        host.later(END_SECONDS, self._told, key)

    def close(self) -> None:
        self._cut = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        self._transport.write(greeting_frame(WitnessGreeting(self.name)))

    def data_received(self, data: bytes) -> None:
        if not self.ready:
            if data[:1] != WITNESS_READY:
                self.close()
                return
            self.ready = True
            data = data[1:]
            self._on_ready(self)
        data = self._data + data if self._data else data
        whole = len(data) - len(data) % WITNESSED.size
        numbers = self._numbers
        for process_id, secret, number in WITNESSED.iter_unpack(data[:whole]):
            key = (process_id, secret)
            if key in numbers:
                numbers[key] = number
        self._data = data[whole:]

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.clean = error is None and not self._cut and not self._data
        self.ready = False
        for key in list(self._waiting):
            self._told(key)
        self._on_end(self)

    def _told(self, key: Key) -> None:
        function = self._waiting.pop(key, None)
        if function is not None:
            function()
