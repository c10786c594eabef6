"""Named places in the services where the simulation may make something go wrong that is allowed to go wrong.

From outside one can kill, cut and delay; one cannot make a holder resign for no reason, or a checkpoint stop half way,
at the rate at which that must be tried. So the code says where: `if fault(host, SKIP_A_BEAT): return`. What follows
must be something that could have happened anyway. A real host has no fault points, and nothing ever goes wrong there:
no switch, no environment variable, no state of a module can turn them on.
"""

from __future__ import annotations

from typing import Protocol

from tausql.runtime.host import Host

SKIP_A_BEAT = "skip a beat"  # a holder closes no time now
SHRINK_A_LIMIT = "shrink a limit"  # a holder asks for a limit that is soon used up
RESIGN = "resign for no reason"  # a holder gives its stream up
SMALL_BATCH = "small batch"  # an append carries one record
LATE_FLUSH = "late flush"  # a holder waits a moment before it sends what waits
LATE_SYNC = "late sync"  # a journal replica syncs, and so acknowledges, a moment later
REFUSE_AN_OPEN = "refuse an open"  # a journal replica is reluctant without a reason
END_A_TAIL = "end a tail"  # a journal replica ends a tail it serves
DROP_A_NUDGE = "drop a nudge"  # a holder does not hear a nudge
REFUSE_A_VOTE = "refuse a vote"  # a participant has no room for a vote
LOSE_A_SETTLE = "lose a settle"  # a participant does not hear what became of what it has voted for
LATE_OFFER = "late offer"  # a range that was given up is offered a moment later
LATE_TAKING = "late taking"  # the taker of a range is to be asked again
FORGET_A_TAKING = "forget a taking"  # the giver of a range does not hear that it has been taken
HOLD_A_DELIVERY = "hold a delivery back"  # a crossbar pushes to a subscriber a moment later
LEAVE_A_CROSSBAR = "leave a crossbar"  # a storage replica goes to another crossbar without need
STOP_A_CHECKPOINT = "stop a checkpoint"  # a storage replica stops sending a checkpoint half way
SLOW_CHECKPOINT = "slow checkpoint"  # a storage replica sends a small part of a checkpoint, and the next one later
SHORT_PAGE = "short page"  # an answer to a scan ends early
LATE_REPORT = "late report"  # a storage replica does not flush and report now

POINTS = (
    SKIP_A_BEAT,
    SHRINK_A_LIMIT,
    RESIGN,
    SMALL_BATCH,
    LATE_FLUSH,
    LATE_SYNC,
    REFUSE_AN_OPEN,
    END_A_TAIL,
    DROP_A_NUDGE,
    REFUSE_A_VOTE,
    LOSE_A_SETTLE,
    LATE_OFFER,
    LATE_TAKING,
    FORGET_A_TAKING,
    HOLD_A_DELIVERY,
    LEAVE_A_CROSSBAR,
    STOP_A_CHECKPOINT,
    SLOW_CHECKPOINT,
    SHORT_PAGE,
    LATE_REPORT,
)


class FaultPoints(Protocol):
    """What the host of a simulated process has under the name `fault_points`."""

    def hit(self, point: str) -> bool: ...


def fault(host: Host, point: str) -> bool:
    """Is this to go wrong now? Always False on a real host. `point`: one of `POINTS`."""
    points: FaultPoints | None = getattr(host, "fault_points", None)
    return points is not None and points.hit(point)
