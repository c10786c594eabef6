"""What a run's fleet is like, drawn from its seed: bounds so small that they are met, clocks near and far apart.

With the settings of a real fleet nothing is ever trimmed, no ring overflows and every append fits into one message in
the few seconds a run has: code that matters most when it is needed would never run. None of this may cost safety.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from tausql.adjudicator import lookback
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.crossbar.settings import CrossbarSettings
from tausql.journal import tails
from tausql.journal.settings import JournalSettings
from tausql.storage import peers
from tausql.storage.settings import StorageSettings

KIB, MIB = 1 << 10, 1 << 20
WINDOW_SECONDS = 2  # longer than a client's transactions; 360 outside of here


@dataclass(slots=True)
class Shape:
    """Settings of every process of one run. `trims`: old versions and old records go after `WINDOW_SECONDS`."""

    journal: JournalSettings
    adjudicator: AdjudicatorSettings
    crossbar: CrossbarSettings
    storage: StorageSettings
    clock_bound_micros: int
    delay_seconds: tuple[float, float]  # of a message, at least and at most
    trims: bool


def shape_of(chance: random.Random) -> Shape:
    """Draw one."""
    trims = chance.random() < 0.5
    journal = JournalSettings(
        segment_bytes_max=4 * KIB if trims else chance.choice((16 * KIB, 64 * KIB, 16 * MIB)),
        cache_bytes_max=chance.choice((0, 16 * KIB, 32 * MIB)),
        reserve_bytes=64 * KIB,
        spare_bytes=128 * KIB,
    )
    adjudicator = AdjudicatorSettings(
        append_bytes_max=chance.choice((1024, 4 * MIB)),
        in_flight_max=chance.choice((3, 8)),
        transaction_seconds_max=WINDOW_SECONDS if trims else 300,
        window_margin_seconds=1 if trims else 60,
    )
    crossbar = CrossbarSettings(
        ring_records_max=50 if trims else chance.choice((50, 50_000)),
        trim_seconds=1.0,
        window_seconds=WINDOW_SECONDS if trims else 360,
        hold_seconds=10.0,
    )
    storage = StorageSettings(
        report_seconds=chance.choice((0.5, 2.0)),
        window_seconds=WINDOW_SECONDS if trims else 360,
        sweep_seconds=1.0,
        sweep_budget=chance.choice((20, 500)),
        checkpoint_silence_seconds=3.0,
    )
    return Shape(
        journal,
        adjudicator,
        crossbar,
        storage,
        chance.choice((50, 500, 5_000, 20_000, 20_000)),
        chance.choice(((0.00005, 0.0005), (0.00005, 0.005), (0.001, 0.002))),
        trims,
    )


@contextlib.contextmanager
def small_parts(chance: random.Random) -> Iterator[None]:
    """While inside, what a real fleet sends in one part goes in many."""
    constants = ((peers, "PART_BYTES", (64, 256 * KIB)), (tails, "PART_BYTES_MAX", (512, 256 * KIB)),
                 (lookback, "SPAN_MAX", (2, 1024)))  # fmt: skip
    before = [(module, name, getattr(module, name)) for module, name, _ in constants]
    for module, name, values in constants:
        setattr(module, name, chance.choice(values))
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
