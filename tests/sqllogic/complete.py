"""Fills in what PostgreSQL answers: `python -m tests.sqllogic.complete FILE...`.

A `.slt` file is read and written again with the answers of a PostgreSQL of the development wheel; records for TauSQL
alone stay as they are. A `.sql` draft (a statement a line, -- begins a comment that is kept) becomes a `.slt` file
beside it: what answers rows is a query, sorted unless it says ORDER BY itself, what fails is an error with its
SQLSTATE.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loadtest.postgres import single_postgres
from tests.compatibility.emptying import empty

from .records import Record, Sort, parse, written
from .running import Sessions, result_lines

INTEGERS = (20, 21, 23, 26)
THRESHOLD = 60


def drafted(text: str) -> list[Record]:
    """Records of a draft."""
    found: list[Record] = []
    head: list[str] = []
    for at, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("--"):
            head.append(f"# {line[2:].strip()}")
        elif line:
            found.append(Record(at, "statement", line.removesuffix(";"), head=head))
            head = []
    return found


def completed(records: list[Record], sessions: Sessions, drafts: bool) -> list[Record]:
    """The records with the answers of this server, which is PostgreSQL."""
    threshold = 0
    for record in records:
        if record.kind == "hash-threshold":
            threshold = record.threshold
        if "postgres" not in record.engines or record.kind not in ("statement", "query"):
            continue
        answer = sessions.run(record.connection, record.sql)
        if answer.error is not None:
            record.kind = "statement"
            kept = record.error is not None and record.error.startswith(answer.error[0])
            record.error = record.error if kept else answer.error[0]
        elif answer.columns and (record.kind == "query" or drafts):
            record.kind = "query"
            if drafts or len(record.types) != answer.columns:
                record.types = "".join("I" if kind in INTEGERS else "T" for kind in answer.kinds)
            if drafts and "ORDER BY" not in _outermost(record.sql).upper():
                record.sort = Sort.rowsort
            record.expected = result_lines(record, answer, threshold)
        else:
            record.kind, record.error = "statement", None
    return records


def _outermost(sql: str) -> str:
    """The statement without what stands in parentheses."""
    kept, depth = [], 0
    for sign in sql:
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            kept.append(sign)
    return "".join(kept)


def complete(path: Path, dsn: str) -> int:
    """Write the file; how many records it has."""
    drafts = path.suffix == ".sql"
    records = drafted(path.read_text()) if drafts else list(parse(path.read_text()))
    if drafts:
        records.insert(0, Record(0, "hash-threshold", threshold=THRESHOLD))
    sessions = Sessions("postgres", dsn)
    try:
        empty(sessions.get())
        completed(records, sessions, drafts)
    finally:
        sessions.close()
    path.with_suffix(".slt").write_text("\n\n".join(written(record) for record in records) + "\n")
    return len(records)


def main() -> None:
    with single_postgres() as port:
        for name in sys.argv[1:]:
            counted = complete(Path(name), f"host=127.0.0.1 port={port} user=postgres dbname=postgres")
            print(f"{name}: {counted} records")


if __name__ == "__main__":
    main()
