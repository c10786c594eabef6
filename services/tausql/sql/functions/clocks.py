"""What time it is: of the transaction, of the statement, of the wall; and waiting until it is later.

All clocks come from the context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tausql.sql.functions.function import STABLE, VOLATILE, Function, declare
from tausql.sql.sleeping import pg_sleep, pg_sleep_for, pg_sleep_until
from tausql.sql.types.calendar import DAY_US
from tausql.sql.types.datetimes import round_us, to_local


def _now(context: Any) -> int:
    us: int = context.now_us
    return us


def _local(context: Any) -> int:
    return to_local(context.now_us, context.format)


def _timetz(context: Any) -> tuple[int, int]:
    return _local(context) % DAY_US, -context.format.zone.offset_at(context.now_us)


def _rounded(read: Callable[[Any], int]) -> Callable[[Any, int], int]:
    return lambda context, precision: round_us(read(context), max(precision, 0))


def functions() -> Iterator[Function]:
    for name in ("now", "transaction_timestamp", "current_timestamp"):
        yield declare(f"{name}() timestamptz", _now, volatility=STABLE, context=True)
    yield declare("current_timestamp(int4) timestamptz", _rounded(_now), volatility=STABLE, context=True)
    yield declare(
        "statement_timestamp() timestamptz", lambda context: context.statement_now_us, volatility=STABLE, context=True
    )
    yield declare("clock_timestamp() timestamptz", lambda context: context.clock(), volatility=VOLATILE, context=True)
    yield declare("current_date() date", lambda context: _local(context) // DAY_US, volatility=STABLE, context=True)
    yield declare("localtimestamp() timestamp", _local, volatility=STABLE, context=True)
    yield declare("localtimestamp(int4) timestamp", _rounded(_local), volatility=STABLE, context=True)
    yield declare("localtime() time", lambda context: _local(context) % DAY_US, volatility=STABLE, context=True)
    yield declare(
        "localtime(int4) time",
        lambda context, precision: round_us(_local(context) % DAY_US, precision),
        volatility=STABLE,
        context=True,
    )
    yield declare("current_time() timetz", _timetz, volatility=STABLE, context=True)
    yield declare(
        "current_time(int4) timetz",
        lambda context, precision: (round_us(_timetz(context)[0], precision), _timetz(context)[1]),
        volatility=STABLE,
        context=True,
    )
    yield declare("pg_sleep(float8) void", pg_sleep, volatility=VOLATILE, context=True)
    yield declare("pg_sleep_for(interval) void", pg_sleep_for, volatility=VOLATILE, context=True)
    yield declare("pg_sleep_until(timestamptz) void", pg_sleep_until, volatility=VOLATILE, context=True)
