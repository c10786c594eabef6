"""Aggregates computed where the rows are: what travels with a scan, and how rows are folded into partial totals.

Sending a million rows to count them costs a hundred times what counting costs. So storage folds what a page would have
held into one *partial row* a group, and the processor merges partial rows: the same code at both ends, because a
transaction that has written in the range, or a replica of an older version, gives plain rows, which are folded where
they arrive. Only what does not depend on how the rows were cut into pages is here: a sum of floats does.

A partial row is a MessagePack array: the group's stored values, then one value a total:

    count_rows, count    an integer
    sum                  None, or the sum as text (it may exceed 64 bits; of numerics with its scale)
    min, max             None, or the value as stored
    bool_and, bool_or    None, or a boolean
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import IntEnum
from typing import Any

import msgspec

from tausql.protocol.rows import StoredRow, decode_stored, encode_stored

_EXACT = Context(prec=300_000, rounding=ROUND_HALF_UP, Emin=-400_000, Emax=400_000, traps=[])


class TotalKind(IntEnum):
    count_rows = 0
    count = 1  # of values that are not NULL
    sum = 2  # of integers, or with `numeric` of numerics
    min = 3
    max = 4
    bool_and = 5
    bool_or = 6


COUNTS = (TotalKind.count_rows, TotalKind.count)


class Total(msgspec.Struct, array_like=True, gc=False, frozen=True):
    kind: int
    column: int = 0  # position in the stored row
    numeric: bool = False  # the column is stored as text and means a number


class Aggregation(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """`groups`: positions whose values, as stored, tell groups apart. Without groups there is one partial row at most:
    none where no row came."""

    totals: tuple[Total, ...]
    groups: tuple[int, ...] = ()


class Folding:
    """Partial totals of the rows given so far. `size`: a guess at the bytes that the groups take."""

    __slots__ = ("_aggregation", "_alone", "_groups", "_only_counts", "_steps", "size")

    def __init__(self, aggregation: Aggregation) -> None:
        """Raises ValueError for a kind it does not know."""
        self._aggregation = aggregation
        self._steps = [_step_of(total) for total in aggregation.totals]
        self._only_counts = not aggregation.groups and all(
            total.kind == TotalKind.count_rows for total in aggregation.totals
        )
        self._groups: dict[Any, list[Any]] = {}
        self._alone = aggregation.groups[0] if len(aggregation.groups) == 1 else -1
        self.size = 0

    @property
    def needs_rows(self) -> bool:
        """False: only how many rows there are matters."""
        return not self._only_counts

    @property
    def groups(self) -> int:
        return len(self._groups)

    def count(self, rows: int) -> None:
        """So many more rows, of which nothing else is asked (`needs_rows` is False)."""
        if rows:
            state = self._groups.setdefault((), [0] * len(self._steps))
            for at in range(len(state)):
                state[at] += rows

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Rows as decoded from MessagePack."""
        if not rows:
            return
        if not self._aggregation.groups:
            self._fold((), rows)
            return
        met: dict[Any, list[StoredRow]] = {}
        for row in rows:
            key = self._key(row)
            own = met.get(key)
            if own is None:
                met[key] = [row]
            else:
                own.append(row)
        for key, own in met.items():
            self._fold(key, own)

    def add_partial(self, row: bytes) -> None:
        """A partial row, of a later page than what was added before."""
        values = decode_stored(row)
        count = len(self._aggregation.groups)
        key: Any = values[0] if self._alone >= 0 else tuple(values[:count])
        state = self._groups.get(key)
        if state is None:
            self._groups[key] = [
                _opened(total, value) for total, value in zip(self._aggregation.totals, values[count:], strict=True)
            ]
            self._grown(key)
            return
        for at, (total, value) in enumerate(zip(self._aggregation.totals, values[count:], strict=True)):
            state[at] = _merged(total, state[at], _opened(total, value))

    def partials(self) -> list[bytes]:
        """The groups so far, in the order they were first met, as partial rows."""
        totals = self._aggregation.totals
        return [
            encode_stored([*keys, *[_closed(total, value) for total, value in zip(totals, state, strict=True)]])
            for keys, state in self.results()
        ]

    def results(self) -> Iterable[tuple[list[Any], list[Any]]]:
        """(the group's stored values, its totals: sums are int or Decimal)."""
        if self._alone >= 0:
            return [([key], state) for key, state in self._groups.items()]
        return [(list(key), state) for key, state in self._groups.items()]

    def _key(self, row: StoredRow) -> Any:
        width = len(row)
        if self._alone >= 0:
            return row[self._alone] if self._alone < width else None
        return tuple([row[at] if at < width else None for at in self._aggregation.groups])

    def _fold(self, key: Any, rows: Sequence[StoredRow]) -> None:
        state = self._groups.get(key)
        if state is None:
            state = self._groups[key] = [_EMPTY[total.kind] for total in self._aggregation.totals]
            self._grown(key)
        for at, step in enumerate(self._steps):
            state[at] = step(state[at], rows)

    def _grown(self, key: Any) -> None:
        self.size += 64 + 16 * len(self._steps)
        for value in key if isinstance(key, tuple) else (key,):
            if isinstance(value, (str, bytes)):
                self.size += len(value)


_EMPTY: tuple[Any, ...] = (0, 0, None, None, None, None, None)  # by kind


def _values(rows: Sequence[StoredRow], column: int) -> list[Any]:
    """The column's values that are not NULL."""
    return [row[column] for row in rows if column < len(row) and row[column] is not None]


def _step_of(total: Total) -> Callable[[Any, Sequence[StoredRow]], Any]:
    kind, column = total.kind, total.column
    if kind == TotalKind.count_rows:
        return lambda state, rows: state + len(rows)
    if kind == TotalKind.count:
        return lambda state, rows: state + len(_values(rows, column))
    if kind not in (TotalKind.sum, TotalKind.min, TotalKind.max, TotalKind.bool_and, TotalKind.bool_or):
        raise ValueError(f"unknown total {kind}")
    fold = _fold_of(total)

    def step(state: Any, rows: Sequence[StoredRow]) -> Any:
        values = _values(rows, column)
        if not values:
            return state
        found = fold(values)
        return found if state is None else _merged(total, state, found)

    return step


def _fold_of(total: Total) -> Callable[[list[Any]], Any]:
    """What one or more values, none of them NULL, make."""
    kind = total.kind
    if kind == TotalKind.sum:
        return _numeric_sum if total.numeric else sum
    if kind == TotalKind.bool_and:
        return all
    if kind == TotalKind.bool_or:
        return any
    return lambda values: (min if kind == TotalKind.min else max)(values, key=_rank_of(total, values[0]))


def _numeric_sum(values: list[str]) -> Decimal:
    numbers = map(Decimal, values)
    found = next(numbers)
    for number in numbers:
        found = _EXACT.add(found, number)
    return found


def _rank_of(total: Total, sample: Any) -> Callable[[Any], Any] | None:
    """What makes values comparable; None where they are as they stand. NaN is the greatest number."""
    if total.numeric:
        return _numeric_rank
    return _float_rank if isinstance(sample, float) else None


def _numeric_rank(value: str) -> tuple[int, Decimal]:
    number = Decimal(value)
    return (1, Decimal(0)) if number.is_nan() else (0, number)


def _float_rank(value: float) -> tuple[int, float]:
    return (1, 0.0) if value != value else (0, value)


def _merged(total: Total, state: Any, value: Any) -> Any:
    """`state` of earlier rows, `value` of later ones."""
    kind = total.kind
    if state is None or value is None:
        return value if state is None else state
    if kind in COUNTS:
        return state + value
    if kind == TotalKind.sum:
        return _EXACT.add(state, value) if total.numeric else state + value
    if kind == TotalKind.bool_and:
        return state and value
    if kind == TotalKind.bool_or:
        return state or value
    rank = _rank_of(total, state) or (lambda one: one)
    if kind == TotalKind.min:
        return value if rank(value) < rank(state) else state
    return value if rank(value) > rank(state) else state


def _closed(total: Total, value: Any) -> Any:
    return str(value) if total.kind == TotalKind.sum and value is not None else value


def _opened(total: Total, value: Any) -> Any:
    if total.kind != TotalKind.sum or value is None:
        return value
    return Decimal(value) if total.numeric else int(value)
