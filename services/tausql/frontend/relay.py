"""A session in another process: a TCP connection to its processor, bytes relayed as they come.

Of the processor's answers only message headers are looked at (`pgwire.tail`): to know when the session waits for its
client, where one message ends and the next begins, and which bytes are notes to us. Of what the client asks, the last
chunk is kept for as long as it may have to be asked again. Both directions stop reading when the other side does not
drain, so a session holds at most two write buffers.

The processor may go away; the session stays. While it has none, its client's bytes are held, and `moves` finds it
another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from struct import Struct

import msgspec

from tausql.frontend.carried import CarriedState
from tausql.frontend.joining import Joining
from tausql.frontend.loss import Plan, Situation, plan_of
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.mover import Mover
from tausql.frontend.requests import KEPT_BYTES_MAX, Requests
from tausql.frontend.told import Told
from tausql.frontend.witnesses import Witness
from tausql.pgwire import backend
from tausql.pgwire.client import SYNC
from tausql.pgwire.notes import NoteBroken, NoteReader
from tausql.pgwire.tail import CountingTail, RelayTail
from tausql.protocol.errors import SqlError
from tausql.protocol.processor import ClientOut, Lost, SessionStart
from tausql.runtime import logs

_IDLE = ord("I")
_QUERY = ord("Q")
_READY = ord("Z")
_COPY_IN = ord("G")
_STATUS = {Lost.nothing: _IDLE, Lost.untold: ord("T"), Lost.told: ord("E")}
_LENGTH = Struct(">I").unpack_from

log = logs.get("frontend")


class RemoteSession(asyncio.Protocol):
    """A `SessionIn` whose processor is at the other end of a TCP connection."""

    __slots__ = (
        "_aside",
        "_asked",
        "_asked_at",
        "_base",
        "_clock",
        "_cut",
        "_held",
        "_leaving",
        "_metrics",
        "_mover",
        "_moving",
        "_notes",
        "_on_idle",
        "_out",
        "_paused",
        "_requests",
        "_swallow",
        "_tail",
        "_transport",
        "_watched",
        "_write",
        "_write_buffer_bytes",
        "carried",
        "ended",
        "opened",
        "processor",
        "start",
        "statuses",
        "told",
        "witness",
    )

    def __init__(
        self,
        start: SessionStart,
        out: ClientOut,
        write_buffer_bytes: int,
        metrics: FrontendMetrics,
        mover: Mover,
        clock: Callable[[], float],
    ) -> None:
        self.start = start
        self._clock = clock
        self._asked_at = 0.0
        self.opened = clock()
        self.processor = ""  # its name
        self.carried = CarriedState()
        self.statuses: dict[str, str] = {}  # as its last processor reported them
        self.ended = False  # by the client, by us, or for want of a processor
        self.witness: Witness | None = None  # of its commits on the present processor
        self.told = Told(self.carried)
        self._out = out
        self._write = out.write
        self._write_buffer_bytes = write_buffer_bytes
        self._metrics = metrics
        self._mover = mover
        self._transport: asyncio.Transport | None = None
        self._tail = RelayTail()
        # What the client has asked: usually one request in one chunk, else what `_requests` knows of it.
        self._base = _IDLE  # the transaction's status the client was last told
        self._asked = b""
        self._requests: Requests | None = None
        self._swallow = 0  # bytes of the client's to drop
        self._moving = False
        self._aside: _Aside | None = None  # while it moves away from a processor that is still there
        self._held: list[bytes] = []  # what the client sent while we move; it is paused, so that is one read at most
        # What the processor says to us.
        self._notes = NoteReader()
        self._watched = False  # `_look` is to be called
        self._on_idle: Callable[[], None] | None = None
        self._paused = False  # by the client, which does not take what there is
        self._cut = False  # by us: the connection's end proves nothing
        self._leaving = False  # the client seems to have said goodbye: a closed connection is no surprise any more

    # --- the client's side ---------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        tail = self._tail
        size = len(data)
        # Is the client answered, and this one whole request: a Query, or messages up to their only Sync?
        if tail.status and (
            size > 4 and _LENGTH(data, 1)[0] + 1 == size if data[0] == _QUERY else data.find(SYNC) + 5 == size > 4
        ):
            self._base = tail.status
            tail.status = 0
            self._asked = data if size <= KEPT_BYTES_MAX else b""
            self._asked_at = self._clock()
            self._metrics.received_bytes += size
            self._transport.write(data)  # type: ignore[union-attr]  # a status is there only where a transport is
        else:
            self._feed_slowly(data)

    def _feed_slowly(self, data: bytes) -> None:
        if self.ended:
            return
        if self._moving:
            self._held.append(data)
            return
        if self._swallow:
            dropped = min(self._swallow, len(data))
            self._swallow -= dropped
            data = data[dropped:]
            if not data:
                return
        requests = self._requests
        if requests is None:
            requests = self._begin_counting()
        requests.sent(data)
        if requests.goodbye:
            self._leaving = True
        self._metrics.received_bytes += len(data)
        assert self._transport is not None
        self._transport.write(data)

    def _begin_counting(self) -> Requests:
        """From now on, until everything is answered, the client's messages are counted, and its answers too."""
        tail = self._tail
        self._requests = requests = self._unanswered()
        if tail.status:
            self._base = tail.status
        self._tail = CountingTail(tail, self._base)
        self._watched = True
        return requests

    def _unanswered(self) -> Requests:
        requests = self._requests
        if requests is not None:
            return requests
        requests = Requests()
        if not self._tail.status:
            if self._asked:
                requests.sent(self._asked)
            else:
                requests.sent_unkept()
            if self._tail.kind == _COPY_IN:
                requests.copy_begun(self._asked[:1] == b"Q" or not self._asked)
        return requests

    def lost(self) -> None:
        self.ended = True
        self._on_idle = None
        self._tail.status = 0
        if self._transport is not None:
            self._transport.close()

    def end(self, error: SqlError) -> None:
        """There is nowhere to go on: the client is told why, where its answer is not cut in two by that."""
        if self.ended:
            return
        self.ended = True
        if self._tail.at_boundary:
            self._write(backend.error_response(error))
        self._out.close()

    @property
    def at_boundary(self) -> bool:
        """True if the client has received whole messages only."""
        return self._tail.at_boundary

    def when_idle(self, function: Callable[[], None]) -> None:
        """Call `function` once the session waits for its client outside a transaction; at once if it does."""
        if self._tail.status == _IDLE:
            function()
        else:
            self._on_idle = function
            self._watched = True

    # --- the processor's side ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        tail = self._tail
        at = tail.advance(data)
        if at < 0:
            self._metrics.sent_bytes += len(data)  # `_pass`, without the call
            self._write(data)
            if not self._out.when_writable(self._resume):
                self._pause()
            if tail.status:
                self._metrics.answer_seconds.observe(self._clock() - self._asked_at)
            if self._watched:
                self._look(data)
        else:
            self._with_notes(data, at)

    def _with_notes(self, data: bytes, at: int) -> None:
        """A note begins, or goes on, at `at`; what precedes it has been counted."""
        while True:
            if at:
                self._pass(data[:at])
                if self._aside is not None:
                    self._aside.data += data[at:]
                    return
            try:
                body, data = self._notes.feed(data[at:])
                if body is None:
                    self._tail.hold()
                    return
                self._tail.release()
                self._noted(body)
            except (NoteBroken, msgspec.DecodeError) as error:
                log.error("a processor's note cannot be read", processor=self.processor, reason=str(error))
                self.cut()
                return
            if self._aside is not None:
                self._aside.data += data
                return
            if not data:
                return
            at = self._tail.advance(data)
            if at < 0:
                self._pass(data)
                return

    def _pass(self, data: bytes) -> None:
        self._metrics.sent_bytes += len(data)
        self._write(data)
        if not self._out.when_writable(self._resume):
            self._pause()
        if self._tail.status:
            self._metrics.answer_seconds.observe(self._clock() - self._asked_at)
        if self._watched:
            self._look(data)

    def _noted(self, body: bytes) -> None:
        if self.told.take(body):
            self._metrics.sessions_immovable += 1
        self._watched = True
        self._move_if_idle()

    def _look(self, data: bytes) -> None:
        """`data` has been passed on to the client."""
        requests, tail = self._requests, self._tail
        answered = tail.status != 0
        if requests is not None and isinstance(tail, CountingTail):
            answered = self._count(requests, tail)
            tail = self._tail
        self.told.passed(data, answered)
        if tail.status == _IDLE:
            on_idle = self._on_idle
            if on_idle is not None:
                self._on_idle = None
                on_idle()
            self._move_if_idle()
        self._watched = self._requests is not None or self._on_idle is not None or self.told.waiting

    def _count(self, requests: Requests, tail: CountingTail) -> bool:
        """Take what has been counted into account: True if an answer has come to its end."""
        readies, copies = tail.readies, tail.copies_in
        tail.readies = tail.copies_in = 0
        ended_last = tail.kind == _READY
        if readies and not ended_last:
            requests.answered(readies)
        if copies:
            first = requests.first()
            requests.copy_begun(first is None or first[:1] == b"Q")
        if readies and ended_last:
            requests.answered(readies)
        if not readies:
            return False
        self._base = tail.last
        if requests.settled and tail.unanswered:
            self._requests = None
            self._tail = RelayTail(tail.last, _READY)
        return True

    def _pause(self) -> None:
        if self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._out.pause_reading()

    def resume_writing(self) -> None:
        if not self._moving:
            self._out.resume_reading()

    # --- moving --------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Break the connection: the processor is as good as gone."""
        self._cut = True
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._metrics.relays -= 1
        self._transport = None
        self._aside = None
        if self.ended or self._leaving or self.told.farewell:
            self.ended = True
            self._mover.gone(self)
            self._out.close()
            return
        if self._moving:  # it drains, and could not wait for us
            self._mover.gone(self)
            return
        self._metrics.processors_lost += 1
        clean = error is None and not self._paused and not self._cut
        settled = self._requests is None and self._tail.status != 0
        self._out.pause_reading()
        if clean or settled or (self.told.note is not None and self._requests is None):
            self._lost(clean)  # for one request that is announced there is nothing to be proven
        else:
            self._moving = True  # what the client sends is held
            self._mover.when_proven(self, self._lost)

    def _lost(self, clean: bool) -> None:
        self._mover.gone(self)
        if self.ended:
            return
        plan = self._plan(clean)
        if plan is None:
            self.ended = True
            self._out.close()
            return
        self.hold()
        self._mover.lost(self, plan)

    def _plan(self, clean: bool) -> Plan | None:
        requests, tail = self._requests, self._tail
        settled = tail.status != 0 if requests is None else requests.settled and tail.unanswered
        situation = Situation(
            tail.status or self._base,
            tail,
            settled,
            self._unanswered(),
            self.told.note,
            self.told.withheld(),
            self.told.after,
            clean,
            self.carried.statements,
        )
        plan = plan_of(situation)
        if plan is not None and plan.committed:
            self.carried.settings.update(plan.settings)
        if plan is not None and (plan.answer or plan.question is not None):
            # It may be another by now, and one that is wrongly believed to be there would be run.
            self.carried.statements.pop("", None)
        return plan

    def hold(self) -> None:
        """No processor for now: the client waits."""
        self._moving = True
        self._tail.status = 0
        self._out.pause_reading()

    def stay(self) -> None:
        """It was to move, and goes on where it is. Idle, as it was."""
        self._moving = False
        self._tail.status = _IDLE
        aside, self._aside = self._aside, None
        if aside is not None and self._transport is not None:
            self._transport.set_protocol(self)
            if aside.data:
                self.data_received(aside.data)
        self._go_on(b"")

    def _move_if_idle(self) -> None:
        told = self.told
        if told.move_wanted and self._tail.status == _IDLE and not (self.ended or self.carried.immovable):
            told.move_wanted = False
            self.hold()
            if self._transport is not None:
                self._aside = _Aside(self)
                self._transport.set_protocol(self._aside)
            self._mover.drained(self)

    @property
    def attached(self) -> bool:
        return self._transport is not None

    def adopt(self, joining: Joining, plan: Plan) -> None:
        """Another processor has the session: go on as planned."""
        old, transport = self._transport, joining.transport
        if old is not None:
            old.set_protocol(asyncio.Protocol())
            old.close()
            self._metrics.relays -= 1
        self._metrics.relays += 1
        self._transport = transport
        self._aside = None
        transport.set_write_buffer_limits(self._write_buffer_bytes)
        transport.set_protocol(self)
        self._paused = self._cut = self._moving = False
        self._notes = NoteReader()
        self.told = Told(self.carried)
        self._swallow = plan.swallow
        self._asked = b""
        self._base = _STATUS[plan.lost]
        if plan.question is not None and joining.resolved is not None and joining.resolved.committed:
            self.carried.settings.update(plan.settings)
        self._tail = RelayTail(self._base, _READY)
        self._requests = None
        self._watched = self._on_idle is not None
        if plan.skipping:
            self._tail.status = 0
            self._requests = Requests(open_=True)
            self._tail = CountingTail(self._tail, self._base)
            self._watched = True
        before = self.statuses
        if before != joining.statuses:  # what is the same is kept once, by all sessions
            self.statuses = joining.statuses
        answer = self.carried.news(before, self.statuses, plan.transaction_lost) + plan.answer
        if answer:
            self._write(answer)
        if joining.rest:
            self.data_received(joining.rest)
        self._go_on(plan.replay)

    def _go_on(self, replay: bytes) -> None:
        held, self._held = self._held, []
        if self._on_idle is not None and not (replay or held) and self._tail.status == _IDLE:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()
        for data in (replay, *held):
            if data:
                self.feed(data)
        if not self.ended:
            self._out.resume_reading()


class _Aside(asyncio.Protocol):
    """Hears a processor out that `session`, idle, is moving away from. It may still say goodbye, for its own reasons;
    that is for the client only if the session stays."""

    __slots__ = ("_session", "data")

    def __init__(self, session: RemoteSession) -> None:
        self._session = session
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > KEPT_BYTES_MAX:
            self._session.cut()

    def connection_lost(self, error: Exception | None) -> None:
        self._session.connection_lost(error)
