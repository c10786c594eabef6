"""Was anything wrong? Three questions, all of which must be answered with no.

Did the clients see what a snapshot-isolated database that loses nothing cannot show (`violations`)? Were they told
errors that nothing which was broken at that moment explains (`unexpected`)? Did the run itself come apart, so that its
silence proves nothing (`problems`)?
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tausql.chaos.errors import Errors, Met
from tausql.chaos.faults import Struck
from tausql.chaos.sessions import CONFLICT, CONNECTION_CODES, DEADLINE, UNKNOWN
from tausql.checker.anomaly import Anomaly
from tausql.checker.check import check_history
from tausql.checker.history import Attempt

SHUTTING_DOWN = frozenset(("57P01", "57P03"))


class Unexpected(msgspec.Struct, frozen=True):
    """Errors of one code that nothing explains. `at`: seconds after the run began when the first was told."""

    load: str
    code: str
    count: int
    text: str
    at: float


class Judgement(msgspec.Struct):
    """Each in words; empty is good."""

    violations: list[str]
    unexpected: list[Unexpected]
    problems: list[str]

    @property
    def passed(self) -> bool:
        return not (self.violations or self.unexpected or self.problems)


def history_violations(attempts: Iterable[Attempt]) -> list[str]:
    """What the checker has to say of a history of lists and registers."""
    try:
        check_history(attempts, uncommitted_reads=True)
    except Anomaly as anomaly:
        return [str(anomaly)]
    return []


def explained(met: Met, struck: Sequence[Struck], tolerated: frozenset[str] = frozenset()) -> bool:
    """Whether a client may be told this. Conflicts and commits of unknown outcome always; that its connection is gone
    while a frontend, to which it leads, was the victim; no answer in time also when what it talks to was stopped, since
    nobody can tell a stopped process from a slow one."""
    if met.code in (CONFLICT, UNKNOWN) or met.code in tolerated:
        return True
    around = [one for one in struck if one.begun <= met.ended and met.begun < one.until]
    if met.code in CONNECTION_CODES or met.code in SHUTTING_DOWN or met.code.startswith("08"):
        return any("frontend" in one.services for one in around)
    if met.code == DEADLINE:
        return any(
            "frontend" in one.services or (one.kind in ("stop", "node") and "processor" in one.services)
            for one in around
        )
    return False


def unexpected_errors(
    errors: Errors, struck: Sequence[Struck], tolerated: frozenset[str] = frozenset(), begun: float = 0.0
) -> list[Unexpected]:
    """Grouped by load and code, in the order of their first appearance. The run began at `begun`."""
    groups: dict[tuple[str, str], list[Met]] = {}
    for met in errors.met:
        if not explained(met, struck, tolerated):
            groups.setdefault((met.load, met.code), []).append(met)
    return [
        Unexpected(load, code, len(group), group[0].text, round(group[0].ended - begun, 2))
        for (load, code), group in groups.items()
    ]
