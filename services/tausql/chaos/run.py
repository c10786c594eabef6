"""A run: tables, clients that work on them, faults, everything read back, a report.

The tables are the run's own and are dropped in the end, unless something was wrong: then they are evidence.
"""

from __future__ import annotations

import datetime
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tausql.chaos.aims import aims_of
from tausql.chaos.clients import Client, Load
from tausql.chaos.errors import Errors
from tausql.chaos.faults import Backend, BackendError, Fault, Plan, Striker
from tausql.chaos.judgement import Judgement, history_violations, unexpected_errors
from tausql.chaos.probes import (
    ReadProbe,
    WriteProbe,
    create_inserts,
    inserts_violations,
    missed_violations,
    read_inserts_back,
)
from tausql.chaos.pulse import Pulse
from tausql.chaos.report import Report
from tausql.chaos.sessions import ClientError, Dial, Session
from tausql.chaos.summary import Felt, fault_reports, load_reports, strike_reports
from tausql.chaos.workloads import Lists, Registers, Workload, choose_workloads
from tausql.checker.history import Attempt

TRANSACTIONS_MAX = 1_000_000  # of a run: their history is kept in memory, some 1 kB each, and checked in a minute
PREPARE_SECONDS = 60.0
READ_BACK_SECONDS = 120.0
AGAIN_SECONDS = 0.2
CALM_SECONDS = 3.0  # before the first fault, to see what is usual
PROBE_DEADLINE_SECONDS = 2.0  # a probe that waits longer dials again: a hung session is not a database that is away


class Work(msgspec.Struct, frozen=True):
    """What clients do. `clients` share the `workloads`, at `rate` transactions a second together, lists and registers
    on `keys` keys each; `probes` read and as many write, each `probe_rate` times a second. `deadline_seconds` of every
    call."""

    clients: int = 8
    rate: float = 100.0
    keys: int = 16
    probes: int = 2
    probe_rate: float = 20.0
    deadline_seconds: float = 10.0
    seed: int = 1
    workloads: str = "lists"


class Unprepared(Exception):
    """The run could not begin; the message is for the user."""


class Run:
    """One run against `endpoints` endpoints, reached by `dial`. `stop` ends it early. `backend` None: nothing is
    broken, or by somebody else. `disk`: a folder on the fleet's, whose pulse is felt."""

    def __init__(
        self,
        dial: Dial,
        endpoints: int,
        backend: Backend | None,
        work: Work,
        stop: threading.Event,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        disk: Path | None = None,
    ) -> None:
        self._disk = disk
        self._dial = dial
        self._endpoints = endpoints
        self._backend = backend
        self._work = work
        self._stop = stop
        self._tell = tell
        self._clock = clock
        name = f"chaos_{uuid.uuid4().hex[:8]}"
        self._inserts_table = f"{name}_inserts"
        try:
            self._workloads = choose_workloads(work.workloads, name, work.keys, clock)
        except ValueError as error:
            raise Unprepared(str(error)) from error
        self.attempts: list[Attempt] = next(
            (one.ledger.attempts for one in self._workloads if isinstance(one, Lists | Registers)), []
        )
        self._writers = [WriteProbe(self._inserts_table, number, clock) for number in range(work.probes)]
        self._readers = [ReadProbe(self._inserts_table, writer, clock) for writer in self._writers]
        self._errors = Errors()
        self._clients: dict[str, list[Client]] = {}
        self._clients_stop = threading.Event()

    def execute(
        self, faults: Sequence[Fault], plan: Plan, seconds: float, tolerated: frozenset[str] = frozenset()
    ) -> Report:
        """Everything. Raises Unprepared."""
        self._prepare()
        begun_at, begun = datetime.datetime.now(datetime.UTC), self._clock()
        pulse = Pulse(self._clock, self._disk)
        pulse.start()
        striker = self._disturb(faults, plan, begun + seconds)
        problems = striker.problems if striker is not None else []
        struck = striker.struck if striker is not None else []
        end = self._clock()
        pulse.stop()
        problems += self._hang_up()
        if struck:
            struck[-1].until = end
        elif faults and not problems:
            problems.append("no fault has struck: give it more seconds")
        loads = load_reports(self._workloads, self._writers, self._readers, self._clients, self._errors)
        problems += [f"no {one.load} were acknowledged, so nothing is proven" for one in loads if not one.acknowledged]
        if self._errors.left_out:
            problems.append(f"{self._errors.left_out} errors were left out: too many to judge them all")
        self._tell("reading everything back")
        violations = self._read_back(problems)
        violations += [text for workload in self._workloads for text in workload.seen()]
        self._tell(f"checking {len(self.attempts)} transactions")
        violations += history_violations(self.attempts)
        judgement = Judgement(violations, unexpected_errors(self._errors, struck, tolerated, begun), problems)
        felt = Felt(self._writers, self._readers, struck, begun, end)
        self._clean_up(judgement)
        return Report(
            fleet=self._backend.name if self._backend is not None else f"{self._endpoints} endpoints",
            begun=begun_at.isoformat(timespec="seconds"),
            seconds=round(end - begun, 1),
            clients=self._work.clients,
            seed=self._work.seed,
            reads_away=round(felt.reads_ever.database, 3),
            writes_away=round(felt.writes_ever.database, 3),
            kept_waiting=round(pulse.longest, 3),
            kept_syncing=round(pulse.longest_sync, 3),
            loads=loads,
            faults=fault_reports(struck, felt, self._errors),
            strikes=strike_reports(struck, felt, begun, begun_at),
            judgement=judgement,
            aims=aims_of(struck, felt, judgement.violations, sum(load.acknowledged for load in loads)),
            passed=judgement.passed,
        )

    # before

    def _prepare(self) -> None:
        steps = [step for workload in self._workloads for step in workload.prepare()]
        for step in (lambda session: create_inserts(session, self._inserts_table), *steps):
            failed = self._insist(step, 0, True, PREPARE_SECONDS)
            if failed:
                raise Unprepared(f"the tables cannot be made: {failed}")

    def _insist(self, step: Callable[[Session], None], endpoint: int, autocommit: bool, seconds: float) -> str:
        """Do it once, on as many connections as it takes. "" or what it was told last."""
        end = self._clock() + seconds
        while True:
            session: Session | None = None
            try:
                session = self._dial(endpoint, autocommit, self._work.deadline_seconds)
                step(session)
                return ""
            except ClientError as error:
                told = str(error)
                if error.code == "42P07":  # the table is there: the answer to the first try was lost
                    return ""
            finally:
                if session is not None:
                    session.close()
            if self._clock() > end:
                return told
            time.sleep(AGAIN_SECONDS)

    # the run

    def _disturb(self, faults: Sequence[Fault], plan: Plan, end: float) -> Striker | None:
        work = self._work
        for number in range(work.clients):
            workload = self._workloads[number % len(self._workloads)]
            load = workload.client(number, work.seed * 1_000 + number)
            self._start(load, number, work.rate / work.clients, forgiving=False)
        for number, (writer, reader) in enumerate(zip(self._writers, self._readers, strict=True)):
            self._start(writer, number, work.probe_rate, forgiving=True)
            self._start(reader, number, work.probe_rate, forgiving=True)
        striker: Striker | None = None
        if self._backend is not None:
            striker = Striker(self._backend, plan, self._clock, self._stop.wait, self._tell)
            if faults and not self._stop.wait(min(CALM_SECONDS, plan.each_seconds)):
                striker.run(faults, end)
        if (not faults or plan.rounds == 0) and (left := end - self._clock()) > 0:
            self._stop.wait(left)
        return striker

    def _start(self, load: Load, number: int, rate: float, forgiving: bool) -> None:
        deadline_seconds = self._work.deadline_seconds
        if forgiving:
            deadline_seconds = min(deadline_seconds, PROBE_DEADLINE_SECONDS)
        client = Client(
            load, self._dial, self._errors, self._clients_stop, rate, deadline_seconds, number, forgiving, self._clock
        )
        self._clients.setdefault(load.name, []).append(client)
        client.start()

    def _hang_up(self) -> list[str]:
        self._clients_stop.set()
        problems = []
        for clients in self._clients.values():
            for client in clients:
                try:
                    client.join()
                except Exception as error:  # whatever broke it: the run is a failure, and its report says why
                    problems.append(f"a client broke: {type(error).__name__}: {error}")
        return problems

    # afterwards

    def _read_back(self, problems: list[str]) -> list[str]:
        """At every endpoint: what one of them acknowledged all of them must have."""
        violations: list[str] = []
        for endpoint in range(self._endpoints):
            found: list[set[int]] = []

            def read_inserts(session: Session, found: list[set[int]] = found) -> None:
                found[:] = [read_inserts_back(session, self._inserts_table, writer) for writer in self._writers]

            failed = self._insist(read_inserts, endpoint, True, READ_BACK_SECONDS)
            for workload in self._workloads:
                seen: list[str] = []

                def read(
                    session: Session, one: Workload = workload, at: int = endpoint, seen: list[str] = seen
                ) -> None:
                    seen[:] = one.read_back(session, at)
                    session.commit()

                failed = failed or self._insist(read, endpoint, False, READ_BACK_SECONDS)
                violations += [text for text in seen if text not in violations]
            if failed:
                problems.append(f"endpoint {endpoint} cannot be read back: {failed}")
                continue
            for writer, there in zip(self._writers, found, strict=True):
                violations += [text for text in inserts_violations(writer, there) if text not in violations]
        return violations + missed_violations(self._readers)

    def _clean_up(self, judgement: Judgement) -> None:
        tables = [*(workload.table for workload in self._workloads), self._inserts_table]
        if judgement.violations:
            self._tell(f"kept as evidence: tables {', '.join(tables)}")
            return
        for table in tables:

            def drop(session: Session, table: str = table) -> None:
                session.execute(f"DROP TABLE IF EXISTS {table}")

            if failed := self._insist(drop, 0, True, PREPARE_SECONDS):
                self._tell(f"table {table} is left behind: {failed}")


def choose_faults(backend: Backend, text: str, parse: Callable[[str, Sequence[Fault]], list[Fault]]) -> list[Fault]:
    """The faults a user asked for. Raises Unprepared."""
    try:
        return parse(text, backend.offers())
    except (BackendError, ValueError) as error:
        raise Unprepared(str(error)) from error
