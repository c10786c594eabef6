"""COPY's options: which characters separate, quote and escape, checked as PostgreSQL checks them.

Everything that splits or formats a line may rely on what is made sure of here: every special character is one ASCII
character, none is a line end, and none can be taken for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported

# Letters, digits and the dot follow backslashes in the text format, so they cannot separate its fields.
_TEXT_UNSAFE = "\\.abcdefghijklmnopqrstuvwxyz0123456789"
_TRUE = ("true", "on", "1", "yes", "")
_FALSE = ("false", "off", "0", "no")

OptionValue = str | bool | None


class CopyOptions(msgspec.Struct, frozen=True, gc=False):
    format: Literal["text", "csv", "binary"] = "text"
    delimiter: str = "\t"
    null: str = "\\N"
    header: Literal[False, True, "match"] = False
    quote: str = '"'  # CSV only, as are the rest
    escape: str = '"'
    force_quote_all: bool = False


def copy_options(options: Mapping[str, OptionValue]) -> CopyOptions:
    """Options by lower-case name, as written: `header` alone is None or True. Raises SqlError as PostgreSQL does."""
    for name in options:
        if name not in _KNOWN:
            raise SqlError(Code.syntax_error, f'option "{name}" not recognized')
    form = str(options.get("format", "text")).lower()
    if form == "binary":
        return _binary(options)
    if form not in ("text", "csv"):
        raise _invalid(f'COPY format "{options["format"]}" not recognized')
    csv = form == "csv"
    for name in ("quote", "escape", "force_quote"):
        if name in options and not csv:
            raise not_supported(f"COPY {name.replace('_', ' ')} available only in CSV mode")
    encoding = str(options.get("encoding", "utf8")).lower().replace("-", "")
    if encoding not in ("utf8", "unicode"):
        raise not_supported(f'COPY encoding "{options["encoding"]}" not supported', "Data must be UTF-8.")
    if options.get("force_quote") not in (None, "*"):
        raise not_supported("COPY FORCE_QUOTE with column names not supported", "Use FORCE_QUOTE *.")
    quote = _character(options, "quote", '"')
    chosen = CopyOptions(
        format="csv" if csv else "text",
        delimiter=_character(options, "delimiter", "," if csv else "\t"),
        null=str(options.get("null", "" if csv else "\\N")),
        header=_header(options),
        quote=quote,
        escape=_character(options, "escape", quote),
        force_quote_all="force_quote" in options,
    )
    _check(chosen)
    return chosen


def _binary(options: Mapping[str, OptionValue]) -> CopyOptions:
    for name in ("delimiter", "null"):
        if name in options:
            raise SqlError(Code.syntax_error, f"cannot specify {name.upper()} in BINARY mode")
    if _header(options):
        raise not_supported("cannot specify HEADER in BINARY mode")
    for name in ("quote", "escape", "force_quote"):
        if name in options:
            raise not_supported(f"COPY {name.replace('_', ' ')} available only in CSV mode")
    return CopyOptions(format="binary")


_KNOWN = frozenset(("format", "delimiter", "null", "header", "quote", "escape", "force_quote", "encoding"))


def _invalid(message: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, message)


def _character(options: Mapping[str, OptionValue], name: str, default: str) -> str:
    value = str(options.get(name, default))
    if len(value) != 1 or not value.isascii() or value == "\0":
        raise not_supported(f"COPY {name} must be a single one-byte character")
    return value


def _header(options: Mapping[str, OptionValue]) -> Literal[False, True, "match"]:
    if "header" not in options:
        return False
    value = options["header"]
    if value is None or value is True:
        return True
    text = str(value).lower()
    if text == "match":
        return "match"
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SqlError(Code.syntax_error, 'header requires a Boolean value or "match"')


def _check(options: CopyOptions) -> None:
    delimiter, null = options.delimiter, options.null
    if delimiter in "\r\n":
        raise _invalid("COPY delimiter cannot be newline or carriage return")
    if "\r" in null or "\n" in null:
        raise _invalid("COPY null representation cannot use newline or carriage return")
    if options.format == "text" and delimiter in _TEXT_UNSAFE:
        raise _invalid(f'COPY delimiter cannot be "{delimiter}"')
    if delimiter in null:
        raise _invalid("COPY delimiter character must not appear in the NULL specification")
    if options.format == "csv":
        if delimiter == options.quote:
            raise _invalid("COPY delimiter and quote must be different")
        if options.quote in "\r\n" or options.escape in "\r\n":
            raise _invalid("COPY quote and escape cannot be newline or carriage return")
        if options.quote in null:
            raise _invalid("CSV quote character must not appear in the NULL specification")
