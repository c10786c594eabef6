"""What `tausql.fail_next_commit` and its kin do. See docs/testing.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tausql.processor.faults import CommonFaults, Faults
from tausql.processor.held_jobs import HeldJobs
from tausql.sql.statements import Statement


class Demands:
    """Of one processor."""

    __slots__ = ("_held", "_poke", "common")

    def __init__(self, held: HeldJobs, poke: Callable[[], None], common: CommonFaults) -> None:
        self._held = held
        self._poke = poke
        self.common = common

    async def answer(self, faults: Faults, statement: Statement) -> Any:
        """Do it; the value of the call, None for none. Raises SqlError."""
        name: str = statement.options["name"]
        arguments: list[Any] = statement.options["arguments"]
        if name == "fail_next_commit":
            faults.arm(str(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1)
        elif name == "hold_jobs":
            await self._held.hold()
        elif name == "release_jobs":
            await self._held.release()
            self._poke()
        else:
            return await self._held.held()
        return None
