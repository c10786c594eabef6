"""What goes wrong in a run, chosen by its seed.

One fault at a time or several at once, each over after a while: what the failure table of the protocol lists. A fleet
can stand any of them and this is no test of more than it promises: a majority of journal disks is never lost for good,
and rows that the log no longer has are never lost by two replicas at once.

Each run uses some kinds only: where everything happens all the time, nothing goes on for long enough to go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World

Kind = tuple[str, Callable[[], bool], int]  # name, what does it (False: not now), how often it is chosen

ALL_SHARE = 0.2  # of runs with every kind
KIND_SHARE = 0.4  # of kinds in the others
KINDS_MIN = 4
LENGTHS = {"fast": (0.02, 0.2, 0.7, 1.5), "slow": (0.02, 0.7, 4.0, 30.0, 400.0)}  # seconds, more or less


def length(world: World, fleet: SimulatedFleet) -> float:
    """How long a fault lasts."""
    return world.random.choice(LENGTHS[fleet.shape.pace]) * world.random.uniform(0.5, 1.5)


class Faults:
    """Injects faults of `kinds` into `world` until `stop`; `heal` ends all that still last. `count` is of each kind.

    healers: what else has to be called by `heal`, before processes are started. wanted: names of kinds that are to be
    among those that happen, with few others."""

    def __init__(
        self,
        world: World,
        fleet: SimulatedFleet,
        count: dict[str, int],
        kinds: Sequence[Kind],
        healers: Sequence[Callable[[], None]] = (),
        wanted: Sequence[str] = (),
    ) -> None:
        self._world = world
        self._fleet = fleet
        self._running = False
        self._healers = healers
        self.count = count
        self._kinds = self._named(kinds, wanted) if wanted else self._some(kinds)
        self._weights = [weight for _, _, weight in self._kinds]

    def _some(self, kinds: Sequence[Kind]) -> list[Kind]:
        chance = self._world.random
        if chance.random() < ALL_SHARE:
            return list(kinds)
        some = [kind for kind in kinds if chance.random() < KIND_SHARE]
        return some if len(some) >= KINDS_MIN else chance.sample(list(kinds), KINDS_MIN)

    def _named(self, kinds: Sequence[Kind], wanted: Sequence[str]) -> list[Kind]:
        unknown = set(wanted) - {name for name, _, _ in kinds}
        if unknown:
            raise ValueError(f"no such kind of fault in this run: {', '.join(sorted(unknown))}")
        named = [kind for kind in kinds if kind[0] in wanted]
        others = [kind for kind in kinds if kind[0] not in wanted]
        return named + self._world.random.sample(others, max(0, KINDS_MIN - len(named)))

    def start(self) -> None:
        self._running = True
        self._world.at(self._world.random.uniform(0.0, 1.0) * self._fleet.shape.between_seconds, None, self._next)

    def stop(self) -> None:
        self._running = False

    def heal(self) -> None:
        """Every link whole, every process up, every clock and disk well."""
        self._world.note("all is healed")
        self._world.links.heal()
        for healer in self._healers:
            healer()
        for process in self._world.processes.values():
            process.paused_until = 0.0
            process.start()

    def _next(self) -> None:
        if not self._running:
            return
        ((name, inject, _),) = self._world.random.choices(self._kinds, self._weights)
        if inject():
            self.count[name] = self.count.get(name, 0) + 1
        self._world.at(self._world.random.expovariate(1 / self._fleet.shape.between_seconds), None, self._next)


class ProcessFaults:
    """`kinds`: processes die, sleep, and leave in good order."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self.kinds: list[Kind] = [
            ("kill", self._kill, 3),
            ("kill several", self._kill_several, 1),
            ("kill all", self._kill_all, 1),
            ("pause", self._pause, 2),
            ("handover", self._hand_over, 1),
            ("rolling restart", self._roll, 1),
        ]

    def _one(self, *services: str) -> Process:
        names = [name for name in self._fleet.names if not services or name.split("-")[0] in services]
        return self._world.processes[self._world.random.choice(names)]

    def _restart(self, process: Process, seconds: float | None = None) -> None:
        self._world.at(length(self._world, self._fleet) if seconds is None else seconds, None, process.start)

    def _kill(self) -> bool:
        process = self._one()
        process.kill()
        self._restart(process)
        return True

    def _kill_several(self) -> bool:
        names = self._fleet.names
        for name in self._world.random.sample(names, min(4, len(names))):
            process = self._world.processes[name]
            process.kill()
            self._restart(process)
        return True

    def _kill_all(self) -> bool:
        if self._world.random.random() < 0.5:
            return False
        for name in self._fleet.names:
            process = self._world.processes[name]
            process.kill()
            self._restart(process)
        return True

    def _pause(self) -> bool:
        self._one().pause(length(self._world, self._fleet))
        return True

    def _hand_over(self) -> bool:
        """A planned departure: streams are handed over, then the process leaves and another takes its place."""
        holder = self._fleet.holder(self._world.random.randrange(self._fleet.wanted.streams))
        if holder is None:
            return False
        self._leave(holder, self._world.random.choice((0.01, 0.1, 1.0)), length(self._world, self._fleet))
        return True

    def _roll(self) -> bool:
        """Every process leaves in good order and comes back, one after another, as at an upgrade."""
        names = self._fleet.names
        self._world.random.shuffle(names)
        apart = self._world.random.choice((0.1, 0.25))
        for number, name in enumerate(names):
            self._world.at(number * apart, None, self._leave, self._world.processes[name], apart * 0.3, apart * 0.3)
        return True

    def _leave(self, process: Process, seconds: float, away_seconds: float) -> None:
        if not process.alive or process.services is None or process.paused_until > self._world.now:
            return
        leaving = getattr(process.services, "hand_over", None)
        if leaving is not None:
            self._world.note(f"{process.name} hands over")
            self._world.within(process, leaving)
        generation = process.generation

        def leave() -> None:
            if process.generation == generation:
                process.kill("leaves")

        self._world.at(seconds, None, leave)
        self._world.at(seconds + away_seconds, None, process.start)


class NetworkFaults:
    """`kinds`: links are cut, both ways or one, slow, or lose messages; connections break."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self.kinds: list[Kind] = [
            ("partition", self._partition, 1),
            ("partition one way", self._partition_one_way, 1),
            ("link cut one way", self._link_one_way, 2),
            ("slow link", self._slow, 1),
            ("loss", self._loss, 1),
            ("connections reset", self._reset, 2),
        ]

    def _name(self) -> str:
        return self._world.random.choice(self._fleet.names)

    def _for_a_while(self, over: Callable[[], None]) -> bool:
        self._world.at(length(self._world, self._fleet), None, over)
        return True

    def _partition(self) -> bool:
        zone = self._world.random.choice(self._fleet.layout.zones)
        group = {process.name for process in self._world.processes.values() if process.zone == zone}
        if self._world.random.random() < 0.5:
            group = {self._name()}
        return self._for_a_while(self._world.links.sever(group))

    def _partition_one_way(self) -> bool:
        group = {self._name()}
        if self._world.random.random() < 0.5:
            return self._for_a_while(self._world.links.sever(group, one_way=True))
        return self._for_a_while(self._world.links.sever(set(self._world.processes) - group, group, one_way=True))

    def _link_one_way(self) -> bool:
        """One process does not reach another, which reaches it."""
        one, other = self._name(), self._name()
        return one != other and self._for_a_while(self._world.links.sever({one}, {other}, one_way=True))

    def _slow(self) -> bool:
        name = self._name()
        self._world.links.slow[name] = self._world.random.choice((0.002, 0.02, 0.2))
        self._world.note(f"{name} has a slow link")

        def over() -> None:
            self._world.links.slow.pop(name, None)

        return self._for_a_while(over)

    def _loss(self) -> bool:
        self._world.links.loss = self._world.random.choice((0.01, 0.1, 0.4))
        self._world.note(f"{self._world.links.loss:.0%} of all messages are lost")

        def over() -> None:
            self._world.links.loss = 0.0

        return self._for_a_while(over)

    def _reset(self) -> bool:
        """Connections break with messages under way, which arrive nevertheless: after what is sent again."""
        for _ in range(self._world.random.choice((1, 10, 30))):
            one, other = self._world.processes[self._name()], self._world.processes[self._name()]
            if one is not other:
                self._world.links.reset(one, other)
        return True
