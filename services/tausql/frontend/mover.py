"""What a session needs when its processor goes away: somebody who finds it another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tausql.frontend.loss import Plan

if TYPE_CHECKING:
    from tausql.frontend.relay import RemoteSession


class Mover(Protocol):
    """Finds sessions another processor: `moves`, but for tests."""

    def drained(self, session: RemoteSession) -> None:
        """Its processor wants to be rid of it, and it is idle."""
        ...

    def lost(self, session: RemoteSession, plan: Plan) -> None:
        """Its processor has gone, and it can go on."""
        ...

    def when_proven(self, session: RemoteSession, function: Callable[[bool], None]) -> None:
        """Call `function` once its witness has ended: with True if it has sent no commit that we do not know of."""
        ...

    def gone(self, session: RemoteSession) -> None:
        """It has no connection to a processor any more."""
        ...
