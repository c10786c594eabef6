"""Scripts of schema changes with their answers (`scripts/*.sql`): what is ordinary PostgreSQL answers alike, the
rest has Aurora DSQL's words. Below each statement stands what it answers: its tag or rows, notices, or its error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ddl_database import DdlDatabase

from tausql.protocol.errors import SqlError
from tausql.sql.statements import parse_statements

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.sql"))
ANSWER = "--> "


def steps(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(statement, the lines of its answer)."""
    sql: list[str] = []
    answers: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith(ANSWER):
            answers.append(line[len(ANSWER) :])
            continue
        if answers:
            yield "\n".join(sql), answers
            sql, answers = [], []
        if line.strip() and not line.startswith("--"):
            sql.append(line)
    yield "\n".join(sql), answers


def answer(db: DdlDatabase, sql: str) -> list[str]:
    """What a statement answers, as the scripts say it. Jobs are run to their end."""
    text = sql.rstrip(";")
    try:
        if text == "commit":
            db.commit()
            return ["COMMIT"]
        if not parse_statements(text)[0].is_ddl:
            return [" | ".join("null" if value is None else str(value) for value in row) for row in db.do(text)] or [
                "no rows"
            ]
        result = db.ddl(text)
    except SqlError as error:
        lines = [f"{error.sqlstate} {error.message}"]
        lines += [f"DETAIL {line}" for line in (error.detail or "").splitlines()]
        return lines + ([f"HINT {error.hint}"] if error.hint else [])
    lines = [result.tag, *(f"NOTICE {notice.message}" for notice in result.notices)]
    if result.job_id is not None:
        job = db.work(result.job_id)
        lines.append(f"job {job.status} {job.details}".rstrip())
    return lines


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_script(path: Path) -> None:
    db = DdlDatabase()
    different = []
    for sql, expected in steps(path):
        got = answer(db, sql)
        if got != expected:
            different.append(f"{sql}\n  expected {expected}\n  got      {got}")
    assert not different, "\n".join(different)
    for schema, name in db.snapshot.tables:
        if schema == "public":
            there, wanted = db.entries(name)
            assert there == wanted
