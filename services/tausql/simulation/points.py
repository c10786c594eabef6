"""The fault points of one simulated process: which are on, and how likely each is, is drawn once a run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tausql.runtime.fault_points import POINTS

if TYPE_CHECKING:
    from tausql.simulation.world import World

CHANCES = (0.002, 0.02, 0.2)
SHARE = 0.4  # of all points, in a run that has any
MARK = "point: "  # before its name, what a hit is counted under


def drawn(chance: random.Random, often: float = 1.0) -> dict[str, float]:
    """How likely each point is; those not named are never hit. Some only, so that what one hides others show. often:
    less for a long life."""
    if chance.random() < 0.3:
        return {}
    return {point: chance.choice(CHANCES) * often for point in POINTS if chance.random() < SHARE}


class Points:
    """`runtime.fault_points.FaultPoints` of one process, while `world.points` has any."""

    __slots__ = ("_random", "_world")

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._random = chance

    def hit(self, point: str) -> bool:
        likely = self._world.points.get(point)
        if likely is None or self._random.random() >= likely:
            return False
        self._world.mark(MARK + point)
        return True
