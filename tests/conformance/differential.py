"""TauSQL against PostgreSQL, statement by statement: `differential.py --count 50000 --first-seed 1`.

The same random statements (differential_statements.py) run on both, through the simple and the extended protocol, with
results as text and in binary. Compared are rows, columns' names, types and modifiers, parameters' types, command tags,
SQLSTATEs and messages. The corpora beside this file hold what somebody thought of; this finds what nobody did.

TauSQL is a processor in virtual time unless `--tausql` names a server, PostgreSQL that of the development wheel unless
`--postgres` names one. A seed makes a schema, rows and statements; `--first-seed N --seeds 1` repeats it. The first
of each class of differences are printed, all are counted. Exit status 1 if there is any that is not listed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from differential_answers import Answer, LibpqSession, Session, VirtualSession
from differential_statements import Generator, Step, Table
from record import local_server

RETRIES = 20
SHOWN_OF_A_CLASS = 3
STATEMENTS = 80  # of a seed
SEEDS_A_FLEET = 10  # a fleet in memory keeps every version of every row
PROGRESS_SECONDS = 30.0
REFUSED = "refused"  # counted besides its topic
NO_QUERIES = ("filling", "transaction", "check", "wrong")
LENIENT = "taken though a word is missing (docs/sql.md, Grammar)"
READS = ("SELECT", "WITH", "(", "VALUES", "TABLE")
QUOTED, NUMBERS = re.compile(r'"[^"]*"'), re.compile("[0-9]+")
VIOLATIONS = ("23", "44", "21")  # classes of SQLSTATEs: constraints, check options, one row written twice
OUR_CONFLICT = "40001"


@dataclass(slots=True)
class Difference:
    seed: int
    before: list[str]
    step: Step
    postgres: Answer
    tausql: Answer

    def kind(self) -> str:
        """What it has in common with others of its class."""
        mine, theirs = self.tausql, self.postgres
        if self.step.mutilated and theirs.error is not None and theirs.error[0] == "42601" and mine.error is None:
            return LENIENT
        if mine.error or theirs.error:
            return f"PostgreSQL {_class_of(theirs)}, TauSQL {_class_of(mine)}"
        parts = [name for name in ("tag", "columns", "params", "rows") if getattr(mine, name) != getattr(theirs, name)]
        return f"{self.step.topic}: other {', '.join(parts)}"

    def __str__(self) -> str:
        mine, theirs = self.tausql, self.postgres
        lines = [f"seed {self.seed} ({self.step.mode}, {self.step.topic}): {self.step.sql}"]
        if self.step.params:
            lines.append(f"  parameters' values {self.step.params}")
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


def _class_of(answer: Answer) -> str:
    if answer.error is None:
        return "succeeds"
    state, message = answer.error
    return f"{state} {NUMBERS.sub('N', QUOTED.sub('..', message))}"


def same(step: Step, one: Answer, two: Answer) -> bool:
    if one.error is not None and two.error is not None:
        return step.mutilated or one.error == two.error or _met_first(step, one.error[0], two.error[0])
    if (one.error, one.tag, one.params) != (two.error, two.tag, two.params) or not _same_columns(one, two):
        return False
    if step.ordered:
        return one.rows == two.rows
    return sorted(map(repr, one.rows)) == sorted(map(repr, two.rows))


def _same_columns(postgres: Answer, tausql: Answer) -> bool:
    """PostgreSQL tells modifiers of what it has simplified: coalesce(x, NULL) has x's. TauSQL then tells none."""
    pairs = zip(postgres.columns, tausql.columns, strict=False)
    return len(postgres.columns) == len(tausql.columns) and all(
        theirs[:2] == ours[:2] and ours[2] in (theirs[2], -1) for theirs, ours in pairs
    )


def _met_first(step: Step, one: str, two: str) -> bool:
    """Which of two violated constraints is met first: rows of a query come in no order, and TauSQL judges the
    uniqueness of a statement's rows when it has them all."""
    violated = one.startswith(VIOLATIONS) and two.startswith(VIOLATIONS)
    one_row = step.sql.startswith("INSERT INTO") and " SELECT " not in step.sql and "), (" not in step.sql
    return violated and not one_row


def schema_change(session: Session, sql: str) -> Answer:
    """Must succeed. Retried where it met a background job's own schema change."""
    for _ in range(RETRIES):
        answer = session.answer(Step(sql))
        if answer.error is None:
            return answer
        if answer.error[0] != OUR_CONFLICT:
            raise AssertionError(f"{sql}: {answer.error}")
    raise AssertionError(f"{sql}: still in conflict after {RETRIES} attempts")


class Pair:
    """A session on each, in the same state."""

    def __init__(self, postgres: Session, tausql: Session) -> None:
        self.postgres = postgres
        self.tausql = tausql
        self.refused = False  # by PostgreSQL: the last statement, if it is a query
        for sql in ("SET TimeZone = 'UTC'", "SET default_transaction_isolation = 'repeatable read'"):
            schema_change(postgres, sql)
        schema_change(tausql, "SET TimeZone = 'UTC'")

    def close(self) -> None:
        self.postgres.close()
        self.tausql.close()

    def create(self, table: Table) -> None:
        for session in (self.postgres, self.tausql):
            schema_change(session, table.create())
        for index in table.indexes:
            schema_change(self.postgres, index.create(table.name))
            job = schema_change(self.tausql, index.create(table.name, "ASYNC ")).rows[0][0]
            assert job is not None
            schema_change(self.tausql, f"CALL sys.wait_for_job('{job.decode()}')")

    def drop(self, table: Table) -> None:
        for session in (self.postgres, self.tausql):
            if session.status != "I":
                session.answer(Step("ROLLBACK"))
            schema_change(session, f"DROP {'VIEW' if table.shows else 'TABLE'} IF EXISTS {table.name} CASCADE")

    def run(self, seed: int, step: Step, before: list[str]) -> Difference | None:
        one, two = self.postgres.answer(step), self.tausql.answer(step)
        self.refused = step.topic not in NO_QUERIES and one.error is not None
        return None if same(step, one, two) else Difference(seed, list(before), step, one, two)


def differences(pair: Pair, seed: int, statements: int, counted: Counter[str]) -> Iterator[Difference]:
    """The first thing that differs of each transaction of a seed; ends at a write that differs, as nothing after it
    can be compared. `counted` grows by the statements run, by topic."""
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
            counted[step.topic] += 1
            counted[REFUSED] += pair.refused
            if found is not None:
                yield found
                if pair.postgres.status != pair.tausql.status or not step.sql.startswith(READS):
                    return
    finally:
        for table in reversed(tables):
            pair.drop(table)


@dataclass(slots=True)
class Run:
    """Seeds until enough generated queries have been compared. `open`: a session of TauSQL."""

    postgres: Session
    open: Callable[[], Session]
    renewed: bool
    statements: int
    counted: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    seeds: int = 0
    _pair: Pair | None = None

    @property
    def queries(self) -> int:
        return sum(count for topic, count in self.counted.items() if topic not in (*NO_QUERIES, REFUSED))

    def seed(self, seed: int) -> None:
        if self._pair is None or (self.renewed and self.seeds % SEEDS_A_FLEET == 0):
            self._pair = Pair(self.postgres, self.open())
        self.seeds += 1
        for found in differences(self._pair, seed, self.statements, self.counted):
            kind = found.kind()
            self.classes[kind] += 1
            if self.classes[kind] <= SHOWN_OF_A_CLASS:
                print(found, flush=True)

    def report(self) -> str:
        topics = ", ".join(f"{topic} {count}" for topic, count in sorted(self.counted.items()))
        refused = self.counted[REFUSED]
        total = self.counted.total() - refused
        lines = [f"{self.queries} generated queries ({refused} refused), {total} statements in all ({topics})"]
        lines += [f"{count} x {kind}" for kind, count in self.classes.most_common()]
        return "\n".join([*lines, f"{self.unlisted} differences that docs/sql.md does not list"])

    @property
    def unlisted(self) -> int:
        return self.classes.total() - self.classes[LENIENT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="generated queries to compare")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, help="so many seeds and no more")
    parser.add_argument("--statements", type=int, default=STATEMENTS, help="of a seed")
    parser.add_argument("--postgres", help="libpq string of a running server")
    parser.add_argument("--tausql", help="libpq string of a running server")
    given = parser.parse_args()
    open_: Callable[[], Any] = (lambda: LibpqSession(given.tausql)) if given.tausql else VirtualSession
    with ExitStack() as stack:
        postgres = LibpqSession(given.postgres or stack.enter_context(local_server()))
        run = Run(postgres, open_, given.tausql is None, given.statements)
        seed, began = given.first_seed, time.monotonic()
        told = began
        while run.queries < given.count and (given.seeds is None or run.seeds < given.seeds):
            run.seed(seed)
            seed += 1
            now = time.monotonic()
            if now - told > PROGRESS_SECONDS:
                told = now
                rate = run.queries / (now - began)
                found = run.classes.total()
                print(f"-- {run.queries} queries, {rate:.0f}/s, {found} differences, seed {seed}", flush=True)
        print(f"-- seeds {given.first_seed} to {seed - 1} in {time.monotonic() - began:.0f} s")
        print(run.report())
        sys.exit(run.unlisted > 0)


if __name__ == "__main__":
    main()
