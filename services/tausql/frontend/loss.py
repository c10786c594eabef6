"""What to do about a session whose processor has gone: what the client is owed, and what the next processor must know.

The rule above all others: no error that says "nothing happened" for what may have happened. What is known decides:

    a commit was announced    the next processor finds out what became of it
    the end was in good order everything the processor wrote has arrived; no announcement, so nothing was committed
    the connection broke      an announcement may have been lost with it: only what cannot have committed is 40001

Where nothing was committed and nothing of the answer sent, the request is simply run again, elsewhere.

A client may have asked for more before it was answered. A processor whose connection broke may have gone on to any of
that, so the same is asked of every request, not of the first alone.
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
    ready, others = _give_up(plan, situation, lost, sure)
    plan.answer = (b"" if told else error) + ready + others
    return plan


def _announced(situation: Situation, note: CommitNote) -> Plan | None:
    """A commit is, or has been, under way. Whatever it has come to, no transaction is open."""
    plan = Plan(settings=note.settings)
    ready, others = _give_up(plan, situation, Lost.nothing, situation.clean)
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


def _give_up(plan: Plan, situation: Situation, lost: Lost, sure: bool) -> tuple[bytes, bytes]:
    """End the first request, behind its error: what the client gets for it, and for further ones. `plan` gets how its
    stream goes on. sure: nothing else that the client has asked for has been committed."""
    again = sure or _only_reads_follow(situation)
    remainder = situation.requests.remainder(again)
    plan.replay = remainder.replay
    plan.swallow = remainder.swallow
    ready = _READY[lost]
    if not remainder.terminated:
        plan.skipping = True
        return b"", b""
    error = backend.error_response(lost_with_processor() if again else unknown_with_processor())
    others = (error + ready) * remainder.others
    if remainder.open:
        plan.skipping = True
        others += error
    return ready, others


def _nothing_committed(situation: Situation) -> bool:
    if situation.clean:
        return True
    if situation.requests.copying:
        return True
    whole, unfinished = _said(situation)
    if whole is None:
        return False
    if situation.base != _IDLE and not any(map(may_end_block, (*whole, unfinished))):
        return True  # it all was within the block
    # Outside a block, the end of each request commits.
    return all(map(only_reads, whole)) and _harmless(unfinished)


def _only_reads_follow(situation: Situation) -> bool:
    """True if what the client has asked for after its first request is as good run twice as once."""
    whole, unfinished = _said(situation)
    return whole is not None and all(map(only_reads, whole[1:])) and _harmless(unfinished)


def _harmless(unfinished: list[str] | None) -> bool:
    """What has not come to its end commits only if it says so."""
    return only_reads(unfinished) or not may_end_block(unfinished)


def _said(situation: Situation) -> tuple[list[list[str] | None] | None, list[str] | None]:
    """The texts of all whole requests, and of the one that is not; None where they cannot be told."""
    requests, statements = situation.requests, situation.statements
    whole, unfinished = requests.whole(), requests.unfinished()
    if whole is None or unfinished is None:
        return None, None
    return [texts(one, statements) for one in whole], texts(unfinished, statements)


def _ends_block(situation: Situation) -> bool:
    first = situation.requests.first()
    return first is not None and may_end_block(texts(first, situation.statements))
