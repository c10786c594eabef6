"""`make connections`: 10,000 of them at once, 100 busy, on a fleet of its own.

Opens them, has each answer, keeps all but the busy ones idle, has each answer again, closes them, and does it all once
more: what the second round takes over the first would be a leak.
"""

from __future__ import annotations

import argparse
import sys
import time

from loadtest.connections.holders import Holders, Sum
from loadtest.connections.memory import Held, grown, memory
from loadtest.measures import cpu_seconds
from loadtest.tausql_fleet import Fleet, running_fleet

SETTLE_SECONDS = 2.0  # before memory is read
LEAK_SHARE = 0.05
SESSIONS = ("frontend", "processor")
KIB = 1024
MIB = 1024 * 1024


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000, help="open at once")
    parser.add_argument("--active", type=int, default=100, help="of them busy: a transaction, a pause, and again")
    parser.add_argument("--think-seconds", type=float, default=0.5, help="the pause, on average")
    parser.add_argument("--at-once", type=int, default=200, help="on their way while they are opened")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--shape", default="packed", choices=("packed", "separate", "single"))
    parser.add_argument("--tls", action="store_true", help="the clients' connections in TLS")
    return parser.parse_args()


class Test:
    """One run on a fleet."""

    def __init__(self, fleet: Fleet, holders: Holders, options: argparse.Namespace) -> None:
        self.fleet = fleet
        self.holders = holders
        self.options = options
        self.failed = False
        self._run = {"seconds": options.seconds, "think_seconds": options.think_seconds}

    def round(self, number: int) -> int:
        """The most bytes that frontends and processors have held: with all connections open, or with all closed again,
        since closing thousands at once takes memory, too."""
        options, holders = self.options, self.holders
        print(f"\nround {number}", flush=True)
        busy = holders.do("open", options.active)
        self._tell(f"{options.active} opened", busy)
        self._tell(f"{options.active} busy, none idle", holders.do("run", options.active, **self._run))
        before = self._memory()
        idle = options.connections - options.active
        opened = holders.do("open", idle, at_once=options.at_once)
        self._tell(f"{idle} more opened, each answered", opened)
        full = self._memory()
        count = max(opened.open - busy.open, 1)
        each = grown(before, full, SESSIONS) // count
        for services in (("frontend",), ("processor",)) if options.shape == "separate" else ():
            print(f"  {services[0]}: {grown(before, full, services) / count / KIB:.1f} KiB an idle connection")
        print(f"  frontend and processor together: {each / KIB:.1f} KiB an idle connection", flush=True)
        print(f"  CPU while nothing is asked: {self._idle_cpu():.1f} % of a core")
        self._tell(f"{options.active} busy, {idle} idle", holders.do("run", options.active, **self._run))
        asked = holders.do("ask", at_once=options.at_once)
        self._tell(f"all {asked.open} asked again", asked)
        if asked.open != options.connections:
            self.failed = True
            print(f"  FAILED: {asked.open} of {options.connections} are open")
        holders.do("close")
        closed = self._memory()
        print(f"  kept after closing: {grown(before, closed, SESSIONS) / MIB:.1f} MiB")
        for name, held in full.items():
            print(
                f"  {name:<12} {held.service:<40} own MiB: before {before[name].own / MIB:6.1f}"
                f"  full {held.own / MIB:6.1f}  closed {closed[name].own / MIB:6.1f}"
                f"   full PSS {held.pss / MIB:6.1f}  RSS {held.rss / MIB:6.1f}"
            )
        return sum(
            max(held.own, closed[name].own)
            for name, held in full.items()
            if set(SESSIONS) & set(held.service.split("+"))
        )

    def _memory(self) -> dict[str, Held]:
        time.sleep(SETTLE_SECONDS)
        return memory(self.fleet)

    def _idle_cpu(self) -> float:
        pids = self.fleet.pids()
        before, seconds = cpu_seconds(pids), self.options.seconds
        time.sleep(seconds)
        return float((cpu_seconds(pids) - before) / seconds * 100)

    def _tell(self, what: str, outcome: Sum) -> None:
        rate = len(outcome.latencies) / max(outcome.seconds, 0.001)
        print(
            f"  {what}: {outcome.seconds:.1f} s, {rate:.0f}/s, p50 {outcome.ms(0.5):.2f} p99 {outcome.ms(0.99):.2f} "
            f"max {outcome.ms(1.0):.0f} ms, errors {dict(outcome.errors) or 'none'}",
            flush=True,
        )
        if outcome.errors:
            self.failed = True


def main() -> int:
    options = arguments()
    limits = {f"TAUSQL_CONTROL_CONNECTIONS_{name}": str(2 * options.connections) for name in ("MAX", "BURST")}
    with running_fleet(options.shape, **limits) as fleet, Holders(fleet, options.connections, options.tls) as holders:
        holders.prepare(options.active)
        test = Test(fleet, holders, options)
        print(f"{options.connections} connections, {options.shape}, {'TLS' if options.tls else 'plain TCP'}")
        most: list[int] = []
        for number in range(1, options.rounds + 1):
            most.append(test.round(number))
            print(f"  the clients' own memory: {holders.memory_bytes() / MIB:.0f} MiB in {len(holders)} processes")
        for again in most[1:]:
            more = again / most[0] - 1
            leaks = more > LEAK_SHARE
            test.failed |= leaks
            print(f"\nmemory of a later round: {more:+.1%}{' FAILED: a leak' if leaks else ''}")
        return int(test.failed)


if __name__ == "__main__":
    sys.exit(main())
