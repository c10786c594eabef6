"""Files in the format of sqllogictest, read into records.

    statement ok                       must succeed
    statement count 3                  must have changed three rows
    statement error 42P01 not exist    must fail with this SQLSTATE and a message in which this expression is found
    query ITR rowsort label            one letter a column (I integer, R %.3f, T text); nosort, rowsort, valuesort
    <sql>
    ----
    <values>, or "<n> values hashing to <md5>"

    hash-threshold 12                  results of more values are written as their hash
    onlyif tausql / skipif postgres    the next record, by engine
    connection two                     the next record runs in this session (of the same server)
    halt

Records end with an empty line; # begins a comment. One value a line is the format's own way; a result whose lines have
as many tabs as it has columns but one is written a row a line, which is how ours are. NULL is `NULL`, an empty string
`(empty)`, a tab, newline or backslash within a value `\\t`, `\\n`, `\\\\`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

ENGINES = ("tausql", "postgres")


class Sort(StrEnum):
    nosort = "nosort"
    rowsort = "rowsort"
    valuesort = "valuesort"


class Malformed(Exception):
    """What is wrong with the file, and where."""


@dataclass(slots=True)
class Record:
    """One record. `head`: its comments and conditions as written. `expected`: lines, None where nothing follows."""

    line: int
    kind: str  # statement, query, halt, hash-threshold
    sql: str = ""
    engines: tuple[str, ...] = ENGINES
    connection: str = ""
    head: list[str] = field(default_factory=list)
    # of a statement
    error: str | None = None
    count: int | None = None
    # of a query
    types: str = ""
    sort: Sort = Sort.nosort
    label: str = ""
    expected: list[str] | None = None
    threshold: int = 0


def parse(text: str) -> Iterator[Record]:
    """Raises Malformed."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        start = at
        while at < len(lines) and lines[at].strip():
            at += 1
        block = lines[start:at]
        if all(line.startswith("#") for line in block):
            continue
        yield _record(start + 1, block)


def _record(line: int, block: list[str]) -> Record:
    record = Record(line, "")
    at = 0
    while at < len(block):
        text = block[at]
        words = text.split("#")[0].split() if text.startswith(("onlyif", "skipif", "connection")) else text.split()
        match words:
            case ["#", *_] | []:
                pass
            case [first, *_] if first.startswith("#"):
                pass
            case ["onlyif", engine]:
                record.engines = tuple(one for one in record.engines if one == engine)
            case ["skipif", engine]:
                record.engines = tuple(one for one in record.engines if one != engine)
            case ["connection", name]:
                record.connection = name
            case _:
                break
        record.head.append(text)
        at += 1
    words = block[at].split()
    body = block[at + 1 :]
    match words:
        case ["halt"]:
            record.kind = "halt"
        case ["hash-threshold", number]:
            record.kind, record.threshold = "hash-threshold", int(number)
        case ["statement", "ok"]:
            record.kind = "statement"
        case ["statement", "count", number]:
            record.kind, record.count = "statement", int(number)
        case ["statement", "error", *_]:
            record.kind, record.error = "statement", block[at].split(None, 2)[2] if len(words) > 2 else ""
        case ["query", types, *rest] if re.fullmatch("[ITR]+", types):
            record.kind, record.types = "query", types
            for word in rest:
                if word in Sort.__members__:
                    record.sort = Sort(word)
                else:
                    record.label = word
        case _:
            raise Malformed(f"line {line + at}: {block[at]}")
    if record.kind == "query" and "----" in body:
        cut = body.index("----")
        record.expected = body[cut + 1 :]
        body = body[:cut]
    record.sql = "\n".join(body).strip()
    if record.kind in ("statement", "query") and not record.sql:
        raise Malformed(f"line {line}: no SQL")
    return record


def written(record: Record) -> str:
    """The record as text, without the empty line that ends it."""
    lines = list(record.head)
    if record.kind == "halt":
        return "\n".join([*lines, "halt"])
    if record.kind == "hash-threshold":
        return "\n".join([*lines, f"hash-threshold {record.threshold}"])
    if record.kind == "query":
        parts = ["query", record.types]
        parts += [record.sort.value] if record.sort is not Sort.nosort or record.label else []
        parts += [record.label] if record.label else []
        return "\n".join([*lines, " ".join(parts), record.sql, "----", *(record.expected or [])])
    what = "ok" if record.error is None else f"error {record.error}".strip()
    if record.count is not None:
        what = f"count {record.count}"
    return "\n".join([*lines, f"statement {what}", record.sql])
