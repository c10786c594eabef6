"""From what was noted to a report."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence

from tausql.chaos.availability import Away, Charged, away
from tausql.chaos.clients import Client
from tausql.chaos.errors import Errors, by_code
from tausql.chaos.faults import Struck
from tausql.chaos.probes import ACKNOWLEDGED, REFUSED, UNKNOWN, ReadProbe, WriteProbe
from tausql.chaos.report import FaultReport, LoadReport, StrikeReport
from tausql.chaos.sessions import CONFLICT
from tausql.chaos.workloads import Counts, Workload


def load_reports(
    workloads: Sequence[Workload],
    writers: Sequence[WriteProbe],
    readers: Sequence[ReadProbe],
    clients: dict[str, list[Client]],
    errors: Errors,
) -> list[LoadReport]:
    """`clients`: by name of their load."""
    outcomes = Counter(outcome for writer in writers for outcome in writer.outcomes)
    counted = {workload.name: workload.counts() for workload in workloads} | {
        "inserts": Counts(outcomes[ACKNOWLEDGED], outcomes[REFUSED], outcomes[UNKNOWN]),
        "reads": Counts(sum(len(reader.successes) for reader in readers), 0, 0),
    }
    reports = []
    for load, (acknowledged, refused, unknown) in counted.items():
        codes = by_code(met for met in errors.met if met.load == load)
        operations = max(1, acknowledged + refused + unknown)
        reports.append(
            LoadReport(
                load=load,
                operations=acknowledged + refused + unknown,
                acknowledged=acknowledged,
                refused=refused,
                unknown=unknown,
                retried_percent=round(100.0 * codes.get(CONFLICT, 0) / operations, 3),
                given_up=sum(client.given_up for client in clients.get(load, ())),
                errors=codes,
            )
        )
    return reports


class Felt:
    """What clients felt of each strike, and of the whole run, which lasted from `begun` to `end`."""

    def __init__(
        self,
        writers: Sequence[WriteProbe],
        readers: Sequence[ReadProbe],
        struck: Sequence[Struck],
        begun: float,
        end: float,
    ) -> None:
        writes = [writer.successes for writer in writers]
        reads = [reader.successes for reader in readers]
        strikes = [one.begun for one in struck]
        self.reads_ever = away(reads, begun, end)
        self.writes_ever = away(writes, begun, end)
        self._reads = dict(zip(strikes, Charged(reads, strikes, end).each, strict=True))
        self._writes = dict(zip(strikes, Charged(writes, strikes, end).each, strict=True))

    def reads(self, struck: Struck) -> Away:
        return self._reads[struck.begun]

    def writes(self, struck: Struck) -> Away:
        return self._writes[struck.begun]


def fault_reports(struck: Sequence[Struck], felt: Felt, errors: Errors) -> list[FaultReport]:
    """One a fault, in the order of their first strikes."""
    groups: dict[str, list[Struck]] = {}
    for one in struck:
        groups.setdefault(str(one.fault), []).append(one)
    reports = []
    for fault, strikes in groups.items():
        reads = [felt.reads(one) for one in strikes]
        writes = [felt.writes(one) for one in strikes]
        met = [met for met in errors.met if any(one.begun <= met.ended < one.until for one in strikes)]
        reports.append(
            FaultReport(
                fault=fault,
                times=len(strikes),
                reads_away=round(max(one.database for one in reads), 3),
                reads_away_client=round(max(one.client for one in reads), 3),
                writes_away=round(max(one.database for one in writes), 3),
                writes_away_client=round(max(one.client for one in writes), 3),
                gone=_worst([one.gone for one in strikes]),
                ready=_worst([one.ready for one in strikes]),
                moved_sessions=int(sum(one.moved_sessions for one in strikes)),
                errors=by_code(met),
            )
        )
    return reports


def strike_reports(
    struck: Sequence[Struck], felt: Felt, begun: float, begun_at: datetime.datetime
) -> list[StrikeReport]:
    """`begun` of the run's clock was `begun_at`."""
    return [
        StrikeReport(
            at=(begun_at + datetime.timedelta(seconds=one.begun - begun)).isoformat(timespec="milliseconds"),
            fault=str(one.fault),
            victims=one.victims,
            reads_away=round(felt.reads(one).database, 3),
            writes_away=round(felt.writes(one).database, 3),
            gone=_rounded(one.gone),
            ready=_rounded(one.ready),
        )
        for one in struck
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _worst(values: list[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return round(max(seen), 3) if seen else None
