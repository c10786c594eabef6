"""To which fault a gap is charged, and what is said of the aims."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tausql.chaos.aims import MISSED, NOT_STRUCK, OK, aims_of
from tausql.chaos.availability import Away, longest_each
from tausql.chaos.faults import Struck, Victim


def every(step: float, begun: float, until: float) -> list[float]:
    return [begun + step * number for number in range(round((until - begun) / step))]


SERVED = every(0.1, 0, 10) + every(0.1, 13, 30)  # the last success before the gap is at 9.9


@pytest.mark.parametrize(
    ("strikes", "charged"),
    [
        ([10.0], [2.9]),
        ([5.0], [3.0]),  # felt late, and nothing else struck
        ([5.0, 20.0], [3.0, 0.0]),
        ([5.0, 12.0], [2.0, 1.0]),
        ([10.0, 12.0, 12.5], [2.9, 0.0, 0.0]),  # nobody was served anyway
        ([20.0], [0.0]),
    ],
)
def test_a_gap_is_charged_to_the_fault_that_began_it(strikes: list[float], charged: list[float]) -> None:
    assert longest_each(SERVED, strikes, 30.0) == pytest.approx(charged, abs=0.11)


def test_a_database_that_never_comes_back_is_charged_to_the_end() -> None:
    assert longest_each(every(0.1, 0, 10), [10.0, 20.0], 60.0) == pytest.approx([49.9, 0.0], abs=0.11)
    assert longest_each([], [10.0], 60.0) == pytest.approx([50.0])


class Felt:
    """Seconds without reads and writes, by when it struck."""

    def __init__(self, away: dict[float, tuple[float, float]]) -> None:
        self._away = away

    def reads(self, struck: Struck) -> Away:
        return Away(self._away[struck.begun][0], 9.0)

    def writes(self, struck: Struck) -> Away:
        return Away(self._away[struck.begun][1], 9.0)


def kill(begun: float, *services: str, kind: str = "kill") -> Struck:
    return Struck(kind, "+".join(services), (Victim("v", services),), begun, begun + 2)


def verdicts(struck: list[Struck], away: dict[float, tuple[float, float]], violations: Sequence[str] = ()) -> list[str]:
    return [aim.verdict for aim in aims_of(struck, Felt(away), violations, 100)]  # type: ignore[arg-type]


def test_each_service_has_its_bound() -> None:
    struck = [
        kill(1, "adjudicator"),
        kill(2, "storage"),
        kill(3, "journal"),
        kill(4, "crossbar"),
        kill(5, "timekeeper"),
    ]
    good = {1: (9.0, 2.9), 2: (0.9, 9.0), 3: (0.2, 0.2), 4: (0.0, 0.1), 5: (0.1, 0.0)}
    assert verdicts(struck, good) == [OK] * 7
    bad = {1: (0.0, 3.1), 2: (1.1, 0.0), 3: (0.0, 0.4), 4: (0.4, 0.0), 5: (0.4, 0.4)}
    assert verdicts(struck, bad) == [OK, OK] + [MISSED] * 5


def test_the_worst_of_all_kills_counts_and_no_other_fault() -> None:
    struck = [kill(1, "journal"), kill(2, "journal"), kill(3, "journal", kind="stop"), kill(4, "storage", kind="wipe")]
    found = aims_of(struck, Felt({1: (0.1, 0.1), 2: (0.2, 0.5), 3: (5, 5), 4: (5, 5)}), [], 100)  # type: ignore[arg-type]
    journal = next(aim for aim in found if "journal" in aim.aim)
    assert (journal.verdict, journal.found) == (MISSED, "reads 0.20 s and writes 0.50 s, the longest of 2")
    assert {aim.verdict for aim in found if "storage" in aim.aim or "crossbar" in aim.aim} == {NOT_STRUCK}


def test_who_shares_a_process_is_judged_as_the_greater() -> None:
    struck = [kill(1, "adjudicator", "crossbar"), kill(2, "timekeeper", "storage", "processor", "frontend")]
    found = dict(zip(["si", "lost", "adjudicator", "storage", "journal", "crossbar", "timekeeper"],
                     verdicts(struck, {1: (2.0, 2.0), 2: (0.8, 0.8)}), strict=True))  # fmt: skip
    assert found["adjudicator"] == found["storage"] == OK
    assert found["crossbar"] == found["timekeeper"] == found["journal"] == NOT_STRUCK


@pytest.mark.parametrize(
    ("violations", "expected"),
    [
        (["read skew (G-single): T1, T2"], [MISSED, OK]),
        (["lost write: T1"], [MISSED, MISSED]),
        (["lost write: 3 acknowledged inserts are not there: 1, 2, 3"], [MISSED, MISSED]),
    ],
)
def test_violations_and_losses_are_told_apart(violations: list[str], expected: list[str]) -> None:
    assert verdicts([], {}, violations)[:2] == expected
