"""Sessions on their way from one processor to another.

All sessions of a processor lose it at the same moment, so only so many look for another one at once; the others stand
in line, their clients held. Until there is a processor with room the search goes on, for a while: a new pod may be
coming.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tausql.frontend import refusals
from tausql.frontend.joining import GreetingTooLong, Joining
from tausql.frontend.loss import Plan
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.placing import Placing, Refused
from tausql.frontend.relay import RemoteSession
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.witnesses import Witness
from tausql.protocol.errors import SqlError
from tausql.protocol.fleet import Member
from tausql.protocol.processor import Resolved, SessionStart
from tausql.runtime import logs
from tausql.runtime.host import Host
from tausql.runtime.tasks import TooManyTasks, spawn

PAUSE_SECONDS_MIN = 0.01
PAUSE_SECONDS_MAX = 0.5
_UNKNOWN = "40003"

log = logs.get("frontend")


class Moves:
    """Implements `mover.Mover`, and knows which session is where."""

    def __init__(self, host: Host, settings: FrontendSettings, metrics: FrontendMetrics, placing: Placing) -> None:
        self._host = host
        self._settings = settings
        self._metrics = metrics
        self._placing = placing
        self._gate = asyncio.Semaphore(settings.moves_max)
        self._by_processor: dict[str, dict[RemoteSession, None]] = {}  # in the order in which they came
        self._stopped = False

    def placed(self, session: RemoteSession, processor: str, witness: Witness | None) -> None:
        """`session` is on `processor` now."""
        self.gone(session)
        session.processor = processor
        session.witness = witness
        if witness is not None:
            witness.add(_key(session))
        self._by_processor.setdefault(processor, {})[session] = None

    def unwitnessed(self, witness: Witness) -> None:
        """It has ended. Its sessions can commit nothing any more: those that are still there must go elsewhere."""
        for session in list(self._by_processor.get(witness.member.name, ())):
            if session.witness is witness:
                session.cut()

    def gone(self, session: RemoteSession) -> None:
        """`session` is nowhere."""
        if session.witness is not None:
            session.witness.remove(_key(session))
            session.witness = None
        there = self._by_processor.get(session.processor)
        if there is not None:
            there.pop(session, None)
            if not there:
                del self._by_processor[session.processor]

    def vanished(self, processor: str) -> None:
        """It is not in the fleet any more: nothing it might still say counts."""
        for session in list(self._by_processor.get(processor, ())):
            session.cut()

    def stop(self) -> None:
        self._stopped = True

    # --- mover.Mover ---------------------------------------------------------------------------------------------

    def drained(self, session: RemoteSession) -> None:
        self._begin(session, Plan(), "drained")

    def lost(self, session: RemoteSession, plan: Plan) -> None:
        if session.carried.immovable:
            log.info("session cannot be moved", processor=session.processor, reason=session.carried.immovable)
            self._failed(session, plan, "lost")
            return
        reason = "drained" if session.told.move_wanted else "lost"
        if plan.transaction_lost:
            self._metrics.transactions_lost += 1
        self._begin(session, plan, reason)

    def when_proven(self, session: RemoteSession, function: Callable[[bool], None]) -> None:
        witness = session.witness
        if witness is None:
            function(False)
            return
        key = _key(session)
        witness.when_ended(self._host, key, lambda: function(witness.proves(key, session.told.commits)))

    # --- within --------------------------------------------------------------------------------------------------

    def _begin(self, session: RemoteSession, plan: Plan, reason: str) -> None:
        try:
            spawn("move session", self._move(session, plan, reason))
        except TooManyTasks:
            self._failed(session, plan, reason)

    async def _move(self, session: RemoteSession, plan: Plan, reason: str) -> None:
        began = self._host.monotonic()
        end = began + self._settings.move_seconds
        async with self._gate:
            outcome = await self._look_for_one(session, plan, end)
        if session.ended:
            self.gone(session)
        elif outcome is None:
            self._metrics.moves[reason] += 1
            self._metrics.move_seconds.observe(self._host.monotonic() - began)
        elif reason == "drained" and session.attached:
            log.warning("no processor for a session that is to move", processor=session.processor)
            self._metrics.moves_failed[reason] += 1
            session.stay()
        else:
            self._failed(session, plan, reason, outcome)

    async def _look_for_one(self, session: RemoteSession, plan: Plan, end: float) -> SqlError | None:
        """None if the session has been adopted, or has ended."""
        host, settings = self._host, self._settings
        pause = PAUSE_SECONDS_MIN
        seconds = settings.processor_connect_seconds if plan.question is None else settings.outcome_seconds

        def joined(joining: Joining, member: Member, witness: Witness | None) -> None:
            if session.ended:
                joining.transport.abort()
                return
            if plan.question is not None:
                if joining.resolved is None:
                    joining.transport.abort()
                    session.end(refusals.outcome_unknown())
                    return
                self._count(plan, joining.resolved)
            self.placed(session, member.name, witness)
            session.adopt(joining, plan)

        avoided = {session.processor}
        while not (session.ended or self._stopped):
            try:
                start = _start(session, plan, host.monotonic())
                found = await self._placing.join(start, joined, seconds, set(avoided))
            except GreetingTooLong:
                return refusals.processor_lost()
            if isinstance(found, Refused):
                log.warning("session refused elsewhere", reason=found.fields.get("M", ""))
                return refusals.processor_lost()
            if found:
                return None
            if host.monotonic() + pause > end:
                return refusals.processor_lost()
            await asyncio.sleep(pause * (0.5 + host.random.random()))
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            if not session.attached:  # it may have been started again by now
                avoided.clear()
        return None

    def _count(self, plan: Plan, resolved: Resolved) -> None:
        plan.resolve(resolved)
        metrics = self._metrics
        if resolved.committed:
            metrics.outcomes["committed"] += 1
        else:
            metrics.outcomes["unknown" if resolved.sqlstate == _UNKNOWN else "aborted"] += 1
            plan.transaction_lost = True
            metrics.transactions_lost += 1

    def _failed(self, session: RemoteSession, plan: Plan, reason: str, error: SqlError | None = None) -> None:
        self._metrics.moves_failed[reason] += 1
        self.gone(session)
        if plan.question is not None:
            error = refusals.outcome_unknown()
        session.end(error if error is not None else refusals.processor_lost())


def _key(session: RemoteSession) -> tuple[int, int]:
    return session.carried.process_id, session.carried.secret


def _start(session: RemoteSession, plan: Plan, now: float) -> SessionStart:
    start = session.start
    restore = session.carried.restore(now - session.opened, plan)
    return msgspec.structs.replace(start, restore=restore)  # its cluster above all
