"""One line of COPY data to its fields, and back: the text format with its backslashes, CSV with its quotes.

Most lines have neither, and then splitting at the delimiter is all there is to do; only a line with a backslash or a
quote is looked at closely. The text format is split as bytes, because `\\303\\251` spells one character in two escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tausql.pgwire.copy_options import CopyOptions
from tausql.protocol.errors import Code, SqlError

Field = str | None
Split = Callable[[bytes], list[Field]]
Format = Callable[[Sequence[Field]], str]

_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.|\n|\r|$)", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NAMED = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def copy_error(message: str, hint: str | None = None) -> SqlError:
    """22P04."""
    return SqlError(Code.bad_copy_file_format, message, hint=hint)


def decode(raw: bytes) -> str:
    """Raises SqlError 22021 where `raw` is not UTF-8 or holds a zero byte, which no text value can."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in raw[error.start : min(error.end, error.start + 4)])
        raise _not_utf8(shown) from None
    if "\0" in text:
        raise _not_utf8("0x00")
    return text


def _not_utf8(shown: str) -> SqlError:
    return SqlError(Code.character_not_in_repertoire, f'invalid byte sequence for encoding "UTF8": {shown}')


def text_splitter(options: CopyOptions) -> Split:
    delimiter = options.delimiter
    raw_delimiter = delimiter.encode()
    null = options.null
    raw_null = null.encode()

    def split(line: bytes) -> list[Field]:
        if b"\\" not in line:
            fields = decode(line).split(delimiter)
            if null in fields:
                return [None if field == null else field for field in fields]
            return list(fields)
        parts = line.split(raw_delimiter)
        if any(part.endswith(b"\\") for part in parts):
            parts = _rejoin(parts, raw_delimiter)
        return [None if part == raw_null else decode(part if b"\\" not in part else _unescape(part)) for part in parts]

    return split


def _rejoin(parts: list[bytes], delimiter: bytes) -> list[bytes]:
    """Undo the cuts at delimiters that a backslash took the meaning from."""
    joined: list[bytes] = []
    pending: list[bytes] = []
    for part in parts:
        pending.append(part)
        if not ends_escaped(part):
            joined.append(delimiter.join(pending))
            pending = []
    if pending:
        joined.append(delimiter.join(pending))
    return joined


def ends_escaped(part: bytes) -> bool:
    """True if what follows `part` is escaped by it: an odd number of backslashes at its end."""
    return (len(part) - len(part.rstrip(b"\\"))) % 2 == 1


def _unescape(part: bytes) -> bytes:
    return _ESCAPE.sub(_meaning, part)


def _meaning(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if what in _LETTERS:
        return _LETTERS[what]
    if what[:1].isdigit() and what[0] < ord("8"):
        return bytes((int(what, 8) & 0xFF,))
    if len(what) > 1:
        return bytes((int(what[1:], 16),))
    if what == b".":
        raise copy_error("end-of-copy marker corrupt")
    return what or b"\\"


def csv_splitter(options: CopyOptions) -> Split:
    delimiter, null, quote = options.delimiter, options.null, options.quote

    def split(line: bytes) -> list[Field]:
        text = decode(line)
        if quote not in text:
            return [None if field == null else field for field in text.split(delimiter)]
        return _split_quoted(text, options)

    return split


def _split_quoted(text: str, options: CopyOptions) -> list[Field]:
    delimiter, quote = options.delimiter, options.quote
    fields: list[Field] = []
    position = 0
    while True:
        pieces: list[str] = []
        quoted = False
        while True:
            end = text.find(delimiter, position)
            if end < 0:
                end = len(text)
            start = text.find(quote, position, end)
            if start < 0:
                break
            quoted = True
            pieces.append(text[position:start])
            position = _quoted_section(text, start + 1, options, pieces)
        pieces.append(text[position:end])
        field = "".join(pieces)
        fields.append(None if field == options.null and not quoted else field)
        if end == len(text):
            return fields
        position = end + 1


def _quoted_section(text: str, position: int, options: CopyOptions, pieces: list[str]) -> int:
    """Appends what stands up to the closing quote, returns the position behind it."""
    quote, escape = options.quote, options.escape
    size = len(text)
    while True:
        end = text.find(quote, position)
        if escape != quote:
            escaped = text.find(escape, position, size if end < 0 else end)
            if escaped >= 0:
                end = escaped
        if end < 0:
            raise copy_error("unterminated CSV quoted field")
        pieces.append(text[position:end])
        following = text[end + 1 : end + 2]
        if text[end] == escape and following and following in (escape, quote):
            pieces.append(following)
            position = end + 2
        elif text[end] == quote:
            return end + 1
        else:
            pieces.append(escape)
            position = end + 1


def quotes_open(line: bytes, is_open: bool, options: CopyOptions) -> bool:
    """Whether a quoted field is still open behind `line`, if one was (`is_open`) before it."""
    quote, escape = options.quote.encode(), options.escape.encode()
    if quote == escape:
        return is_open ^ (line.count(quote) % 2 == 1)
    if quote not in line:
        return is_open
    escaped = False
    for byte in line:
        if is_open and byte == escape[0]:
            escaped = not escaped
            continue
        if byte == quote[0] and not escaped:
            is_open = not is_open
        escaped = False
    return is_open


def text_formatter(options: CopyOptions) -> Format:
    delimiter, null = options.delimiter, options.null
    special = re.compile(f"[\\\\\b\f\n\r\t\v{re.escape(delimiter)}]")
    table = str.maketrans({delimiter: f"\\{delimiter}", **_NAMED})

    def line(fields: Sequence[Field]) -> str:
        return delimiter.join(
            [null if field is None else field.translate(table) if special.search(field) else field for field in fields]
        )

    return line


def csv_formatter(options: CopyOptions) -> Format:
    delimiter, null, quote, escape = options.delimiter, options.null, options.quote, options.escape
    special = re.compile(f"[\n\r{re.escape(delimiter)}{re.escape(quote)}]")
    force = options.force_quote_all

    def quoted(field: str) -> str:
        if escape != quote:
            field = field.replace(escape, escape + escape)
        return quote + field.replace(quote, escape + quote) + quote

    def line(fields: Sequence[Field]) -> str:
        single = len(fields) == 1
        return delimiter.join(
            [
                null
                if field is None
                else quoted(field)
                if force or field == null or special.search(field) or (single and field == "\\.")
                else field
                for field in fields
            ]
        )

    return line
