"""What a workload needs of a database connection, and what it may conclude from an error.

Drivers report a lost connection, a refused statement and a statement of unknown outcome as the same kind of exception.
A checked history must not mix them up: taking a commit for refused that did happen makes a good database look bad, and
the other way round. So errors are reduced to one code here, and `certainly_refused` is the only judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

CONNECT, LOST, DEADLINE = "connect", "lost", "deadline"
CONNECTION_CODES = frozenset((CONNECT, LOST))
CONFLICT, UNKNOWN = "40001", "40003"
UNSURE_CLASSES = ("08", "57", "XX")  # connection, operator intervention, internal: said by who may not know


class ClientError(Exception):
    """What a client was told instead of an answer. `code`: the SQLSTATE; or `connect` (no session came about), `lost`
    (the connection broke), `deadline` (no answer in time; the connection was cut). `usable`: the session goes on."""

    def __init__(self, code: str, text: str, usable: bool) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.usable = usable


def certainly_refused(code: str) -> bool:
    """Whether an error at COMMIT says that nothing happened."""
    return len(code) == 5 and code != UNKNOWN and not code.startswith(UNSURE_CLASSES)


class Answer(NamedTuple):
    """`changed`: rows returned or changed."""

    rows: Sequence[tuple[Any, ...]]
    changed: int


class Session(Protocol):
    """One connection. Every call raises ClientError, and returns or raises within the deadline it was dialled with."""

    def execute(self, statement: str, parameters: tuple[Any, ...] = ()) -> Answer: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def close(self) -> None: ...


# (which endpoint, counted on without end; autocommit; deadline in seconds of every call) -> session; raises ClientError
Dial = Callable[[int, bool, float], Session]
