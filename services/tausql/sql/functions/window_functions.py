"""The window functions that are no aggregates.

They look at the whole partition at once: an implementation gets its shape (how many rows, which are peers) and the
arguments of every row, and gives the value of every row. first_value and its kin look at the row's frame instead; only
their resolution is here, the executor reads them straight from the frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare

FRAMED: Final = frozenset(("first_value", "last_value", "nth_value"))

Arguments = Sequence[Sequence[Any]]  # of every row


@dataclass(slots=True)
class Shape:
    """Rows of a partition in window order: the number of each one's peer group, where each group begins and ends."""

    size: int
    group_of: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def _row_number(shape: Shape, _arguments: Arguments) -> list[Any]:
    return list(range(1, shape.size + 1))


def _rank(shape: Shape, _arguments: Arguments) -> list[Any]:
    return [shape.starts[group] + 1 for group in shape.group_of]


def _dense_rank(shape: Shape, _arguments: Arguments) -> list[Any]:
    return [group + 1 for group in shape.group_of]


def _percent_rank(shape: Shape, _arguments: Arguments) -> list[Any]:
    if shape.size <= 1:
        return [0.0] * shape.size
    return [shape.starts[group] / (shape.size - 1) for group in shape.group_of]


def _cume_dist(shape: Shape, _arguments: Arguments) -> list[Any]:
    return [shape.ends[group] / shape.size for group in shape.group_of]


def _ntile(shape: Shape, arguments: Arguments) -> list[Any]:
    """Buckets as even as can be, the larger ones first. The number is that of the first row that has one."""
    made: list[Any] = []
    for (count,) in arguments:
        if count is None:
            made.append(None)
            continue
        if count <= 0:
            raise SqlError(Code.invalid_argument_for_ntile_function, "argument of ntile must be greater than zero")
        small, larger = divmod(shape.size, count)
        bucket, left = 1, small + (larger > 0)
        while len(made) < shape.size:
            if left == 0:
                bucket += 1
                left = small + (bucket <= larger)
            left -= 1
            made.append(bucket)
        break
    return made


def _shifted(arguments: Arguments, sign: int) -> list[Any]:
    size = len(arguments)
    made: list[Any] = []
    for at, values in enumerate(arguments):
        offset = values[1] if len(values) > 1 else 1
        if offset is None:
            made.append(None)
            continue
        other = at + sign * offset
        if 0 <= other < size:
            made.append(arguments[other][0])
        else:
            made.append(values[2] if len(values) > 2 else None)
    return made


def _lag(_shape: Shape, arguments: Arguments) -> list[Any]:
    return _shifted(arguments, -1)


def _lead(_shape: Shape, arguments: Arguments) -> list[Any]:
    return _shifted(arguments, 1)


def _framed(shape: Shape, arguments: Arguments) -> list[Any]:
    raise SqlError(Code.internal_error, "a function of the frame was asked for a partition")


class WindowFunction(Function):
    """impl(shape, arguments of every row) -> the value of every row."""

    __slots__ = ()


def functions() -> Iterator[Function]:
    for signature, impl in (
        ("row_number() int8", _row_number),
        ("rank() int8", _rank),
        ("dense_rank() int8", _dense_rank),
        ("percent_rank() float8", _percent_rank),
        ("cume_dist() float8", _cume_dist),
        ("ntile(int4) int4", _ntile),
        ("lag(anyelement) anyelement", _lag),
        ("lag(anyelement, int4) anyelement", _lag),
        ("lag(anycompatible, int4, anycompatible) anycompatible", _lag),
        ("lead(anyelement) anyelement", _lead),
        ("lead(anyelement, int4) anyelement", _lead),
        ("lead(anycompatible, int4, anycompatible) anycompatible", _lead),
        ("first_value(anyelement) anyelement", _framed),
        ("last_value(anyelement) anyelement", _framed),
        ("nth_value(anyelement, int4) anyelement", _framed),
    ):
        made = declare(signature, impl, strict=False)
        yield WindowFunction(made.name, made.arg_types, made.result, impl, strict=False, kind="w")
