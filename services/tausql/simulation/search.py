"""Seeds until a run fails that does not fail otherwise: the work of one process when guards are taken out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tausql.simulation.breaking import GUARDS, take_out
from tausql.simulation.scenario import Choices, run_one

FIRST_SEED = 1


@dataclass(slots=True)
class Found:
    """`seed` 0: nothing was found in `seeds` runs. `anyway`: seeds that fail with every guard in place too."""

    guard: str
    seeds: int
    seed: int
    failure: str
    anyway: list[int]
    virtual_seconds: float
    wall_seconds: float


def find(guard: str, seeds_max: int, seconds: float = 0.0, first: int = FIRST_SEED) -> Found:
    """Run seeds from `first` on without `guard`, where its hint says, until one fails, at most `seeds_max` of them.
    seconds: 0 = each seed's own.

    Raises GuardNotFound."""
    began = time.monotonic()
    take_out(GUARDS[guard])()  # words that are not there show at once, and by name
    hint = GUARDS[guard].hint
    choices = Choices(seconds, workloads=hint.workloads, kinds=hint.faults, shape=hint.shape, points=hint.points)
    virtual = 0.0
    anyway: list[int] = []
    for seed in range(first, first + seeds_max):
        verdict = run_one(seed, choices, guard)
        virtual += verdict.virtual_seconds
        if verdict.failure:
            if run_one(seed, choices).failure:
                anyway.append(seed)  # a fault of the services, which says nothing about the guard
                continue
            taken = time.monotonic() - began
            return Found(guard, seed - first + 1, seed, verdict.failure, anyway, virtual, taken)
    return Found(guard, seeds_max, 0, "", anyway, virtual, time.monotonic() - began)
