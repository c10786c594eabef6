"""Floats as PostgreSQL prints them (shortest exact) and numerics with their scale.

Python's repr() finds the same shortest digits but places the exponent elsewhere, and knows no 4-byte floats.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error, invalid_text
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import numeric_typmod_parts

# Exact for every sum and product of two storable numerics; nothing traps, callers look at the result.
EXACT: Final = Context(prec=300_000, rounding=ROUND_HALF_UP, Emin=-400_000, Emax=400_000, traps=[])
ZERO: Final = Decimal(0)
NUMERIC_DIGITS_MAX: Final = 131_072  # before the decimal point
NUMERIC_SCALE_MAX: Final = 16_383

_FLOAT = re.compile(r"\s*([+-]?)(?:(inf(?:inity)?)|(nan)|(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?))\s*", re.I)
_NUMERIC = re.compile(
    r"\s*([+-]?)(?:(inf(?:inity)?)|(nan)|((?:\d+(?:_\d+)*)?\.?(?:\d+(?:_\d+)*)?)(?:e([+-]?\d+(?:_\d+)*))?"
    r"|0x((?:_?[0-9a-f])+)|0o((?:_?[0-7])+)|0b((?:_?[01])+))\s*",
    re.I,
)
_SIMPLE = re.compile(r"\d{1,30}(?:\.\d{1,30})?", re.ASCII)
_float4 = struct.Struct("!f")
_float8 = struct.Struct("!d")


def to_float4(value: float) -> float:
    """Rounds to a 4-byte float; 22003 beyond its range, as PostgreSQL's dtof."""
    try:
        rounded: float = _float4.unpack(_float4.pack(value))[0]
    except OverflowError as error:
        raise SqlError(Code.numeric_value_out_of_range, "value out of range: overflow") from error
    if rounded == 0.0 and value != 0.0:
        raise SqlError(Code.numeric_value_out_of_range, "value out of range: underflow")
    return rounded


def _parse_float(text: str, sql_name: str) -> float:
    found = _FLOAT.fullmatch(text)
    if found is None:
        raise invalid_text(sql_name, text)
    sign, infinity, nan, digits = found.groups()
    if nan:
        return math.nan
    value = math.inf if infinity else float(digits)
    if not infinity and (math.isinf(value) or (value == 0.0 and re.search(r"[1-9]", digits.lower().split("e")[0]))):
        raise SqlError(Code.numeric_value_out_of_range, f'"{text.strip()}" is out of range for type {sql_name}')
    return -value if sign == "-" else value


def float8_in(text: str, _format: SessionFormat, _typmod: int = -1) -> float:
    return _parse_float(text, "double precision")


def float4_in(text: str, _format: SessionFormat, _typmod: int = -1) -> float:
    value = _parse_float(text, "real")
    try:
        return to_float4(value)
    except SqlError as error:
        raise SqlError(Code.numeric_value_out_of_range, f'"{text.strip()}" is out of range for type real') from error


def _place(digits: str, exponent: int, negative: bool, plain_below: int) -> str:
    """Digits and decimal exponent of the first digit, fixed notation for -4 <= exponent < plain_below."""
    sign = "-" if negative else ""
    if -4 <= exponent < plain_below:
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        if len(digits) <= exponent + 1:
            return f"{sign}{digits}{'0' * (exponent + 1 - len(digits))}"
        return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _special(value: float) -> str | None:
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "Infinity" if value > 0 else "-Infinity"
    return None


def _digits_of(text: str) -> tuple[str, int, bool]:
    """(significant digits, decimal exponent of the first, negative) of a float literal of Python's."""
    mantissa, _, exponent = text.lower().partition("e")
    negative = mantissa.startswith("-")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(digits) - len(stripped)) - 1
    return stripped.rstrip("0") or "0", point if stripped else 0, negative


def float8_text(value: float) -> str:
    text = repr(value)
    if "e" not in text and "n" not in text:
        if text.endswith(".0"):
            text = text[:-2]
            if len(text) <= 15:
                return text
        else:
            return text if abs(value) >= 1e-4 and abs(value) < 1e15 else _place(*_digits_of(text), 15)
    return _special(value) or _place(*_digits_of(repr(value)), 15)


def float4_text(value: float) -> str:
    special = _special(value)
    if special:
        return special
    for precision in range(1, 10):
        text = f"{value:.{precision - 1}e}"
        if to_float4_or_none(float(text)) == value:
            return _place(*_digits_of(text), 6)
    return _place(*_digits_of(f"{value:.8e}"), 6)


def to_float4_or_none(value: float) -> float | None:
    try:
        rounded: float = _float4.unpack(_float4.pack(value))[0]
    except OverflowError:
        return None
    return rounded


def _unpack(packer: struct.Struct, data: bytes) -> float:
    if len(data) != packer.size:
        raise binary_length_error()
    value: float = packer.unpack(data)[0]
    return value


def _float_out(shortest: Callable[[float], str], digits: int) -> Callable[[float, SessionFormat], str]:
    """Shortest exact with extra_float_digits above 0, else so many significant digits, as C's %g."""

    def out(value: float, format: SessionFormat) -> str:
        extra = format.extra_float_digits
        if extra > 0:
            return shortest(value)
        return _special(value) or f"{value:.{max(digits + extra, 1)}g}"

    return out


FLOAT8: Final[Codec] = (
    float8_in,
    _float_out(float8_text, 15),
    lambda data: _unpack(_float8, data),
    _float8.pack,
)
FLOAT4: Final[Codec] = (
    float4_in,
    _float_out(float4_text, 6),
    lambda data: _unpack(_float4, data),
    _float4.pack,
)


def numeric_in(text: str, _format: SessionFormat, typmod: int = -1) -> Decimal:
    if _SIMPLE.fullmatch(text):
        return fit_numeric(Decimal(text), typmod)
    found = _NUMERIC.fullmatch(text)
    if found is None:
        raise invalid_text("numeric", text)
    sign, infinity, nan, digits, exponent, *bases = found.groups()
    if nan and not sign:
        return Decimal("NaN")
    if infinity:
        value = Decimal("-Infinity" if sign == "-" else "Infinity")
    elif any(bases):
        base_digits, base = next((d, b) for d, b in zip(bases, (16, 8, 2), strict=True) if d)
        value = Decimal(int(base_digits.replace("_", ""), base))
        value = value.copy_negate() if sign == "-" else value
    else:
        if nan or not digits or digits == ".":
            raise invalid_text("numeric", text)
        power = int(exponent.replace("_", "")) if exponent else 0
        if abs(power) > 200_000:
            raise numeric_overflow()
        value = plain(EXACT.create_decimal(f"{sign}{digits.replace('_', '')}e{power}"))
    return fit_numeric(value, typmod)


def numeric_overflow() -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "value overflows numeric format")


def plain(value: Decimal) -> Decimal:
    """A Decimal as PostgreSQL keeps numerics: no positive exponent, no negative zero, within the format's limits."""
    if not value.is_finite():
        return value
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent > 0:
        value = EXACT.quantize(value, Decimal(1))
    elif exponent < -NUMERIC_SCALE_MAX:
        value = EXACT.quantize(value, Decimal((0, (1,), -NUMERIC_SCALE_MAX)))
    if not value:
        return value.copy_abs()
    if value.adjusted() >= NUMERIC_DIGITS_MAX:
        raise numeric_overflow()
    return value


def scale_of(value: Decimal) -> int:
    """Digits after the decimal point."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def round_to(value: Decimal, scale: int) -> Decimal:
    """Half away from zero to `scale` digits after the point (negative: before it), displayed with max(scale, 0)."""
    if not value.is_finite():
        return value
    rounded = EXACT.quantize(value, Decimal((0, (1,), -scale)))
    if scale < 0:
        rounded = EXACT.quantize(rounded, Decimal(1))
    return rounded if rounded else rounded.copy_abs()


def fit_numeric(value: Decimal, typmod: int) -> Decimal:
    """numeric(p,s): rounds to s, 22003 `numeric field overflow` when more than p digits remain."""
    if typmod < 0 or value.is_nan():
        return value
    precision, scale = numeric_typmod_parts(typmod)
    if not value.is_finite():
        raise _field_overflow(f"A field with precision {precision}, scale {scale} cannot hold an infinite value.")
    rounded = round_to(value, scale)
    if rounded and rounded.adjusted() >= precision - scale:
        bound = f"10^{precision - scale}" if precision != scale else "1"
        raise _field_overflow(
            f"A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
        )
    return rounded


def _field_overflow(detail: str) -> SqlError:
    return SqlError(Code.numeric_value_out_of_range, "numeric field overflow", detail=detail)


def numeric_text(value: Decimal) -> str:
    return format(value, "f")


_HEADER = struct.Struct("!hhHH")


def numeric_binary_out(value: Decimal) -> bytes:
    """ndigits, weight, sign, dscale, then base-10000 digits."""
    if not value.is_finite():
        # PostgreSQL gives infinities a display scale of 32.
        return (
            _HEADER.pack(0, 0, 0xC000, 0) if value.is_nan() else _HEADER.pack(0, 0, 0xD000 if value > 0 else 0xF000, 32)
        )
    sign = value < 0
    whole, _, fraction = format(value.copy_abs(), "f").partition(".")
    scale = len(fraction)
    whole = whole.lstrip("0")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-scale // 4) * 4, "0")
    weight = len(whole) // 4 - 1
    joined = whole + fraction
    groups = [int(joined[at : at + 4]) for at in range(0, len(joined), 4)]
    start = 0
    while start < len(groups) and groups[start] == 0:
        start += 1
    end = len(groups)
    while end > start and groups[end - 1] == 0:
        end -= 1
    groups = groups[start:end]
    weight = weight - start if groups else 0
    return _HEADER.pack(len(groups), weight, 0x4000 if sign and groups else 0, scale) + struct.pack(
        f"!{len(groups)}H", *groups
    )


def numeric_binary_in(data: bytes) -> Decimal:
    if len(data) < 8:
        raise binary_length_error("insufficient data left in message")
    count, weight, sign, scale = _HEADER.unpack_from(data)
    if sign in (0xC000, 0xD000, 0xF000):
        return Decimal({0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}[sign])
    if count < 0 or len(data) != 8 + 2 * count or sign not in (0, 0x4000) or scale > NUMERIC_SCALE_MAX:
        raise binary_length_error('invalid digit in external "numeric" value')
    groups = struct.unpack_from(f"!{count}H", data, 8)
    if any(group > 9999 for group in groups):
        raise binary_length_error('invalid digit in external "numeric" value')
    mantissa = int("".join(f"{group:04d}" for group in groups) or "0")
    value = EXACT.scaleb(Decimal(mantissa), 4 * (weight - count + 1))
    if sign:
        value = value.copy_negate() if value else value
    return plain(EXACT.quantize(value, Decimal((0, (1,), -scale))))


NUMERIC: Final[Codec] = (
    numeric_in,
    lambda value, _format: format(value, "f"),
    numeric_binary_in,
    numeric_binary_out,
)


def float_to_numeric(value: float, digits: int) -> Decimal:
    """As PostgreSQL: the float printed with 15 (real: 6) significant digits."""
    if not math.isfinite(value):
        return Decimal(_special(value) or "NaN")
    return plain(Decimal(f"{value:.{digits}g}"))
