"""`python -m tausql.simulation.mutations`: takes out every guard in turn, and tells how soon that was noticed.

A simulation that never fails proves little: it may be looking away. Each guard of `guards` is a rule without which the
protocol is wrong; one that can be taken out unnoticed is a gap in the workload, the faults or the checks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from functools import partial

from tausql.simulation.breaking import GUARDS
from tausql.simulation.search import FIRST_SEED, Found, find

FAILURE_WIDTH = 110


def report(found: Found) -> str:
    """One line of the table."""
    if found.anyway:
        print(f"seeds {found.anyway} fail with every guard in place", flush=True)
    if not found.seed:
        return f"{found.guard:<28} {'-':>5}  NOT FOUND in {found.seeds} seeds ({found.wall_seconds:.0f} s)"
    failure = " ".join(found.failure.split())
    if len(failure) > FAILURE_WIDTH:
        failure = failure[: FAILURE_WIDTH - 3] + "..."
    return f"{found.guard:<28} {found.seeds:>5}  {failure}"


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 if a guard can be taken out unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guards", nargs="*", help="which (default: all)", metavar="guard")
    parser.add_argument("--seeds", type=int, default=60, help="at most, a guard")
    parser.add_argument("--seconds", type=float, default=6.0, help="virtual seconds with faults, a seed")
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    names = options.guards or list(GUARDS)
    unknown = sorted(set(names) - set(GUARDS))
    if unknown:
        parser.error(f"no such guard: {', '.join(unknown)}")
    job = partial(find, seeds_max=options.seeds, seconds=options.seconds, first=options.first)
    missed = 0
    print(f"{'guard':<28} {'seeds':>5}  what was noticed", flush=True)
    with multiprocessing.get_context("spawn").Pool(min(options.processes, len(names))) as pool:
        for found in pool.imap(job, names):
            missed += not found.seed
            print(report(found), flush=True)
    print(f"{len(names) - missed} of {len(names)} guards are missed when they are gone")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
