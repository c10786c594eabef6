"""COPY data as a stream: chunks cut anywhere in, rows of fields out, and rows back to lines.

CopyData messages say nothing about lines: a client may send half a line, or a thousand. Which byte ends a line is not
declared either; the first line end seen decides, as in PostgreSQL, and any other bare one after that is an error,
because data written on one system and patched on another is more likely broken than meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tausql.pgwire.copy_fields import (
    Field,
    copy_error,
    csv_formatter,
    csv_splitter,
    ends_escaped,
    quotes_open,
    text_formatter,
    text_splitter,
)
from tausql.pgwire.copy_options import CopyOptions, copy_options
from tausql.protocol.errors import Code, SqlError

__all__ = ["CopyOptions", "CopyReader", "CopyWriter", "Field", "copy_options"]

LINE_BYTES_MAX = 10 * 1024 * 1024  # a transaction cannot write more
_SHOWN_CHARACTERS_MAX = 100
_LINE_END = re.compile(rb"[\r\n]")


class CopyReader:
    """COPY ... FROM STDIN. `table` and `columns` are named in errors; a row has as many fields as there are columns.

    `feed` and `finish` raise SqlError (22P04, 22021, 54000) with the line in `where`; the reader is then of no more
    use. What follows an end-of-data line (`\\.`) is ignored.
    """

    __slots__ = (
        "_columns",
        "_csv",
        "_ended",
        "_line_end",
        "_looked",
        "_looked_open",
        "_open",
        "_open_bytes",
        "_options",
        "_rest",
        "_split",
        "_table",
        "lines",
    )

    def __init__(self, options: CopyOptions, table: str, columns: Sequence[str]) -> None:
        self._options = options
        self._table = table
        self._columns = tuple(columns)
        self._csv = options.format == "csv"
        self._split = csv_splitter(options) if self._csv else text_splitter(options)
        self._line_end: bytes | None = None  # \n, \r\n or \r once one was seen
        self._rest = b""  # the beginning of a line
        self._open: list[bytes] = []  # pieces of a row that goes on behind a quoted or escaped line end
        self._open_bytes = 0
        self._looked = 0  # bytes of `_rest` searched for the first line end, and whether a quote was open there
        self._looked_open = False
        self._ended = False
        self.lines = 0  # read so far, the header included

    def feed(self, data: bytes) -> list[list[Field]]:
        """The rows that `data` completes."""
        if self._ended:
            return []
        buffer = self._rest + data
        if len(buffer) > LINE_BYTES_MAX and len(self._rest) > LINE_BYTES_MAX:
            raise self._fail(SqlError(Code.program_limit_exceeded, "COPY line is too long"), b"")
        if self._line_end is None:
            self._line_end = self._detect(buffer, False)
            if self._line_end is None:
                self._rest = buffer
                return []
        lines = buffer.split(self._line_end)
        self._rest = lines.pop()
        return self._rows(lines)

    def finish(self) -> list[list[Field]]:
        """The last row, where the last line had no end."""
        rest = self._rest
        self._rest = b""
        rows: list[list[Field]] = []
        if rest and not self._ended:
            if self._line_end is None:
                self._line_end = self._detect(rest, True) or b"\n"
            lines = rest.split(self._line_end)
            if not lines[-1]:
                lines.pop()
            rows = self._rows(lines)
        if self._open and not self._ended:
            line = self._line_end.join(self._open) if self._line_end else b""
            if self._csv:
                raise self._fail(copy_error("unterminated CSV quoted field"), line)
            self._open = []
            self._row(line, rows)
        return rows

    def _detect(self, buffer: bytes, final: bool) -> bytes | None:
        """The line end that counts, from the first one outside quotes and escapes; None if it is not there yet."""
        position = self._looked
        is_open = self._looked_open
        for match in _LINE_END.finditer(buffer, position):
            end = match.start()
            piece = buffer[position:end]
            is_open = quotes_open(piece, is_open, self._options) if self._csv else ends_escaped(piece)
            if not is_open:
                if buffer[end : end + 1] == b"\n":
                    return b"\n"
                if end + 1 == len(buffer) and not final:
                    return None
                return b"\r\n" if buffer[end + 1 : end + 2] == b"\n" else b"\r"
            position = end + 1
            self._looked, self._looked_open = position, is_open
        return None

    def _rows(self, lines: list[bytes]) -> list[list[Field]]:
        rows: list[list[Field]] = []
        pieces = self._open
        is_open = bool(pieces)
        line_end = self._line_end or b"\n"
        for line in lines:
            self.lines += 1
            if not pieces and line == b"\\.":
                self._ended = True
                break
            is_open = quotes_open(line, is_open, self._options) if self._csv else ends_escaped(line)
            if is_open:
                pieces.append(line)
                self._open_bytes += len(line) + len(line_end)
                if self._open_bytes > LINE_BYTES_MAX:
                    raise self._fail(SqlError(Code.program_limit_exceeded, "COPY line is too long"), b"")
                continue
            if pieces:
                pieces.append(line)
                line = line_end.join(pieces)
                pieces.clear()
                self._open_bytes = 0
            self._row(line, rows)
        return rows

    def _row(self, line: bytes, rows: list[list[Field]]) -> None:
        if b"\r" in line or b"\n" in line:
            self._check_line_ends(line)
        if self.lines == 1 and self._options.header is not False:
            self._header(line)
            return
        try:
            fields = self._split(line)
        except SqlError as error:
            raise self._fail(error, line) from None
        wanted = len(self._columns)
        if len(fields) != wanted:
            if len(fields) < wanted:
                raise self._fail(copy_error(f'missing data for column "{self._columns[len(fields)]}"'), line)
            if wanted or line:
                raise self._fail(copy_error("extra data after last expected column"), line)
            fields = []
        rows.append(fields)

    def _check_line_ends(self, line: bytes) -> None:
        """Raises where a line end stands in the data as it is, unquoted or unescaped."""
        is_open = False
        start = 0
        for match in _LINE_END.finditer(line):
            position = match.start()
            byte = line[position]
            piece = line[start:position]
            is_open = quotes_open(piece, is_open, self._options) if self._csv else ends_escaped(piece)
            start = position + 1
            if is_open:
                continue
            if not self._csv and byte == 10 and line[position - 2 : position] == b"\\\r":
                continue  # an escaped \r\n, where that ends lines
            name, letter = ("carriage return", "\\r") if byte == 13 else ("newline", "\\n")
            if self._csv:
                error = copy_error(f"unquoted {name} found in data", f"Use quoted CSV field to represent {name}.")
            else:
                error = copy_error(f"literal {name} found in data", f'Use "{letter}" to represent {name}.')
            raise self._fail(error, line)

    def _header(self, line: bytes) -> None:
        if self._options.header != "match":
            return
        names = self._split(line)
        if len(names) != len(self._columns):
            raise self._fail(
                copy_error(f"wrong number of fields in header line: got {len(names)}, expected {len(self._columns)}"),
                line,
            )
        for number, (name, expected) in enumerate(zip(names, self._columns, strict=True), 1):
            if name != expected:
                got = "null value" if name is None else f'"{name}"'
                message = f'column name mismatch in header line field {number}: got {got}, expected "{expected}"'
                raise self._fail(copy_error(message), line)

    def _fail(self, error: SqlError, line: bytes) -> SqlError:
        self._ended = True
        shown = line.decode(errors="replace")
        if len(shown) > _SHOWN_CHARACTERS_MAX:
            shown = shown[:_SHOWN_CHARACTERS_MAX] + "..."
        error.where = f'COPY {self._table}, line {self.lines}: "{shown}"'
        return error


class CopyWriter:
    """COPY ... TO STDOUT: each method gives one line, its end included."""

    __slots__ = ("_line", "_looked", "_looked_open", "_open_bytes")

    def __init__(self, options: CopyOptions) -> None:
        self._line = csv_formatter(options) if options.format == "csv" else text_formatter(options)

    def header(self, names: Sequence[str]) -> bytes:
        return self._line(names).encode() + b"\n"

    def row(self, fields: Sequence[Field]) -> bytes:
        return self._line(fields).encode() + b"\n"
