"""The format is read and written as others read and write it."""

from __future__ import annotations

import pytest

from .records import Malformed, Sort, parse, written
from .running import Answer, Run, Sessions, result_lines

FILE = """# what it is

hash-threshold 4

statement ok
CREATE TABLE t (a int)

skipif postgres
# a reason
statement error 0A000 not supported
TRUNCATE t

onlyif tausql # another
query IT rowsort same
SELECT 1,
  'x'
----
1	x

connection two
query R
SELECT 1

statement count 3
DELETE FROM t

halt"""


def test_every_kind_of_record_is_read() -> None:
    threshold, create, refused, query, other, count, halt = parse(FILE)
    assert (threshold.kind, threshold.threshold) == ("hash-threshold", 4)
    assert (create.kind, create.error, create.sql) == ("statement", None, "CREATE TABLE t (a int)")
    assert (refused.engines, refused.error) == (("tausql",), "0A000 not supported")
    assert (query.types, query.sort, query.label, query.expected) == ("IT", Sort.rowsort, "same", ["1\tx"])
    assert query.sql == "SELECT 1,\n  'x'"
    assert (other.connection, other.types, other.expected) == ("two", "R", None)
    assert (count.count, halt.kind) == (3, "halt")


def test_what_is_written_reads_the_same() -> None:
    once = "\n\n".join(written(record) for record in parse(FILE))
    assert "\n\n".join(written(record) for record in parse(once)) == once


@pytest.mark.parametrize("text", ["nonsense ok\nSELECT 1", "statement perhaps\nSELECT 1", "statement ok"])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        list(parse(text))


class Canned(Sessions):
    """Answers without a server."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("tausql", "")
        self.answer = answer

    def run(self, name: str, sql: str) -> Answer:
        return self.answer


def failure(text: str, answer: Answer) -> str | None:
    (record,) = parse(text)
    return Run(Canned(answer), "here").one(record)


def test_answers_are_compared() -> None:
    two = Answer(rows=[["2", None], ["1", "a\tb"]], columns=2)
    assert failure("query IT rowsort\nx\n----\n1\ta\\tb\n2\tNULL", two) is None
    assert failure("query IT\nx\n----\n2\nNULL\n1\na\\tb", two) is None
    assert "expected" in str(failure("query IT\nx\n----\n1\tx\n2\tNULL", two))
    assert failure("query I\nx\n----\n1", two) == "2 columns instead of 1"
    refused = Answer(error=("42P01", 'relation "x" does not exist'))
    assert failure("statement error\nx", refused) is None
    assert failure("statement error 42P01 ^relation .* exist$\nx", refused) is None
    assert "must with 42703" in str(failure("statement error 42703\nx", refused))
    assert "must with" in str(failure("statement error 42P01 column\nx", refused))
    assert failure("statement error 42P01\nx", Answer()) == "succeeded, must fail with 42P01"
    assert failure("statement count 2\nx", Answer(count=3)) == "3 rows instead of 2"
    assert str(failure("statement ok\nx", refused)).startswith("failed: 42P01")


def test_values_are_written_as_the_format_has_them() -> None:
    (record,) = parse("query RTT valuesort\nx")
    answer = Answer(rows=[["1.23456", "", None]], columns=3)
    assert result_lines(record, answer, 0) == ["(empty)", "1.235", "NULL"]
    assert result_lines(record, answer, 2) == ["3 values hashing to e3a3f5eabc6d4d063df8b34bdfc2ba1f"]
