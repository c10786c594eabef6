"""Trigonometry in degrees, exact at the angles where people look (sind(30) is 0.5), and erf."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare

_RADIANS: Final = 0.0174532925199432957692369076848861271
_SIN_30: Final = math.sin(30 * _RADIANS)
_ONE_MINUS_COS_60: Final = 1.0 - math.cos(60 * _RADIANS)
_ASIN_HALF: Final = math.asin(0.5)
_ACOS_HALF: Final = math.acos(0.5)
_ATAN_ONE: Final = math.atan(1.0)


def _out_of_range() -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "input is out of range")


def _low_sine(x: float) -> float:
    return math.sin(x * _RADIANS) / _SIN_30 / 2.0


def _low_cosine(x: float) -> float:
    return 1.0 - (1.0 - math.cos(x * _RADIANS)) / _ONE_MINUS_COS_60 / 2.0


def _sine(x: float) -> float:
    return _low_sine(x) if x <= 30 else _low_cosine(90 - x)


def _cosine(x: float) -> float:
    return _low_cosine(x) if x <= 60 else _low_sine(90 - x)


def _finite(function: Callable[[float], float]) -> Callable[[float], float]:
    def run(x: float) -> float:
        if math.isnan(x):
            return x
        if math.isinf(x):
            raise _out_of_range()
        return function(x)

    return run


def _folded(x: float) -> tuple[float, int, int]:
    """(angle within 0 to 90, sign of the sine, sign of the cosine)."""
    x = math.fmod(x, 360.0)
    sine = cosine = 1
    if x < 0:
        x, sine = -x, -sine
    if x > 180:
        x, sine = 360 - x, -sine
    if x > 90:
        x, cosine = 180 - x, -cosine
    return x, sine, cosine


def _sind(x: float) -> float:
    angle, sign, _ = _folded(x)
    return sign * _sine(angle)


def _cosd(x: float) -> float:
    angle, _, sign = _folded(x)
    return sign * _cosine(angle)


def _tand(x: float) -> float:
    angle, sine, cosine = _folded(x)
    bottom = _cosine(angle)
    found = sine * cosine * ((_sine(angle) / bottom if bottom else math.inf) / (_sine(45) / _cosine(45)))
    return found or 0.0


def _cotd(x: float) -> float:
    angle, sine, cosine = _folded(x)
    bottom = _sine(angle)
    found = sine * cosine * ((_cosine(angle) / bottom if bottom else math.inf) / (_cosine(45) / _sine(45)))
    return found or 0.0


def _low_asin(x: float) -> float:
    return math.asin(x) / _ASIN_HALF * 30.0 if x <= 0.5 else 90.0 - math.acos(x) / _ACOS_HALF * 60.0


def _low_acos(x: float) -> float:
    return 90.0 - math.asin(x) / _ASIN_HALF * 30.0 if x <= 0.5 else math.acos(x) / _ACOS_HALF * 60.0


def _asind(x: float) -> float:
    if not -1 <= x <= 1:
        raise _out_of_range()
    return _low_asin(x) if x >= 0 else -_low_asin(-x)


def _acosd(x: float) -> float:
    if not -1 <= x <= 1:
        raise _out_of_range()
    return _low_acos(x) if x >= 0 else 90.0 + _low_asin(-x)


def functions() -> Iterator[Function]:
    for name, function in (
        ("sind", _sind), ("cosd", _cosd), ("tand", _tand), ("cotd", _cotd), ("asind", _asind), ("acosd", _acosd),
    ):  # fmt: skip
        yield declare(f"{name}(float8) float8", _finite(function))
    yield declare("atand(float8) float8", lambda x: math.atan(x) / _ATAN_ONE * 45.0)
    yield declare("atan2d(float8, float8) float8", lambda y, x: math.atan2(y, x) / _ATAN_ONE * 45.0)
    yield declare("erf(float8) float8", math.erf)
    yield declare("erfc(float8) float8", math.erfc)
