"""`python -m tausql.simulation --seeds 100`: run seeds, report, and for a failure print how to repeat it."""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.pool
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import count, islice

from tausql.simulation import mutations
from tausql.simulation.breaking import GUARDS
from tausql.simulation.marks import ENOUGH_SEEDS, never_reached
from tausql.simulation.points import MARK as POINT
from tausql.simulation.scenario import Choices, Verdict, run_one
from tausql.simulation.workloads import MARKS

TIMELINE_LINES = 60
REGIONS_HELP = "two: and a witness, far apart; mixed: every fourth seed in two"
PACE_HELP = "slow: hours of a life with little load, real settings, faults minutes apart"


class Tally:
    """What a batch came to."""

    def __init__(self) -> None:
        self.done = self.failures = self.events = 0
        self.virtual = 0.0
        self.workloads: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.marks: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        self.done += 1
        self.failures += bool(verdict.failure)
        self.events += verdict.events
        self.virtual += verdict.virtual_seconds
        self.workloads.update(verdict.workloads)
        self.faults.update(verdict.faults)
        self.marks.update(verdict.marks)

    def report(self, seconds: float) -> None:
        print(
            f"\n{self.done} seeds in {seconds:.1f} s ({self.done / seconds:.2f} a second), {self.virtual / 3600:.2f}"
            f" virtual hours, {self.events} events, {self.failures} failed seeds"
        )
        points = {name: number for name, number in self.marks.items() if name.startswith(POINT)}
        print("transactions acknowledged: " + _listed(self.workloads))
        print("faults: " + _listed(self.faults))
        print("fault points: " + _listed({name[len(POINT) :]: number for name, number in points.items()}))
        print("reached: " + _listed({name: number for name, number in self.marks.items() if name not in points}))


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(numbers.items())) or "none"


def again(verdict: Verdict, options: argparse.Namespace) -> str:
    """The command that repeats a run."""
    extra = [f"--regions {verdict.regions}"]
    if options.seconds:
        extra.append(f"--seconds {options.seconds:g}")
    if options.streams:
        extra.append(f"--streams {options.streams}")
    if options.pace != "fast":
        extra.append(f"--pace {options.pace}")
    if options.workload:
        extra.append(f"--workload {options.workload}")
    if options.broken:
        extra.append(f"--break {options.broken}")
    return f'make sim SEEDS=1 FIRST={verdict.seed} ARGS="{" ".join(extra)} --trace"'


def report_failure(verdict: Verdict, options: argparse.Namespace) -> None:
    print(f"\nseed {verdict.seed} failed after {verdict.virtual_seconds:.3f} virtual seconds: {verdict.failure}")
    lines = len(verdict.timeline) if options.trace else TIMELINE_LINES
    for when, text in verdict.timeline[-lines:]:
        print(f"  {when:10.6f}  {text}")
    print(f"repeat it with:  {again(verdict, options)}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--hours", type=float, default=0.0, help="as many seeds as make so many virtual hours")
    parser.add_argument("--seconds", type=float, default=0.0, help="virtual seconds with faults, a seed; else drawn")
    parser.add_argument("--streams", type=int, default=0, help="at first; else drawn")
    parser.add_argument("--regions", choices=("mixed", "one", "two"), default="mixed", help=REGIONS_HELP)
    parser.add_argument("--pace", choices=("fast", "slow"), default="fast", help=PACE_HELP)
    parser.add_argument("--workload", default="", help="these only, separated by commas; else drawn")
    parser.add_argument("--break", dest="broken", choices=sorted(GUARDS), default="", help="remove a guard")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutate", action="store_true", help="take every guard out in turn (simulation.mutations)")
    parser.add_argument("--trace", action="store_true", help="print a failing run's whole timeline")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    return parser.parse_args()


def run(options: argparse.Namespace) -> Tally:
    """Run the seeds asked for, and report those that fail."""
    choices = Choices(
        options.seconds, options.streams, True, options.regions, options.pace, options.workload
    )
    tally = Tally()
    seeds: Iterator[int] = iter(range(options.first, options.first + options.seeds))
    if options.hours:
        seeds = count(options.first)
    job = partial(run_one, choices=choices, broken=options.broken)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for verdict in _spread(pool, job, seeds, options.processes):
            tally.add(verdict)
            if verdict.failure:
                report_failure(verdict, options)
            if (verdict.failure and not options.keep_going) or 0 < options.hours * 3600 <= tally.virtual:
                pool.terminate()
                break
    return tally


def _spread(
    pool: multiprocessing.pool.Pool, job: partial[Verdict], seeds: Iterator[int], width: int
) -> Iterator[Verdict]:
    """Verdicts in the order of seeds, with a few under way: they may be endless."""
    ahead = [pool.apply_async(job, (seed,)) for seed in islice(seeds, 4 * width)]
    while ahead:
        yield ahead.pop(0).get()
        for seed in seeds:
            ahead.append(pool.apply_async(job, (seed,)))
            break


def main() -> int:
    options = _options()
    if options.mutate:
        return mutations.main(["--processes", str(options.processes)])
    begun = time.monotonic()
    tally = run(options)
    tally.report(time.monotonic() - begun)
    missing = never_reached(tally.marks, options.regions, MARKS)
    if missing:
        print("never reached: " + ", ".join(missing))
    usual = options.pace == "fast" and not options.workload and not options.broken
    return 1 if tally.failures or (missing and usual and tally.done >= ENOUGH_SEEDS) else 0


if __name__ == "__main__":
    sys.exit(main())
