"""Commits that fail on demand, so that retry code can be tested: with `tausql.testing` only.

A conflict that really happens needs a second session at the right moment; code that retries deserves a test that does
not depend on one. What the client sees is the same to the letter. Only commits that have something to commit fail, as
only those can.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple

from tausql.processor.outcome import outcome_unknown
from tausql.protocol.errors import Code, SqlError, conflict, schema_changed

COUNT_MAX: Final = 1_000_000


class Fault(NamedTuple):
    """happens: the transaction does commit, and the client is told that nobody knows."""

    error: Callable[[], SqlError]
    happens: bool


FAULTS: Final = MappingProxyType(
    {
        "OC000": Fault(conflict, False),
        "OC001": Fault(schema_changed, False),
        "unknown": Fault(outcome_unknown, True),
    }
)


class CommonFaults:
    """Of all sessions of a processor: `share` of their commits fail with `code`, at random."""

    __slots__ = ("_code", "_random", "_share")

    def __init__(self, share: float, code: str, random: Callable[[], float]) -> None:
        self._share = share
        self._code = code
        self._random = random

    def take(self) -> Fault | None:
        return FAULTS[self._code] if self._share and self._random() < self._share else None


class Faults:
    """Of one session: its next `count` commits fail with `code`; beyond them, what befalls everybody."""

    __slots__ = ("_code", "_common", "_count")

    def __init__(self, common: CommonFaults) -> None:
        self._common = common
        self._code = ""
        self._count = 0

    def arm(self, code: str, count: int) -> None:
        """Raises 22023 for a code that no commit fails with."""
        if code not in FAULTS:
            raise SqlError(
                Code.invalid_parameter_value,
                f'no commit fails with "{code}"',
                hint=f"There are {', '.join(FAULTS)}.",
            )
        if not 0 <= count <= COUNT_MAX:
            raise SqlError(Code.invalid_parameter_value, f"a count lies between 0 and {COUNT_MAX}")
        self._code, self._count = code, count

    def take(self) -> Fault | None:
        """What befalls the commit that is about to be made."""
        if self._count:
            self._count -= 1
            return FAULTS[self._code]
        return self._common.take()
