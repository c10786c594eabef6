"""to_char and to_number for numbers: the patterns 9 0 . , D G S MI PL SG PR FM TH and literal text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.numbers import EXACT, round_to

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|FM|MI|PL|SG|PR|TH|th|EEEE|RN|[09.,DGSLV$]|.', re.S | re.I)
_PATTERNS: Final = frozenset(("9", "0", ".", ",", "S", "MI", "PL", "SG", "PR", "TH", "L", "$"))
_REFUSED: Final = frozenset(("EEEE", "RN", "V"))


class _Pattern:
    __slots__ = ("fill", "grouped", "tokens", "whole", "zeros")

    def __init__(self, pattern: str) -> None:
        self.fill = True
        self.tokens: list[str] = []
        self.whole = 0  # digit places before the point
        self.zeros = 0  # places after the point
        point = False
        for text in _TOKEN.findall(pattern):
            token = text.upper() if not text.startswith('"') else text
            if token in _REFUSED:
                raise not_supported(f'number format "{token}" is not supported')
            if token == "FM":
                self.fill = False
                continue
            if token in (".", "D"):
                if point:
                    raise SqlError(Code.syntax_error, "multiple decimal points")
                point, token = True, "."
            elif token == "G":
                token = ","
            elif token in ("9", "0"):
                if point:
                    self.zeros += 1
                else:
                    self.whole += 1
            self.tokens.append(token if token in _PATTERNS and text != "th" else text if text != "." else token)


def _digits(value: Decimal, pattern: _Pattern) -> tuple[str, str, bool]:
    rounded = round_to(value, pattern.zeros)
    text = format(rounded.copy_abs(), "f")
    whole, _, fraction = text.partition(".")
    if whole == "0":
        whole = ""
    if len(whole) > pattern.whole:
        return "#" * pattern.whole, "#" * pattern.zeros, True
    return whole, fraction, False


def numeric_to_char(value: Decimal, pattern_text: str) -> str:
    """to_char(numeric, text)."""
    if not value.is_finite():
        value_text = "NaN" if value.is_nan() else "Infinity"
        raise not_supported(f"to_char of {value_text} is not supported")
    pattern = _Pattern(pattern_text)
    whole, fraction, overflow = _digits(value, pattern)
    negative = value < 0 and (overflow or bool(round_to(value, pattern.zeros)))
    return _Writer(pattern, whole, fraction, negative).write()


class _Writer:
    __slots__ = ("fraction", "negative", "out", "pattern", "signed", "whole")

    def __init__(self, pattern: _Pattern, whole: str, fraction: str, negative: bool) -> None:
        self.pattern = pattern
        self.whole = whole
        self.fraction = fraction
        self.negative = negative
        self.out: list[str] = []
        self.signed = any(token in ("S", "MI", "PL", "SG", "PR") for token in pattern.tokens)

    def write(self) -> str:
        pattern, tokens = self.pattern, self.pattern.tokens
        places = pattern.whole
        first_zero = self._first_zero()
        started = False
        pending_sign = not self.signed or "PR" in tokens or "S" in tokens[:1] or ("S" in tokens and tokens[-1] != "S")
        seen, after, fraction_at = 0, False, 0
        keep = self._fraction_kept()
        for token in tokens:
            if token in ("9", "0"):
                if after:
                    digit = self.fraction[fraction_at]
                    fraction_at += 1
                    if pattern.fill or fraction_at <= keep:
                        self.out.append(digit)
                    continue
                remaining = places - seen
                seen += 1
                show = remaining <= len(self.whole) or seen > first_zero
                if show and not started:
                    started = True
                    self._sign(pending_sign)
                if show:
                    self.out.append(self.whole[-remaining] if remaining <= len(self.whole) else "0")
                elif pattern.fill:
                    self.out.append(" ")
            elif token == ".":
                after = True
                if not started:
                    started = True
                    self._sign(pending_sign)
                self.out.append(".")
            elif token == ",":
                if started:
                    self.out.append(",")
                elif pattern.fill:
                    self.out.append(" ")
            else:
                self._other(token, started)
        if not started:
            self._bare_zero(pending_sign)
        self._trailing(tokens)
        return "".join(self.out)

    def _first_zero(self) -> int:
        """How many places come before the first 0 of the pattern."""
        seen = 0
        for token in self.pattern.tokens:
            if token == ".":
                break
            if token == "0":
                return seen
            if token == "9":
                seen += 1
        return 10**6

    def _fraction_kept(self) -> int:
        """With FM, trailing zeros go as far as the pattern says 9."""
        places = "".join(t for t in self.pattern.tokens if t in "09.").partition(".")[2]
        keep = len(self.fraction.rstrip("0"))
        for at, token in enumerate(places, 1):
            if token == "0":
                keep = max(keep, at)
        return keep

    def _bare_zero(self, pending_sign: bool) -> None:
        """No digit was shown: the value is 0 and the pattern has only 9s; the last place shows it."""
        if self.pattern.whole:
            if self.out and self.out[-1] == " " and self.pattern.fill:
                self.out.pop()
            self._sign(pending_sign)
            self.out.append("0")

    def _sign(self, pending: bool) -> None:
        tokens = self.pattern.tokens
        if not pending:
            return
        if "PR" in tokens:
            mark = "<" if self.negative else " "
        elif "S" in tokens:
            mark = "-" if self.negative else "+"
        else:
            mark = "-" if self.negative else " "
        if mark != " " or self.pattern.fill:
            self.out.append(mark)

    def _other(self, token: str, started: bool) -> None:
        tokens, fill = self.pattern.tokens, self.pattern.fill
        if token == "S":
            if tokens[-1] == "S" and tokens[0] != "S":
                self.out.append("-" if self.negative else "+")
        elif token == "MI":
            if self.negative:
                self.out.append("-")
            elif fill:
                self.out.append(" ")
        elif token == "PL":
            if not self.negative:
                self.out.append("+")
            elif fill:
                self.out.append(" ")
        elif token == "SG":
            self.out.append("-" if self.negative else "+")
        elif token in ("TH", "th"):
            self.out.append(ordinal(self.whole or "0", token == "TH"))
        elif token in ("PR", "$"):
            self.out.append("$" if token == "$" else "")
        elif token == "L":
            if fill:
                self.out.append(" ")
        elif token.startswith('"'):
            self.out.append(token[1:-1])
        else:
            self.out.append(token)

    def _trailing(self, tokens: list[str]) -> None:
        if "PR" in tokens:
            self.out.append(">" if self.negative else " " if self.pattern.fill else "")


def ordinal(digits: str, upper: bool) -> str:
    """'st', 'nd', 'rd', 'th'."""
    last = digits[-1]
    suffix = "th" if digits[-2:-1] == "1" or last not in "123" else {"1": "st", "2": "nd", "3": "rd"}[last]
    return suffix.upper() if upper else suffix


def _to_number(text: str, pattern: str) -> Decimal:
    """Digits, point and signs of the text where the pattern has places for them."""
    places = sum(1 for token in _TOKEN.findall(pattern) if token in "09")
    out: list[str] = []
    negative, point, taken = False, False, 0
    for char in text:
        if char.isdigit() and taken < places:
            out.append(char)
            taken += 1
        elif char == "." and not point and re.search(r"[.dD]", pattern):
            out.append(".")
            point = True
        elif char == "-" or (char == "<" and "PR" in pattern.upper()):
            negative = True
    digits = "".join(out)
    if not digits.strip("."):
        raise SqlError(Code.invalid_text_representation, f'invalid input syntax for type numeric: "{text or " "}"')
    value = EXACT.create_decimal(digits)
    return value.copy_negate() if negative and value else value


def _float_to_char(value: float, pattern: str) -> str:
    return numeric_to_char(Decimal(f"{value:.15g}"), pattern)


def functions() -> Iterator[Function]:
    yield declare("to_char(numeric, text) text", numeric_to_char, volatility=STABLE)
    for kind in ("int4", "int8"):
        yield declare(f"to_char({kind}, text) text", _integer_to_char, volatility=STABLE)
    for kind in ("float4", "float8"):
        yield declare(f"to_char({kind}, text) text", _float_to_char, volatility=STABLE)
    yield declare("to_number(text, text) numeric", _to_number, volatility=STABLE)


def _integer_to_char(value: Any, pattern: str) -> str:
    return numeric_to_char(Decimal(value), pattern)
