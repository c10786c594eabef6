"""round, power, sqrt, logarithms, trigonometry: floats by the C library, numerics to PostgreSQL's scales."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.arithmetic import divide_to_scale, float_overflow, float_underflow, truncate
from tausql.sql.functions.comparison import array_key
from tausql.sql.functions.function import Function, declare, operator
from tausql.sql.types.numbers import EXACT, plain, round_to, scale_of

_DISPLAY_SCALE_MAX: Final = 1000
_RADIANS_A_DEGREE: Final = 0.0174532925199432957692
_LOG10_E: Final = 0.434294481903252


def _log_domain(value: Any) -> None:
    if value == 0:
        raise SqlError(Code.invalid_argument_for_logarithm, "cannot take logarithm of zero")
    if value < 0:
        raise SqlError(Code.invalid_argument_for_logarithm, "cannot take logarithm of a negative number")


def _sqrt_domain(value: Any) -> None:
    if value < 0:
        raise SqlError(Code.invalid_argument_for_power_function, "cannot take square root of a negative number")


def _input_out_of_range() -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "input is out of range")


# --- floats ---


def _inverse_tanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


def _cotangent(value: float) -> float:
    return math.copysign(math.inf, value) if value == 0 else 1 / math.tan(value)


def float_sqrt(value: float) -> float:
    _sqrt_domain(value)
    return math.sqrt(value)


def float_ln(value: float) -> float:
    _log_domain(value)
    return math.log(value)


def float_log10(value: float) -> float:
    _log_domain(value)
    return math.log10(value)


def float_exp(value: float) -> float:
    try:
        result = math.exp(value)
    except OverflowError as error:
        raise float_overflow() from error
    if result == 0.0 and value != -math.inf:
        raise float_underflow()
    return result


def float_power(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        raise SqlError(Code.invalid_argument_for_power_function, "zero raised to a negative power is undefined")
    if base < 0 and math.isfinite(exponent) and exponent != math.floor(exponent):
        raise SqlError(
            Code.invalid_argument_for_power_function,
            "a negative number raised to a non-integer power yields a complex result",
        )
    try:
        result = math.pow(base, exponent)
    except OverflowError as error:
        raise float_overflow() from error
    if result == 0.0 and base != 0.0 and math.isfinite(base) and math.isfinite(exponent):
        raise float_underflow()
    return result


def float_round(value: float) -> float:
    return math.copysign(round(value), value) if math.isfinite(value) and abs(value) < 2**53 else value


def _keeping_specials(calculate: Callable[[float], int]) -> Callable[[float], float]:
    """Infinities and NaN stay what they are, and what becomes nought keeps its sign: ceil(-0.25) is -0."""

    def run(value: float) -> float:
        return math.copysign(calculate(value), value) if math.isfinite(value) else value

    return run


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def _domain_checked(calculate: Callable[[float], float]) -> Callable[[float], float]:
    def run(value: float) -> float:
        try:
            return calculate(value)
        except (ValueError, OverflowError) as error:
            raise _input_out_of_range() from error

    return run


def _hyperbolic(calculate: Callable[[float], float]) -> Callable[[float], float]:
    def run(value: float) -> float:
        try:
            return calculate(value)
        except OverflowError:
            return math.copysign(math.inf, value) if calculate is math.sinh else math.inf

    return run


def _cbrt(value: float) -> float:
    return math.cbrt(value)


def _factorial(value: int) -> Decimal:
    if value < 0:
        raise SqlError(Code.numeric_value_out_of_range, "factorial of a negative number is undefined")
    if value > 32177:
        raise SqlError(Code.numeric_value_out_of_range, "value overflows numeric format")
    return EXACT.create_decimal(math.factorial(value))


def _float_functions() -> Iterator[Function]:
    ceil, floor = _keeping_specials(math.ceil), _keeping_specials(math.floor)
    unary: tuple[tuple[str, Callable[[float], float]], ...] = (
        ("ceil", ceil), ("ceiling", ceil), ("floor", floor), ("round", float_round),
        ("trunc", _keeping_specials(math.trunc)), ("sign", _sign), ("sqrt", float_sqrt), ("cbrt", _cbrt),
        ("exp", float_exp), ("ln", float_ln), ("log", float_log10), ("log10", float_log10),
        ("sin", _domain_checked(math.sin)), ("cos", _domain_checked(math.cos)), ("tan", _domain_checked(math.tan)),
        ("asin", _domain_checked(math.asin)), ("acos", _domain_checked(math.acos)), ("atan", math.atan),
        ("cot", _domain_checked(_cotangent)), ("sinh", _hyperbolic(math.sinh)),
        ("cosh", _hyperbolic(math.cosh)), ("tanh", math.tanh), ("asinh", math.asinh),
        ("acosh", _domain_checked(math.acosh)), ("atanh", _domain_checked(_inverse_tanh)),
        ("degrees", lambda value: value / _RADIANS_A_DEGREE), ("radians", math.radians),
    )  # fmt: skip
    for name, calculate in unary:
        yield declare(f"{name}(float8) float8", calculate)
    yield declare("pi() float8", lambda: math.pi)
    yield declare("atan2(float8, float8) float8", math.atan2)
    for name in ("power", "pow"):
        yield declare(f"{name}(float8, float8) float8", float_power)
    yield operator("^", "float8", "float8", "float8", float_power)
    yield operator("|/", None, "float8", "float8", float_sqrt)
    yield operator("||/", None, "float8", "float8", _cbrt)
    yield declare("factorial(int8) numeric", _factorial)


# --- numerics ---


def _clamp(scale: int, *at_least: int) -> int:
    return min(max(scale, 0, *at_least), _DISPLAY_SCALE_MAX)


def _context(digits: int) -> Context:
    return Context(prec=max(digits, 30), Emin=-400_000, Emax=400_000, traps=[])


def numeric_sqrt(value: Decimal, scale: int | None = None) -> Decimal:
    """To `scale` digits; None: as many as sqrt(numeric) gives."""
    if value.is_nan():
        return value
    _sqrt_domain(value)
    if value.is_infinite():
        return value
    if scale is None:
        weight = value.adjusted() // 4 if value else 0
        half = weight * 4 // 2 + 1 if weight >= 0 else 1 - (1 - weight * 4) // 2
        scale = _clamp(16 - half, scale_of(value))
    shifted = int(EXACT.scaleb(value, 2 * scale + 2))
    return round_to(EXACT.scaleb(Decimal(math.isqrt(shifted)), -scale - 1), scale)


def numeric_exp(value: Decimal) -> Decimal:
    if not value.is_finite():
        return Decimal(0) if value.is_infinite() and value < 0 else value
    weight = float(value) * _LOG10_E
    if weight > 131_072:
        raise SqlError(Code.numeric_value_out_of_range, "value overflows numeric format")
    scale = _clamp(16 - int(weight), scale_of(value)) if weight > -2000 else _DISPLAY_SCALE_MAX
    result = _context(int(max(weight, 0)) + scale + 10).exp(value)
    return plain(round_to(result, scale))


def _ln_decimal_weight(value: Decimal) -> int:
    """estimate_ln_dweight()."""
    if Decimal("0.9") <= value <= Decimal("1.1"):
        distance = EXACT.subtract(value, Decimal(1))
        return distance.adjusted() if distance else 0
    logarithm = float(_context(20).ln(value))
    return int(math.log10(abs(logarithm)))


def numeric_ln(value: Decimal) -> Decimal:
    if value.is_nan():
        return value
    _log_domain(value)
    if value.is_infinite():
        return value
    scale = _clamp(16 - _ln_decimal_weight(value), scale_of(value))
    return round_to(_context(scale + 20).ln(value), scale)


def numeric_log(base: Decimal, value: Decimal) -> Decimal:
    """log(b, x)."""
    if base.is_nan() or value.is_nan():
        return Decimal("NaN")
    _log_domain(base)
    _log_domain(value)
    if not base.is_finite():
        return Decimal("NaN") if not value.is_finite() else Decimal(0)
    if not value.is_finite():
        return value
    weight = _ln_decimal_weight(value) - _ln_decimal_weight(base)
    scale = _clamp(16 - weight, scale_of(base), scale_of(value))
    context = _context(scale + 30)
    divisor = context.ln(base)
    if not divisor:
        raise SqlError(Code.division_by_zero, "division by zero")
    return round_to(context.divide(context.ln(value), divisor), scale)


def numeric_log10(value: Decimal) -> Decimal:
    return numeric_log(Decimal(10), value)


def numeric_power(base: Decimal, exponent: Decimal) -> Decimal:
    if not base.is_finite() or not exponent.is_finite():
        return _power_of_specials(base, exponent)
    if not base and exponent < 0:
        raise SqlError(Code.invalid_argument_for_power_function, "zero raised to a negative power is undefined")
    whole = exponent == exponent.to_integral_value()
    if base < 0 and not whole:
        raise SqlError(
            Code.invalid_argument_for_power_function,
            "a negative number raised to a non-integer power yields a complex result",
        )
    if not base:
        scale = _clamp(16, scale_of(base), scale_of(exponent)) if whole else 16
        return round_to(Decimal(1 if not exponent else 0), scale)
    if not exponent:
        return round_to(Decimal(1), _clamp(16, scale_of(base), scale_of(exponent)))
    weight = float(exponent) * float(_context(20).log10(abs(base)))
    if weight > 131_072:
        raise SqlError(Code.numeric_value_out_of_range, "value overflows numeric format")
    scale = _clamp(16 - int(weight), scale_of(base), scale_of(exponent)) if weight > -2000 else _DISPLAY_SCALE_MAX
    digits = int(max(weight, 0)) + scale + 20
    if whole and abs(exponent) < 2**31:
        return _integer_power(base, int(exponent), scale, digits)
    return plain(round_to(_context(digits).power(base, exponent), scale))


def _integer_power(base: Decimal, exponent: int, scale: int, digits: int) -> Decimal:
    if exponent == -1:
        return divide_to_scale(Decimal(1), base, scale)
    context = _context(digits)
    return plain(round_to(context.power(base, Decimal(exponent)), scale))


def _power_of_specials(base: Decimal, exponent: Decimal) -> Decimal:
    if base == 1 or exponent == 0:
        return Decimal(1)
    if base.is_nan() or exponent.is_nan():
        return Decimal("NaN")
    answer = math.pow(float(base) if base.is_infinite() else math.copysign(min(abs(float(base)), 1e300), float(base)),
                      float(exponent))  # fmt: skip
    return Decimal(answer)


def _ceil(value: Decimal) -> Decimal:
    if not value.is_finite():
        return value
    result = value.to_integral_value(ROUND_CEILING)
    return plain(result)


def _floor(value: Decimal) -> Decimal:
    if not value.is_finite():
        return value
    return plain(value.to_integral_value(ROUND_FLOOR))


def _numeric_sign(value: Decimal) -> Decimal:
    return value if value.is_nan() else Decimal((value > 0) - (value < 0))


def _trim_scale(value: Decimal) -> Decimal:
    return plain(value.normalize(EXACT)) if value.is_finite() else value


def _min_scale(value: Decimal) -> int | None:
    return scale_of(_trim_scale(value)) if value.is_finite() else None


def _bucket_of(value: Any, thresholds: list[Any]) -> int:
    """How many of the (ascending) thresholds are not above the value."""
    if thresholds and isinstance(thresholds[0], list):
        raise SqlError(Code.array_subscript_error, "thresholds must be one-dimensional array")
    if None in thresholds:
        raise SqlError(Code.null_value_not_allowed, "thresholds array must not contain NULLs")
    keys = [array_key((item,)) for item in thresholds]
    return bisect_right(keys, array_key((value,)))


def _width_bucket(value: Any, low: Any, high: Any, count: int) -> int:
    code = Code.invalid_argument_for_width_bucket_function
    if count <= 0:
        raise SqlError(code, "count must be greater than zero")
    if value != value or low != low or high != high:
        raise SqlError(code, "operand, lower bound, and upper bound cannot be NaN")
    if not math.isfinite(low) or not math.isfinite(high):
        raise SqlError(code, "lower and upper bounds must be finite")
    if low == high:
        raise SqlError(code, "lower bound cannot equal upper bound")
    if low < high:
        if value < low:
            return 0
        return count + 1 if value >= high else int((value - low) * count // (high - low)) + 1
    if value > low:
        return 0
    return count + 1 if value <= high else int((low - value) * count // (low - high)) + 1


def _numeric_functions() -> Iterator[Function]:
    unary: tuple[tuple[str, Callable[[Decimal], Any]], ...] = (
        ("ceil", _ceil), ("ceiling", _ceil), ("floor", _floor), ("sign", _numeric_sign), ("sqrt", numeric_sqrt),
        ("exp", numeric_exp), ("ln", numeric_ln), ("log", numeric_log10), ("log10", numeric_log10),
        ("round", lambda value: round_to(value, 0)), ("trunc", lambda value: truncate(value, 0)),
        ("trim_scale", _trim_scale),
    )  # fmt: skip
    for name, calculate in unary:
        yield declare(f"{name}(numeric) numeric", calculate)
    yield declare("round(numeric, int4) numeric", lambda value, scale: round_to(value, max(min(scale, 2000), -2000)))
    yield declare("trunc(numeric, int4) numeric", lambda value, scale: truncate(value, max(min(scale, 2000), -2000)))
    yield declare("log(numeric, numeric) numeric", numeric_log)
    for name in ("power", "pow"):
        yield declare(f"{name}(numeric, numeric) numeric", numeric_power)
    yield operator("^", "numeric", "numeric", "numeric", numeric_power)
    yield declare("scale(numeric) int4", lambda value: scale_of(value) if value.is_finite() else None)
    yield declare("min_scale(numeric) int4", _min_scale)
    yield declare("width_bucket(numeric, numeric, numeric, int4) int4", _width_bucket)
    yield declare("width_bucket(float8, float8, float8, int4) int4", _width_bucket)
    yield declare("width_bucket(anycompatible, anycompatiblearray) int4", _bucket_of)


def functions() -> Iterator[Function]:
    yield from _float_functions()
    yield from _numeric_functions()
