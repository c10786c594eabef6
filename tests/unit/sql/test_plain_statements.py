"""The short way from tokens to a tree: it gives what sqlglot gives, or nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from tausql.protocol.errors import SqlError
from tausql.sql import plain_statements
from tausql.sql.catalogue.shapes import keywords
from tausql.sql.expressions.parsing import POSTGRES
from tausql.sql.functions.catalogue import function_names
from tausql.sql.lexer import Token, tokens, words_of
from tausql.sql.statements import Statement, parse_statements

PLAIN = (
    "SELECT * FROM t",
    "SELECT a FROM s.t WHERE id = $1",
    'SELECT t.a, "B" AS "a ""quoted"" name", c x, t.* FROM public.t AS t WHERE t.id = 17 AND note <> \'it\'\'s\'',
    "SELECT Id, NAME FROM Items i WHERE i.n >= -5 OR n < 1.50 AND b != TRUE",
    "SELECT a FROM t WHERE (a = 1 OR (b = $2 AND c IS NOT NULL)) AND d IS NULL AND e = NULL",
    "SELECT a FROM t WHERE a IN (1, $2, 'x', NULL) AND b NOT IN (-1) AND c = d",
    "SELECT a FROM t ORDER BY a, t.b DESC, c ASC NULLS FIRST, d DESC NULLS LAST LIMIT 10 OFFSET $1",
    "SELECT a FROM t WHERE a > b LIMIT $1",
    "SELECT\n a -- no: comments are left to sqlglot\n FROM t",
    "INSERT INTO t VALUES (1, $2, 'x', NULL, FALSE, -1.5)",
    'INSERT INTO "T" (a, "b", name) VALUES (1, 2, 3), (4, 5, 6) RETURNING a, "T".b AS c, *',
    "INSERT INTO s.t VALUES (1)",
    "INSERT INTO t (a, b) VALUES ($1::INTEGER, $2::varchar) RETURNING t.a",
    "UPDATE t SET a = $1::bigint, b = 'x'::TEXT WHERE t.id = $2::UUID AND c IN ($3::date, '1'::int8)",
    "UPDATE t SET a = 1, b = b + 1, c = c - $1, d = e, f = 'x', g = NULL WHERE id = 7 RETURNING id AS r, *",
    "UPDATE s.t AS q SET a = q.b WHERE q.id = $2",
    "UPDATE t q SET a = TRUE",
    "DELETE FROM t",
    "DELETE FROM s.t q WHERE q.id = 1 AND (b = 'y' OR NOT_a_word = 2) RETURNING q.*",
)
LEFT_ALONE = (
    "SELECT count(*) FROM t",
    "SELECT a + 1 FROM t",
    "SELECT a FROM t, u",
    "SELECT a FROM t JOIN u ON a = b",
    "SELECT a FROM t WHERE a = $1::numeric(10, 2)",
    "SELECT a FROM t WHERE a = $1::timestamp with time zone",
    "SELECT a FROM t WHERE a = $1::int[]",
    "SELECT a FROM t WHERE a = $1::text::int",
    "SELECT a FROM t WHERE a = -1::int",
    "SELECT a FROM t WHERE a::int = 1",
    "SELECT a FROM t WHERE a = current_date",
    "SELECT a FROM t WHERE a = 1and b = 2",
    "SELECT a FROM t WHERE a = 0x10",
    "SELECT a FROM t WHERE a = E'x'",
    "SELECT a FROM t FOR UPDATE",
    "SELECT a /*+ hint */ FROM t",
    "SELECT DISTINCT a FROM t",
    "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO s.t (a) VALUES (1)",
    "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO t VALUES (now())",
    "UPDATE t SET (a, b) = (1, 2)",
    "UPDATE t SET a = 1 FROM u WHERE t.id = u.id",
    "DELETE FROM t USING u WHERE t.id = u.id",
    "SELECT a FROM t WHERE größe = 1",
)
# {w}: a word that may be one of sqlglot's
FORMS = (
    "SELECT {w} FROM t WHERE {w} = 1",
    "SELECT a AS {w} FROM t",
    "SELECT a {w}, {w} b FROM t",
    "SELECT {w}.a, {w}.* FROM t AS {w} WHERE {w}.b IS NULL AND c = {w}",
    "SELECT t.{w} FROM {w}.{w} ORDER BY {w}",
    "SELECT a FROM t {w} WHERE b = 1 ORDER BY t.{w} LIMIT 1",
    "SELECT a FROM {w}",
    "INSERT INTO {w} ({w}, b) VALUES (1, 2) RETURNING {w}",
    "INSERT INTO a.{w} VALUES (1) RETURNING a AS {w}",
    "UPDATE {w} SET {w} = 1 WHERE {w} NOT IN ($1)",
    "UPDATE t {w} SET a = {w} + 1 RETURNING *",
    "DELETE FROM {w} WHERE {w} IN (1, 2)",
    "DELETE FROM t {w} WHERE {w}.{w} = 'x' RETURNING {w}.*",
)


def plain(text: str) -> exp.Expr | None:
    found = tokens(text)
    return plain_statements.read(text, found, words_of(found))


def shape(node: Any) -> Any:
    """A tree as tuples; what is absent and what is None or empty are the same."""
    if isinstance(node, exp.Expr):
        return type(node).__name__, {key: shape(value) for key, value in node.args.items() if value not in (None, [])}
    return [shape(item) for item in node] if isinstance(node, list) else node


def told(statement: Statement) -> tuple[Any, ...]:
    options = {key: str(value) for key, value in statement.options.items()}
    return statement.kind, shape(statement.node), options, statement.tag


@pytest.fixture
def general(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Statements as they are read the long way; the text of the error where they are none."""
    read = plain_statements.read

    def parsed(text: str) -> Any:
        monkeypatch.setattr(plain_statements, "read", lambda text, tokens, words: None)
        try:
            (statement,) = parse_statements(text)
            return told(statement)
        except SqlError as error:
            return str(error)
        finally:
            monkeypatch.setattr(plain_statements, "read", read)

    return parsed


@pytest.mark.parametrize("text", PLAIN)
def test_the_short_way_gives_the_tree_of_the_long_way(text: str, general: Callable[[str], Any]) -> None:
    node = plain(text)
    assert (node is None) == ("--" in text)
    (statement,) = parse_statements(text)
    assert told(statement) == general(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_not_plain_is_left_alone(text: str) -> None:
    assert plain(text) is None


def test_parents_are_linked_as_in_any_tree() -> None:
    node = plain("UPDATE t SET a = a + 1 WHERE (b = 1)")
    assert node is not None
    for inner in node.walk():
        if inner is not node:
            assert inner.parent is not None
            assert any(child is inner for child in inner.parent.iter_expressions())


def _words() -> list[str]:
    """Every word that sqlglot gives a meaning to, and every function's name."""
    folder = Path(sqlglot.__file__).parent
    source = (folder / "parser.py").read_text() + (folder / "parsers" / "postgres.py").read_text()
    found = {word for key in POSTGRES.tokenizer_class.KEYWORDS for word in (key, *key.split())}
    found |= {word for quoted in re.findall(r'"([A-Z_ ]+)"', source) for word in (quoted, *quoted.split())}
    found |= set(function_names()) | {"id", "plain", "x1"}
    return sorted({word.lower() for word in found if word.replace(" ", "").replace("_", "").isalnum()})


@pytest.mark.parametrize("form", FORMS)
def test_words_of_the_grammar_are_read_as_sqlglot_reads_them(form: str, general: Callable[[str], Any]) -> None:
    taken = 0
    for word in _words():
        text = form.format(w=word)
        node = plain(text)
        if node is None:
            continue
        (statement,) = parse_statements(text)
        assert told(statement) == general(text), text
        taken += 1
    assert taken > 300


def test_what_postgresql_reserves_is_no_name() -> None:
    reserved = [word for word, kind, _ in keywords() if kind in "RT"]
    assert len(reserved) > 90
    for word in reserved:
        assert plain(f"SELECT {word} FROM t") is None, word


def _broken(text: str, seed: random.Random) -> str:
    """The statement with some of its tokens lost, doubled, swapped or put in from elsewhere."""
    found = tokens(text)
    spare = tokens("SELECT FROM WHERE AND OR NOT IN ( ) , . * = + - NULL 1 'x' $1 a AS SET IS BY ORDER LIMIT RETURNING")
    for _ in range(seed.randint(1, 2)):
        at = seed.randrange(1, len(found)) if len(found) > 1 else 0
        choice = seed.randrange(4)
        if choice == 0 and len(found) > 2:
            del found[at]
        elif choice == 1:
            found.insert(at, found[at])
        elif choice == 2:
            found[at], found[at - 1] = (found[at], found[at - 1]) if at == 1 else (found[at - 1], found[at])
        else:
            found.insert(at, Token(*seed.choice(spare)))
    return " ".join(token.text for token in found)


def test_nothing_wrong_is_taken_for_plain(general: Callable[[str], Any]) -> None:
    seed = random.Random(7)
    taken = 0
    for _ in range(4000):
        text = _broken(seed.choice(PLAIN), seed)
        if plain(text) is None:
            continue
        (statement,) = parse_statements(text)
        assert told(statement) == general(text), text
        taken += 1
    assert taken > 200


def test_every_type_of_a_cast(general: Callable[[str], Any]) -> None:
    for name in plain_statements._TYPES:
        for text in (f"SELECT a FROM t WHERE b = $1::{name}", f"DELETE FROM t WHERE b <> 'x' :: {name.lower()}"):
            assert plain(text) is not None, text
            (statement,) = parse_statements(text)
            assert told(statement) == general(text), text
