"""regexp_count, regexp_instr and regexp_substr with all their arguments; and the identifiers in a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare
from tausql.sql.functions.patterns import compiled_regex


def _bad(name: str, value: int) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f'invalid value for parameter "{name}": {value}')


def _checked_flags(function: str, flags: str) -> str:
    if "g" in flags:
        raise SqlError(Code.invalid_parameter_value, f'{function}() does not support the "global" option')
    return flags


def _found(text: str, pattern: str, start: int, nth: int, flags: str) -> re.Match[str] | None:
    """The nth match from the start-th character on."""
    if start <= 0:
        raise _bad("start", start)
    if nth <= 0:
        raise _bad("n", nth)
    regex = compiled_regex(pattern, flags)
    for count, found in enumerate(regex.finditer(text, start - 1) if start <= len(text) + 1 else (), 1):
        if count == nth:
            return found
    return None


def _count(text: str, pattern: str, start: int = 1, flags: str = "") -> int:
    if start <= 0:
        raise _bad("start", start)
    regex = compiled_regex(pattern, _checked_flags("regexp_count", flags))
    return sum(1 for _ in regex.finditer(text, start - 1)) if start <= len(text) + 1 else 0


def _instr(text: str, pattern: str, start: int = 1, nth: int = 1, end: int = 0, flags: str = "", group: int = 0) -> int:
    if start <= 0:
        raise _bad("start", start)
    if nth <= 0:
        raise _bad("n", nth)
    if end not in (0, 1):
        raise _bad("endoption", end)
    if group < 0:
        raise _bad("subexpr", group)
    found = _found(text, pattern, start, nth, _checked_flags("regexp_instr", flags))
    if found is None or group > found.re.groups or found.start(group) < 0:
        return 0
    return (found.end(group) if end else found.start(group)) + 1


def _substr(text: str, pattern: str, start: int = 1, nth: int = 1, flags: str = "", group: int = 0) -> str | None:
    if start <= 0:
        raise _bad("start", start)
    if nth <= 0:
        raise _bad("n", nth)
    if group < 0:
        raise _bad("subexpr", group)
    found = _found(text, pattern, start, nth, _checked_flags("regexp_substr", flags))
    if found is None or group > found.re.groups:
        return None
    return found[group]


_PART = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z_\x80-\U0010ffff][\w$]*))\s*')


def _parse_ident(text: str, strict: bool = True) -> list[str]:
    """'a."B".c' -> a, B, c; what is behind the last part is passed over unless strict."""

    def bad(detail: str | None = None) -> SqlError:
        return SqlError(Code.invalid_parameter_value, f'string is not a valid identifier: "{text}"', detail=detail)

    parts: list[str] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        if found is None:
            rest = text[at:].lstrip()
            if rest.startswith('"'):
                raise bad("String has unclosed double quotes.")
            if rest.startswith("."):
                raise bad('No valid identifier before ".".')
            if parts:
                raise bad('No valid identifier after ".".')
            raise bad()
        if found[1] == "":
            raise bad("Quoted identifier must not be empty.")
        parts.append(found[1].replace('""', '"') if found[1] is not None else found[2].lower())
        at = found.end()
        if text[at : at + 1] == ".":
            at += 1
            continue
        if text[at:] and strict:
            raise bad()
        return parts


_ESCAPE = re.compile(r"\\(?:(\\)|\+([0-9A-Fa-f]{6})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-9A-Fa-f]{4})|)")


def _unistr(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1]:
            return "\\"
        digits = next((group for group in found.groups()[1:] if group), None)
        if digits is None:
            raise SqlError(
                Code.syntax_error,
                "invalid Unicode escape",
                hint="Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.",
            )
        code = int(digits, 16)
        if code == 0 or code > 0x10FFFF:
            raise SqlError(Code.invalid_parameter_value, f"invalid Unicode code point: {code:04X}")
        return chr(code)

    try:
        return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise SqlError(Code.syntax_error, "invalid Unicode surrogate pair") from error


def _form(name: str) -> Any:
    upper = name.upper()
    if upper not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise SqlError(Code.invalid_parameter_value, f"invalid normalization form: {name}")
    return upper


def functions() -> Iterator[Function]:
    for more in ("", ", int4", ", int4, text"):
        yield declare(f"regexp_count(text, text{more}) int4", _count)
    for more in ("", ", int4", ", int4, int4", ", int4, int4, int4", ", int4, int4, int4, text",
                 ", int4, int4, int4, text, int4"):  # fmt: skip
        yield declare(f"regexp_instr(text, text{more}) int4", _instr)
    for more in ("", ", int4", ", int4, int4", ", int4, int4, text", ", int4, int4, text, int4"):
        yield declare(f"regexp_substr(text, text{more}) text", _substr)
    yield declare("parse_ident(text) _text", _parse_ident)
    yield declare("parse_ident(text, bool) _text", _parse_ident)
    yield declare("unistr(text) text", _unistr)
    yield declare("normalize(text) text", lambda text: unicodedata.normalize("NFC", text))
    yield declare("normalize(text, text) text", lambda text, form: unicodedata.normalize(_form(form), text))
    yield declare("is_normalized(text) bool", lambda text: unicodedata.is_normalized("NFC", text))
    yield declare("is_normalized(text, text) bool", lambda text, form: unicodedata.is_normalized(_form(form), text))
