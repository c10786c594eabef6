"""One packed fleet for every test that leaves it whole; tests that break something start their own."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from loadtest.tausql_fleet import Fleet, running_fleet

from .sessions import Session, session


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """As `tausql up` starts it, TLS required."""
    with running_fleet("packed", plaintext=False) as running:
        yield running


@pytest.fixture
def connection(fleet: Fleet) -> Iterator[Session]:
    """A session in autocommit."""
    with session(fleet) as opened:
        yield opened


@pytest.fixture
def table(request: pytest.FixtureRequest, connection: Session) -> Iterator[str]:
    """The name of a table of the test's own, dropped in the end; the test creates it."""
    name = str(request.node.name).partition("[")[0]
    yield name
    if connection.closed:
        return
    connection.rollback()
    with connection.cursor() as cursor:
        for _ in range(20):
            try:
                cursor.execute(f"DROP TABLE IF EXISTS {name}")
                return
            except psycopg.errors.SerializationFailure:  # another schema change of the same moment
                continue
