"""Ordered-set and hypothetical-set aggregates: what comes WITHIN GROUP (ORDER BY ...).

They are no state machines: the executor collects and sorts the rows of a group, and asks once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.date_arithmetic import interval_plus, interval_times, negate
from tausql.sql.functions.function import Aggregate, Function, aggregate
from tausql.sql.types.builtin import FLOAT8, INT8
from tausql.sql.types.conversions import map_elements
from tausql.sql.types.type import Type

SortKey = Callable[[Sequence[Any]], Any]
Compute = Callable[[Sequence[Any], Sequence[Sequence[Any]], SortKey], Any]


class OrderedSet(Aggregate):
    """compute(direct arguments, sorted rows, sort key) -> datum; a row's first value is the first aggregated argument.

    arg_types: direct ones, `direct` of them, then the aggregated. strict: rows with a NULL are left out.
    """

    __slots__ = ("compute", "direct")

    def __init__(
        self, name: str, arg_types: tuple[Type, ...], result: Type, direct: int, compute: Compute, strict: bool = True
    ) -> None:
        super().__init__(name, arg_types, result, list, _unused, _unused, strict=strict)
        self.direct = direct
        self.compute = compute


def _unused(state: Any, *_values: Any) -> Any:
    raise SqlError(Code.internal_error, "an ordered-set aggregate was run row by row")


def _fraction(value: float) -> float:
    if value != value or not 0 <= value <= 1:
        raise SqlError(Code.numeric_value_out_of_range, f"percentile value {value:g} is not between 0 and 1")
    return value


def _discrete(fraction: float, rows: Sequence[Sequence[Any]]) -> Any:
    return rows[max(math.ceil(_fraction(fraction) * len(rows)), 1) - 1][0]


def _between_floats(low: float, high: float, part: float) -> float:
    return low + part * (high - low)


def _between_intervals(low: Any, high: Any, part: float) -> Any:
    return interval_plus(interval_times(interval_plus(high, negate(low)), part), low)


def _continuous(between: Callable[[Any, Any, float], Any]) -> Callable[[float, Sequence[Sequence[Any]]], Any]:
    def value(fraction: float, rows: Sequence[Sequence[Any]]) -> Any:
        place = _fraction(fraction) * (len(rows) - 1)
        first, second = math.floor(place), math.ceil(place)
        if first == second:
            return rows[first][0]
        return between(rows[first][0], rows[second][0], place - first)

    return value


def _one(value: Callable[[float, Sequence[Sequence[Any]]], Any]) -> Compute:
    def compute(direct: Sequence[Any], rows: Sequence[Sequence[Any]], _key: SortKey) -> Any:
        if direct[0] is None:
            return None
        _fraction(direct[0])
        return value(direct[0], rows) if rows else None

    return compute


def _many(value: Callable[[float, Sequence[Sequence[Any]]], Any]) -> Compute:
    def compute(direct: Sequence[Any], rows: Sequence[Sequence[Any]], _key: SortKey) -> Any:
        if direct[0] is None or not rows:
            return None
        return map_elements(direct[0], lambda fraction: value(fraction, rows))

    return compute


def _mode(_direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> Any:
    """The commonest value; the first in order where several are."""
    best, most, count = None, 0, 0
    before: Any = None
    for row in rows:
        mark = key(row)
        count = count + 1 if mark == before else 1
        before = mark
        if count > most:
            best, most = row[0], count
    return best


def _preceding(direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> Sequence[Sequence[Any]]:
    mark = key(direct)
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if key(rows[middle]) < mark:
            low = middle + 1
        else:
            high = middle
    return rows[:low]


def _rank(direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> int:
    return len(_preceding(direct, rows, key)) + 1


def _dense_rank(direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> int:
    return sum(1 for _ in groupby(_preceding(direct, rows, key), key)) + 1


def _percent_rank(direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> float:
    return len(_preceding(direct, rows, key)) / len(rows) if rows else 0.0


def _cume_dist(direct: Sequence[Any], rows: Sequence[Sequence[Any]], key: SortKey) -> float:
    before = _preceding(direct, rows, key)
    mark = key(direct)
    at = len(before)
    while at < len(rows) and key(rows[at]) == mark:
        at += 1
    return (at + 1) / (len(rows) + 1)


_HYPOTHETICAL: Final = MappingProxyType(
    {"rank": (INT8, _rank), "dense_rank": (INT8, _dense_rank), "percent_rank": (FLOAT8, _percent_rank),
     "cume_dist": (FLOAT8, _cume_dist)}
)  # fmt: skip


def hypothetical(name: str, types: Sequence[Type]) -> OrderedSet | None:
    """rank(...) and its kin over columns of these types; None for other names."""
    found = _HYPOTHETICAL.get(name)
    if found is None:
        return None
    return OrderedSet(name, (*types, *types), found[0], len(types), found[1], strict=False)


def is_hypothetical(name: str) -> bool:
    return name in _HYPOTHETICAL


def _declared(signature: str, compute: Compute, direct: int = 1) -> OrderedSet:
    shape = aggregate(signature, list, _unused, _unused)
    return OrderedSet(shape.name, shape.arg_types, shape.result, direct, compute)


def functions() -> Iterator[Function]:
    floats, intervals = _continuous(_between_floats), _continuous(_between_intervals)
    yield _declared("percentile_cont(float8, float8) float8", _one(floats))
    yield _declared("percentile_cont(float8, interval) interval", _one(intervals))
    yield _declared("percentile_cont(_float8, float8) _float8", _many(floats))
    yield _declared("percentile_cont(_float8, interval) _interval", _many(intervals))
    yield _declared("percentile_disc(float8, anyelement) anyelement", _one(_discrete))
    yield _declared("percentile_disc(_float8, anyelement) anyarray", _many(_discrete))
    yield _declared("mode(anyelement) anyelement", _mode, direct=0)
