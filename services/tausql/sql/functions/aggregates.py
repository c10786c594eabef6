"""Aggregates as state machines; DISTINCT, ORDER BY, FILTER and skipping NULLs for strict ones are the executor's.

States are small lists (one allocation a group) or plain values; None means that no row came.
"""

from __future__ import annotations

import math
import operator as py
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.sql.functions import regression
from tausql.sql.functions.arithmetic import (
    divide_to_scale,
    division_scale,
    float_add,
    integer_out_of_range,
    numeric_divide,
)
from tausql.sql.functions.date_arithmetic import interval_divided, interval_plus
from tausql.sql.functions.function import Aggregate, Function, aggregate
from tausql.sql.functions.mathematics import numeric_sqrt
from tausql.sql.types.arrays import array_of_arrays
from tausql.sql.types.builtin import SCALARS
from tausql.sql.types.intervals import span_us
from tausql.sql.types.jsons import Jsonb, order_key
from tausql.sql.types.numbers import EXACT, to_float4
from tausql.sql.types.ordering import is_identity_key, is_orderable, nan_last_key, sort_key, timetz_key
from tausql.sql.types.type import Type

_INT8_LIMIT: Final = 2**63


def _none() -> None:
    return None


def _zero() -> int:
    return 0


def _same(state: Any) -> Any:
    return state


def _counts() -> Iterator[Aggregate]:
    yield aggregate(
        "count() int8", _zero, lambda state: state + 1, _same, strict=False, inverse=lambda state: state - 1
    )
    yield aggregate(
        "count(any) int8", _zero, lambda state, _value: state + 1, _same, inverse=lambda state, _value: state - 1
    )


def _int_sum(state: int | None, value: int) -> int:
    return value if state is None else state + value


def _checked_int8(state: int | None) -> int | None:
    if state is not None and not -_INT8_LIMIT <= state < _INT8_LIMIT:
        raise integer_out_of_range("int8")
    return state


def _as_numeric(state: int | None) -> Decimal | None:
    return None if state is None else Decimal(state)


def _numeric_sum(state: Decimal | None, value: Decimal) -> Decimal:
    return value if state is None else EXACT.add(state, value)


def _float_sum(state: float | None, value: float) -> float:
    return value if state is None else float_add(state, value)


def _pair() -> list[Any]:
    return [0, 0]


def _sum_and_count(add: Callable[[Any, Any], Any]) -> Callable[[list[Any], Any], list[Any]]:
    def step(state: list[Any], value: Any) -> list[Any]:
        state[0] = add(state[0], value) if state[1] else value
        state[1] += 1
        return state

    return step


def _less(state: list[Any], value: int) -> list[Any]:
    state[0] -= value
    state[1] -= 1
    return state


def _int_average(state: list[Any]) -> Decimal | None:
    return numeric_divide(Decimal(state[0]), Decimal(state[1])) if state[1] else None


def _interval_average(state: list[Any]) -> Any:
    return interval_divided(state[0], float(state[1])) if state[1] else None


def _sums_and_averages() -> Iterator[Aggregate]:
    for kind in ("int2", "int4"):
        yield aggregate(f"sum({kind}) int8", _none, _int_sum, _checked_int8, inverse=py.sub)
    yield aggregate("sum(int8) numeric", _none, _int_sum, _as_numeric, inverse=py.sub)
    yield aggregate("sum(numeric) numeric", _none, _numeric_sum, _same)
    yield aggregate("sum(float8) float8", _none, _float_sum, _same)
    yield aggregate("sum(float4) float4", _none, lambda state, v: v if state is None else to_float4(state + v), _same)
    yield aggregate("sum(interval) interval", _none, lambda s, v: v if s is None else interval_plus(s, v), _same)
    for kind in ("int2", "int4", "int8"):
        yield aggregate(f"avg({kind}) numeric", _pair, _sum_and_count(py.add), _int_average, inverse=_less)
    yield aggregate("avg(numeric) numeric", _pair, _sum_and_count(EXACT.add), _int_average)
    for kind in ("float4", "float8"):
        yield aggregate(
            f"avg({kind}) float8",
            _pair,
            _sum_and_count(float_add),
            lambda state: state[0] / state[1] if state[1] else None,
        )
    yield aggregate("avg(interval) interval", _pair, _sum_and_count(interval_plus), _interval_average)


def _smaller(key: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda state, value: value if state is None or key(value) < key(state) else state


def _larger(key: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda state, value: value if state is None or key(value) > key(state) else state


def _smaller_plain(state: Any, value: Any) -> Any:
    return value if state is None or value < state else state


def _larger_plain(state: Any, value: Any) -> Any:
    return value if state is None or value > state else state


_NO_EXTREMES: Final = frozenset(
    ("bool", "uuid", "jsonb", "bytea", "char", "name", "varchar", "record", "int2vector", "oidvector")
)


def _extremes() -> Iterator[Aggregate]:
    for type in SCALARS:
        if type.category == "P" or not is_orderable(type) or type.name in _NO_EXTREMES or type.name.startswith("reg"):
            continue
        key = sort_key(type)
        identity = is_identity_key(type)
        for name, step in (
            ("min", _smaller_plain if identity else _smaller(key)),
            ("max", _larger_plain if identity else _larger(key)),
        ):
            yield Aggregate(name, (type,), type, _none, step, _same)


def extreme(name: str, type: Type) -> Aggregate:
    """min or max of a type whose values compare as they are."""
    return Aggregate(name, (type,), type, _none, _smaller_plain if name == "min" else _larger_plain, _same)


def _array_key(value: list[Any]) -> tuple[Any, ...]:
    """Element by element; their kinds are told by the values, which all are of one type."""
    flat: list[Any] = []
    pending = [value]
    while pending:
        for item in pending.pop():
            if isinstance(item, list):
                pending.append(item)
            else:
                flat.append((item is None, 0 if item is None else _element_key(item)))
    return tuple(flat)


def _element_key(item: Any) -> Any:
    if isinstance(item, (float, Decimal)):
        return nan_last_key(item)
    if isinstance(item, Jsonb):
        return order_key(item.value)
    if isinstance(item, tuple):
        return span_us(item) if len(item) == 3 else timetz_key(item)
    return item


def _array_extremes() -> Iterator[Aggregate]:
    yield aggregate("min(anyarray) anyarray", _none, _smaller(_array_key), _same)
    yield aggregate("max(anyarray) anyarray", _none, _larger(_array_key), _same)


def _booleans() -> Iterator[Aggregate]:
    for name in ("bool_and", "every"):
        yield aggregate(f"{name}(bool) bool", _none, lambda state, v: v if state is None else state and v, _same)
    yield aggregate("bool_or(bool) bool", _none, lambda state, v: v if state is None else state or v, _same)
    for kind in ("int2", "int4", "int8"):
        yield aggregate(f"bit_and({kind}) {kind}", _none, lambda state, v: v if state is None else state & v, _same)
        yield aggregate(f"bit_or({kind}) {kind}", _none, lambda state, v: v if state is None else state | v, _same)
        yield aggregate(f"bit_xor({kind}) {kind}", _none, lambda state, v: v if state is None else state ^ v, _same)


def _joined(state: list[Any] | None, value: Any, separator: Any) -> list[Any] | None:
    if value is None:
        return state
    if state is None:
        return [value]
    if separator is not None:
        state.append(separator)
    state.append(value)
    return state


def _collected(state: list[Any] | None, value: Any) -> list[Any]:
    if state is None:
        return [value]
    state.append(value)
    return state


def _array_of_arrays(state: list[Any] | None) -> list[Any] | None:
    return None if state is None else array_of_arrays(state)


def _collections() -> Iterator[Aggregate]:
    yield aggregate(
        "string_agg(text, text) text", _none, _joined, lambda s: None if s is None else "".join(s), strict=False
    )
    yield aggregate(
        "string_agg(bytea, bytea) bytea", _none, _joined, lambda s: None if s is None else b"".join(s), strict=False
    )
    yield aggregate("array_agg(anynonarray) anyarray", _none, _collected, _same, strict=False)
    yield aggregate("array_agg(anyarray) anyarray", _none, _collected, _array_of_arrays, strict=False)


# --- variance ---


def _moments() -> list[Any]:
    return [0, 0, 0]


def _exact_step(state: list[Any], value: Any) -> list[Any]:
    """N, sum(x), sum(x^2): exact for integers and numerics."""
    number = Decimal(value) if isinstance(value, int) else value
    state[0] += 1
    state[1] = EXACT.add(Decimal(state[1]), number)
    state[2] = EXACT.add(Decimal(state[2]), EXACT.multiply(number, number))
    return state


def _exact_final(sample: bool, root: bool) -> Callable[[list[Any]], Decimal | None]:
    def final(state: list[Any]) -> Decimal | None:
        count, total, squares = state
        if count == 0 or (sample and count == 1):
            return None
        if not total.is_finite():
            return Decimal("NaN")
        numerator = EXACT.subtract(EXACT.multiply(Decimal(count), squares), EXACT.multiply(total, total))
        if numerator <= 0:
            return Decimal(0)
        divisor = Decimal(count * (count - 1) if sample else count * count)
        scale = division_scale(numerator, divisor)
        variance = divide_to_scale(numerator, divisor, scale)
        return numeric_sqrt(variance, scale) if root else variance

    return final


def _float_moments() -> list[Any]:
    return [0.0, 0.0, 0.0]


def _youngs_cramer(state: list[float], value: float) -> list[float]:
    """N, Sx, Sxx as float8_accum()."""
    count, total, squares = state
    new_count, new_total = count + 1.0, total + value
    if count > 0.0:
        distance = value * new_count - new_total
        squares += distance * distance / (new_count * count)
        if math.isinf(new_total) or math.isinf(squares):
            squares = math.nan
    elif not math.isfinite(value):
        squares = math.nan
    state[0], state[1], state[2] = new_count, new_total, squares
    return state


def _float_final(sample: bool, root: bool) -> Callable[[list[float]], float | None]:
    def final(state: list[float]) -> float | None:
        count, _, squares = state
        if count == 0 or (sample and count == 1):
            return None
        variance = squares / (count - 1 if sample else count)
        return math.sqrt(variance) if root else variance

    return final


def _variances() -> Iterator[Aggregate]:
    names = (
        ("variance", True, False), ("var_samp", True, False), ("var_pop", False, False),
        ("stddev", True, True), ("stddev_samp", True, True), ("stddev_pop", False, True),
    )  # fmt: skip
    for name, sample, root in names:
        for kind in ("int2", "int4", "int8", "numeric"):
            yield aggregate(f"{name}({kind}) numeric", _moments, _exact_step, _exact_final(sample, root))
        for kind in ("float4", "float8"):
            yield aggregate(f"{name}({kind}) float8", _float_moments, _youngs_cramer, _float_final(sample, root))


def functions() -> Iterator[Function]:
    yield from _counts()
    yield from _sums_and_averages()
    yield from _extremes()
    yield from _array_extremes()
    yield from _booleans()
    yield from _collections()
    yield from _variances()
    yield from regression.functions()
    yield aggregate("any_value(anyelement) anyelement", _none, lambda state, v: v if state is None else state, _same)
