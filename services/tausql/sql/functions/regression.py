"""Aggregates of two variables: correlation, covariance, linear regression.

One pass, with the sums of squares kept as deviations from the running mean (Youngs and Cramer): sums of plain squares
would lose every digit of values that lie close together far from zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, aggregate

State = list[float]  # N, Sx, Sxx, Sy, Syy, Sxy


def _start() -> State:
    return [0.0] * 6


def _step(state: State, y: float, x: float) -> State:
    count, sum_x, sxx, sum_y, syy, sxy = state
    more = count + 1.0
    sum_x += x
    sum_y += y
    if count > 0.0:
        away_x, away_y = x * more - sum_x, y * more - sum_y
        scale = 1.0 / (more * count)
        sxx += away_x * away_x * scale
        syy += away_y * away_y * scale
        sxy += away_x * away_y * scale
        if any(map(math.isinf, (sum_x, sxx, sum_y, syy, sxy))):
            if all(map(math.isfinite, (state[1], x, state[3], y))):
                raise SqlError(Code.numeric_value_out_of_range, "value out of range: overflow")
            sxx, syy, sxy = (math.nan if math.isinf(value) else value for value in (sxx, syy, sxy))
    else:
        if not math.isfinite(x):
            sxx = sxy = math.nan
        if not math.isfinite(y):
            syy = sxy = math.nan
    state[:] = more, sum_x, sxx, sum_y, syy, sxy
    return state


def _correlation(state: State) -> float | None:
    _, _, sxx, _, syy, sxy = state
    return None if sxx == 0 or syy == 0 else sxy / math.sqrt(sxx * syy)


def _determination(state: State) -> float | None:
    _, _, sxx, _, syy, sxy = state
    if sxx == 0:
        return None
    return 1.0 if syy == 0 else (sxy * sxy) / (sxx * syy)


def _intercept(state: State) -> float | None:
    count, sum_x, sxx, sum_y, _, sxy = state
    return None if sxx == 0 else (sum_y - sum_x * sxy / sxx) / count


def _of(least: int, value: Callable[[State], Any]) -> Callable[[State], Any]:
    return lambda state: None if state[0] < least else value(state)


def functions() -> Iterator[Function]:
    yield aggregate("regr_count(float8, float8) int8", _start, _step, lambda state: int(state[0]))
    for name, least, value in (
        ("regr_sxx", 1, lambda state: state[2]),
        ("regr_syy", 1, lambda state: state[4]),
        ("regr_sxy", 1, lambda state: state[5]),
        ("regr_avgx", 1, lambda state: state[1] / state[0]),
        ("regr_avgy", 1, lambda state: state[3] / state[0]),
        ("regr_r2", 1, _determination),
        ("regr_slope", 1, lambda state: None if state[2] == 0 else state[5] / state[2]),
        ("regr_intercept", 1, _intercept),
        ("covar_pop", 1, lambda state: state[5] / state[0]),
        ("covar_samp", 2, lambda state: state[5] / (state[0] - 1.0)),
        ("corr", 1, _correlation),
    ):
        yield aggregate(f"{name}(float8, float8) float8", _start, _step, _of(least, value))
