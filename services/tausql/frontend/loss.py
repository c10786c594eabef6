"""What to do about a session whose processor has gone: what the client is owed, and what the next processor must know.

The rule above all others: no error that says "nothing happened" for what may have happened. What is known decides:

    a commit was announced    the next processor finds out what became of it
    the end was in good order everything the processor wrote has arrived; no announcement, so nothing was committed
    the connection broke      an announcement may have been lost with it: only what cannot have committed is 40001

Where nothing was committed and nothing of the answer sent, the request is simply run again, elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tausql.frontend.requests import Requests, may_end_block, only_reads, texts
from tausql.pgwire import backend
from tausql.pgwire.tail import RelayTail
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.errors import lost_with_processor, unknown_with_processor
from tausql.protocol.processor import CarriedStatement, CommitNote, Lost, Resolved

_IDLE = ord("I")
_TRANSACTION = ord("T")
_ERROR = ord("E")
_READY = {Lost.nothing: backend.READY_IDLE, Lost.told: backend.READY_FAILED}


@dataclass(slots=True)
class Situation:
    """A session at the moment of its loss. `base`: the transaction's status when the client last was told one."""

    base: int
    tail: RelayTail
    settled: bool  # the client waits for nothing
    requests: Requests  # empty if `settled`
    note: CommitNote | None
    withheld: bytes  # the note's, without notes
    after: bytes  # what has come for the client since the note
    clean: bool  # the connection ended in good order, and was read to its end
    statements: Mapping[str, CarriedStatement]


@dataclass(slots=True)
class Plan:
    """How a session goes on."""

    lost: Lost = Lost.nothing
    answer: bytes = b""  # for the client, before anything else
    replay: bytes = b""  # for the next processor, before anything else
    skipping: bool = False  # the client goes on with a request that has failed, to its Sync
    swallow: int = 0  # bytes of the client's to drop
    question: Outcome | None = None
    if_committed: bytes = b""  # instead of `answer`, once the question is answered
    settings: dict[str, str] = field(default_factory=dict)  # that outlive the transaction if it has committed
    committed: bool = False  # it certainly has
    if_not: tuple[bytes, bytes] = (b"", b"")  # around the error
    transaction_lost: bool = False

    def resolve(self, resolved: Resolved) -> None:
        """The question is answered."""
        before, behind = self.if_not
        self.answer = self.if_committed if resolved.committed else before + resolved.error + behind


def plan_of(situation: Situation) -> Plan | None:
    """None: the client has a part of a message, and can only be cut off."""
    if situation.settled:
        lost = {_IDLE: Lost.nothing, _TRANSACTION: Lost.untold}.get(situation.base, Lost.told)
        return Plan(lost, transaction_lost=lost == Lost.untold)
    if situation.note is not None:
        return _announced(situation, situation.note)
    if not situation.tail.at_boundary:
        return None
    requests = situation.requests
    everything = requests.all()
    sure = _nothing_committed(situation)
    if everything is not None and situation.tail.unanswered and sure:
        lost = {_IDLE: Lost.nothing, _TRANSACTION: Lost.untold}.get(situation.base, Lost.told)
        return Plan(lost, replay=everything, transaction_lost=lost == Lost.untold)
    lost = Lost.nothing
    if sure and situation.base != _IDLE and not _ends_block(situation):
        lost = Lost.told
    error = backend.error_response(lost_with_processor() if sure else unknown_with_processor())
    told = situation.tail.kind == _ERROR
    plan = Plan(lost, transaction_lost=True)
    ready, others = _give_up(plan, requests, lost)
    plan.answer = (b"" if told else error) + ready + others
    return plan


def _announced(situation: Situation, note: CommitNote) -> Plan | None:
    """A commit is, or has been, under way. Whatever it has come to, no transaction is open."""
    plan = Plan(settings=note.settings)
    ready, others = _give_up(plan, situation.requests, Lost.nothing)
    withheld, after = situation.withheld, situation.after
    if note.final:
        behind = others  # the request is over with its success
        success = withheld + note.after + backend.READY_IDLE
    else:
        behind = backend.error_response(lost_with_processor()) + ready + others
        success = withheld + note.after
    if success.startswith(after):
        if len(after) > len(withheld):  # the client has begun to hear of its success
            plan.committed = True
            plan.answer = success[len(after) :] + behind
        else:
            plan.question = note.question
            plan.if_committed = success[len(after) :] + behind
            plan.if_not = (withheld[len(after) :], ready + others)
        return plan
    if not situation.tail.at_boundary:
        return None
    # The verdict has come, and is no plain success, or other words came with it.
    plan.committed = situation.tail.kind != _ERROR
    if note.final or not plan.committed:
        plan.answer = ready + others
    else:
        plan.answer = behind
    return plan


def _give_up(plan: Plan, requests: Requests, lost: Lost) -> tuple[bytes, bytes]:
    """End the first request, behind its error: what the client gets for it, and for further ones. `plan` gets how its
    stream goes on."""
    remainder = requests.remainder()
    plan.replay = remainder.replay
    plan.swallow = remainder.swallow
    ready = _READY[lost]
    if not remainder.terminated:
        plan.skipping = True
        return b"", b""
    error = backend.error_response(lost_with_processor())
    others = (error + ready) * remainder.others
    if remainder.open:
        plan.skipping = True
        others += error
    return ready, others


def _nothing_committed(situation: Situation) -> bool:
    if situation.clean:
        return True
    requests = situation.requests
    if requests.copying:
        return True
    first = requests.first()
    said = None if first is None else texts(first, situation.statements)
    if only_reads(said):
        return True
    # Outside a block, the end of the request commits; within one, COMMIT does.
    return (situation.base != _IDLE or not requests.terminated) and not may_end_block(said)


def _ends_block(situation: Situation) -> bool:
    first = situation.requests.first()
    return first is not None and may_end_block(texts(first, situation.statements))
