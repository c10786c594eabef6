"""The statement corpus against what PostgreSQL 17 answered (recorded by tests/conformance/record_statements.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from database import Database
from schema import database

from tausql.protocol.errors import SqlError
from tausql.sql.engine import prepare
from tausql.sql.plans import PlanCache
from tausql.sql.statements import parse_statements

CORPUS = Path(__file__).parents[2] / "conformance" / "sql"
SCRIPTS = sorted(path.stem for path in CORPUS.glob("*.jsonl"))


def load_differences() -> dict[str, str]:
    """Statements that answer otherwise on purpose, with the reason."""
    found = {}
    path = CORPUS / "differences.tsv"
    for line in path.read_text().splitlines() if path.exists() else []:
        sql, _, reason = line.partition("\t")
        found[sql] = reason
    return found


def filled() -> Database:
    made = database()
    for line in (CORPUS / "data.sql").read_text().splitlines():
        made.execute(line.rstrip(";"))
    return made


def run_plain(db: Database, sql: str) -> dict[str, Any]:
    (statement,) = parse_statements(sql)
    prepared = prepare(statement, db.snapshot)
    tag, rows = db.execute(sql)
    return shown(db, prepared, tag, rows)


def run_lifted(db: Database, sql: str, cache: PlanCache) -> dict[str, Any]:
    """As a simple-protocol query goes: literals lifted where that can be done."""
    lifted = cache.simple(sql, db.snapshot, ("public",), None, db.format)
    if lifted is None:
        return run_plain(db, sql)
    _, prepared, params = lifted
    tag, rows = db.run(prepared, params)
    return shown(db, prepared, tag, rows)


def shown(db: Database, prepared: Any, tag: str, rows: list[list[Any]]) -> dict[str, Any]:
    if prepared.columns is None:
        return {"tag": tag}
    columns = prepared.columns
    return {
        "tag": tag,
        "columns": [[column.name, column.type.display(column.typmod)] for column in columns],
        "rows": [
            [None if value is None else column.type.text_out(value, db.format)
             for value, column in zip(row, columns, strict=True)]
            for row in rows
        ],
    }  # fmt: skip


def answer(db: Database, sql: str, cache: PlanCache | None) -> dict[str, Any]:
    try:
        made = run_plain(db, sql) if cache is None else run_lifted(db, sql, cache)
    except SqlError as error:
        return {"sql": sql, "error": [error.sqlstate, error.message, error.detail]}
    return {"sql": sql, **made}


def normal(answered: dict[str, Any]) -> dict[str, Any]:
    """Without the order of rows where the statement asks for none, and without DETAIL of errors (tested elsewhere)."""
    made = dict(answered)
    if "rows" in made and "order by" not in made["sql"].lower():
        made["rows"] = sorted(made["rows"], key=repr)
    if "error" in made:
        made["error"] = made["error"][:2]
    return made


@pytest.mark.parametrize("lifting", [False, True], ids=["plain", "lifted"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_statements_answer_as_postgresql_does(script: str, lifting: bool) -> None:
    db = filled()
    cache = PlanCache() if lifting else None
    known = load_differences()
    wrong = []
    for line in (CORPUS / f"{script}.jsonl").read_text().splitlines():
        expected = json.loads(line)
        got = answer(db, expected["sql"], cache)
        if normal(got) != normal(expected) and expected["sql"] not in known:
            wrong.append(f"{expected['sql']}\n  expected {expected}\n  got      {got}")
    assert not wrong, f"{len(wrong)} differ\n" + "\n".join(wrong)


def test_corpus_is_large_enough_and_differences_are_still_differences() -> None:
    db = filled()
    known = load_differences()
    count = 0
    for script in SCRIPTS:
        db = filled()
        for line in (CORPUS / f"{script}.jsonl").read_text().splitlines():
            expected = json.loads(line)
            count += 1
            got = answer(db, expected["sql"], None)
            if expected["sql"] in known:
                assert normal(got) != normal(expected), expected["sql"]
    assert count >= 500
