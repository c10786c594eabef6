"""to_char and to_number for numbers: every pattern of PostgreSQL's (9 0 . , D G S MI PL SG PR FM TH V RN EEEE L B C).

A template is read into its nodes and a description of the number it makes; then the digits and the template are walked
together, position by position, as PostgreSQL does: where a blank, a sign or a point comes depends on both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.numbers import EXACT, numeric_text, plain, round_to, scale_of

_KEYWORD = re.compile(r'FM|MI|PL|PR|RN|SG|SP|TH|EEEE|[BCDGLSV09.,]|\\.|"(?:\\.|[^"\\])*"?|.', re.DOTALL | re.IGNORECASE)
_KEYWORDS: Final = frozenset("FM MI PL PR RN SG SP TH EEEE B C D G L S V 0 9 . ,".split())
_ROMAN: Final = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
    (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip


class _Template:
    """The nodes of a template, (keyword or '', text), and what they say together, as PostgreSQL's NUMDesc.

    pre, post, multi: places before the point, behind it, and behind V. sign: where S puts it, 'before', 'after' or ''.
    """

    __slots__ = (
        "bracket", "decimal", "exponent", "fill", "minus", "multi", "multiplied", "nodes", "plus", "post", "pre",
        "pre_at_sign", "roman", "sign", "zero", "zero_end", "zero_start",
    )  # fmt: skip

    def __init__(self, text: str) -> None:
        self.nodes: list[tuple[str, str]] = []
        self.pre = self.post = self.multi = self.zero_start = self.zero_end = self.pre_at_sign = 0
        self.decimal = self.multiplied = self.bracket = self.roman = self.exponent = False
        self.minus = self.plus = self.zero = False
        self.fill = True  # off with FM
        self.sign = ""
        for word in _KEYWORD.findall(text):
            upper = word.upper()
            if upper in _KEYWORDS:
                self._add(upper)
                self.nodes.append((upper, word))
            elif word.startswith('"'):
                self.nodes.append(("", re.sub(r"\\(.)", r"\1", word[1:].removesuffix('"'), flags=re.DOTALL)))
            elif word == '\\"':
                self.nodes.append(("", '"'))
            elif word.startswith("\\") and len(word) > 1:
                self.nodes.append(("", "\\"))
                self._literal_or_keyword(word[1])
            else:
                self.nodes.append(("", word))

    def _literal_or_keyword(self, char: str) -> None:
        """A backslash escapes nothing but a quote: what follows it is read as ever."""
        if char.upper() in _KEYWORDS:
            self._add(char.upper())
            self.nodes.append((char.upper(), char))
        else:
            self.nodes.append(("", char))

    def _add(self, word: str) -> None:
        if self.exponent and word != "EEEE":
            raise SqlError(Code.syntax_error, '"EEEE" must be the last pattern used')
        if word in ("9", "0"):
            self._digit(word)
        elif word in ("D", "."):
            if self.decimal:
                raise SqlError(Code.syntax_error, "multiple decimal points")
            if self.multiplied:
                raise SqlError(Code.syntax_error, 'cannot use "V" and decimal point together')
            self.decimal = True
        elif word == "FM":
            self.fill = False
        elif word in ("S", "MI", "PL", "SG", "PR"):
            self._signs(word)
        elif word == "RN":
            self.roman = True
        elif word == "V":
            if self.decimal:
                raise SqlError(Code.syntax_error, 'cannot use "V" and decimal point together')
            self.multiplied = True
        elif word == "EEEE":
            if self.exponent:
                raise SqlError(Code.syntax_error, 'cannot use "EEEE" twice')
            if not self.fill or self.sign or self.bracket or self.minus or self.plus or self.roman or self.multiplied:
                raise SqlError(
                    Code.syntax_error,
                    '"EEEE" is incompatible with other formats',
                    detail='"EEEE" may only be used together with digit and decimal point patterns.',
                )
            self.exponent = True

    def _digit(self, word: str) -> None:
        if self.bracket:
            raise SqlError(Code.syntax_error, f'"{word}" must be ahead of "PR"')
        if word == "9" and self.multiplied:
            self.multi += 1
            return
        if word == "0" and not self.zero and not self.decimal:
            self.zero_start = self.pre + 1
            self.zero = True
        if self.decimal:
            self.post += 1
        else:
            self.pre += 1
        if word == "0":
            self.zero_end = self.pre + self.post

    def _signs(self, word: str) -> None:
        if word == "S":
            if self.sign:
                raise SqlError(Code.syntax_error, 'cannot use "S" twice')
            if self.plus or self.minus or self.bracket:
                raise SqlError(Code.syntax_error, 'cannot use "S" and "PL"/"MI"/"SG"/"PR" together')
            self.sign = "after" if self.decimal else "before"
            self.pre_at_sign = self.pre
        elif word == "PR":
            if self.sign or self.plus or self.minus:
                raise SqlError(Code.syntax_error, 'cannot use "PR" and "S"/"PL"/"MI"/"SG" together')
            self.bracket = True
        else:
            if self.sign:
                raise SqlError(Code.syntax_error, f'cannot use "S" and "{word}" together')
            self.minus = self.minus or word in ("MI", "SG")
            self.plus = self.plus or word in ("PL", "SG")


def _roman(value: int, fill: bool, upper: bool) -> str:
    if not 1 <= value <= 3999:
        text = "#" * 15
    else:
        text = ""
        for amount, letters in _ROMAN:
            while value >= amount:
                text, value = text + letters, value - amount
    text = text if upper else text.lower()
    return text.rjust(15) if fill else text


def _exponential(value: Decimal, template: _Template) -> str:
    if not value.is_finite():
        return " " + "#" * template.pre + ("." + "#" * template.post if template.decimal else "") + "####"
    if not value:
        text = f"{0:.{template.post}f}e+00"
    else:
        exponent = value.adjusted()
        mantissa = round_to(EXACT.scaleb(value, -exponent), template.post)
        text = f"{format(mantissa, 'f')}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return text if text.startswith("-") else " " + text


def numeric_to_char(value: Decimal, text: str) -> str:
    """to_char(numeric, text)."""
    template = _Template(text)
    if template.exponent:
        return _exponential(value, template)
    if template.roman:
        word = next(text for keyword, text in template.nodes if keyword == "RN")
        if not value.is_finite():
            what = "NaN" if value.is_nan() else "infinity"
            raise SqlError(Code.feature_not_supported, f"cannot convert {what} to integer")
        number = int(round_to(value, 0))
        return _roman(number, template.fill, word[0].isupper())
    if template.multiplied:
        if value.is_finite():
            value = plain(EXACT.multiply(value, EXACT.power(Decimal(10), template.multi)))
        template.pre += template.multi
    return _written(template, numeric_text(round_to(value, template.post)))


def _written(template: _Template, number: str) -> str:
    """A number as text, rounded to the places the template has, by the template."""
    negative = number.startswith("-")
    number = number.lstrip("-")
    whole = len(number.partition(".")[0])
    blanks = 0
    if whole < template.pre:
        blanks = template.pre - whole
    elif whole > template.pre:
        number = "#" * template.pre + "." + "#" * template.post
    return _Walk(template, number, blanks, negative).run()


class _Walk:
    """The digits and the template side by side, as PostgreSQL's NUM_processor.

    at: the place in `number`; place: of the digits and points of the template; relevant: with FM, the index of the
    last digit that is shown, None without.
    """

    __slots__ = ("at", "blanks", "count", "inside", "negative", "number", "out", "place", "relevant", "sign", "signed",
                 "template", "zero_start")  # fmt: skip

    def __init__(self, template: _Template, number: str, blanks: int, negative: bool) -> None:
        self.template = template
        self.number = number
        self.blanks = blanks
        self.negative = negative
        self.zero_start = max(template.zero_start - 1, 0)
        self.out: list[str] = []
        self.at = self.place = 0
        self.inside = False
        self.sign = template.sign
        if template.plus or template.minus:
            self.signed = template.minus
        else:
            if not negative and not template.fill:
                template.bracket = False
            self.signed = not negative and not template.fill and not template.sign
            if self.sign == "before" and template.pre == template.pre_at_sign:
                self.sign = "after"
        self.relevant = self._relevant()
        self.count = template.post + template.pre - 1
        if not self.signed and blanks == 0:
            self.count += 1

    def _relevant(self) -> int | None:
        template = self.template
        point = self.number.find(".")
        if template.fill or not template.decimal or point < 0:
            return None
        last = max((at for at in range(point + 1, len(self.number)) if self.number[at] != "0"), default=point)
        if template.zero_end > self.blanks:
            last = max(last, min(template.zero_end - self.blanks, len(self.number) - 1))
        return last

    def run(self) -> str:
        fill = self.template.fill
        mark = "-" if self.negative else "+"
        for word, text in self.template.nodes:
            if word in ("9", "0", ".", "D"):
                self._part(word)
            elif word in (",", "G"):
                self.out.append("," if self.inside else " " if fill else "")
            elif word == "L":
                self.out.append(" ")
            elif word == "TH":
                if not (self.number.startswith("#") or self.negative or self.template.decimal):
                    self.out.append(ordinal(self.number, text[0].isupper()))
            elif word == "MI":
                self.out.append("-" if self.negative else " " if fill else "")
            elif word == "PL":
                self.out.append("+" if not self.negative else " " if fill else "")
            elif word == "SG":
                self.out.append(mark)
            elif word == "":
                self.out.append(text)
        # a place beyond the number ends the text there, as a zero byte does in C
        return "".join(self.out).partition("\0")[0]

    def _char(self) -> str:
        return self.number[self.at] if self.at < len(self.number) else "\0"

    def _before_point(self) -> bool:
        """At the 0 of '0.1', which a template of nines leaves out."""
        return not self.template.zero and self.at == 0 and self.number.startswith("0") and self.template.post != 0

    def _ends_at_point(self) -> bool:
        return self.relevant is not None and self.number[self.relevant] == "."

    def _write_sign(self) -> None:
        template = self.template
        if self.sign:
            if self.sign != "before":
                return
            self.out.append("-" if self.negative else "+")
        elif template.bracket:
            self.out.append("<" if self.negative else " ")
        elif self.negative:
            self.out.append("-")
        elif template.fill:
            self.out.append(" ")
        self.signed = True

    def _part(self, word: str) -> None:
        template = self.template
        self.inside = False
        begins = self.place >= self.blanks or (template.zero and self.zero_start == self.place)
        if not self.signed and begins and (not self._before_point() or self._ends_at_point()):
            self._write_sign()
        if self.place < self.blanks and (self.zero_start > self.place or not template.zero):
            self.out.append(" " if template.fill else "")
        elif template.zero and self.place < self.blanks and self.zero_start <= self.place:
            self.out.append("0")
            self.inside = True
        else:
            self._digit(word)
        self._close()
        self.place += 1

    def _digit(self, word: str) -> None:
        if self._char() == ".":
            self.out.append(".")
        elif self.relevant is not None and self.at > self.relevant and word != "0":
            pass
        elif self._before_point():
            self.out.append(" " if self.template.fill else "0" if self._ends_at_point() else "")
        else:
            self.out.append(self._char())
            self.inside = True
        if self.at < len(self.number):
            self.at += 1

    def _close(self) -> None:
        """Behind the last place: the closing bracket, or the sign."""
        template = self.template
        end = self.count + (1 if self.blanks else 0) + (1 if template.decimal else 0)
        if self.relevant is not None and self.relevant == self.at:
            end = self.place
        if self.place + 1 != end:
            return
        if self.signed and template.bracket:
            self.out.append(">" if self.negative else " ")
        elif self.sign == "after":
            self.out.append("-" if self.negative else "+")


def ordinal(digits: str, upper: bool) -> str:
    """'st', 'nd', 'rd', 'th'."""
    last = digits[-1:]
    if not last.isdigit():
        raise SqlError(Code.invalid_text_representation, f'"{digits}" is not a number')
    suffix = "th" if digits[-2:-1] == "1" or last not in "123" else {"1": "st", "2": "nd", "3": "rd"}[last]
    return suffix.upper() if upper else suffix


def _to_number(text: str, pattern: str) -> Decimal | None:
    """The digits, point and signs that the template has places for; other characters of it take one of the text."""
    template = _Template(pattern)
    if template.exponent:
        raise SqlError(Code.feature_not_supported, '"EEEE" not supported for input')
    if template.roman:
        raise SqlError(Code.feature_not_supported, '"RN" not supported for input')
    if not template.nodes:
        return None
    digits, point, negative, at = "", False, False, 0
    for word, literal in template.nodes:
        if word in ("9", "0", ".", "D", "S", "MI", "PL", "SG", "PR"):
            while text[at : at + 1] == " ":
                at += 1
            if text[at : at + 1] in ("-", "+", "<") and not digits:
                negative = text[at] in "-<"
                at += 1
            elif word in ("S", "MI", "SG", "PR") and text[at : at + 1] in ("-", "+", ">"):
                negative = negative or text[at] == "-"
                at += 1
        char = text[at : at + 1]
        if word in ("9", "0"):
            if char.isdigit() and char.isascii():
                digits, at = digits + char, at + 1
            elif char == "." and not point and template.decimal:
                digits, point, at = digits + ".", True, at + 1
                if text[at : at + 1].isdigit():
                    digits, at = digits + text[at], at + 1
        elif word in (".", "D"):
            if char == "." and not point:
                digits, point, at = digits + ".", True, at + 1
        elif word in (",", "G"):
            at += char == ","
        elif word == "":
            for _ in literal:
                at += at < len(text) and not text[at].isdigit() and text[at] not in "+-."
        elif word == "TH":
            at += 2 if text[at : at + 2].lower() in ("st", "nd", "rd", "th") else 0
    if text[at : at + 1] == "-" and template.sign:
        negative = True
    if not digits.strip("."):
        raise SqlError(Code.invalid_text_representation, f'invalid input syntax for type numeric: "{digits or " "}"')
    value = EXACT.create_decimal(digits.rstrip(".") or "0")
    if scale_of(value) > template.post:
        value = round_to(value, template.post)
    if template.multiplied:
        value = plain(EXACT.multiply(value, EXACT.power(Decimal(10), -template.multi)))
    return value.copy_negate() if negative and value else value


def _float_to_char(digits: int) -> Any:
    """digits: of the type, beyond which nothing is shown."""

    def run(value: float, text: str) -> str:
        template = _Template(text)
        if template.exponent or template.roman:
            if not math.isfinite(value):
                return numeric_to_char(Decimal(value), text)
            number = Decimal(round(value)) if template.roman else plain(Decimal(repr(value)))
            return numeric_to_char(number, text)
        if template.multiplied:
            value *= 10.0**template.multi
            template.pre += template.multi
        if not math.isfinite(value):
            return _written(template, "NaN" if value != value else "-Infinity" if value < 0 else "Infinity")
        whole = len(f"{abs(value):.0f}")
        if whole >= digits:
            template.post = 0
        elif whole + template.post > digits:
            template.post = digits - whole
        return _written(template, f"{value:.{template.post}f}")

    return run


def functions() -> Iterator[Function]:
    yield declare("to_char(numeric, text) text", numeric_to_char, volatility=STABLE)
    for kind in ("int4", "int8"):
        yield declare(
            f"to_char({kind}, text) text", lambda v, text: numeric_to_char(Decimal(v), text), volatility=STABLE
        )
    yield declare("to_char(float4, text) text", _float_to_char(6), volatility=STABLE)
    yield declare("to_char(float8, text) text", _float_to_char(15), volatility=STABLE)
    yield declare("to_number(text, text) numeric", _to_number, volatility=STABLE)
