"""Threads that repeat one round of a workload, come what may, at a bounded rate.

The rate is bounded on purpose: a checker's time and the history's size grow with the number of transactions, while the
chance to catch a fault in the act grows with the number of clients and faults. A client that fell behind does not hurry
to catch up, or an outage would be followed by a burst that is an outage of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from tausql.chaos.errors import Errors
from tausql.chaos.sessions import DEADLINE, ClientError, Dial, Session

AGAIN_SECONDS = 0.02  # after an error
JOIN_SECONDS = 60.0


class Load(Protocol):
    """What a client does. `run_round` raises ClientError after noting in its own history what that means."""

    name: str
    autocommit: bool

    def run_round(self, session: Session) -> None: ...


class Client:
    """One client of `load`. `first_endpoint`: where it connects first; after a lost connection it takes the next.
    `forgiving`: a deadline that passes makes it dial again and is no error (`given_up` counts them)."""

    def __init__(
        self,
        load: Load,
        dial: Dial,
        errors: Errors,
        stop: threading.Event,
        rate: float,
        deadline_seconds: float,
        first_endpoint: int = 0,
        forgiving: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._dial = dial
        self._errors = errors
        self._stop = stop
        self._interval = 1.0 / rate
        self._deadline_seconds = deadline_seconds
        self._endpoint = first_endpoint
        self._forgiving = forgiving
        self._clock = clock
        self._session: Session | None = None
        self._thread = threading.Thread(target=self._run, name=f"chaos-{load.name}", daemon=True)
        self.rounds = 0
        self.given_up = 0
        self.broken: BaseException | None = None  # an error of ours, not of the database's

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """After `stop` was set. Raises what broke the client, or RuntimeError when it hangs."""
        self._thread.join(JOIN_SECONDS)
        if self.broken is not None:
            raise self.broken
        if self._thread.is_alive():
            raise RuntimeError(f"a client of {self._load.name} hangs")

    def _run(self) -> None:
        try:
            due = self._clock()
            while not self._stop.is_set():
                done = self.step()
                now = self._clock()
                due = max(due + self._interval, now) if done else now + AGAIN_SECONDS
                if due > now:
                    self._stop.wait(due - now)
        except BaseException as error:
            self.broken = error
        finally:
            self._hang_up()

    def step(self) -> bool:
        """One round, on a new connection where there is none. False when it ended in an error."""
        begun = self._clock()
        self.rounds += 1
        try:
            if self._session is None:
                self._session = self._dial(self._endpoint, self._load.autocommit, self._deadline_seconds)
            self._load.run_round(self._session)
        except ClientError as error:
            self._note(begun, error)
            self._settle(error)
            return False
        return True

    def _note(self, begun: float, error: ClientError) -> None:
        if self._forgiving and error.code == DEADLINE:
            self.given_up += 1
        else:
            self._errors.note(self._load.name, begun, self._clock(), error)

    def _settle(self, error: ClientError) -> None:
        """Make the session ready for the next round, or give it up."""
        if error.usable and self._session is not None:
            begun = self._clock()
            try:
                self._session.rollback()
                return
            except ClientError as again:
                self._note(begun, again)
        self._hang_up()
        self._endpoint += 1

    def _hang_up(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
