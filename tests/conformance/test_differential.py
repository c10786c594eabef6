"""A few seeds of the differential test, on a processor in virtual time, and what it found on a fleet of processes.
Tens of thousands of statements: `differential.py`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from loadtest.tausql_fleet import running_fleet

sys.path.insert(0, str(Path(__file__).parent))

from differential import NO_QUERIES, REFUSED, Pair, differences, same, schema_change
from differential_answers import LibpqSession, VirtualSession
from differential_statements import Generator, Step
from record import local_server

STATEMENTS = 60


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with local_server() as dsn:
        yield dsn


@pytest.fixture(scope="module")
def pair(postgres: str) -> Iterator[Pair]:
    """A session of PostgreSQL and one of a fleet in one process, both ended afterwards."""
    with running_fleet("single") as fleet:
        opened = Pair(LibpqSession(postgres), LibpqSession(fleet.connection))
        yield opened
        opened.close()


@pytest.mark.parametrize("seed", [3, 24, 61, 318, 4242, 100013])
def test_random_statements_answer_as_postgresql_does(postgres: str, seed: int) -> None:
    pair = Pair(LibpqSession(postgres), VirtualSession())
    counted: Counter[str] = Counter()
    found = list(differences(pair, seed, STATEMENTS, counted))
    pair.close()
    assert not found, "\n".join([*found[0].before, str(found[0])])
    queries = sum(count for topic, count in counted.items() if topic not in (*NO_QUERIES, REFUSED))
    assert queries > STATEMENTS // 3
    assert counted[REFUSED] < queries // 2, "statements that fail compare little"


def test_random_statements_answer_the_same_on_a_fleet_of_processes(pair: Pair) -> None:
    found = list(differences(pair, 7, STATEMENTS // 2, Counter()))
    assert not found, "\n".join([*found[0].before, str(found[0])])


def test_same_seed_makes_the_same_statements() -> None:
    def made(seed: int) -> list[str]:
        generator = Generator(seed)
        tables = generator.schema("t")
        rows = [step.sql for table in tables for step in generator.filling(table)]
        return [*[table.create() for table in tables], *rows, *[step.sql for step in generator.steps(STATEMENTS)]]

    assert made(11) == made(11) != made(12)


def both(pair: Pair, sql: str, mode: str = "simple") -> None:
    step = Step(sql, ordered=True, mode=mode)
    one, two = pair.postgres.answer(step), pair.tausql.answer(step)
    assert same(step, one, two), f"{sql[:200]}\nPostgreSQL {one}\nTauSQL     {two}"


@pytest.mark.parametrize("mode", ["simple", "binary"])
def test_large_statements_answer_as_postgresql_does(pair: Pair, mode: str) -> None:
    numbers = ", ".join(map(str, range(5000)))
    both(pair, f"SELECT count(*) FROM generate_series(1, 6000) g WHERE g IN ({numbers})", mode)
    both(pair, " UNION ALL ".join(f"SELECT {number}" for number in range(200)), mode)
    both(pair, f"SELECT {'CASE WHEN false THEN 0 ELSE ' * 80}1{' END' * 80}", mode)
    both(pair, "SELECT generate_series(1, 1000000000) LIMIT 3", mode)
    both(pair, "SELECT g FROM generate_series(1, 3) g ORDER BY g LIMIT 0 OFFSET 9", mode)


def test_prepared_statement_keeps_its_parameters_types(pair: Pair) -> None:
    """Its table is dropped and made anew: same columns go on, others are refused as PostgreSQL refuses them."""
    said = []
    for session in (pair.postgres, pair.tausql):
        assert isinstance(session, LibpqSession)
        low, states = session.connection.pgconn, []
        schema_change(session, "CREATE TABLE anew (id integer PRIMARY KEY, a text)")
        low.prepare(b"put", b"INSERT INTO anew VALUES ($1, $2)")
        low.prepare(b"get", b"SELECT a FROM anew WHERE id = $1")
        for made in ("(id integer PRIMARY KEY, a text)", "(id text PRIMARY KEY, a integer)"):
            schema_change(session, "DROP TABLE anew")
            schema_change(session, f"CREATE TABLE anew {made}")
            for name, values in ((b"put", [b"1", b"2"]), (b"get", [b"1"])):
                result = low.exec_prepared(name, values)
                state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
                states.append(state or [result.get_value(row, 0) for row in range(result.ntuples)])
        schema_change(session, "DROP TABLE anew")
        session.connection.execute("DEALLOCATE ALL")
        said.append(states)
    assert said[0] == said[1]


def test_set_config_sets(pair: Pair) -> None:
    for sql in (
        "SELECT set_config('application_name', 'one', false)",
        "SELECT current_setting('application_name')",
        "BEGIN",
        "SELECT pg_catalog.set_config('application_name', 'two', true) AS label",
        "SHOW application_name",
        "COMMIT",
        "SHOW application_name",
        "SELECT pg_table_is_visible('pg_class'::regclass), pg_table_is_visible(1), 'pg_class'::regclass",
    ):
        both(pair, sql)
    both(pair, "SELECT set_config('application_name', 'three', false)", "binary")
    for sql in ("SELECT set_config('application_name', $1, false)", "SELECT current_setting('application_name') || $1"):
        step = Step(sql, ["x"], mode="text")
        assert pair.tausql.answer(step) == pair.postgres.answer(step)
