"""What a transaction was like at a savepoint, so that it can be like that again.

The write buffer could be unwound by statement numbers, but that leaves the keys it is judged by: a row touched only
after the savepoint would still conflict with others and count against the limit. So a savepoint keeps the buffer's
tables as they were. They hold references, at most some ten thousand, and two savepoints without a write in between
share them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tausql.processor.buffer import Tables
from tausql.processor.transaction import Transaction, TransactionMark
from tausql.protocol.errors import Code, SqlError

SAVEPOINTS_MAX: Final = 1_000
ENTRIES_MAX: Final = 1_000_000  # of all kept tables of a transaction together: some 100 MB

ParametersMark = tuple[dict[str, str], dict[str, str] | None]


class Savepoint(NamedTuple):
    name: str
    transaction: TransactionMark
    parameters: ParametersMark
    jobs_entered: bool


class Savepoints:
    """Of one transaction, the newest last."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[Savepoint] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, name: str, transaction: Transaction, parameters: ParametersMark, jobs_entered: bool) -> None:
        """Raises 54000 beyond the limits."""
        before = self._kept[-1].transaction.tables if self._kept else None
        mark = transaction.mark(before)
        if len(self._kept) >= SAVEPOINTS_MAX or self._entries(mark.tables) > ENTRIES_MAX:
            raise SqlError(
                Code.program_limit_exceeded,
                "too many savepoints in a transaction",
                detail=f"A transaction can have {SAVEPOINTS_MAX} of them, with {ENTRIES_MAX} written keys together.",
            )
        self._kept.append(Savepoint(name, mark, parameters, jobs_entered))

    def back_to(self, name: str) -> Savepoint:
        """The newest of that name; those after it are gone. Raises 3B001 where there is none."""
        at = self._find(name)
        del self._kept[at + 1 :]
        return self._kept[at]

    def release(self, name: str) -> None:
        """Forget it and those after it. Raises 3B001 where there is none."""
        del self._kept[self._find(name) :]

    def _find(self, name: str) -> int:
        for at in range(len(self._kept) - 1, -1, -1):
            if self._kept[at].name == name:
                return at
        raise SqlError(Code.invalid_savepoint_specification, f'savepoint "{name}" does not exist')

    def _entries(self, more: Tables | None) -> int:
        distinct = {id(each): each for each in (more, *(kept.transaction.tables for kept in self._kept))}
        return sum(each.size for each in distinct.values() if each is not None)
