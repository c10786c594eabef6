"""`python -m tausql.simulation --seeds 100`: run seeds, report, and for a failure print how to repeat it."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from functools import partial

from tausql.simulation import mutations
from tausql.simulation.breaking import GUARDS
from tausql.simulation.marks import never_reached
from tausql.simulation.scenario import Verdict, run_one

TIMELINE_LINES = 60
REGIONS_HELP = "two: and a witness, far apart; mixed: every fourth seed in two"


def report_failure(verdict: Verdict, options: argparse.Namespace) -> None:
    print(f"\nseed {verdict.seed} failed after {verdict.virtual_seconds:.3f} virtual seconds: {verdict.failure}")
    lines = len(verdict.timeline) if options.trace else TIMELINE_LINES
    for when, text in verdict.timeline[-lines:]:
        print(f"  {when:10.6f}  {text}")
    again = f"make sim SEEDS=1 FIRST={verdict.seed}"
    extra = f"--seconds {options.seconds:g} --streams {options.streams}"
    extra += f" --regions {verdict.regions}"
    if options.broken:
        extra += f" --break {options.broken}"
    extra += " --trace"
    print(f'repeat it with:  {again} ARGS="{extra}"', flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="virtual seconds with faults, a seed")
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--regions", choices=("mixed", "one", "two"), default="mixed", help=REGIONS_HELP)
    parser.add_argument("--break", dest="broken", choices=sorted(GUARDS), default="", help="remove a guard")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutate", action="store_true", help="take every guard out in turn (simulation.mutations)")
    parser.add_argument("--trace", action="store_true", help="print a failing run's whole timeline")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    options = parser.parse_args()
    if options.mutate:
        return mutations.main(["--processes", str(options.processes)])
    begun = time.monotonic()
    done = failures = acknowledged = events = 0
    virtual = 0.0
    faults: Counter[str] = Counter()
    marks: Counter[str] = Counter()
    job = partial(
        run_one,
        seconds=options.seconds,
        streams=options.streams,
        broken=options.broken,
        regions=options.regions,
    )
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.get_context("spawn").Pool(min(options.processes, options.seeds)) as pool:
        for verdict in pool.imap_unordered(job, seeds):
            done += 1
            virtual += verdict.virtual_seconds
            events += verdict.events
            acknowledged += verdict.acknowledged
            faults.update(verdict.faults)
            marks.update(verdict.marks)
            if verdict.failure:
                failures += 1
                report_failure(verdict, options)
                if not options.keep_going:
                    pool.terminate()
                    break
    seconds = time.monotonic() - begun
    print(f"\n{done} seeds in {seconds:.1f} s ({done / seconds:.2f} a second), {virtual / 3600:.2f} virtual hours,")
    print(f"{events} events, {acknowledged} transactions acknowledged, {failures} failed seeds")
    print("faults: " + (", ".join(f"{name} {count}" for name, count in sorted(faults.items())) or "none"))
    missing = never_reached(marks, options.regions)
    if missing:
        print("never reached: " + ", ".join(missing))
    print("reached: " + (", ".join(f"{name} {count}" for name, count in sorted(marks.items())) or "nothing"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
