"""Places a batch of seeds should reach: a test that never gets there says nothing about them."""

from __future__ import annotations

from collections.abc import Iterable

EXPECTED: tuple[str, ...] = (
    "a checkpoint was taken",
    "a checkpoint was torn",
    "a full disk met",
    "a learner has rejoined",
    "a limit was refused",
    "a read parked over a takeover",
    "a storage replica went to another crossbar",
    "a tail was cut",
    "a takeover with an unfinished tail",
    "a zombie was fenced",
    "a new storage replica has its rows",
    "aborted: conflict",
    "aborted: floor",
    "aborted: full",
    "an append was torn by a crash",
    "an epoch was handed over",
    "an old snapshot read again",
    "an old snapshot refused",
    "an outcome settled by a later epoch",
    "outcome: aborted",
    "outcome: committed",
    "the log was trimmed",
)


REGIONS: tuple[str, ...] = ("the stream went to another region",)


def never_reached(marks: Iterable[str], regions: str = "one") -> list[str]:
    """Those of `EXPECTED` that are not among `marks`; of a fleet in two regions also those of `REGIONS`."""
    reached = set(marks)
    return [mark for mark in (*EXPECTED, *(REGIONS if regions != "one" else ())) if mark not in reached]
