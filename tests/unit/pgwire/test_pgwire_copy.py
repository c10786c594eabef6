from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tausql.pgwire.copy import CopyOptions, CopyReader, CopyWriter, Field, copy_options
from tausql.protocol.errors import SqlError

texts = st.text(
    st.sampled_from("ab\\\t\n\r,\"'|\bN.x07é\v") | st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    max_size=8,
)
OPTIONS = [
    copy_options({}),
    copy_options({"delimiter": "|", "null": "?"}),
    copy_options({"format": "csv"}),
    copy_options({"format": "csv", "quote": "'", "escape": "\\", "delimiter": ";", "null": "\\N"}),
    copy_options({"format": "csv", "force_quote": "*"}),
]


def parse(options: CopyOptions, data: bytes, columns: str = "ab", cuts: int = 0) -> list[list[Field]]:
    reader = CopyReader(options, "t", list(columns))
    rows: list[list[Field]] = []
    if cuts:
        for start in range(0, len(data), cuts):
            rows += reader.feed(data[start : start + cuts])
    else:
        rows += reader.feed(data)
    return rows + reader.finish()


def refusal(options: CopyOptions, data: bytes, columns: str = "ab") -> SqlError:
    with pytest.raises(SqlError) as caught:
        parse(options, data, columns)
    return caught.value


def told_apart(options: CopyOptions, field: str | None) -> str | None:
    """In PostgreSQL's text format nothing marks a value that is the very word for NULL, unless it has to be escaped."""
    return None if options.format == "text" and field == options.null and "\\" not in options.null else field


@given(
    st.sampled_from(OPTIONS),
    st.lists(st.lists(st.none() | texts, min_size=2, max_size=2), max_size=5),
    st.integers(1, 30),
)
@example(OPTIONS[1], [[None, "?"]], 1)
@example(OPTIONS[0], [[None, "\\N"]], 1)
@settings(max_examples=300, deadline=None)
def test_rows_come_back_however_the_bytes_are_cut(
    options: CopyOptions, rows: list[list[str | None]], cuts: int
) -> None:
    writer = CopyWriter(options)
    raw = b"".join(writer.row(row) for row in rows)
    expected = [[told_apart(options, field) for field in row] for row in rows]
    assert parse(options, raw) == expected
    assert parse(options, raw, cuts=cuts) == expected


@given(st.sampled_from(OPTIONS), st.binary(max_size=60), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_garbage_gives_rows_or_an_sql_error(options: CopyOptions, data: bytes, cuts: int) -> None:
    refused: SqlError | None = None
    rows: list[list[Field]] = []
    try:
        rows = parse(options, data, cuts=cuts)
    except SqlError as error:
        refused = error
    assert all(len(row) == 2 for row in rows)
    assert refused is None or (refused.sqlstate in ("22P04", "22021") and refused.where is not None)


TEXT = copy_options({})
CSV = copy_options({"format": "csv"})


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"1\t2\n", [["1", "2"]]),
        (b"1\t2", [["1", "2"]]),
        (b"1\t2\r\n3\t4\r\n", [["1", "2"], ["3", "4"]]),
        (b"1\t2\r3\t4\r", [["1", "2"], ["3", "4"]]),
        (b"\\N\t\n", [[None, ""]]),
        (b"\\\\N\tN\n", [["\\N", "N"]]),
        (b"a\\tb\t\\x41\\101\\n\n", [["a\tb", "AA\n"]]),
        (b"\\303\\251\tc\\\td\n", [["é", "c\td"]]),
        (b"a\\\nb\tc\n", [["a\nb", "c"]]),
        (b"1\t2\n\\.\n3\n", [["1", "2"]]),
        (b"", []),
    ],
)
def test_text_lines(data: bytes, rows: list[list[Field]]) -> None:
    assert parse(TEXT, data) == rows
    assert parse(TEXT, data, cuts=1) == rows


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"1,2\n", [["1", "2"]]),
        (b',""\n', [[None, ""]]),
        (b'"a,b","c""d"\n', [["a,b", 'c"d']]),
        (b'"a\nb",c\n', [["a\nb", "c"]]),
        (b'"a\r\nb",c\r\n1,2\r\n', [["a\r\nb", "c"], ["1", "2"]]),
        (b'x"a,b"y,2\n', [["xa,by", "2"]]),
        (b"1,2\n\\.\n", [["1", "2"]]),
    ],
)
def test_csv_lines(data: bytes, rows: list[list[Field]]) -> None:
    assert parse(CSV, data) == rows
    assert parse(CSV, data, cuts=1) == rows


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        (TEXT, b"1\n", 'missing data for column "b"'),
        (TEXT, b"\n", 'missing data for column "b"'),
        (TEXT, b"1\t2\t3\n", "extra data after last expected column"),
        (TEXT, b"1\t2\n3\r\t4\n", "literal carriage return found in data"),
        (TEXT, b"1\t2\r\n3\n\t4\r\n", "literal newline found in data"),
        (TEXT, b"1\t\\.\n", "end-of-copy marker corrupt"),
        (CSV, b'1,"2\n', "unterminated CSV quoted field"),
        (CSV, b"1,2\n3,\r4\n", "unquoted carriage return found in data"),
        (CSV, b"1,2\r\n3,\n4\r\n", "unquoted newline found in data"),
        (CSV, b"1,2,3\n", "extra data after last expected column"),
    ],
)
def test_broken_lines_are_refused_as_postgresql_does(options: CopyOptions, data: bytes, message: str) -> None:
    error = refusal(options, data)
    assert (error.sqlstate, error.message) == ("22P04", message)


def test_error_names_table_line_and_text() -> None:
    assert refusal(TEXT, b"1\t2\n3\n").where == 'COPY t, line 2: "3"'
    error = refusal(TEXT, b"1\t\xff\n")
    assert (error.sqlstate, error.message) == ("22021", 'invalid byte sequence for encoding "UTF8": 0xff')


def test_header_is_skipped_or_matched() -> None:
    assert parse(copy_options({"header": None}), b"x\ty\n1\t2\n") == [["1", "2"]]
    match = copy_options({"header": "match", "format": "csv"})
    assert parse(match, b"a,b\n1,2\n") == [["1", "2"]]
    assert refusal(match, b"a,c\n").message == 'column name mismatch in header line field 2: got "c", expected "b"'
    assert refusal(match, b"a\n").message == "wrong number of fields in header line: got 1, expected 2"


def test_endless_line_is_refused() -> None:
    reader = CopyReader(CSV, "t", ["a"])
    for _ in range(11):
        reader.feed(b"x" * 1_000_000)
    with pytest.raises(SqlError, match="COPY line is too long"):
        reader.feed(b"x")


def test_quoted_line_ends_cost_no_more_than_their_bytes() -> None:
    """A first row of nothing but line ends, then one like it: neither is searched again and again."""
    rows: list[list[Field]] = []
    reader = CopyReader(CSV, "t", ["a"])
    rows += reader.feed(b'"')
    for _ in range(2):
        for _ in range(50):
            rows += reader.feed(b"\n" * 4000)
        rows += reader.feed(b'"\n"')
    assert [[len(row[0] or "")] for row in rows] == [[200_000], [200_000]]


def test_output_lines() -> None:
    assert CopyWriter(TEXT).row(["a\tb\\", None, "\n"]) == b"a\\tb\\\\\t\\N\t\\n\n"
    assert CopyWriter(CSV).row(["a,b", None, "", 'x"y', "é"]) == '"a,b",,"","x""y",é\n'.encode()
    assert CopyWriter(CSV).row(["\\."]) == b'"\\."\n'
    assert CopyWriter(CSV).header(["a", "b c"]) == b"a,b c\n"


@pytest.mark.parametrize(
    ("options", "sqlstate", "message"),
    [
        ({"nope": "1"}, "42601", 'option "nope" not recognized'),
        ({"format": "xml"}, "22023", 'COPY format "xml" not recognized'),
        ({"format": "binary", "delimiter": ","}, "42601", "cannot specify DELIMITER in BINARY mode"),
        ({"format": "binary", "header": True}, "0A000", "cannot specify HEADER in BINARY mode"),
        ({"delimiter": "ab"}, "0A000", "COPY delimiter must be a single one-byte character"),
        ({"delimiter": "\n"}, "22023", "COPY delimiter cannot be newline or carriage return"),
        ({"delimiter": "x"}, "22023", 'COPY delimiter cannot be "x"'),
        ({"null": "\n"}, "22023", "COPY null representation cannot use newline or carriage return"),
        ({"quote": "'"}, "0A000", "COPY quote available only in CSV mode"),
        ({"format": "csv", "delimiter": '"'}, "22023", "COPY delimiter and quote must be different"),
        ({"header": "maybe"}, "42601", 'header requires a Boolean value or "match"'),
        ({"encoding": "latin1"}, "0A000", 'COPY encoding "latin1" not supported'),
        (
            {"format": "csv", "null": '"'},
            "22023",
            "CSV quote character must not appear in the NULL specification",
        ),
    ],
)
def test_options_are_checked(options: dict[str, str], sqlstate: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        copy_options(options)
    assert (caught.value.sqlstate, caught.value.message) == (sqlstate, message)
