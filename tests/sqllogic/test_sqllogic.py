"""Every file of this folder, on PostgreSQL and on a fleet in one process: both must answer as it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loadtest.postgres import single_postgres
from loadtest.tausql_fleet import running_fleet
from tests.compatibility.emptying import empty

from .records import ENGINES, parse
from .running import Run, Sessions

FOLDER = Path(__file__).parent / "files"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.slt"))


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """(engine, libpq string)."""
    if request.param == "postgres":
        with single_postgres() as port:
            yield "postgres", f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
    else:
        with running_fleet("single") as fleet:
            yield "tausql", fleet.connection


@pytest.fixture
def sessions(server: tuple[str, str]) -> Iterator[Sessions]:
    engine, dsn = server
    opened = Sessions(engine, dsn)
    empty(opened.get())
    yield opened
    opened.close()


@pytest.mark.parametrize("name", FILES)
def test_file_holds(sessions: Sessions, name: str) -> None:
    run = Run(sessions, name)
    run.all(parse((FOLDER / name).read_text()))
    assert run.records
    assert not run.failures, f"{len(run.failures)} of {run.records}\n" + "\n".join(run.failures)


def test_files_are_thousands_of_statements() -> None:
    counted = sum(len(list(parse((FOLDER / name).read_text()))) for name in FILES)
    assert counted >= 3000
