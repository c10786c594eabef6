"""What goes wrong between regions: one cut off, the witness gone, two that see only the witness, slow or one-way links.

A majority of the journal is two regions of the three, so no single one of these may stop the others, and none may make
two sides both go on.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.simulation.faults import Kind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import World

LOOK_SECONDS = 0.1


class RegionFaults:
    """`kinds`: as of `Faults`. The single faults can also be called by name, and return what ends them."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self._regions = list(fleet.layout.regions)
        self._held_in = ""
        self.kinds: list[Kind] = [
            ("region cut off", self._for_a_while(self.cut), 2),
            ("region cut off one way", self._for_a_while(self.cut_one_way), 2),
            ("regions apart", self._for_a_while(self.apart), 2),
            ("region killed", self._for_a_while(self.kill), 1),
            ("region far away", self._for_a_while(self.slow), 2),
        ]
        world.at(0.0, None, self._look)

    def names(self, region: str) -> set[str]:
        """All processes there, clients too."""
        zones = self._fleet.layout.regions[region]
        return {process.name for process in self._world.processes.values() if process.zone in zones}

    # what goes wrong

    def cut(self, region: str) -> Callable[[], None]:
        return self._world.links.sever(self.names(region))

    def cut_one_way(self, region: str) -> Callable[[], None]:
        """Nothing gets out of it any more, or nothing in."""
        inside = self.names(region)
        outside = set(self._world.processes) - inside
        if self._world.random.random() < 0.5:
            return self._world.links.sever(inside, outside, one_way=True)
        return self._world.links.sever(outside, inside, one_way=True)

    def apart(self, region: str) -> Callable[[], None]:
        """It still sees one of the other two."""
        other = self._world.random.choice([one for one in self._regions if one != region])
        return self._world.links.sever(self.names(region), self.names(other))

    def kill(self, region: str) -> Callable[[], None]:
        zones = self._fleet.layout.regions[region]
        names = [name for name in self._fleet.names if self._world.processes[name].zone in zones]
        for name in names:
            self._world.processes[name].kill("dies with its region")

        def over() -> None:
            for name in names:
                self._world.processes[name].start()

        return over

    def slow(self, region: str) -> Callable[[], None]:
        """Its links take a detour."""
        far = self._world.links.far
        zones = self._fleet.layout.regions[region]
        before = {pair: seconds for pair, seconds in far.items() if (pair[0] in zones) != (pair[1] in zones)}
        factor = self._world.random.choice((2.0, 5.0))
        self._world.note(f"{region} is {factor:g} times as far away")
        for pair, seconds in before.items():
            far[pair] = seconds * factor

        def over() -> None:
            for pair, seconds in before.items():
                far[pair] = seconds

        return over

    def _for_a_while(self, fault: Callable[[str], Callable[[], None]]) -> Callable[[], bool]:
        def begin() -> bool:
            over = fault(self._world.random.choice(self._regions))
            seconds = self._world.random.choice((0.3, 1.5, 4.0, 8.0)) * self._world.random.uniform(0.5, 1.5)
            self._world.at(seconds, None, over)
            return True

        return begin

    def _look(self) -> None:
        """Where stream 0 is held."""
        holder = self._fleet.holder()
        if holder is not None:
            region = self._fleet.layout.region_of(holder.zone)
            if self._held_in and region != self._held_in:
                self._world.mark("the stream went to another region")
            self._held_in = region
        self._world.at(LOOK_SECONDS, None, self._look)
