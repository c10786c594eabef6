"""What is broken, when, and how long it takes to heal.

A fault strikes a healed fleet by default: two at once can take away a majority, and then the question "how long was the
database away because of this one" has no answer. `overlap` gives that up for more faults an hour; correctness must hold
either way, since what is acknowledged may never depend on who is alive.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

POLL_SECONDS = 0.1
RESTORE_SECONDS_MAX = 180.0


class Fault(NamedTuple):
    """`kind`: what is done; `component`: to which service, or services that share a process (`a+b`), or node; "": to
    each in turn. Written `kind:component`."""

    kind: str
    component: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.component}" if self.component else self.kind


class Victim(msgspec.Struct, frozen=True):
    """A process, pod or node. `services`: what ran there."""

    name: str
    services: tuple[str, ...]


class BackendError(Exception):
    """The fault could not be inflicted, or its victim not be looked at; the message is for the user."""


class NotNow(BackendError):
    """The fault would take away more than a fleet survives, as long as what was broken before is not whole again."""


class Blow(Protocol):
    """A fault that has struck. All of it may raise BackendError."""

    victims: tuple[Victim, ...]
    held: bool  # it lasts until `undo`
    heals: bool  # its victims come back by themselves, or by `undo`

    def undo(self) -> None: ...

    def gone(self) -> bool: ...

    def ready(self) -> bool: ...


class Backend(Protocol):
    """A fleet that can be broken. All of it may raise BackendError."""

    name: str

    def offers(self) -> list[Fault]:
        """Every fault that can be inflicted here."""
        ...

    def strike(self, fault: Fault, turn: int) -> Blow:
        """`turn`: how often this fault has struck before; victims take turns."""
        ...

    def moved_sessions(self) -> dict[str, float]:
        """By frontend, since it started; empty where nobody counts."""
        ...


class Struck(msgspec.Struct):
    """What a fault did. Instants are of the run's clock; `gone` and `ready` are seconds after it struck, until all
    victims were away and until the fleet was whole again (None: not seen)."""

    kind: str
    component: str
    victims: tuple[Victim, ...]
    begun: float
    until: float
    undone: float | None = None
    gone: float | None = None
    ready: float | None = None
    moved_sessions: float = 0.0

    @property
    def fault(self) -> Fault:
        return Fault(self.kind, self.component)

    @property
    def services(self) -> set[str]:
        return {service for victim in self.victims for service in victim.services}


class Plan(msgspec.Struct, frozen=True):
    """When. `each_seconds` between two faults, at least; `hold_seconds`: how long those last that are undone; `rounds`:
    of all faults, 0 = until the time is over; `shuffle`: in seeded random order instead of in turn."""

    each_seconds: float = 10.0
    hold_seconds: float = 5.0
    rounds: int = 0
    shuffle: bool = False
    overlap: bool = False
    seed: int = 1


def parse_faults(text: str, offers: Sequence[Fault]) -> list[Fault]:
    """`kill,stop:adjudicator`: kinds, each of everything or of one service; `all`; `none`. Raises ValueError."""
    chosen: list[Fault] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        if part == "none":
            continue
        if part == "all":
            chosen += [fault for fault in offers if fault not in chosen]
            continue
        kind, _, component = part.partition(":")
        matching = [
            fault
            for fault in offers
            if fault.kind == kind
            and (not component or component == fault.component or component in fault.component.split("+"))
        ]
        if not matching:
            known = ", ".join(map(str, offers))
            raise ValueError(f"{part!r} cannot be done to this fleet; there is: {known}")
        if not component and Fault(kind) in matching:  # which strikes each in turn
            matching = [Fault(kind)]
        chosen += [fault for fault in matching if fault not in chosen]
    return chosen


def schedule(faults: Sequence[Fault], plan: Plan) -> Iterator[Fault]:
    """The faults in the order they strike; without end unless `plan.rounds` says so."""
    chance = random.Random(plan.seed)
    done = 0
    while faults and (plan.rounds == 0 or done < plan.rounds):
        order = list(faults)
        if plan.shuffle:
            chance.shuffle(order)
        yield from order
        done += 1


class Striker:
    """Strikes a fleet until `end` (an instant of `clock`) or the schedule's. `wait(seconds)` sleeps and says whether to
    stop; `tell` gets a line for the user."""

    def __init__(
        self,
        backend: Backend,
        plan: Plan,
        clock: Callable[[], float],
        wait: Callable[[float], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._backend = backend
        self._plan = plan
        self._clock = clock
        self._wait = wait
        self._tell = tell
        self._turns: Counter[Fault] = Counter()
        self._waited = False  # for the fleet to be whole enough
        self.struck: list[Struck] = []
        self.problems: list[str] = []  # what makes the run a failure whatever the clients saw

    def run(self, faults: Sequence[Fault], end: float) -> None:
        """Every fault gets its whole time: none strikes that would not have it."""
        for fault in schedule(faults, self._plan):
            if self._clock() + self._plan.each_seconds > end:
                return
            try:
                stopped = self._strike(fault)
            except BackendError as error:
                self.problems.append(f"{fault}: {error}")
                self._tell(f"{fault}: {error}")
                stopped = self._wait(self._plan.each_seconds)
            if stopped:
                return

    def _strike(self, fault: Fault) -> bool:
        before = self._backend.moved_sessions()
        begun = self._clock()
        blow = self._inflict(fault)
        if blow is None:
            return True
        begun = self._clock() if self._waited else begun
        if self.struck:
            self.struck[-1].until = begun
        self._turns[fault] += 1
        struck = Struck(fault.kind, fault.component, blow.victims, begun, float("inf"))
        self.struck.append(struck)
        self._tell(f"{fault}: {', '.join(victim.name for victim in blow.victims)}")
        stopped = False
        try:
            if blow.held:
                stopped = self._hold(blow, struck)
        finally:
            if blow.held:
                blow.undo()
                struck.undone = self._clock()
        if not stopped and blow.heals and not self._plan.overlap:
            stopped = self._await_ready(blow, struck)
        if not stopped:
            stopped = self._wait(max(0.0, begun + self._plan.each_seconds - self._clock()))
        struck.moved_sessions = _risen(before, self._backend.moved_sessions())
        return stopped

    def _inflict(self, fault: Fault) -> Blow | None:
        """None: told to stop while what was broken before was awaited."""
        end = self._clock() + RESTORE_SECONDS_MAX
        self._waited = False
        while True:
            try:
                return self._backend.strike(fault, self._turns[fault])
            except NotNow as error:
                if self._clock() > end:
                    raise BackendError(f"not possible for {RESTORE_SECONDS_MAX:g} s: {error}") from error
            self._waited = True
            if self._wait(POLL_SECONDS):
                return None

    def _hold(self, blow: Blow, struck: Struck) -> bool:
        seconds = self._plan.hold_seconds
        if self._plan.overlap:
            seconds = min(seconds, self._plan.each_seconds)
        end = struck.begun + seconds
        while (left := end - self._clock()) > 0:
            self._look(blow, struck, also_ready=False)
            if self._wait(min(POLL_SECONDS, left)):
                return True
        return False

    def _await_ready(self, blow: Blow, struck: Struck) -> bool:
        end = self._clock() + RESTORE_SECONDS_MAX
        while True:
            unseen = self._look(blow, struck, also_ready=True)
            if struck.ready is not None:
                return False
            if self._clock() > end:
                self.problems.append(f"{struck.fault}: not whole again after {RESTORE_SECONDS_MAX:g} s{unseen}")
                return False
            if self._wait(POLL_SECONDS):
                return True

    def _look(self, blow: Blow, struck: Struck, also_ready: bool) -> str:
        """Note what has come about. "" or why it could not be seen: an API may be away with what was killed."""
        try:
            if struck.gone is None and blow.gone():
                struck.gone = self._clock() - struck.begun
            if also_ready and blow.ready():
                struck.ready = self._clock() - struck.begun
        except BackendError as error:
            return f" ({error})"
        return ""


def _risen(before: dict[str, float], after: dict[str, float]) -> float:
    """How far counters rose. One that fell belongs to a process that began anew."""
    total = 0.0
    for name, value in after.items():
        earlier = before.get(name, 0.0)
        total += value - earlier if value >= earlier else value
    return total
