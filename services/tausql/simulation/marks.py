"""Places a batch of seeds should reach: a test that never gets there says nothing about them."""

from __future__ import annotations

from collections.abc import Iterable

ENOUGH_SEEDS = 500  # a batch of so many in which one of these is missing has failed

EXPECTED: tuple[str, ...] = (
    "a bit flip noticed by a journal",
    "a bit flip noticed by storage",
    "a checkpoint was taken",
    "a checkpoint was torn",
    "a clock jumped",
    "a clock ran away",
    "a commit over several streams",
    "a full disk met",
    "a full store met",
    "a learner has rejoined",
    "a limit was refused",
    "a new storage replica has its rows",
    "a range was given",
    "a range was taken",
    "a read parked over a takeover",
    "a shard was given up",
    "a shard was taken",
    "a storage replica went to another crossbar",
    "a stream was added",
    "a stream was removed",
    "a stream was sealed",
    "a tail was cut",
    "a takeover with an unfinished tail",
    "a vote outlived its coordinator",
    "a vote was asked for",
    "a zombie was fenced",
    "aborted: conflict",
    "aborted: floor",
    "aborted: full",
    "an append was torn by a crash",
    "an epoch was handed over",
    "an old snapshot read again",
    "an old snapshot refused",
    "an outcome settled by a later epoch",
    "clock unsure",
    "fsync failure",
    "outcome: aborted",
    "outcome: committed",
    "the log was trimmed",
)


REGIONS: tuple[str, ...] = ("the stream went to another region",)


def never_reached(marks: Iterable[str], regions: str = "one", more: Iterable[str] = ()) -> list[str]:
    """Those of `EXPECTED`, and of `more`, that are not among `marks`; of a fleet in two regions also those of
    `REGIONS`."""
    reached = set(marks)
    expected = (*EXPECTED, *(REGIONS if regions != "one" else ()), *more)
    return [mark for mark in expected if mark not in reached]
