"""The recorded corpus: TauSQL answers as PostgreSQL did, but for the listed differences."""

from __future__ import annotations

from pathlib import Path

import pytest
from replay import CORPUS, answer, context, corpus, intended_differences

FILES = sorted(CORPUS.glob("*.sql"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_expressions_answer_as_postgresql_recorded(path: Path):
    zone, rows = corpus(path)
    where = context(zone)
    intended = intended_differences()
    wrong = []
    for expression, expected in rows:
        given = answer(expression, where)
        if given != expected and expression not in intended:
            wrong.append(f"{expression}\n  PostgreSQL {expected}\n  TauSQL     {given}")
    assert not wrong, "\n".join(wrong)


def test_intended_differences_still_differ():
    known = {
        expression: (expected, zone) for path in FILES for zone, rows in [corpus(path)] for expression, expected in rows
    }
    for expression in intended_differences():
        expected, zone = known[expression]
        assert answer(expression, context(zone)) != expected, expression
