"""`python -m tausql.simulation.mutations`: takes out every guard in turn, and tells how soon that was noticed.

A simulation that never fails proves little: it may be looking away. Each guard of `guards` is a rule without which the
protocol is wrong; one that can be taken out unnoticed is a gap in the workload, the faults or the checks.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from functools import partial

from tausql.simulation.breaking import GUARDS, GuardNotFound
from tausql.simulation.search import FIRST_SEED, Found, find

FAILURE_WIDTH = 110
MARKDOWN_WIDTH = 60
MARKDOWN_HEAD = "| without | the rule | seeds | what was noticed |\n| --- | --- | ---: | --- |"


def noticed(failure: str) -> str:
    """What a failure says before it comes to names and numbers."""
    text = " ".join(failure.split())
    kind, _, rest = text.partition(": ")
    if kind == "InvariantViolation":
        words = rest.split()
        facts = next((at for at, word in enumerate(words) if "=" in word), len(words))
        return " ".join(words[:facts])
    if kind in ("Anomaly", "Nonsense", "Stuck"):
        return rest.partition(" (")[0].partition(": ")[0] if kind == "Anomaly" else rest
    return text


def report(found: Found) -> str:
    """One line of the table."""
    if not found.seed:
        return f"{found.guard:<28} {'-':>5}  NOT FOUND in {found.seeds} seeds ({found.wall_seconds:.0f} s)"
    return f"{found.guard:<28} {found.seeds:>5}  {_short(found.failure, FAILURE_WIDTH)}"


def markdown(found: Found) -> str:
    """The same for `docs/simulation.md`."""
    seeds = str(found.seeds) if found.seed else "**none**"
    what = _short(noticed(found.failure), MARKDOWN_WIDTH).replace("|", "\\|")
    return f"| `{found.guard}` | {GUARDS[found.guard].rule} | {seeds} | {what} |"


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 if a guard can be taken out unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guards", nargs="*", help="which (default: all)", metavar="guard")
    parser.add_argument("--seeds", type=int, default=200, help="at most, a guard")
    parser.add_argument("--seconds", type=float, default=0.0, help="virtual seconds with faults, a seed; else drawn")
    parser.add_argument("--first", type=int, default=FIRST_SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/simulation.md")
    options = parser.parse_args(arguments)
    names = options.guards or list(GUARDS)
    unknown = sorted(set(names) - set(GUARDS))
    if unknown:
        parser.error(f"no such guard: {', '.join(unknown)}")
    job = partial(find, seeds_max=options.seeds, seconds=options.seconds, first=options.first)
    missed = 0
    begun = time.monotonic()
    print(MARKDOWN_HEAD if options.markdown else f"{'guard':<28} {'seeds':>5}  what was noticed", flush=True)
    with multiprocessing.get_context("spawn").Pool(min(options.processes, len(names))) as pool:
        results = pool.imap(job, names)
        for name in names:
            try:
                found = results.next()
            except GuardNotFound as error:
                missed += 1
                print(f"{name}: the table has fallen behind the code: {error}", file=sys.stderr, flush=True)
                continue
            missed += not found.seed
            print(markdown(found) if options.markdown else report(found), flush=True)
            if found.anyway:
                print(f"{name}: seeds {found.anyway} fail with every guard in place", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - begun) / 60
    told = f"{len(names) - missed} of {len(names)} guards are missed when they are gone"
    print(f"\n{told}, by seeds from {options.first} on; {minutes:.0f} minutes")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
