"""What became of a suite: JUnit's file read, and each failure held against the rules of Aurora DSQL.

A suite for PostgreSQL asks for things that Aurora DSQL does not have. Leaving such tests out by hand would hide what
else they find, so they run, and a failure whose error is a refusal in DSQL's own words counts as not applicable, under
the rule that made it so (rules.tsv). Anything else is a failure, a refusal of ours that is not in DSQL's words
too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

RULES = Path(__file__).parent / "rules.tsv"
SHOWN_CHARACTERS_MAX = 300
REASONS_SHOWN_MAX = 25
ERROR = re.compile(
    r"(?m)^E?\s*((?:psycopg2?\.errors\.\w+|[\w.]*(?:Error|Exception|Supported|Violation|Failure)\w*|AssertionError)\b.*)$"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """`suite`, `where`: regular expressions of the suite and of the test's name; `told`: of what it failed with."""

    suite: re.Pattern[str]
    where: re.Pattern[str]
    told: re.Pattern[str]
    reason: str


@dataclass(slots=True)
class Outcomes:
    """Of one run. `not_applicable`, `failed`: (test, why)."""

    suite: str
    passed: int = 0
    not_applicable: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def summary(self) -> str:
        return (
            f"{self.suite}: {self.passed} passed, {len(self.not_applicable)} not applicable, {len(self.failed)} failed"
        )

    def failures(self) -> list[str]:
        """Lines: what failures say, how often, and in which tests first."""
        lines = []
        for told, count in _counted(self.failed):
            lines.append(f"  {count:5} {told}")
            lines += [f"          {test}" for test in [test for test, why in self.failed if why == told][:3]]
        return lines

    def report(self) -> str:
        """Summary, rules with how often each applied, failures."""
        lines = [self.summary()]
        if self.not_applicable:
            lines.append("not applicable:")
            reasons = _counted(self.not_applicable)
            lines += [f"  {count:5} {rule}" for rule, count in reasons[:REASONS_SHOWN_MAX]]
            rest = reasons[REASONS_SHOWN_MAX:]
            lines += [f"  {sum(count for _, count in rest):5} for {len(rest)} other reasons"] if rest else []
        if self.failed:
            lines += ["failed:", *self.failures()]
        return "\n".join(lines)


def _counted(found: Iterable[tuple[str, str]]) -> list[tuple[str, int]]:
    return Counter(why for _, why in found).most_common()


def rules() -> list[Rule]:
    """Lines of rules.tsv: suite, test, message (regular expressions), reason."""
    found = []
    for line in RULES.read_text().splitlines():
        if line and not line.startswith("#"):
            suite, where, told, reason = line.split("\t")
            found.append(Rule(re.compile(suite), re.compile(where), re.compile(told), reason))
    return found


def judged(suite: str, test: str, told: str, known: Sequence[Rule]) -> str | None:
    """The rule that makes this failure not applicable."""
    for rule in known:
        if rule.suite.search(suite) and rule.where.search(test) and rule.told.search(told):
            return rule.reason
    return None


def read_junit(suite: str, path: Path) -> Outcomes:
    """Outcomes of a run that pytest wrote with --junit-xml."""
    made = Outcomes(suite)
    known = rules()
    cases: dict[str, list[ElementTree.Element]] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        cases.setdefault(f"{case.get('classname')}::{case.get('name')}", []).append(case)
    for test, parts in cases.items():
        bad = [one for case in parts for one in case if one.tag in ("failure", "error")]
        skipped = [one for case in parts for one in case if one.tag == "skipped"]
        if bad:
            take(made, test, "\n".join(f"{one.get('message') or ''}\n{one.text or ''}" for one in bad), known)
        elif skipped:
            made.not_applicable.append((test, _reason(skipped[0].get("message") or "")))
        else:
            made.passed += 1
    return made


def take(made: Outcomes, test: str, told: str, known: Sequence[Rule]) -> None:
    """Enter a test that failed."""
    reason = judged(made.suite, test, told, known)
    if reason is not None:
        made.not_applicable.append((test, reason))
    else:
        made.failed.append((test, essence(told)))


def essence(told: str) -> str:
    """The line of a traceback that says what happened, without what differs from test to test."""
    found = ERROR.findall(told)
    line = (found[0] if found else told.strip().splitlines()[-1] if told.strip() else "nothing said").strip()
    return line[:SHOWN_CHARACTERS_MAX]


def _reason(message: str) -> str:
    """Why a test was left out, without the test's own name."""
    return re.sub(r"^.*? : ", "", message.strip())[:SHOWN_CHARACTERS_MAX] or "left out by the suite"
