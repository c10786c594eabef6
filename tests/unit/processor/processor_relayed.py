"""A client behind a frontend's relay, and processors that die at any byte of what they say. All in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from processor_client import Out
from processor_fleet import TestFleet

from tausql.frontend.joining import Joining
from tausql.frontend.loss import Plan
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.relay import RemoteSession
from tausql.pgwire.client import ReadyForQuery
from tausql.processor.sessions import Sessions
from tausql.protocol.processor import SessionStart


class Killed(BaseException):
    """The processor's process ends here: nothing after it is run."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire


class Wire:
    """Both ends of a session connection: the frontend's transport, and the processor's `ClientOut` and `NoteOut`.

    dies_at: bytes from the processor that arrive. at_once: it dies with the last of them, else in trying to say more.
    clean: its end then looks like a killed process's; else like a broken network. deaf: it does not die: nobody hears
    the rest of what it says."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.dies_at: int | None = None
        self.at_once = True
        self.clean = True
        self.deaf = False
        self.said = b""
        self.dead = False
        self.closed = False
        self.protocol: Any = None
        self.session: Any = None
        self.greeted = 0
        self.stuck = False
        self.on_pushed: Callable[[bool], None] | None = None
        self._early: list[bytes] = []

    def open(self, start: SessionStart, protocol: Any) -> None:
        self.protocol = protocol
        self.near = Near(self)
        protocol.connection_made(self.near)
        try:
            self.session = self.sessions.attach(start, Far(self), Far(self))
        except Killed:
            self.end()
        for data in self._early:
            self.session.feed(data)

    def to_processor(self, data: bytes) -> None:
        if self.dead or self.closed:
            return
        if self.session is None:
            self._early.append(data)
            return
        try:
            self.session.feed(data)
        except Killed:
            self.end()

    def to_frontend(self, data: bytes) -> None:
        if self.dead:
            raise Killed(self)
        if self.closed:
            return
        room = len(data) if self.dies_at is None else max(self.dies_at - len(self.said), 0)
        passed = data[:room]
        self.said += passed
        if passed:
            self.protocol.data_received(passed)
        if self.deaf:
            return
        if self.dies_at is not None and (room < len(data) or (self.at_once and len(self.said) == self.dies_at)):
            self.dead = True
            raise Killed(self)

    def end(self) -> None:
        """What the frontend sees of the end."""
        if not self.closed:
            self.closed = True
            self.protocol.connection_lost(None if self.clean else ConnectionResetError())

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            protocol = self.protocol
            if self.session is not None and not self.dead:
                self.session.lost()
            protocol.connection_lost(None)


class Near:
    """The frontend's transport."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def write(self, data: bytes) -> None:
        self.wire.to_processor(data)

    def set_protocol(self, protocol: Any) -> None:
        self.wire.protocol = protocol

    def close(self) -> None:
        self.wire.close()

    def abort(self) -> None:
        self.wire.close()

    def set_write_buffer_limits(self, size: int) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Far:
    """The processor's end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    def write(self, data: bytes) -> None:
        self.wire.to_frontend(data)

    def push(self, data: bytes, commit: int = 0) -> bool:
        self.wire.to_frontend(data)
        return not self.wire.stuck

    def when_pushed(self, function: Callable[[bool], None]) -> None:
        self.wire.on_pushed = function

    def know(self, process_id: int, secret: int) -> None: ...

    def close(self) -> None:
        self.wire.end()

    def when_writable(self, function: Callable[[], None]) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Relayed:
    """One client of a frontend whose first processor is `fleet.processors[0]`, and whose next is the other one."""

    def __init__(self, fleet: TestFleet, proven: bool = False, parameters: dict[str, str] | None = None) -> None:
        self.fleet = fleet
        self.proven = proven
        self.out = Out()
        self.metrics = FrontendMetrics()
        self.moves: list[Plan] = []
        self.session = RemoteSession(
            SessionStart("admin", "postgres", parameters or {}), self.out, 65536, self.metrics, self, lambda: 0.0
        )
        self.wire = Wire(fleet.processors[0].sessions)
        self._join(self.wire, Plan(), self.session.start)
        self.greeting = self.take()

    def _join(self, wire: Wire, plan: Plan, start: SessionStart) -> None:
        def joined(joining: Joining) -> None:
            if start.restore is None:
                self.session.carried.process_id = joining.process_id
                self.session.carried.secret = joining.secret
                self.session.statuses = joining.statuses
                self.out.write(joining.greeting)
            elif plan.question is not None:
                assert joining.resolved is not None
                plan.resolve(joining.resolved)
            self.wire = wire
            self.session.adopt(joining, plan)

        wire.open(start, Joining(b"", joined))

    # relay.Mover

    def drained(self, session: RemoteSession) -> None:
        self._move(Plan())

    def lost(self, session: RemoteSession, plan: Plan) -> None:
        self._move(plan)

    def gone(self, session: RemoteSession) -> None: ...

    def when_proven(self, session: RemoteSession, function: Callable[[bool], None]) -> None:
        function(self.proven)

    def _move(self, plan: Plan) -> None:
        self.moves.append(plan)
        start = self.session.start
        restored = SessionStart(
            start.user, start.database, start.parameters, restore=self.session.carried.restore(0, plan)
        )
        self._join(Wire(self.fleet.processors[1].sessions), plan, restored)

    # the client

    def take(self) -> list[Any]:
        messages, self.out.messages = self.out.messages, []
        return messages

    def send(self, *data: bytes) -> None:
        self.session.feed(b"".join(data))

    def answered(self, count: int = 1, seconds: float = 90.0) -> list[Any]:
        """Everything up to the `count`th ReadyForQuery, or to the connection's end."""

        def done() -> bool:
            return self.out.closed or sum(isinstance(one, ReadyForQuery) for one in self.out.messages) >= count

        world = self.fleet.world
        began = world.now
        while not done():
            assert world.now - began < seconds, "no answer"
            self.run(0.00005 if world.now - began < 0.1 else 0.005)
        return self.take()

    def run(self, seconds: float) -> None:
        world = self.fleet.world
        end = world.now + seconds
        while world.now < end:
            try:
                world.run(end - world.now)
            except Killed as killed:
                killed.wire.end()


def in_loop(test: Callable[[], None]) -> None:
    """Run `test` where futures can be made."""

    async def body() -> None:
        test()

    asyncio.run(body())
