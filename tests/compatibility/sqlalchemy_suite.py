"""SQLAlchemy's dialect compliance suite: `python -m tests.compatibility.sqlalchemy_suite [--dialect NAME]`.

The stock dialect writes SERIAL and creates all tables in one transaction, which DSQL refuses, so it is run against a
cluster with the extensions on; DSQL's own dialect against one without.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from .endpoint import Endpoint, endpoint
from .environments import environment
from .outcomes import Outcomes, read_junit

FILES = Path(__file__).parent / "sqlalchemy_files"
REQUIREMENTS = (
    "SQLAlchemy==2.0.44",
    "aurora-dsql-sqlalchemy==1.3.0",
    "psycopg[binary]==3.3.9",
    "psycopg2-binary==2.9.13",
)
DIALECTS = {"dsql": "auroradsql+psycopg", "stock": "postgresql+psycopg"}
SCHEMAS = ("test_schema", "test_schema_2")
SECONDS_MAX = 3600


def run(dialect: str, server: Endpoint, arguments: list[str]) -> Outcomes:
    """Run the suite. Schemas it expects are made before."""
    made = environment("sqlalchemy", *REQUIREMENTS)
    with server.connect() as connection:
        for schema in SCHEMAS:
            try:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}".encode())
            except psycopg.Error as error:
                print(f"no schema {schema}: {error}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for path in FILES.iterdir():
            if path.is_file():
                shutil.copy(path, work)
        report = work / "report.xml"
        subprocess.run(
            [str(made.python), "-m", "pytest", "-q", "--dburi", server.url(DIALECTS[dialect]),
             "--junit-xml", str(report), "-o", "junit_family=xunit1", *(arguments or ["test_suite.py"])],
            cwd=work, env=server.environment() | {"TAUSQL_DIALECT": dialect}, check=False, timeout=SECONDS_MAX,
            stdout=None if os.environ.get("TAUSQL_LOUD") else subprocess.DEVNULL,
        )  # fmt: skip
        return read_junit(f"sqlalchemy-{dialect}", report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialect", choices=[*DIALECTS, "both"], default="both")
    parser.add_argument("--server", help="libpq string of a running server, else a fleet is started")
    parser.add_argument("arguments", nargs="*", help="for pytest")
    given = parser.parse_args()
    failed = 0
    for dialect in DIALECTS if given.dialect == "both" else [given.dialect]:
        options = ["--extensions"] if dialect == "stock" else []
        with endpoint(given.server, *options) as server:
            outcomes = run(dialect, server, given.arguments)
        print(outcomes.report(), flush=True)
        failed += len(outcomes.failed)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
