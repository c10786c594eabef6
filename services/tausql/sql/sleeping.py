"""pg_sleep: a statement that waits while nobody else has to.

Expressions are evaluated without waiting, and a call that slept where it stands would hold up every session of its
processor. So the statement is left by `PendingSleep`, the session waits, cancellable, and the statement starts over
with the sleep done: the way a sequence's values come (`sql.sequences`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.date_arithmetic import timestamptz_plus
from tausql.sql.sequences import PendingCall, answered, remember

if TYPE_CHECKING:
    from tausql.sql.expressions.context import Context

_SECOND_US: Final = 1_000_000
_DONE: Final = 0  # the answer of a sleep: that it is over


class PendingSleep(PendingCall):
    """A statement that waits `seconds` (more than 0) before it goes on."""

    def __init__(self, seconds: float) -> None:
        super().__init__(0)
        self.seconds = seconds


def pg_sleep(context: Context, seconds: float) -> str:
    if answered(context) is None:
        if context.sequences is None:
            raise SqlError(Code.internal_error, "nothing can be waited for in this context")
        if seconds > 0:  # NaN is no time at all, as in PostgreSQL
            raise PendingSleep(seconds)
        remember(context, _DONE)
    return ""


def sleep_done(context: Context) -> None:
    """What the next evaluation of the statement is told: the sleep it was left for is over."""
    remember(context, _DONE)


def pg_sleep_for(context: Context, span: Any) -> str:
    now_us = context.clock()
    return pg_sleep(context, (timestamptz_plus(context, now_us, span) - now_us) / _SECOND_US)


def pg_sleep_until(context: Context, until_us: int) -> str:
    return pg_sleep(context, (until_us - context.clock()) / _SECOND_US)
