"""What a run found: one structure, told as text, Markdown or JSON. Times in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tausql.chaos.faults import Victim
from tausql.chaos.judgement import Judgement

Row = Sequence[str]


class LoadReport(msgspec.Struct):
    """What clients of one kind did. `retried_percent`: of their transactions were told 40001."""

    load: str
    operations: int
    acknowledged: int
    refused: int
    unknown: int
    retried_percent: float
    given_up: int
    errors: dict[str, int]


class FaultReport(msgspec.Struct):
    """All strikes of one fault; the worst of each. `*_away`: beyond the usual, nobody was served; `*_away_client`: one
    client was not. `gone`, `ready`: until its victims were away, and the fleet was whole again."""

    fault: str
    times: int
    reads_away: float
    reads_away_client: float
    writes_away: float
    writes_away_client: float
    gone: float | None
    ready: float | None
    moved_sessions: int
    errors: dict[str, int]


class StrikeReport(msgspec.Struct):
    """One strike, for annotations: `at` is UTC in ISO 8601."""

    at: str
    fault: str
    victims: tuple[Victim, ...]
    reads_away: float
    writes_away: float
    gone: float | None
    ready: float | None


class Aim(msgspec.Struct, frozen=True):
    """`found`: in words. `verdict`: `ok`, `MISSED`, or `not struck`."""

    aim: str
    found: str
    verdict: str


class Report(msgspec.Struct):
    """`reads_away`, `writes_away`: the longest of the whole run. `kept_waiting`, `kept_syncing`: the longest that the
    machine let this tool itself wait, and for a sync to the fleet's disk, which no fault can be blamed for."""

    fleet: str
    begun: str
    seconds: float
    clients: int
    seed: int
    reads_away: float
    writes_away: float
    kept_waiting: float
    kept_syncing: float
    loads: list[LoadReport]
    faults: list[FaultReport]
    strikes: list[StrikeReport]
    judgement: Judgement
    aims: list[Aim]
    passed: bool


LOAD_HEADINGS = ("load", "operations", "acknowledged", "refused", "unknown", "retried %", "errors by SQLSTATE")
FAULT_HEADINGS = (
    "fault", "times", "reads away", "one reader", "writes away", "one writer", "gone", "ready", "moved", "errors"
)  # fmt: skip


def _codes(errors: dict[str, int]) -> str:
    return ", ".join(f"{code}: {count}" for code, count in errors.items()) or "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _load_rows(report: Report) -> list[Row]:
    return [
        (
            load.load,
            str(load.operations),
            str(load.acknowledged),
            str(load.refused),
            str(load.unknown),
            f"{load.retried_percent:.2f}",
            _codes(load.errors) + (f"; gave up waiting: {load.given_up}" if load.given_up else ""),
        )
        for load in report.loads
    ]


def _fault_rows(report: Report) -> list[Row]:
    return [
        (
            fault.fault,
            str(fault.times),
            _seconds(fault.reads_away),
            _seconds(fault.reads_away_client),
            _seconds(fault.writes_away),
            _seconds(fault.writes_away_client),
            _seconds(fault.gone),
            _seconds(fault.ready),
            str(fault.moved_sessions),
            _codes(fault.errors),
        )
        for fault in report.faults
    ]


def _verdict(report: Report) -> list[str]:
    judgement = report.judgement
    lines = [f"violation: {text}" for text in judgement.violations]
    lines += [
        f"unexpected: {one.count} x {one.code} told to {one.load}, first at {one.at:.1f} s: {one.text}"
        for one in judgement.unexpected
    ]
    lines += [f"problem: {text}" for text in judgement.problems]
    return lines or ["strong snapshot isolation holds, and nothing acknowledged is missing"]


def _aims(report: Report) -> list[str]:
    return [f"{aim.verdict}: {aim.aim} ({aim.found})" for aim in report.aims]


def _cadence(report: Report) -> str:
    strikes = len(report.strikes)
    return f"{strikes} faults, one every {report.seconds / strikes:.1f} s; " if strikes else ""


def _heading(report: Report) -> str:
    return (
        f"{report.fleet}: {report.seconds:.0f} s from {report.begun}, {report.clients} clients, seed {report.seed}; "
        f"{_cadence(report)}longest without a read {report.reads_away:.2f} s, without a write "
        f"{report.writes_away:.2f} s; this tool itself was kept waiting {report.kept_waiting:.2f} s at most"
        + (f", for a sync to the disk {report.kept_syncing:.2f} s" if report.kept_syncing else "")
    )


def _aligned(headings: Row, rows: list[Row]) -> str:
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (headings, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def _piped(headings: Row, rows: list[Row]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]
    return "\n".join(lines)


def as_text(report: Report) -> str:
    """For a terminal."""
    parts = [_heading(report), _aligned(LOAD_HEADINGS, _load_rows(report))]
    if report.faults:
        parts.append(_aligned(FAULT_HEADINGS, _fault_rows(report)))
    parts.append("\n".join(_aims(report)))
    parts.append(("passed: " if report.passed else "FAILED\n") + "\n".join(_verdict(report)))
    return "\n\n".join(parts) + "\n"


def as_markdown(report: Report) -> str:
    """For a page."""
    parts = ["# Chaos: " + ("passed" if report.passed else "FAILED"), _heading(report)]
    parts += ["\n".join("- " + line.replace("\n", "\n  ") for line in _verdict(report))]
    parts += ["## Aims", "\n".join(f"- {line}" for line in _aims(report))]
    parts += ["## What clients did", _piped(LOAD_HEADINGS, _load_rows(report))]
    if report.faults:
        parts += [
            "## What faults did",
            _piped(FAULT_HEADINGS, _fault_rows(report)),
            "Seconds, the worst of all times. Away: nobody, or one client, was served, beyond the usual time between "
            "two answers. Gone, ready: until the victims were away, and until the fleet was whole again.",
        ]
    return "\n\n".join(parts) + "\n"


def as_json(report: Report) -> str:
    """For programs: the structure as it is."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def write_report(report: Report, path: Path) -> None:
    """In the form that the file's name asks for: `.json`, `.md`, else text."""
    render = {".json": as_json, ".md": as_markdown}.get(path.suffix, as_text)
    path.write_text(render(report))
