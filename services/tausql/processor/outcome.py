"""What became of a commit whose answer never came.

It may be on a majority of disks although whoever sent it there has died, so "try again" would be a lie that can cost a
double booking. Nor may the commit be sent again. The stream's holder of the moment is asked, as often as it takes: the
record is in its log or it is not, and after the deadline it can never get there. Only where nobody can be asked until
well past the deadline is the client told that the outcome is not known (40003).
"""

from __future__ import annotations

from tausql.processor.coroutines import Wait, sleep
from tausql.processor.owners import Holder
from tausql.processor.placement import Placement
from tausql.processor.snapshots import Snapshots
from tausql.protocol.adjudicator import Aborted, Commit, Committed, Outcome
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.tau import micros_of
from tausql.runtime.host import Host

BACKOFF_SECONDS_MIN = 0.01
BACKOFF_SECONDS_MAX = 0.5
ASK_SECONDS = 1.0


def question_of(commit: Commit) -> Outcome:
    """What to ask about `commit`."""
    return Outcome(commit.txn, commit.tau_start, commit.deadline, commit.stream, commit.epoch)


async def settle(
    host: Host, placement: Placement, snapshots: Snapshots, question: Outcome, beyond_seconds: float
) -> Committed | Aborted:
    """The verdict on a commit that may have been sent. Raises SqlError 40003 when nobody could tell until
    `beyond_seconds` after its deadline."""
    end = host.monotonic() + _seconds_until(snapshots, question.deadline) + beyond_seconds
    backoff = BACKOFF_SECONDS_MIN
    while host.monotonic() < end:
        holder = placement.holders.get(question.stream)
        if holder is None:
            await placement.changed(min(BACKOFF_SECONDS_MAX, max(end - host.monotonic(), 0.001)))
            continue
        answer = await _ask(holder, question)
        if isinstance(answer, Committed | Aborted):
            return answer
        await sleep(host, backoff * (1.0 + 0.5 * host.random.random()))
        backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)
    raise outcome_unknown(f"Transaction {question.txn.hex()}.")


def outcome_unknown(detail: str | None = None) -> SqlError:
    """40003: nobody can tell whether the transaction has committed."""
    return SqlError(
        Code.statement_completion_unknown,
        "statement completion unknown: the commit was sent, and no adjudicator could tell what became of it",
        detail=detail,
        hint="Look whether its changes are there before trying again.",
    )


def _ask(holder: Holder, question: Outcome) -> Wait[object]:
    wait: Wait[object] = Wait()
    holder.client.outcome(question, ASK_SECONDS, wait.resolve)
    return wait


def _seconds_until(snapshots: Snapshots, deadline: int) -> float:
    try:
        now = snapshots.latest()
    except SqlError:  # the clock is not sure: the whole time a commit may take is certainly enough
        return 300.0
    return max(micros_of(deadline) - now, 0) / 1_000_000
