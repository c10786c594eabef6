"""What run-time functions need besides their arguments: parameters, clocks, the session, randomness, sub-queries.

There is no clock and no generator of random numbers in SQL code: they come in here, so that a statement can be run
again in a simulation with the same outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.session_format import SessionFormat

if TYPE_CHECKING:
    from tausql.sql.sequences import Sequences

Row = Sequence[Any]
Subplan = Callable[[Row, "Context"], Sequence[Sequence[Any]]]


@dataclass(slots=True)
class SessionFacts:
    """Who is connected to what. settings: lower-case names to values as SHOW prints them. set_config(name, value or
    None for the default, local): SET as a function; answers the new value."""

    user: str = "admin"
    session_user: str = "admin"
    database: str = "postgres"
    search_path: tuple[str, ...] = ("public",)
    settings: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    set_config: Callable[[str, str | None, bool], str] | None = None


def _no_random() -> float:
    raise SqlError(Code.internal_error, "no source of randomness in this context")


def _no_random_bytes(_count: int) -> bytes:
    raise SqlError(Code.internal_error, "no source of randomness in this context")


def _no_pause() -> None:
    return None


class Context:
    """One execution of a statement.

    params: datums of $1, $2, ...; now_us, statement_now_us: microseconds since 2000-01-01 UTC; clock() the same for the
    wall; random() in [0, 1); subplans[i](row, context): the rows of Subquery i (the same list object as long as they do
    not change); outer: rows of enclosing queries, innermost last; pause(): None, or what a statement that has kept the
    processor for long awaits before it goes on, so that others run and it can be cancelled; sequences, answers,
    answered: see `sql.sequences`.
    """

    __slots__ = (
        "answered",
        "answers",
        "clock",
        "format",
        "now_us",
        "outer",
        "params",
        "pause",
        "random",
        "random_bytes",
        "sequences",
        "session",
        "snapshot",
        "statement_now_us",
        "subplans",
    )

    def __init__(
        self,
        params: Sequence[Any] = (),
        now_us: int = 0,
        statement_now_us: int | None = None,
        session: SessionFacts | None = None,
        format: SessionFormat | None = None,
        clock: Callable[[], int] | None = None,
        random: Callable[[], float] = _no_random,
        random_bytes: Callable[[int], bytes] = _no_random_bytes,
        subplans: Sequence[Subplan] = (),
        pause: Callable[[], Awaitable[None] | None] = _no_pause,
        sequences: Callable[[], Sequences] | None = None,
    ) -> None:
        self.params = params
        self.now_us = now_us
        self.statement_now_us = now_us if statement_now_us is None else statement_now_us
        self.session = SessionFacts() if session is None else session
        self.format = SessionFormat() if format is None else format
        self.format.now_us = now_us
        self.clock: Callable[[], int] = (lambda: now_us) if clock is None else clock
        self.random = random
        self.random_bytes = random_bytes
        self.snapshot: Any = None  # the schema the statement was planned with, for functions that look into it
        self.subplans = subplans
        self.outer: list[Row] = []
        self.pause = pause
        self.sequences = sequences
        self.answers: list[int] | None = None
        self.answered = 0
