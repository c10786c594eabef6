"""What a run's fleet is like, drawn from its seed: how many of everything, bounds so small that they are met, clocks.

With the settings of a real fleet nothing is ever trimmed, no ring overflows and every append fits into one message in
the few seconds a run has: code that matters most when it is needed would never run. None of this may cost safety. The
slow pace is the other extreme: settings as they are, hours of little load, faults minutes apart.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from tausql.adjudicator import lookback
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.crossbar import subscribers
from tausql.crossbar.settings import CrossbarSettings
from tausql.journal import rejoin, tails
from tausql.journal.settings import JournalSettings
from tausql.processor import jobs
from tausql.simulation import points
from tausql.sql.jobs import rows
from tausql.storage import peers
from tausql.storage.settings import StorageSettings

KIB, MIB = 1 << 10, 1 << 20
DRAWS_MAX = 5_000
WINDOW_SECONDS = 2  # longer than a client's transactions; 360 outside of here

Pace = Literal["fast", "slow"]


@dataclass(slots=True)
class Shape:
    """Settings of every process of one run, and what else it draws. `trims`: old versions and old records go after
    `WINDOW_SECONDS`."""

    journal: JournalSettings
    adjudicator: AdjudicatorSettings
    crossbar: CrossbarSettings
    storage: StorageSettings
    clock_bound_micros: int
    delay_seconds: tuple[float, float]  # of a message, at least and at most
    trims: bool
    pace: Pace = "fast"
    streams: int = 2
    seconds: float = 4.0  # with faults
    between_seconds: float = 0.5  # two faults, on average
    intensity: float = 1.0  # of the workloads
    look_seconds: float = 0.01  # between two looks at everything
    wire: bool = True  # messages are encoded
    rates: float = 0.0  # by how much timers may be wrong
    clocks_lie: bool = False  # beyond their bounds, at times
    start_seconds: float = 0.0  # within so much the processes of a new fleet come up
    more: dict[str, int] = field(default_factory=dict)  # members of a service above the layout's
    points: dict[str, float] = field(default_factory=dict)


def shape_of(chance: random.Random, pace: Pace = "fast") -> Shape:
    """Draw one."""
    trims = chance.random() < 0.5
    shape = _slow(chance) if pace == "slow" else _fast(chance, trims)
    shape.streams = chance.choice((1, 2, 2, 2, 3))
    shape.wire = chance.random() < 0.3
    shape.rates = chance.choice((0.0, 0.0, 0.01, 0.1))
    shape.clocks_lie = chance.random() < 0.15
    shape.start_seconds = chance.choice((0.0, 0.0, 0.3, 1.0))
    shape.more = {service: 1 for service in ("adjudicator", "storage") if chance.random() < 0.25}
    shape.points = points.drawn(chance, 1.0 if pace == "fast" else 0.02)
    if pace == "fast":  # next to no memory for conflicts, and replicas that are waited for no longer than a pause
        history = chance.choice((8_000, 256 * MIB, 256 * MIB, 256 * MIB))
        shape.adjudicator = shape.adjudicator.model_copy(update={"history_bytes_max": history})
        shape.crossbar = shape.crossbar.model_copy(update={"hold_seconds": chance.choice((1.0, 10.0, 10.0))})
    return shape


def shape_like(
    chance: random.Random, pace: Pace, like: Sequence[tuple[str, Any]] = (), having: Sequence[str] = ()
) -> Shape:
    """Draw until one has these values in these fields (dotted), and these fault points. Raises ValueError if that is
    not to be had."""
    for _ in range(DRAWS_MAX):
        shape = shape_of(chance, pace)
        if all(attrgetter(field)(shape) == value for field, value in like) and shape.points.keys() >= set(having):
            return shape
    raise ValueError(f"no shape is drawn that has {like} and {having}")


def _fast(chance: random.Random, trims: bool) -> Shape:
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
        ownership_seconds=chance.choice((0.5, 60.0)),
        seal_seconds=chance.choice((0.2, 1.0)),
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
    shape = Shape(
        journal,
        adjudicator,
        crossbar,
        storage,
        chance.choice((50, 500, 5_000, 20_000, 20_000)),
        chance.choice(((0.00005, 0.0005), (0.00005, 0.005), (0.001, 0.002))),
        trims,
    )
    shape.seconds = chance.choice((2.0, 3.0, 4.0, 6.0))
    shape.between_seconds = chance.choice((0.2, 0.4, 0.8))
    return shape


def _slow(chance: random.Random) -> Shape:
    """A real fleet's settings, with two exceptions: segments are small, for those of a journal that hardly anybody
    writes to would be full in days; and standbys look, and limits are extended, less often, which is most of what an
    idle fleet costs here."""
    return Shape(
        # A disk stays full for minutes here, and every extended limit eats of the reserve: 64 KiB last for six of them.
        JournalSettings(segment_bytes_max=chance.choice((16, 64)) * KIB, reserve_bytes=1 * MIB, spare_bytes=128 * KIB),
        AdjudicatorSettings(standby_seconds=1.0, limit_ahead_micros=2_500_000, limit_seconds_between=1.0),
        CrossbarSettings(),
        StorageSettings(),
        chance.choice((500, 5_000)),
        (0.00005, 0.0005),
        True,
        pace="slow",
        seconds=3_600.0,
        between_seconds=chance.choice((60.0, 300.0)),
        intensity=chance.choice((0.00002, 0.00005)),  # a transaction in 50 s, or in 20
        look_seconds=1.0,
    )


@contextlib.contextmanager
def small_parts(chance: random.Random, pace: Pace = "fast") -> Iterator[None]:
    """While inside, what a real fleet sends in one part goes in many; and, at the fast pace, jobs wait for seconds
    where they would wait for minutes."""
    constants: tuple[tuple[Any, str, tuple[int | float, ...]], ...]
    constants = ((peers, "PART_BYTES", (64, 256 * KIB)), (tails, "PART_BYTES_MAX", (512, 256 * KIB)),
                 (rejoin, "PART_BYTES_MAX", (300, MIB)),
                 (subscribers, "DELIVERY_RECORDS_MAX", (3, 1_000)),
                 (lookback, "SPAN_MAX", (2, 1024)),
                 (jobs, "BATCH_ROWS_MAX", (2, 5, 1000)), (jobs, "BATCH_ROWS_MIN", (1, 10)))  # fmt: skip
    if pace == "fast":
        constants += ((jobs, "LOOK_SECONDS", (2.0,)), (rows, "LEASE_MICROS", (1_500_000,)))
    before = [(module, name, getattr(module, name)) for module, name, _ in constants]
    for module, name, values in constants:
        setattr(module, name, chance.choice(values))
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
