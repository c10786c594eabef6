"""What a fleet of this kind is built for, and whether this run shows it.

Aims, not verdicts: a machine that is busy with something else, or nodes that take a minute to start a pod, miss them
without anything being wrong. Only kills of one process count: what stops for five seconds is away for five.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tausql.chaos.faults import Struck
from tausql.chaos.report import Aim
from tausql.chaos.summary import Felt

OK, MISSED, NOT_STRUCK = "ok", "MISSED", "not struck"
LOST = ("lost", "bank: wrong total")


class _Bound(NamedTuple):
    """Seconds without reads, and without writes, that one kill of `service` may cost at most; None: not judged."""

    service: str
    name: str
    reads: float | None
    writes: float | None
    said: str


# Who shares a process with one further up is judged as that one.
BOUNDS = (
    _Bound("adjudicator", "adjudicator", None, 3.0, "writes unavailable at most 3 s per adjudicator kill"),
    _Bound("storage", "storage", 1.0, None, "reads unavailable at most 1 s per storage kill"),
    _Bound("journal", "journal replica", 0.3, 0.3, "nothing unavailable (0.3 s) per journal replica kill"),
    _Bound("crossbar", "crossbar", 0.3, 0.3, "nothing unavailable (0.3 s) per crossbar kill"),
    _Bound("timekeeper", "timekeeper", 0.3, 0.3, "nothing unavailable (0.3 s) per timekeeper kill"),
)


def aims_of(struck: Sequence[Struck], felt: Felt, violations: Sequence[str], acknowledged: int) -> list[Aim]:
    """In the order in which they are told."""
    lost = [text for text in violations if text.startswith(LOST)]
    said = f"{acknowledged} acknowledged"
    aims = [
        Aim("no violation of strong snapshot isolation", f"{len(violations)} in {said}", _verdict(not violations)),
        Aim("no acknowledged write lost", f"{len(lost)} in {said}", _verdict(not lost)),
    ]
    kills = [one for one in struck if one.kind == "kill" and len(one.victims) == 1]
    taken: set[float] = set()
    for bound in BOUNDS:
        mine = [one for one in kills if bound.service in one.services and one.begun not in taken]
        taken |= {one.begun for one in mine}
        aims.append(_judge(bound, mine, felt))
    return aims


def _verdict(good: bool) -> str:
    return OK if good else MISSED


def _judge(bound: _Bound, kills: Sequence[Struck], felt: Felt) -> Aim:
    if not kills:
        return Aim(bound.said, "-", NOT_STRUCK)
    parts, good = [], True
    for what, most, times in (
        ("reads", bound.reads, [felt.reads(one).database for one in kills]),
        ("writes", bound.writes, [felt.writes(one).database for one in kills]),
    ):
        if most is not None:
            parts.append(f"{what} {max(times):.2f} s")
            good = good and max(times) <= most
    return Aim(bound.said, f"{' and '.join(parts)}, the longest of {len(kills)}", _verdict(good))
