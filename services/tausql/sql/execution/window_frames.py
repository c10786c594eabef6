"""Frames: for every row of a partition the rows its window function looks at, as ranges of positions.

Bounds move forward only, as rows do: one walk over the partition finds all of them, whatever the mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.execution.subplans import Value
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.frames import InRange
from tausql.sql.expressions.window_nodes import (
    CURRENT,
    FOLLOWING,
    PRECEDING,
    UNBOUNDED_FOLLOWING,
    UNBOUNDED_PRECEDING,
)
from tausql.sql.functions.window_functions import Shape


@dataclass(frozen=True, slots=True)
class RangeOrder:
    """The one ORDER BY column of a RANGE with an offset: its test, and how it is sorted."""

    in_range: InRange
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class FramePlan:
    """As `expressions.window_nodes.Frame`, compiled."""

    mode: str
    start: str
    start_offset: Value | None
    end: str
    end_offset: Value | None
    exclude: str
    range_order: RangeOrder | None

    @property
    def whole(self) -> bool:
        """All rows of the partition for every row."""
        return self.start == UNBOUNDED_PRECEDING and self.end == UNBOUNDED_FOLLOWING and not self.exclude


def offset_of(value: Value | None, which: str, mode: str, context: Context) -> Any:
    """The offset of one execution; RANGE checks the sign where it is used."""
    if value is None:
        return None
    offset = value([], context)
    if offset is None:
        raise SqlError(Code.null_value_not_allowed, f"frame {which} offset must not be null")
    if mode != "range" and offset < 0:
        raise SqlError(Code.invalid_preceding_or_following_size, f"frame {which} offset must not be negative")
    return offset


class Bounds:
    """`starts` and `ends` of the frames of all rows of a partition, before anything is excluded."""

    __slots__ = ("ends", "starts")

    def __init__(
        self, plan: FramePlan, shape: Shape, values: Sequence[Any], offsets: tuple[Any, Any], context: Context
    ) -> None:
        self.starts = _bounds(plan, shape, values, plan.start, offsets[0], False, context)
        self.ends = _bounds(plan, shape, values, plan.end, offsets[1], True, context)

    def ranges(self, at: int, exclude: str, shape: Shape) -> list[tuple[int, int]]:
        """The frame of one row in at most three pieces."""
        start, end = self.starts[at], self.ends[at]
        if start >= end:
            return []
        if not exclude:
            return [(start, end)]
        if exclude == "current row":
            return _without(start, end, at, at + 1)
        group = shape.group_of[at]
        first, last = shape.starts[group], shape.ends[group]
        pieces = _without(start, end, first, last)
        if exclude == "ties" and start <= at < end:
            pieces = sorted([*pieces, (at, at + 1)])
        return pieces


def _without(start: int, end: int, first: int, last: int) -> list[tuple[int, int]]:
    pieces = ((start, min(end, first)), (max(start, last), end))
    return [(low, high) for low, high in pieces if low < high]


def _bounds(
    plan: FramePlan, shape: Shape, values: Sequence[Any], kind: str, offset: Any, is_end: bool, context: Context
) -> list[int]:
    size, groups = shape.size, len(shape.starts)
    if kind == UNBOUNDED_PRECEDING:
        return [0] * size
    if kind == UNBOUNDED_FOLLOWING:
        return [size] * size
    if plan.mode == "rows":
        shift = (offset if kind == FOLLOWING else -offset if kind == PRECEDING else 0) + is_end
        return [min(max(at + shift, 0), size) for at in range(size)]
    edges = shape.ends if is_end else shape.starts
    if kind == CURRENT:
        return [edges[group] for group in shape.group_of]
    if plan.mode == "groups":
        shift = offset if kind == FOLLOWING else -offset
        by_group = [_edge(edges, group + shift, groups, size) for group in range(groups)]
    else:
        by_group = _range_edges(plan, shape, values, kind, offset, is_end, context)
    return [by_group[group] for group in shape.group_of]


def _edge(edges: Sequence[int], group: int, groups: int, size: int) -> int:
    if group < 0:
        return 0
    return edges[group] if group < groups else size


def _range_edges(
    plan: FramePlan, shape: Shape, values: Sequence[Any], kind: str, offset: Any, is_end: bool, context: Context
) -> list[int]:
    """For each peer group the first row that is not before the frame, or with `is_end` the first behind it."""
    order = plan.range_order
    assert order is not None
    subtract = kind == PRECEDING
    less = is_end
    if order.descending:
        subtract, less = not subtract, not less
    made: list[int] = []
    at = 0
    for first in shape.starts:
        current = values[first]
        while at < shape.size:
            other = values[at]
            if other is None or current is None:
                if is_end:
                    stop = other is not None if order.nulls_first else current is not None
                elif order.nulls_first:
                    stop = other is not None or current is None
                else:
                    stop = other is None or current is not None
                if stop:
                    break
            elif order.in_range(context, other, current, offset, subtract, less) != is_end:
                break
            at += 1
        made.append(at)
    return made
