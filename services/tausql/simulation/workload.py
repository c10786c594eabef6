"""What a run does with its fleet: workloads, chosen by the seed, each with clients and a check of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tausql.simulation.fleet import SimulatedFleet
    from tausql.simulation.world import World


class Workload(Protocol):
    """`start` is called once, when the fleet is up; then, in peace: `stop`, `finish` once nothing is under way any
    more, and `check` once nothing is again."""

    @property
    def name(self) -> str: ...

    @property
    def idle(self) -> bool:
        """Nothing of its own is under way. In peace it must come to that within a minute of virtual time."""
        ...

    @property
    def acknowledged(self) -> int:
        """Transactions that were answered: committed."""
        ...

    @property
    def attempts(self) -> int: ...

    def start(self) -> None:
        """Make clients, and let them begin."""
        ...

    def stop(self) -> None:
        """Begin nothing new; what was begun goes on."""
        ...

    def finish(self) -> None:
        """All is well again: begin the last reads."""
        ...

    def check(self) -> None:
        """Raises Anomaly for a history that must not be."""
        ...

    def digest(self) -> bytes:
        """Everything that clients did and were told."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a workload is made of. chance: its own, so that what it draws moves nothing else. intensity: 1.0, or less
    where its clients are to pause for longer between transactions."""

    world: World
    fleet: SimulatedFleet
    chance: random.Random
    intensity: float


class Offer(NamedTuple):
    """A kind of workload. weight: how often it is chosen."""

    name: str
    make: Callable[[Context], Workload]
    weight: int


def chosen(offers: Sequence[Offer], chance: random.Random, names: str) -> list[Offer]:
    """Those named (separated by commas), or else one or two by chance. Raises KeyError for a name that is none."""
    if names:
        by_name = {offer.name: offer for offer in offers}
        return [by_name[name] for name in names.split(",")]
    weights = [offer.weight for offer in offers]
    first, second = chance.choices(offers, weights, k=2)
    return [first] if first is second or chance.random() < 0.6 else [first, second]
