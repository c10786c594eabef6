"""What Aurora DSQL refuses, and in which words: recorded answers and the errors its documentation names.

Clients match on these texts, so they are compared as a whole. The statements are data (tests/conformance/refusals): the
same files can be run against any server.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from processor_client import Client, errors, status, tags
from processor_fleet import TestFleet

FOLDER = Path(__file__).parents[2] / "conformance" / "refusals"


def lines(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (FOLDER / name).read_text().splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def session() -> Client:
    session = Client(TestFleet())
    for group, _, sql, tag in lines("recorded.tsv"):
        if group == "setup":
            assert tags(session.query(sql)) == [tag], sql
    return session


def answer(session: Client, *statements: str) -> tuple[str, str]:
    """(ok or SQLSTATE, tag or message) of the last of several statements."""
    *before, last = statements
    for sql in before:
        messages = session.query(sql)
        assert not errors(messages), (sql, errors(messages))
    messages = session.query(last)
    if status(messages) == "T":
        session.query("ROLLBACK")
    elif status(messages) == "E":
        assert errors(session.query("SELECT 1"))[0][0] == "25P02"
        assert tags(session.query("COMMIT")) == ["ROLLBACK"]
    return errors(messages)[0] if errors(messages) else ("ok", tags(messages)[0])


@pytest.mark.parametrize(
    "line", [line for line in lines("recorded.tsv") if line[0] != "setup"], ids=lambda line: line[2]
)
def test_recorded_answers(session: Client, line: list[str]) -> None:
    _, expected, sql, told = line
    state, message = answer(session, sql)
    assert state == expected, message
    assert message == told or not told


@pytest.mark.parametrize("line", lines("errors.tsv"), ids=lambda line: f"{line[0]}: {line[2]}")
def test_errors(session: Client, line: list[str]) -> None:
    _, expected, sql, told = line
    state, message = answer(session, *sql.split("; "))
    assert (state, message) == (expected, told or message)
