"""Removes the data of deleted clusters: by a processor, in bounded transactions, until nothing is left.

How far it is need not be kept anywhere, since what is removed is gone: whoever goes on finds the rest.
"""

from __future__ import annotations

from typing import Protocol

from tausql.control.system.session import Answered, Lost, Processors, Statement
from tausql.protocol.processor import SessionStart

SWITCH = "removal"  # of a session: no frontend ever passes it on, so to clients the procedure does not exist
CALL = "CALL sys.remove_cluster_data()"
SECONDS = 60.0  # for one transaction
CALLS_MAX = 1_000_000


class RemovalFailed(Exception):
    """Go on later; the message says why."""


class Remover(Protocol):
    async def remove(self, number: int) -> int:
        """All rows of that cluster: how many there were. Raises RemovalFailed."""
        ...


class SqlRemover:
    """`Remover` through a session of the cluster in question."""

    def __init__(self, processors: Processors) -> None:
        self._processors = processors

    async def remove(self, number: int) -> int:
        start = SessionStart("admin", "postgres", {}, cluster=number, switches=(SWITCH,))
        total = 0
        try:
            session = await self._processors.open(start)
            try:
                for _ in range(CALLS_MAX):
                    ((row,),) = await session.run([Statement(CALL)], SECONDS)
                    total += int(row[0] or 0)
                    if row[1] in ("t", "true"):
                        return total
            finally:
                session.close()
        except (Answered, Lost, ValueError) as error:  # ValueError: it answers something else
            raise RemovalFailed(str(error)) from error
        raise RemovalFailed(f"{total} rows, and no end")
