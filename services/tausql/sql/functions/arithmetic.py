"""Operators on numbers, with PostgreSQL's overflow errors, truncating division and scales of numerics."""

from __future__ import annotations

import math
import operator as py
from collections.abc import Callable, Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare, operator
from tausql.sql.types.numbers import EXACT, NUMERIC_SCALE_MAX, plain, scale_of, to_float4

LIMITS: Final = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
SQL_NAMES: Final = {"int2": "smallint", "int4": "integer", "int8": "bigint"}
_WIDTH: Final = {"int2": 0, "int4": 1, "int8": 2}


def division_by_zero() -> SqlError:
    return SqlError(Code.division_by_zero, "division by zero")


def integer_out_of_range(type_name: str) -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, f"{SQL_NAMES[type_name]} out of range")


def truncated_quotient(a: int, b: int) -> int:
    """Toward zero; 22012 for b = 0."""
    if b == 0:
        raise division_by_zero()
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def truncated_remainder(a: int, b: int) -> int:
    """Sign of the dividend; 22012 for b = 0."""
    if b == 0:
        raise division_by_zero()
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def checked_integer(calculate: Callable[..., int], type_name: str) -> Callable[..., int]:
    """The calculation with its result checked against the type's range."""
    limit = LIMITS[type_name]

    def run(a: int, b: int) -> int:
        result = calculate(a, b)
        if -limit <= result < limit:
            return result
        raise integer_out_of_range(type_name)

    return run


def integer_add(type_name: str) -> Callable[[int, int], int]:
    limit = LIMITS[type_name]

    def add(a: int, b: int) -> int:
        result = a + b
        if -limit <= result < limit:
            return result
        raise integer_out_of_range(type_name)

    return add


def _integer_operators() -> Iterator[Function]:
    plain_ops: tuple[tuple[str, Callable[[int, int], int]], ...] = (
        ("-", py.sub),
        ("*", py.mul),
        ("/", truncated_quotient),
    )
    for left, left_width in _WIDTH.items():
        for right, right_width in _WIDTH.items():
            result = left if left_width >= right_width else right
            yield operator("+", left, right, result, integer_add(result))
            for name, calculate in plain_ops:
                yield operator(name, left, right, result, checked_integer(calculate, result))
        yield operator("%", left, left, left, truncated_remainder)
        yield declare(f"mod({left}, {left}) {left}", truncated_remainder)
        yield operator("&", left, left, left, py.and_)
        yield operator("|", left, left, left, py.or_)
        yield operator("#", left, left, left, py.xor)
        yield operator("~", None, left, left, py.invert)
        yield operator("<<", left, "int4", left, _shift_left(left))
        yield operator(">>", left, "int4", left, _shift_right(left))
        yield operator("-", None, left, left, _negate(left))
        yield operator("+", None, left, left, py.pos)
        yield operator("@", None, left, left, _absolute(left))
        yield declare(f"abs({left}) {left}", _absolute(left))
    for name in ("int4", "int8"):
        yield declare(f"gcd({name}, {name}) {name}", checked_integer(math.gcd, name))
        yield declare(f"lcm({name}, {name}) {name}", checked_integer(math.lcm, name))


def _bits(type_name: str) -> int:
    return LIMITS[type_name].bit_length()


def _shift_left(type_name: str) -> Callable[[int, int], int]:
    limit, bits = LIMITS[type_name], max(_bits(type_name), 32)

    def shift(a: int, b: int) -> int:
        value = (a << (b % bits)) & (2 * limit - 1)
        return value - 2 * limit if value >= limit else value

    return shift


def _shift_right(type_name: str) -> Callable[[int, int], int]:
    bits = max(_bits(type_name), 32)
    return lambda a, b: a >> (b % bits)


def _negate(type_name: str) -> Callable[[int], int]:
    limit = LIMITS[type_name]

    def negate(a: int) -> int:
        if a == -limit:
            raise integer_out_of_range(type_name)
        return -a

    return negate


def _absolute(type_name: str) -> Callable[[int], int]:
    negate = _negate(type_name)
    return lambda a: negate(a) if a < 0 else a


def float_overflow() -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "value out of range: overflow")


def float_underflow() -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "value out of range: underflow")


def float_add(a: float, b: float) -> float:
    result = a + b
    if math.isinf(result) and not math.isinf(a) and not math.isinf(b):
        raise float_overflow()
    return result


def float_subtract(a: float, b: float) -> float:
    return float_add(a, -b)


def float_multiply(a: float, b: float) -> float:
    result = a * b
    if math.isinf(result) and not math.isinf(a) and not math.isinf(b):
        raise float_overflow()
    if result == 0.0 and a != 0.0 and b != 0.0:
        raise float_underflow()
    return result


def float_divide(a: float, b: float) -> float:
    if b == 0.0 and a == a:
        raise division_by_zero()
    result = a / b if b != 0.0 else math.nan
    if math.isinf(result) and not math.isinf(a):
        raise float_overflow()
    if result == 0.0 and a != 0.0 and not math.isinf(b):
        raise float_underflow()
    return result


def _as_float4(calculate: Callable[[float, float], float]) -> Callable[[float, float], float]:
    def run(a: float, b: float) -> float:
        result = calculate(a, b)
        return to_float4(result) if math.isfinite(result) else result

    return run


def _float_operators() -> Iterator[Function]:
    table = (("+", float_add), ("-", float_subtract), ("*", float_multiply), ("/", float_divide))
    for name, calculate in table:
        yield operator(name, "float4", "float4", "float4", _as_float4(calculate))
        for left, right in (("float8", "float8"), ("float4", "float8"), ("float8", "float4")):
            yield operator(name, left, right, "float8", calculate)
    for name in ("float4", "float8"):
        yield operator("-", None, name, name, py.neg)
        yield operator("+", None, name, name, py.pos)
        yield operator("@", None, name, name, abs)
        yield declare(f"abs({name}) {name}", abs)


_add, _subtract, _multiply = EXACT.add, EXACT.subtract, EXACT.multiply


def numeric_add(a: Decimal, b: Decimal) -> Decimal:
    return _add(a, b)


def numeric_subtract(a: Decimal, b: Decimal) -> Decimal:
    return _subtract(a, b)


def numeric_multiply(a: Decimal, b: Decimal) -> Decimal:
    result = _multiply(a, b)
    if not result:
        return result.copy_abs()
    if result.adjusted() > 100_000 or scale_of(result) > NUMERIC_SCALE_MAX:
        return plain(result)
    return result


def _weight_and_first_digit(value: Decimal) -> tuple[int, int]:
    """Weight and first digit in base 10000."""
    if not value:
        return 0, 0
    adjusted = value.adjusted()
    weight = adjusted // 4
    digits = value.as_tuple().digits[: adjusted % 4 + 1]
    number = 0
    for digit in digits:
        number = number * 10 + digit
    return weight, number * 10 ** (adjusted % 4 + 1 - len(digits))


def division_scale(a: Decimal, b: Decimal) -> int:
    """select_div_scale(): at least 16 significant digits, and at least the scale of either operand."""
    weight_a, first_a = _weight_and_first_digit(a)
    weight_b, first_b = _weight_and_first_digit(b)
    weight = weight_a - weight_b
    if first_a <= first_b:
        weight -= 1
    return min(max(16 - weight * 4, scale_of(a), scale_of(b), 0), 1000)


def divide_to_scale(a: Decimal, b: Decimal, scale: int) -> Decimal:
    """a / b rounded half away from zero to `scale` digits, b finite and not zero."""
    # Decimal would round twice (to its precision, then to the scale): integers do it once.
    numerator, denominator = a.copy_abs(), b.copy_abs()
    shift = scale + scale_of(denominator) - scale_of(numerator)
    top = int(EXACT.scaleb(numerator, scale_of(numerator)))
    bottom = int(EXACT.scaleb(denominator, scale_of(denominator)))
    if shift >= 0:
        top *= 10**shift
    else:
        bottom *= 10**-shift
    quotient, rest = divmod(top, bottom)
    if 2 * rest >= bottom:
        quotient += 1
    if (a < 0) != (b < 0):
        quotient = -quotient
    return EXACT.scaleb(Decimal(quotient), -scale)


def numeric_divide(a: Decimal, b: Decimal) -> Decimal:
    if not b and not a.is_nan():
        raise division_by_zero()
    if not a.is_finite() or not b.is_finite():
        if a.is_finite() and b.is_infinite():
            return Decimal(0)
        return EXACT.divide(a, b)
    return divide_to_scale(a, b, division_scale(a, b))


def numeric_remainder(a: Decimal, b: Decimal) -> Decimal:
    if not b and not a.is_nan():
        raise division_by_zero()
    result = EXACT.remainder(a, b)
    return result if result else result.copy_abs()


def numeric_div(a: Decimal, b: Decimal) -> Decimal:
    """div(): the quotient truncated to an integer."""
    if not b and not a.is_nan():
        raise division_by_zero()
    if not a.is_finite() or not b.is_finite():
        return numeric_divide(a, b)
    quotient = EXACT.divide_int(a, b)
    return plain(quotient)


def numeric_negate(a: Decimal) -> Decimal:
    return EXACT.minus(a)


def numeric_abs(a: Decimal) -> Decimal:
    return EXACT.abs(a)


def _numeric_gcd(a: Decimal, b: Decimal) -> Decimal:
    scale = max(scale_of(a), scale_of(b))
    if not a.is_finite() or not b.is_finite():
        return Decimal("NaN")
    found = math.gcd(int(EXACT.scaleb(a, scale)), int(EXACT.scaleb(b, scale)))
    return EXACT.scaleb(Decimal(found), -scale)


def _numeric_lcm(a: Decimal, b: Decimal) -> Decimal:
    scale = max(scale_of(a), scale_of(b))
    if not a.is_finite() or not b.is_finite():
        return Decimal("NaN")
    found = math.lcm(int(EXACT.scaleb(a, scale)), int(EXACT.scaleb(b, scale)))
    return EXACT.scaleb(Decimal(found), -scale)


def truncate(value: Decimal, scale: int) -> Decimal:
    """Toward zero, to `scale` digits after the point (negative: before it)."""
    if not value.is_finite():
        return value
    cut = value.quantize(Decimal((0, (1,), -scale)), ROUND_DOWN, EXACT)
    if scale < 0:
        cut = EXACT.quantize(cut, Decimal(1))
    return cut if cut else cut.copy_abs()


def _numeric_operators() -> Iterator[Function]:
    table: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("+", numeric_add),
        ("-", numeric_subtract),
        ("*", numeric_multiply),
        ("/", numeric_divide),
        ("%", numeric_remainder),
    )
    for name, calculate in table:
        yield operator(name, "numeric", "numeric", "numeric", calculate)
    yield operator("-", None, "numeric", "numeric", numeric_negate)
    yield operator("+", None, "numeric", "numeric", EXACT.plus)
    yield operator("@", None, "numeric", "numeric", numeric_abs)
    yield declare("abs(numeric) numeric", numeric_abs)
    yield declare("mod(numeric, numeric) numeric", numeric_remainder)
    yield declare("div(numeric, numeric) numeric", numeric_div)
    yield declare("gcd(numeric, numeric) numeric", _numeric_gcd)
    yield declare("lcm(numeric, numeric) numeric", _numeric_lcm)


def functions() -> Iterator[Function]:
    yield from _integer_operators()
    yield from _float_operators()
    yield from _numeric_operators()
