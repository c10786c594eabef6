"""What goes wrong with clocks: they wander, lose their bound, and in some runs lie."""

from __future__ import annotations

from tausql.simulation.faults import Kind, length
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World

WANDER_SECONDS = {"fast": 0.15, "slow": 5.0}  # between two processes whose clocks wander


class ClockFaults:
    """`kinds`: as of `Faults`."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self._running = False
        self.kinds: list[Kind] = [("clock drift", self._drift, 1), ("clock lost", self._lost, 1)]
        if fleet.shape.clocks_lie:
            self.kinds += [
                ("clock jumps ahead", self._ahead, 4),
                ("clock jumps back", self._back, 4),
                ("clock runs away", self._run_away, 4),
            ]

    def start(self) -> None:
        self._running = True
        self._wander()

    def stop(self) -> None:
        self._running = False

    def heal(self) -> None:
        """Every clock honest and sure of itself."""
        for process in self._world.processes.values():
            process.clock.lost = False
            process.clock.come_back()

    def _wander(self) -> None:
        """Clocks are never still: now and then one finds itself at another end of its bound."""
        if not self._running:
            return
        processes = list(self._world.processes.values())
        self._world.random.choice(processes).clock.drift()
        seconds = WANDER_SECONDS[self._fleet.shape.pace]
        self._world.at(self._world.random.expovariate(1 / seconds), None, self._wander)

    def _one(self) -> Process:
        """Any process, those of clients among them; one in three of those that give out taus or tell what is so."""
        processes = list(self._world.processes.values())
        if self._world.random.random() < 1 / 3:
            processes = [process for process in processes if process.answers]
        return self._world.random.choice(processes)

    def _drift(self) -> bool:
        for process in self._world.processes.values():
            process.clock.drift()
        return True

    def _lost(self) -> bool:
        process = self._one()
        process.clock.lost = True
        self._world.note(f"{process.name} does not know the time")
        self._world.mark("clock unsure")

        def over() -> None:
            process.clock.lost = False

        self._world.at(length(self._world, self._fleet), None, over)
        return True

    # lies

    def _ahead(self) -> bool:
        return self._jump(1)

    def _back(self) -> bool:
        return self._jump(-1)

    def _jump(self, sign: int) -> bool:
        process = self._one()
        micros = sign * self._world.random.choice((3_000, 100_000, 600_000, 2_500_000, 20_000_000))
        process.clock.jump(micros)
        self._world.note(f"the clock of {process.name} jumps by {micros / 1e6:+.3f} s")
        self._world.mark("a clock jumped")
        self._world.at(length(self._world, self._fleet), None, self._honest, process)
        return True

    def _run_away(self) -> bool:
        process = self._one()
        speed = self._world.random.choice((-0.5, -0.01, 0.01, 0.5))
        process.clock.run_away(speed * 1e6)
        self._world.note(f"the clock of {process.name} runs away, {speed:+.2f} s a second")
        self._world.mark("a clock ran away")
        self._world.at(length(self._world, self._fleet), None, self._honest, process)
        return True

    def _honest(self, process: Process) -> None:
        process.clock.come_back()
        self._world.note(f"the clock of {process.name} is right again")
