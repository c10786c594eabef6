"""What a suite's report counts as, by the rules of Aurora DSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.compatibility.outcomes import essence, judged, read_junit, rules

REPORT = """<testsuites><testsuite>
<testcase classname="s.A" name="good"/>
<testcase classname="s.A" name="left_out"><skipped message="'s.A.left_out' : DSQL: no array columns"/></testcase>
<testcase classname="s.A" name="refused"><failure message="">x
psycopg.errors.FeatureNotSupported: unsupported transaction statement: SAVEPOINT</failure></testcase>
<testcase classname="s.A" name="wrong"><failure message="">File "x", line 1
AssertionError: 1 != 2</failure></testcase>
<testcase classname="s.A" name="twice"><error message="KeyError: 'a'"/></testcase>
<testcase classname="s.A" name="twice"><error message="KeyError: 'b'"/></testcase>
</testsuite></testsuites>"""


def test_refusals_in_the_words_of_dsql_are_not_applicable_and_the_rest_failed(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    made = read_junit("sqlalchemy-dsql", path)
    assert made.passed == 1
    assert made.not_applicable == [("s.A::left_out", "DSQL: no array columns"), ("s.A::refused", "DSQL: no savepoints")]
    assert made.failed == [("s.A::wrong", "AssertionError: 1 != 2"), ("s.A::twice", "KeyError: 'a'")]
    assert made.summary() == "sqlalchemy-dsql: 1 passed, 2 not applicable, 2 failed"
    assert "AssertionError: 1 != 2" in made.report()


def test_nothing_is_excused_in_the_adapters_own_tests() -> None:
    told = "psycopg.errors.FeatureNotSupported: unsupported transaction statement: SAVEPOINT"
    assert judged("adapter tortoise", "any", told, rules()) is None
    assert judged("django queries", "any", told, rules()) == "DSQL: no savepoints"


@pytest.mark.parametrize(
    "told", ["is not supported yet", "function f(integer) does not exist", "internal error: KeyError"]
)
def test_what_we_lack_is_no_rule_of_dsql(told: str) -> None:
    assert judged("sqlalchemy-dsql", "any", f"psycopg.errors.FeatureNotSupported: {told}", rules()) is None


def test_essence_is_the_line_that_says_what_happened() -> None:
    told = 'Traceback\n  File "x", line 1\npsycopg.errors.UndefinedFunction: function f() does not exist\nLINE 1: f()\n'
    assert essence(told) == "psycopg.errors.UndefinedFunction: function f() does not exist"
    assert essence("only\nthis") == "this"
    assert essence("") == "nothing said"
