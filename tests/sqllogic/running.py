"""Runs records against a server, and says where it answered otherwise.

The same file runs on PostgreSQL and on TauSQL. Where both must be written differently the file says so with onlyif and
skipif, with one exception: CREATE INDEX ASYNC, which every file would be full of. PostgreSQL is given it without ASYNC;
TauSQL's is waited for, so that what follows sees the finished index on both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from .records import Record, Sort

ASYNC = re.compile(r"(?i)\b(CREATE\s+(?:UNIQUE\s+)?INDEX)\s+ASYNC\b")
SQLSTATE = re.compile(r"[0-9A-Z]{5}")
RETRIES = 100
SHOWN_LINES_MAX = 20
FAILURES_MAX = 200


@dataclass(slots=True)
class Answer:
    """`rows`: values as text. `error`: (SQLSTATE, message)."""

    rows: list[list[str | None]] = field(default_factory=list)
    columns: int = 0
    kinds: list[int] = field(default_factory=list)  # oids of the columns' types
    count: int = 0
    error: tuple[str, str] | None = None


class Sessions:
    """Connections to one server by name; the nameless one is open from the beginning."""

    def __init__(self, engine: str, dsn: str) -> None:
        self.engine = engine
        self._dsn = dsn
        self._open: dict[str, psycopg.Connection] = {}

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()

    def get(self, name: str = "") -> psycopg.Connection:
        if name not in self._open:
            made = psycopg.connect(self._dsn, autocommit=True)
            made.execute("SET TimeZone = 'UTC'")
            if self.engine == "postgres":
                made.execute("SET default_transaction_isolation = 'repeatable read'")
                made.execute("SET client_min_messages = error")
            self._open[name] = made
        return self._open[name]

    def run(self, name: str, sql: str) -> Answer:
        connection = self.get(name)
        built = ASYNC.search(sql)
        if built and self.engine == "postgres":
            return _answer(connection, ASYNC.sub(r"\1", sql))
        for _ in range(RETRIES):
            idle = connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
            answer = _answer(connection, sql)
            if not idle or answer.error is None or "OC001" not in answer.error[1]:
                break  # a background job's schema change came between: what any client tries again
        if built and answer.error is None and answer.rows:
            _answer(connection, f"CALL sys.wait_for_job('{answer.rows[0][0]}')")
        return answer


def _answer(connection: psycopg.Connection, sql: str) -> Answer:
    result = connection.pgconn.exec_(sql.encode())
    made = Answer()
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        made.error = (state, (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or result.error_message).decode())
        return made
    made.count = result.command_tuples or 0
    made.columns = result.nfields
    made.kinds = [result.ftype(at) for at in range(result.nfields)]
    for at in range(result.ntuples):
        values = [result.get_value(at, column) for column in range(result.nfields)]
        made.rows.append([None if value is None else value.decode() for value in values])
    return made


def shown(value: str | None, kind: str) -> str:
    """A value as files have it."""
    if value is None:
        return "NULL"
    if kind == "R":
        try:
            return f"{float(value):.3f}"
        except ValueError:
            return value
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") or "(empty)"


def result_lines(record: Record, answer: Answer, threshold: int) -> list[str]:
    """What stands under ---- for this answer."""
    rows = [[shown(value, kind) for value, kind in zip(row, record.types, strict=False)] for row in answer.rows]
    if record.sort is Sort.rowsort:
        rows.sort()
    values = [value for row in rows for value in row]
    if record.sort is Sort.valuesort:
        values.sort()
    if threshold and len(values) > threshold:
        digest = hashlib.md5("".join(f"{value}\n" for value in values).encode()).hexdigest()
        return [f"{len(values)} values hashing to {digest}"]
    return values if record.sort is Sort.valuesort else ["\t".join(row) for row in rows]


def _by_value(expected: Sequence[str], columns: int) -> list[str]:
    """Lines of a value each from lines of a row each, if they are that."""
    if columns > 1 and expected and all(line.count("\t") == columns - 1 for line in expected):
        return [value for line in expected for value in line.split("\t")]
    return list(expected)


class Run:
    """A file under way. `failures`: what was answered otherwise, in words."""

    def __init__(self, sessions: Sessions, where: str) -> None:
        self.sessions = sessions
        self.where = where
        self.failures: list[str] = []
        self.records = 0
        self.threshold = 0
        self._labels: dict[str, list[str]] = {}

    def all(self, records: Iterable[Record]) -> None:
        for record in records:
            if self.sessions.engine not in record.engines:
                continue
            if record.kind == "halt":
                return
            if record.kind == "hash-threshold":
                self.threshold = record.threshold
                continue
            self.records += 1
            why = self.one(record)
            if why is not None and len(self.failures) < FAILURES_MAX:
                self.failures.append(f"{self.where}:{record.line}: {record.sql}\n    {why}")

    def one(self, record: Record) -> str | None:
        """Why it failed."""
        answer = self.sessions.run(record.connection, record.sql)
        if record.kind == "query":
            return self._query(record, answer)
        if record.error is not None:
            return _wrong_error(record.error, answer)
        if answer.error is not None:
            return f"failed: {answer.error[0]} {answer.error[1]}"
        if record.count is not None and record.count != answer.count:
            return f"{answer.count} rows instead of {record.count}"
        return None

    def _query(self, record: Record, answer: Answer) -> str | None:
        if answer.error is not None:
            return f"failed: {answer.error[0]} {answer.error[1]}"
        if answer.columns != len(record.types):
            return f"{answer.columns} columns instead of {len(record.types)}"
        got = result_lines(record, answer, self.threshold)
        if record.label and self._labels.setdefault(record.label, got) != got:
            return f"another result than the one before labelled {record.label}"
        if record.expected is None:
            return None
        if _by_value(record.expected, answer.columns) != _by_value(got, answer.columns):
            return f"expected {record.expected[:SHOWN_LINES_MAX]}\n    got      {got[:SHOWN_LINES_MAX]}"
        return None


def _wrong_error(expected: str, answer: Answer) -> str | None:
    if answer.error is None:
        return f"succeeded, must fail with {expected}"
    state, message = answer.error
    first, _, rest = expected.partition(" ")
    if SQLSTATE.fullmatch(first):
        if first != state:
            return f"failed with {state} {message}, must with {expected}"
        expected = rest.strip()
    if expected and not re.search(expected, message):
        return f"failed with {state} {message}, must with {expected}"
    return None
