"""What a load test measures: latencies, rates, processor time."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Run:
    """One measured run. Times in milliseconds; `cpu_us` is processor time a transaction, all processes together."""

    transactions: int
    seconds: float
    p50: float
    p90: float
    p99: float
    cpu_us: float
    retries: int = 0
    failures: int = 0

    @property
    def rate(self) -> float:
        return self.transactions / self.seconds if self.seconds else 0.0


def percentile(sorted_values: Sequence[float], fraction: float) -> float:
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, int(fraction * len(sorted_values)))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time these processes and their ended children have used so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def memory_mib(pid: int) -> float:
    """Proportional set size."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def median(runs: Sequence[Run], field: str) -> float:
    middle: float = statistics.median(getattr(run, field) for run in runs)
    return middle
