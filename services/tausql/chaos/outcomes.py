"""How a transaction that is no part of a history ended, counted."""

from __future__ import annotations

from collections.abc import Callable

from tausql.chaos.sessions import ClientError, Session, certainly_refused


class Outcomes:
    """Of one client's transactions. `violations`: what it saw that cannot be, in words."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.refused = 0
        self.unknown = 0
        self.violations: list[str] = []

    def transact(self, session: Session, work: Callable[[Session], None]) -> None:
        """`work` and COMMIT, counted. Raises ClientError."""
        try:
            work(session)
        except ClientError:
            self.refused += 1
            raise
        try:
            session.commit()
        except ClientError as error:
            if certainly_refused(error.code):
                self.refused += 1
            else:
                self.unknown += 1
            raise
        self.acknowledged += 1
