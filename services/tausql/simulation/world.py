"""Virtual time and the processes that live in it.

Everything that happens is an event at an instant; events of one instant run in an order the seed chooses, so that no
test passes by luck of scheduling. The same seed gives the same run, byte for byte. A process that dies loses its
events, its connections and whatever its disk had not synced; nothing of it runs again until it is started anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, NoReturn

from tausql.simulation.clock import SimulatedClock
from tausql.simulation.disk import SimulatedDisk
from tausql.simulation.links import Links
from tausql.simulation.network import SimulatedNetwork
from tausql.simulation.points import Points

EPOCH_MICROS = 1_700_000_000_000_000  # where virtual time starts, so that taus look like real ones
TIMELINE_LINES_MAX = 4000
TIMER_SECONDS_MIN = 1e-6
STEPS_MAX, STEPS_A_SECOND_MAX = 300_000, 50_000
EXCUSED_BEFORE_SECONDS = 60.0  # further back no clock jumps (`clock_faults`)
EXCUSED_AFTER_SECONDS = 4.0  # no tau is further ahead than a limit may be


class ProcessDied(BaseException):
    """Raised by `Host.die`: the process is gone at this very line."""


class _Timer:
    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


_Event = tuple[
    float, float, int, "Process | None", int, _Timer | None, Callable[..., None], tuple[Any, ...]
]  # when, tie-break, count, process, its generation, timer, function, arguments


class World:
    """One run. `now` is virtual seconds since its start, `steps` the events so far."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.clock_bound_micros = 200  # of the clocks of processes added from now on
        self.rates = 0.0  # timers of processes added from now on are up to so much too fast or too slow
        self.points: dict[str, float] = {}  # how likely each fault point is to be hit, by name
        self.links = Links(self)
        self.processes: dict[str, Process] = {}
        self.by_address: dict[str, Process] = {}
        self.timeline: list[tuple[float, str]] = []
        self.marks: dict[str, int] = {}
        self.on_death: list[Callable[[Process, Any], None]] = []  # get a dead process and the services it had
        self.died = ProcessDied
        self._events: list[_Event] = []
        self._count = 0
        self._tie = self.random.random

    def mark(self, what: str) -> None:
        """Count that a run reached an interesting place."""
        self.marks[what] = self.marks.get(what, 0) + 1

    def note(self, text: str) -> None:
        """A line of the timeline that a failing run prints. Only the newest lines are kept."""
        self.timeline.append((self.now, text))
        if len(self.timeline) > TIMELINE_LINES_MAX:
            del self.timeline[: TIMELINE_LINES_MAX // 2]

    def at(
        self,
        delay: float,
        process: Process | None,
        function: Callable[..., None],
        *arguments: Any,
        timer: _Timer | None = None,
    ) -> None:
        """Run `function` after `delay` seconds, unless `process` (None = the world itself) has died by then."""
        self._count = count = self._count + 1
        heappush(
            self._events,
            (
                self.now + delay if delay > 0.0 else self.now,
                self._tie(),
                count,
                process,
                0 if process is None else process.generation,
                timer,
                function,
                arguments,
            ),
        )

    def micros(self) -> int:
        """True time."""
        return EPOCH_MICROS + int(self.now * 1_000_000)

    def add(self, name: str, zone: str, build: Callable[[Process], Any], address: str = "") -> Process:
        """A process that `build` (called at each start) fills with services. Not started yet."""
        process = Process(self, name, zone, build, address or f"{name}:1")
        self.processes[name] = process
        self.by_address[process.address] = process
        return process

    def within(self, process: Process | None, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call on behalf of a process: should it die on the way, that is noted and its events stop."""
        try:
            return function(*arguments)
        except ProcessDied as death:
            if process is None:
                raise
            process.kill(f"died: {death}")
            return None

    def run(self, seconds: float) -> None:
        """Go on for so much virtual time. Raises RuntimeError if that takes more events than anything that goes on."""
        end = self.now + seconds
        events = self._events
        last_step = self.steps + STEPS_MAX + int(STEPS_A_SECOND_MAX * seconds)
        while events and events[0][0] <= end:
            when, _, _, process, generation, timer, function, arguments = heappop(events)
            if timer is not None and timer.cancelled:
                continue
            if when > self.now:
                self.now = when
            if process is not None:
                if process.generation != generation or not process.alive:
                    continue
                if process.paused_until > when:
                    self.at(process.paused_until - self.now, process, function, *arguments, timer=timer)
                    continue
            self.steps += 1
            try:
                function(*arguments)
            except ProcessDied as death:
                if process is None:
                    raise
                process.kill(f"died: {death}")
            if self.steps > last_step:
                raise RuntimeError(f"too many events in {seconds} virtual seconds: something spins")
        self.now = end

    def honest(self, process: Process, since: float) -> bool:
        """Whether all clocks on which the real-time promise to `process` rests held true time from `since` until now:
        its own, and those of whoever answers it that something is so."""
        for other in self.processes.values():
            if (other is process or other.answers) and other.clock.lied_after(since):
                return False
        return True

    def instants(self, process: Process, invoked: float) -> tuple[float, float]:
        """When a transaction of `process` began, which may be over now, and when it was over, as far as real time was
        promised: where a clock has lied meanwhile, much earlier and somewhat later than it seemed."""
        if self.honest(process, invoked):
            return invoked, self.now
        return invoked - EXCUSED_BEFORE_SECONDS, self.now + EXCUSED_AFTER_SECONDS


class Process:
    """A process: a `Host` for its services, with a disk that outlives it."""

    def __init__(self, world: World, name: str, zone: str, build: Callable[[Process], Any], address: str) -> None:
        self.world = world
        self.name, self.zone = name, zone
        self.address = address
        self.build = build
        self.alive = False
        self.retired = False  # gone for good: nothing starts it again
        self.answers = False  # clients rely on its clock
        self.generation = 0
        self.died_of = ""  # the last time
        self.paused_until = 0.0
        self.started = 0.0
        self.random = random.Random(world.random.random())
        self.rate = 1.0 + world.rates * (2.0 * self.random.random() - 1.0) if world.rates else 1.0
        self.clock = SimulatedClock(world, world.clock_bound_micros)
        self.disk = SimulatedDisk(world.random)
        self.network = SimulatedNetwork(world, self)
        self.fault_points = Points(world, self.random) if world.points else None
        self.services: Any = None
        self.stores: dict[str, Any] = {}  # what else outlives a death; each has `crash(chance)`

    # Host (`name`, `zone`, `clock` and `random` are as they are above)

    def monotonic(self) -> float:
        return self.world.now * self.rate

    def soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self.world.at(0.0, self, function, *arguments)

    def later(self, delay_seconds: float, function: Callable[..., None], *arguments: Any) -> _Timer:
        timer = _Timer()
        if delay_seconds > 0.001:  # real timers are no better
            delay_seconds = delay_seconds / self.rate + self.random.random() * 0.0015 - 0.0005
        elif 0.0 < delay_seconds < TIMER_SECONDS_MIN:
            delay_seconds = TIMER_SECONDS_MIN  # time goes on, whatever a difference of two readings comes to
        self.world.at(delay_seconds, self, function, *arguments, timer=timer)
        return timer

    def die(self, reason: str) -> NoReturn:
        raise ProcessDied(reason)

    # life

    def start(self) -> None:
        if self.alive or self.retired:
            return
        self.alive = True
        self.generation += 1
        self.paused_until = 0.0
        self.started = self.world.now
        self.network = SimulatedNetwork(self.world, self)
        self.clock.restarted()
        self.world.note(f"{self.name} starts")
        generation = self.generation
        services = self.world.within(self, self.build, self)
        if self.alive and self.generation == generation:
            self.services = services

    def kill(self, why: str = "killed") -> None:
        """As kill -9 and a loss of power in one: unsynced bytes may go."""
        if not self.alive:
            return
        self.alive = False
        self.died_of = why
        self.generation += 1
        services, self.services = self.services, None
        self.world.note(f"{self.name} {why}")
        self.disk.crash()
        for store in self.stores.values():
            store.crash(self.world.random)
        self.world.links.broken(self)
        for told in self.world.on_death:
            told(self, services)

    def pause(self, seconds: float) -> None:
        """As SIGSTOP: nothing runs, time goes on, connections stay."""
        self.world.note(f"{self.name} paused for {seconds:.3f} s")
        self.paused_until = max(self.paused_until, self.world.now + seconds)

    def wipe(self) -> None:
        """Lose the disk. Only while dead."""
        assert not self.alive
        self.world.note(f"{self.name} loses its disk")
        self.disk = SimulatedDisk(self.world.random)
        self.stores.clear()
