"""What a guard is: words of a service's source, the words that take their place, and the rule that is then broken.

Source text, because most guards are one comparison within a function that must otherwise stay as it is. A text that is
not found exactly once is an error: the table has fallen behind the code. Where a service asserts the very thing beside
its guard, the assertion goes too: it is the simulation that has to notice.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Edit(NamedTuple):
    """In function `place` ("package.module:Class.method"), `old` (found once) becomes `new`."""

    place: str
    old: str
    new: str


class Hint(NamedTuple):
    """Where a guard is missed soonest: a choice among what any seed may draw, so that a table of all guards takes
    minutes. Nothing in it makes a run do what no seed does.

    workloads: as `Choices.workloads`. faults: kinds that are among those of the run. shape: fields of the drawn
    `Shape`, dotted, with their values. points: fault points that are on."""

    workloads: str = "lists"
    faults: tuple[str, ...] = ()
    shape: tuple[tuple[str, Any], ...] = ()
    points: tuple[str, ...] = ()


ANY = Hint("")


class Guard(NamedTuple):
    """`rule` says what holds while the guard is there."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    hint: Hint = ANY


TRIMS = (("trims", True),)
WIDE_CLOCKS = (("clock_bound_micros", 20_000),)
