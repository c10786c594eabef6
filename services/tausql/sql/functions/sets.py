"""Set-returning functions: generate_series, unnest. Each gives an iterator of datums."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.date_arithmetic import timestamp_plus, zoned_plus
from tausql.sql.functions.date_making import zone_named
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.arrays import DIMENSIONS_MAX, BoundedArray
from tausql.sql.types.intervals import Interval, span_us
from tausql.sql.types.numbers import EXACT


def _zero_step() -> SqlError:
    return SqlError(Code.invalid_parameter_value, "step size cannot equal zero")


def _integers(start: int, stop: int, step: int = 1) -> Iterator[int]:
    if step == 0:
        raise _zero_step()
    return iter(range(start, stop + 1 if step > 0 else stop - 1, step))


def _numerics(start: Decimal, stop: Decimal, step: Decimal = Decimal(1)) -> Iterator[Decimal]:
    for value, what in ((start, "start value"), (stop, "stop value"), (step, "step size")):
        if not value.is_finite():
            shown = "NaN" if value.is_nan() else "infinity"
            raise SqlError(Code.invalid_parameter_value, f"{what} cannot be {shown}")
    if not step:
        raise _zero_step()
    return _count_numerics(start, stop, step)


def _count_numerics(start: Decimal, stop: Decimal, step: Decimal) -> Iterator[Decimal]:
    value = EXACT.add(start, EXACT.multiply(step, Decimal(0)))
    while value <= stop if step > 0 else value >= stop:
        yield value
        value = EXACT.add(value, step)


def _sign(step: Interval) -> int:
    length = span_us(step)
    if length == 0:
        raise _zero_step()
    return 1 if length > 0 else -1


def _timestamps(start: int, stop: int, step: Interval) -> Iterator[int]:
    sign = _sign(step)
    value = start
    while value * sign <= stop * sign:
        yield value
        value = timestamp_plus(value, step)


def _timestamptzs(context: Any, start: int, stop: int, step: Interval, zone_name: str | None = None) -> Iterator[int]:
    sign = _sign(step)
    zone = context.format.zone if zone_name is None else zone_named(zone_name)
    value = start
    while value * sign <= stop * sign:
        yield value
        value = zoned_plus(value, step, zone)


def _unnest(value: list[Any]) -> Iterator[Any]:
    for item in value:
        if isinstance(item, list):
            yield from _unnest(item)
        else:
            yield item


def _subscripts(value: list[Any], dimension: int) -> Iterator[int]:
    if not 1 <= dimension <= DIMENSIONS_MAX:
        return iter(())
    level: Any = value
    for _ in range(dimension - 1):
        level = level[0] if isinstance(level, list) and level else []
    if not isinstance(level, list):
        return iter(())
    low = value.lows[dimension - 1] if isinstance(value, BoundedArray) and level else 1
    return iter(range(low, low + len(level)))


def functions() -> Iterator[Function]:
    for kind in ("int4", "int8"):
        yield declare(f"generate_series({kind}, {kind}) {kind}", _integers, returns_set=True)
        yield declare(f"generate_series({kind}, {kind}, {kind}) {kind}", _integers, returns_set=True)
    yield declare("generate_series(numeric, numeric) numeric", _numerics, returns_set=True)
    yield declare("generate_series(numeric, numeric, numeric) numeric", _numerics, returns_set=True)
    yield declare("generate_series(timestamp, timestamp, interval) timestamp", _timestamps, returns_set=True)
    for zone in ("", ", text"):
        yield declare(
            f"generate_series(timestamptz, timestamptz, interval{zone}) timestamptz",
            _timestamptzs,
            returns_set=True,
            volatility=STABLE,
            context=True,
        )
    yield declare("unnest(anyarray) anyelement", _unnest, returns_set=True)
    yield declare("generate_subscripts(anyarray, int4) int4", _subscripts, returns_set=True)
    yield declare(
        "generate_subscripts(anyarray, int4, bool) int4",
        lambda value, dimension, reverse: (
            reversed(list(_subscripts(value, dimension))) if reverse else _subscripts(value, dimension)
        ),
        returns_set=True,
    )
