"""TauSQL against PostgreSQL, statement by statement: `differential.py POSTGRES_DSN TAUSQL_DSN [first seed] [seconds]`.

The same random statements (differential_statements.py) run on both, through the simple and the extended protocol, with
results as text and in binary. Compared are rows, columns' names and types, parameters' types, command tags, SQLSTATEs
and messages. The corpora beside this file hold what somebody thought of; this finds what nobody did.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from differential_statements import Generator, Step, Table
from psycopg.pq import DiagnosticField, ExecStatus, Format

GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY)
RETRIES = 20


@dataclass(slots=True)
class Answer:
    tag: str = ""
    columns: tuple[tuple[str, int], ...] = ()
    params: tuple[int, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    error: tuple[str, str] | None = None


@dataclass(slots=True)
class Difference:
    seed: int
    before: list[str]
    step: Step
    postgres: Answer
    tausql: Answer

    def __str__(self) -> str:
        mine, theirs = self.tausql, self.postgres
        lines = [f"seed {self.seed} ({self.step.mode}): {self.step.sql}", f"  params {self.step.params}"]
        lines += [
            f"  {name}: PostgreSQL {getattr(theirs, name)}, TauSQL {getattr(mine, name)}"
            for name in ("error", "tag", "columns", "params")
            if getattr(mine, name) != getattr(theirs, name)
        ]
        if mine.rows != theirs.rows:
            only = [row for row in theirs.rows if row not in mine.rows][:4]
            extra = [row for row in mine.rows if row not in theirs.rows][:4]
            lines.append(f"  rows: only PostgreSQL {only}, only TauSQL {extra}")
        return "\n".join(lines)


def answer(connection: psycopg.Connection, step: Step) -> Answer:
    """Run one statement and say what came of it."""
    low = connection.pgconn
    made = Answer()
    if step.mode == "simple":
        result = low.exec_(step.sql.encode())
    else:
        values: list[Any] = [None if value is None else value.encode() for value in step.params]
        result = low.prepare(b"", step.sql.encode())
        if result.status in GOOD:
            described = low.describe_prepared(b"")
            made.params = tuple(described.param_type(at) for at in range(described.nparams))
            result = low.exec_prepared(b"", values, result_format=Format(step.mode == "binary"))
    if result.status not in GOOD:
        state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
        message = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        made.error = (state, message)
        return made
    made.tag = (result.command_status or b"").decode()
    made.columns = tuple(((result.fname(at) or b"").decode(), result.ftype(at)) for at in range(result.nfields))
    made.rows = tuple(
        tuple(result.get_value(row, at) for at in range(result.nfields)) for row in range(result.ntuples)
    )
    return made


def same(step: Step, one: Answer, two: Answer) -> bool:
    if one.error is not None and two.error is not None:
        return step.mutilated or one.error == two.error
    if (one.error, one.tag, one.columns, one.params) != (two.error, two.tag, two.columns, two.params):
        return False
    if step.ordered:
        return one.rows == two.rows
    return sorted(map(repr, one.rows)) == sorted(map(repr, two.rows))


def schema_change(connection: psycopg.Connection, sql: str) -> list[Any]:
    """The rows it answers. Retried where it met a background job's own schema change."""
    for _ in range(RETRIES):
        try:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []
        except psycopg.errors.SerializationFailure:
            continue
    raise AssertionError(f"{sql}: still in conflict after {RETRIES} attempts")


class Pair:
    """A session on each, in the same state."""

    def __init__(self, postgres: str, tausql: str) -> None:
        self.postgres = psycopg.connect(postgres, autocommit=True)
        self.tausql = psycopg.connect(tausql, autocommit=True)
        for sql in ("SET TimeZone = 'UTC'", "SET default_transaction_isolation = 'repeatable read'"):
            self.postgres.execute(sql)
        self.tausql.execute("SET TimeZone = 'UTC'")

    def close(self) -> None:
        self.postgres.close()
        self.tausql.close()

    def create(self, table: Table) -> None:
        for connection in (self.postgres, self.tausql):
            schema_change(connection, table.create())
        for names in table.indexes:
            on = f"ON {table.name} ({', '.join(names)})"
            schema_change(self.postgres, f"CREATE INDEX {on}")
            (job,) = schema_change(self.tausql, f"CREATE INDEX ASYNC {on}")
            self.tausql.execute(f"CALL sys.wait_for_job('{job[0]}')".encode())

    def drop(self, table: Table) -> None:
        for connection in (self.postgres, self.tausql):
            if connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
            schema_change(connection, f"DROP TABLE IF EXISTS {table.name}")

    def run(self, seed: int, step: Step, before: list[str]) -> Difference | None:
        one, two = answer(self.postgres, step), answer(self.tausql, step)
        return None if same(step, one, two) else Difference(seed, list(before), step, one, two)


def differences(pair: Pair, seed: int, statements: int, counted: list[int]) -> Iterator[Difference]:
    """The first thing that differs of each transaction of a seed; ends at a write that differs, as nothing after it
    can be compared. `counted[0]` grows by the statements run."""
    generator = Generator(seed)
    tables = generator.schema(f"d{seed}")
    before = [table.create() for table in tables]
    try:
        for table in tables:
            pair.create(table)
        steps = [step for table in tables for step in generator.filling(table)]
        for step in [*steps, *generator.steps(statements)]:
            found = pair.run(seed, step, before)
            before.append(step.sql)
            counted[0] += 1
            if found is not None:
                yield found
                states = [one.pgconn.transaction_status for one in (pair.postgres, pair.tausql)]
                if states[0] != states[1] or not step.sql.startswith(("SELECT", "WITH", "(")):
                    return
    finally:
        for table in tables:
            pair.drop(table)


def main() -> None:
    postgres, tausql = sys.argv[1:3]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 60.0
    statements = int(sys.argv[5]) if len(sys.argv) > 5 else 80
    pair = Pair(postgres, tausql)
    counted, found = [0], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for difference in differences(pair, seed, statements, counted):
            found += 1
            print(difference, flush=True)
        seed += 1
    pair.close()
    print(f"{counted[0]} statements, {found} differences, next seed {seed}")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
