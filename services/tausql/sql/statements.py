"""What a query string asks for: its statements, told apart before anything is planned.

sqlglot parses queries, DML and most CREATE statements. The utility statements are known by their first words, since
sqlglot turns many of them into opaque commands and rewrites others. A statement that is refused does not raise here:
it becomes a `refused` statement, so that "current transaction is aborted" can win over it, as it does in PostgreSQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql import beyond, demands, past, plain_statements, refusals, table_from_query, utility
from tausql.sql.dialect import DSQL, Dialect
from tausql.sql.expressions.parsing import parse
from tausql.sql.lexer import (
    NUMBER,
    PARAM,
    WORD,
    Token,
    cut,
    name_value,
    split,
    syntax_error_at,
    syntax_error_at_end,
    words_of,
)
from tausql.sql.table_from_query import TableFromQuery
from tausql.sql.words_as_names import with_names_quoted

TEXT_BYTES_MAX: Final = 10 << 20  # one statement: as large as a protocol message
TOKENS_MAX: Final = 100_000  # a chain of operators is a tree as deep as it is long
NESTING_MAX: Final = 250

_OTHER_DDL: Final = frozenset(("grant", "revoke", "comment", "truncate", "aws_iam_grant", "aws_iam_revoke"))
PLANNED: Final = frozenset(("query", "insert", "update", "delete", "explain"))
_QUERY_WORDS: Final = frozenset(("SELECT", "VALUES", "WITH", "TABLE", "("))
_PLAIN: Final = MappingProxyType({"SELECT": "query", "INSERT": "insert", "UPDATE": "update", "DELETE": "delete"})


@dataclass(slots=True)
class Statement:
    """One statement. `kind` says what `node` and `options` hold (see the module's functions); `tag` is the command tag
    of kinds that need no execution to know it."""

    kind: str
    text: str
    node: exp.Expr | None = None
    tag: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    dialect: Dialect = DSQL

    @property
    def is_ddl(self) -> bool:
        return self.kind.startswith(("create_", "drop_", "alter_")) or self.kind in _OTHER_DDL

    @property
    def needs_plan(self) -> bool:
        return self.kind in PLANNED

    def refuse(self) -> None:
        """Raises the error of a refused statement; nothing for the others."""
        error = self.options.get("error")
        if error is not None:
            raise error


def parse_statements(text: str, dialect: Dialect = DSQL, found: list[Token] | None = None) -> list[Statement]:
    """The statements of a query string, empty ones left out. Raises 42601, 54000 and 54001; never RecursionError.

    `found`: its tokens, where they are known and are those of one statement."""
    if len(text) > TEXT_BYTES_MAX:
        raise SqlError(Code.program_limit_exceeded, "query string is too long")
    if found:
        return [_classify(*cut(text, found), dialect)]
    return [_classify(own, tokens, dialect) for own, tokens in split(text)]


def _classify(text: str, tokens: list[Token], dialect: Dialect) -> Statement:
    statement = _classified(text, tokens, dialect)
    if dialect is not DSQL:
        statement.dialect = dialect
    return statement


def _classified(text: str, tokens: list[Token], dialect: Dialect) -> Statement:
    if len(text) > TEXT_BYTES_MAX:
        raise SqlError(
            Code.program_limit_exceeded,
            "statement is too long",
            detail=f"A statement may have at most {TEXT_BYTES_MAX} characters; this one has {len(text)}.",
        )
    if len(tokens) > TOKENS_MAX:
        raise SqlError(Code.statement_too_complex, f"statement has more than {TOKENS_MAX} words and symbols")
    words = words_of(tokens)
    first = words[0]
    if first in _PLAIN:
        plain = plain_statements.read(text, tokens, words)
        if plain is not None and (dialect.lenient or refusals.word_refusal(words) is None):
            return Statement(_PLAIN[first], text, plain)
    if first in _ENDED or first == "EXPLAIN":
        quoted = with_names_quoted(text, tokens, words)
        if quoted is not None:
            ((text, tokens),) = split(quoted)
            words = words_of(tokens)
    _check_nesting(text, tokens, words)
    _check_end(text, tokens, words)
    if dialect.testing:
        call = demands.read_call(tokens, words)
        if call is not None:
            return Statement(call[0], text, tag=call[1], options=call[2])
    if dialect.extensions:
        if "SYSTEM" in words:
            found_past = past.cut(text, tokens, words)
            if found_past is not None:
                return _in_the_past(text, found_past, dialect)
        wanted = table_from_query.read(text, tokens, words)
        if wanted is not None:
            return _table_from_query(text, wanted, dialect)
    if not dialect.lenient:
        refusal = refusals.word_refusal(words)
        if refusal is not None:
            return Statement("refused", text, options={"error": refusal})
    if first in _QUERY_WORDS:
        return _query(text, tokens, words)
    if first in ("INSERT", "UPDATE", "DELETE"):
        return _write(text, tokens, words)
    if dialect is not DSQL:
        found = beyond.classify(text, tokens, words, dialect)
        if found is not None:
            return Statement(found[0], text, tag=found[1], options=found[2])
    refusal = refusals.refusal_of(words)
    if refusal is not None:
        return Statement("refused", text, options={"error": refusal})
    if first == "EXPLAIN":
        return _explain(text, tokens, words, dialect)
    if first in ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COMMENT"):
        return _ddl(text, tokens, words)
    if first == "COPY":
        return _copy(text, tokens, dialect)
    if words[:2] == ["AWS", "IAM"] and words[2:3] in (["GRANT"], ["REVOKE"]):
        return Statement(f"aws_iam_{words[2].lower()}", text, tag=" ".join(words[:3]), options={"tokens": tokens})
    utility_statement = utility.classify(tokens, words)
    if utility_statement is None:
        raise syntax_error_at(tokens[0].text, tokens[0].start)
    kind, tag, options = utility_statement
    return Statement(kind, text, tag=tag, options=options)


def _in_the_past(text: str, found: past.Cut, dialect: Dialect) -> Statement:
    """The statement keeps its whole text: it is what plans are known by, and what moves with a session."""
    statement = _classified(found.text, found.tokens, dialect)
    statement.refuse()
    if statement.kind not in ("query", "begin"):
        raise not_supported("AS OF SYSTEM TIME is for queries and BEGIN")
    statement.text = text
    statement.options = {**statement.options, "as_of": found.as_of}
    return statement


def _table_from_query(text: str, wanted: TableFromQuery, dialect: Dialect) -> Statement:
    (query,) = parse_statements(wanted.query, dialect)
    query.refuse()
    if query.kind != "query":
        raise syntax_error_at_end(text)
    return Statement("table_from_query", text, tag="CREATE TABLE AS", options={**wanted._asdict(), "query": query})


_BRACKETS = frozenset("()[]")


def _check_nesting(text: str, tokens: list[Token], words: list[str]) -> None:
    depth = 0
    for at, word in enumerate(words):
        if word in _BRACKETS:
            if word in ("(", "["):
                depth += 1
                if depth > NESTING_MAX:
                    raise refusals.too_deep()
            else:
                depth -= 1
                if depth < 0:
                    raise syntax_error_at(word, tokens[at].start)
    if depth:
        raise syntax_error_at_end(text)


_DANGLING = frozenset(
    "WHERE FROM ORDER GROUP BY HAVING AND OR NOT IN LIKE ILIKE BETWEEN JOIN ON USING UNION INTERSECT EXCEPT AS SET"
    " INTO CASE WHEN THEN ELSE LIMIT OFFSET INNER LEFT RIGHT FULL CROSS NATURAL WITH RETURNING IS".split()
)


_ENDED = _QUERY_WORDS | {"INSERT", "UPDATE", "DELETE"}


def _check_end(text: str, tokens: list[Token], words: list[str]) -> None:
    """A statement that stops in the middle: sqlglot points at its last word, or takes that for an alias."""
    if words[0] not in _ENDED:
        return  # SET x TO on
    _check_pairs(tokens, words)
    last, end = words[-1], tokens[-1]
    before = words[-2] if len(words) > 1 else ""
    if before in ("AS", "."):
        return  # a label may be any word
    if before in ("FROM", "WHERE", "SET", "AND") and last in _DANGLING:
        raise syntax_error_at(end.text, end.start)
    sorts = before == "USING"  # ORDER BY x USING >
    if last in _DANGLING or (end.kind == "operator" and end.text != "*" and not sorts) or end.text == ",":
        raise syntax_error_at_end(text)


# Reserved words that no value and no item of a list begins with, and what cannot stand right before them.
_NO_ITEM = frozenset(
    "FROM WHERE ORDER GROUP HAVING LIMIT OFFSET FETCH UNION INTERSECT EXCEPT RETURNING AND OR THEN WHEN ELSE END AS"
    " ASC DESC INTO USING ON IN FOR ) ]".split()
)
_ENDS_GROUPING = frozenset(("", "ORDER", "HAVING", "LIMIT", "OFFSET", "FETCH", "UNION", "INTERSECT", "EXCEPT", ")"))
_NO_ALIAS = frozenset((",", ")"))  # a label of the select list may be any word
_WANTS_ITEM = frozenset(", BY WHERE AND OR ON HAVING WHEN THEN ELSE = <> != < > <= >= + - / || %".split())


_CHECKED_BEFORE = _WANTS_ITEM | {"AS", "::", "NOT", "INSERT", "DELETE", "(", "DISTINCT", "SET", "MATERIALIZED", "FROM"}


def _check_pairs(tokens: list[Token], words: list[str]) -> None:
    """Words with a gap between them that sqlglot closes by itself: `SELECT a, FROM t`, `ORDER BY a, DESC`."""
    for at, before in enumerate(words[:-1], 1):
        if before in _CHECKED_BEFORE:
            _check_pair(tokens, words, at, before)
    if words.count("WHEN") > words.count("THEN"):
        raise SqlError(Code.syntax_error, "syntax error: WHEN without THEN")


def _check_pair(tokens: list[Token], words: list[str], at: int, before: str) -> None:
    """One word and what stands before it."""
    word, token = words[at], tokens[at]
    if before in _WANTS_ITEM and word in _NO_ITEM and _word_at(words, at - 2) not in ("USING", "."):
        raise syntax_error_at(token.text, token.start)
    if word == "ALL" and before == "BY" and _word_at(words, at + 1) in _ENDS_GROUPING:
        raise SqlError(Code.syntax_error, "syntax error: GROUP BY ALL needs something to group by")
    unparenthesized = before == "ON" and word != "(" and _word_at(words, at - 2) == "DISTINCT"
    if unparenthesized or (before == "DISTINCT" and word == ")" and _word_at(words, at - 2) == "("):
        raise syntax_error_at(token.text, token.start)
    if before == "SET" and word == "WHERE" and "UPDATE" in words:
        raise syntax_error_at(token.text, token.start)
    if before == "FROM" and word == "FOR":
        raise syntax_error_at(token.text, token.start)  # substring(x FROM FOR 1)
    if before == "AS" and word in _NO_ALIAS:
        raise syntax_error_at(token.text, token.start)
    if before == "::" and word == "DOUBLE" and _word_at(words, at + 1) != "PRECISION":
        raise SqlError(Code.undefined_object, 'type "double" does not exist')
    if word == "NULL" and before == "NOT" and at > 1 and _is_value_end(tokens[at - 2]):
        raise syntax_error_at(tokens[at - 1].text, tokens[at - 1].start)
    if _SECOND_WORDS.get(before.lower(), word) != word and _word_at(words, at - 2) in ("(", ")"):
        raise syntax_error_at(token.text, token.start)  # WITH ... INSERT t
    if word == "SELECT" and before == "(" and at > 2 and words[at - 3] in ("WITH", "RECURSIVE"):
        raise syntax_error_at(token.text, token.start)  # WITH q (SELECT ...), without AS
    if before == "MATERIALIZED" and word == "(" and not {"AS"} & {*words[max(at - 3, 0) : at - 1]}:
        raise syntax_error_at(tokens[at - 1].text, tokens[at - 1].start)


_BEFORE_NOT = frozenset(
    "SELECT WHERE AND OR NOT ON HAVING WHEN THEN ELSE IS BY CASE RETURNING DISTINCT ALL VALUES LIMIT OFFSET SET DEFAULT"
    " FILTER USING IN FROM AS BETWEEN LIKE ILIKE".split()
)


def _is_value_end(token: Token) -> bool:
    """`x NOT NULL` is no test of x, whatever other dialects say."""
    if token.kind in ("quoted", "param", "string"):
        return True
    return token.kind == "word" and token.word not in _BEFORE_NOT


def _word_at(words: list[str], at: int) -> str:
    return words[at] if 0 <= at < len(words) else ""


_NOT_SUPPORTED_IN_QUERIES = (
    (exp.TableSample, "TABLESAMPLE clause not supported"),
    (exp.MatchRecognize, "MATCH_RECOGNIZE not supported"),
    (exp.Pivot, "PIVOT not supported"),
)


def _parse_one(text: str) -> exp.Expr:
    try:
        nodes = parse(text)
    except RecursionError:
        raise refusals.too_deep() from None
    if len(nodes) != 1:
        raise syntax_error_at_end(text)
    node: exp.Expr = nodes[0]
    if isinstance(node, exp.Command):
        raise syntax_error_at(text.split(None, 1)[0], 0)
    return node


_CHECKED_CLAUSES = frozenset(("FETCH", "PRECEDING", "FOLLOWING", "CURRENT", "BETWEEN", "WINDOW"))


_BOUNDS = frozenset(("PRECEDING", "FOLLOWING", "ROW"))


def _check_clauses(tokens: list[Token], words: list[str]) -> None:
    """FETCH without all its words, a frame of two bounds without BETWEEN, BETWEEN without AND: sqlglot takes them."""
    between, fetching = True, False
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "FETCH" and following in ("FIRST", "NEXT"):
            fetching = True
        elif fetching and (word == "ONLY" or (word == "WITH" and following == "TIES")):
            if words[at - 1] not in ("ROW", "ROWS"):
                raise syntax_error_at(tokens[at].text, tokens[at].start)
            fetching = False
        if word in ("ROWS", "RANGE", "GROUPS"):
            between = following == "BETWEEN"
            end = words.index("AND", at) if between and "AND" in words[at:] else 0
            if end and words[end - 1] not in _BOUNDS:
                raise syntax_error_at(tokens[end].text, tokens[end].start)
        elif word == "WINDOW" and _word_at(words, at + 2) == "(" and tokens[at + 1].kind == WORD:
            raise syntax_error_at("(", tokens[at + 2].start)  # WINDOW w (...), without AS
        elif (word == "FETCH" and following not in ("FIRST", "NEXT")) or (
            (word in ("PRECEDING", "FOLLOWING") or words[at - 1 : at + 1] == ["CURRENT", "ROW"])
            and following == "AND"
            and not between
        ):
            if (at > 0 and words[at - 1] in (".", "AS")) or following in ("", ".", ",", "=", ")", "FROM"):
                continue  # a name
            raise syntax_error_at(tokens[at + 1].text, tokens[at + 1].start)
        elif at and tokens[at - 1].kind in (NUMBER, PARAM) and (word == "(" or tokens[at].kind in (NUMBER, PARAM)):
            raise syntax_error_at(tokens[at].text, tokens[at].start)  # BETWEEN 1 (2)
    if fetching:
        raise SqlError(Code.syntax_error, "syntax error at end of input")  # FETCH FIRST ROW


def _query(text: str, tokens: list[Token], words: list[str]) -> Statement:
    if not _CHECKED_CLAUSES.isdisjoint(words):
        _check_clauses(tokens, words)
    overriding, parsed = _without_overriding(text) if "OVERRIDING" in words else ("", text)
    node = _parse_one(parsed)
    if overriding:
        for insert in node.find_all(exp.Insert):
            insert.set("overriding", overriding)
    if isinstance(node, (exp.Insert, exp.Update, exp.Delete)):  # WITH ... INSERT
        options = {"overriding": overriding} if overriding and isinstance(node, exp.Insert) else {}
        return Statement(type(node).__name__.lower(), text, node, options=options)
    if not isinstance(node, (exp.Query, exp.Values)):
        raise syntax_error_at(words[0], 0)
    error = _query_refusal(node, words)
    if error is not None:
        return Statement("refused", text, options={"error": error})
    return Statement("query", text, node)


def _without_overriding(text: str) -> tuple[str, str]:
    """(`system` or `user`, the text with blanks for the clause) of a statement with one INSERT that says OVERRIDING."""
    match = _OVERRIDING.search(text)
    if match is None or len(_INSERT.findall(text)) != 1:
        return "", text
    return match.group().split()[1].lower(), text[: match.start()] + " " * len(match.group()) + text[match.end() :]


def _query_refusal(node: exp.Expr, words: list[str]) -> SqlError | None:
    if isinstance(node, exp.Select) and node.args.get("into"):
        return refusals.unsupported_statement("CreateTableAs")
    if "TABLESAMPLE" in words:
        for kind, text in _NOT_SUPPORTED_IN_QUERIES:
            if node.find(kind) is not None:
                return not_supported(text)
    return None


_INSERT = re.compile(r"\bINSERT\s+INTO\b", re.IGNORECASE)
_OVERRIDING = re.compile(r"\bOVERRIDING\s+(?:SYSTEM|USER)\s+VALUE\b", re.IGNORECASE)


def _write(text: str, tokens: list[Token], words: list[str]) -> Statement:
    kind = words[0].lower()
    _check_write(text, tokens, words)
    options: dict[str, Any] = {}
    parsed = text
    if kind == "insert" and "OVERRIDING" in words:
        match = _OVERRIDING.search(text)
        if match is not None:  # sqlglot does not know the clause; blanks keep the positions of what follows
            options["overriding"] = match.group().split()[1].lower()
            parsed = text[: match.start()] + " " * (match.end() - match.start()) + text[match.end() :]
    if "CURRENT" in words and words[-3:-1] == ["CURRENT", "OF"]:
        return Statement("refused", text, options={"error": not_supported("WHERE CURRENT OF not supported")})
    node = _parse_one(parsed)
    if not isinstance(node, (exp.Insert, exp.Update, exp.Delete)):
        raise syntax_error_at(words[0], 0)
    return Statement(kind, text, node, options=options)


_SECOND_WORDS = {"insert": "INTO", "delete": "FROM"}


def _check_write(text: str, tokens: list[Token], words: list[str]) -> None:
    """What sqlglot lets pass: other dialects write DELETE t, INSERT t."""
    wanted = _SECOND_WORDS.get(words[0].lower())
    if wanted is not None and words[1:2] != [wanted]:
        raise syntax_error_at(tokens[1].text, tokens[1].start) if len(tokens) > 1 else syntax_error_at_end(text)
    if words[0] == "UPDATE" and "SET" not in words:
        raise syntax_error_at_end(text)
    if words[0] == "INSERT" and "CONFLICT" in words and "DO" not in words:
        at = next((at for at, word in enumerate(words) if word in ("NOTHING", "UPDATE")), -1)
        raise syntax_error_at(tokens[at].text, tokens[at].start) if at > 0 else syntax_error_at_end(text)
    if words[0] == "INSERT" and "CONFLICT" in words:
        at = next((at for at in range(len(words) - 1) if words[at : at + 2] == ["DO", "UPDATE"]), -1)
        if at > 0 and _word_at(words, at + 2) != "SET":
            missing = tokens[at + 2 : at + 3]
            raise syntax_error_at(missing[0].text, missing[0].start) if missing else syntax_error_at_end(text)
    if words[0] == "INSERT" and not {"VALUES", "SELECT", "DEFAULT", "WITH", "TABLE"} & set(words):
        raise syntax_error_at_end(text)


def _explain(text: str, tokens: list[Token], words: list[str], dialect: Dialect) -> Statement:
    options, at = utility.explain_options(tokens, words)
    if at >= len(tokens):
        raise syntax_error_at_end(text)
    start = tokens[at].start
    inner_tokens = [Token(token.kind, token.text, token.start - start) for token in tokens[at:]]
    inner = _classify(text[start:], inner_tokens, dialect)
    inner.refuse()
    if inner.kind not in ("query", "insert", "update", "delete"):
        raise not_supported(f"EXPLAIN of {inner_tokens[0].word} not supported")
    options["inner"] = inner
    return Statement("explain", text, inner.node, tag="EXPLAIN", options=options)


_OBJECTS = frozenset("TABLE INDEX SCHEMA VIEW SEQUENCE FUNCTION ROUTINE DOMAIN ROLE USER GROUP STATISTICS".split())


def _ddl(text: str, tokens: list[Token], words: list[str]) -> Statement:
    verb = words[0]
    if verb in ("GRANT", "REVOKE", "COMMENT"):
        return Statement(verb.lower(), text, tag=verb, options={"tokens": tokens})
    rest = [word for word in words[1:4] if word not in ("OR", "REPLACE", "UNIQUE", "RECURSIVE")]
    thing = rest[0] if rest else ""
    if thing == "DEFAULT":  # ALTER DEFAULT PRIVILEGES
        return Statement("alter_default_privileges", text, tag="ALTER DEFAULT PRIVILEGES", options={"tokens": tokens})
    if thing not in _OBJECTS:
        if len(tokens) < 2:
            raise syntax_error_at_end(text)
        raise syntax_error_at(tokens[1].text, tokens[1].start)
    kind = f"{verb.lower()}_{thing.lower()}"
    statement = Statement(kind, text, tag=f"{verb} {thing}", options={"tokens": tokens})
    if kind == "create_table" and _is_create_table_as(words):
        return Statement("refused", text, options={"error": refusals.unsupported_statement("CreateTableAs")})
    if kind in ("create_index", "alter_table"):  # with ASYNC the answer is the job's id
        at = words.index(thing) + 1
        statement.options["async"] = words[at : at + 1] == ["ASYNC"]
    return statement


def _is_create_table_as(words: list[str]) -> bool:
    depth = 0
    for at, word in enumerate(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "AS":
            return words[at + 1 : at + 2] != ["IDENTITY"]
    return False


def _copy(text: str, tokens: list[Token], dialect: Dialect) -> Statement:
    """COPY table [(columns)] FROM STDIN | TO STDOUT [[WITH] (options)]; COPY (query) TO STDOUT."""
    options: dict[str, Any] = {"columns": None, "query": None, "table": None}
    at = 1
    if len(tokens) < 3:
        raise syntax_error_at_end(text)
    if tokens[1].text == "(":
        at = utility.closing(tokens, 1)
        start = tokens[2].start
        inner = [Token(token.kind, token.text, token.start - start) for token in tokens[2:at]]
        options["query"] = _classify(text[start : tokens[at].start].rstrip(), inner, dialect)
        at += 1
    else:
        name = name_value(tokens[1])
        if name is None:
            raise syntax_error_at(tokens[1].text, tokens[1].start)
        at = 2
        schema = None
        if tokens[2].text == "." and len(tokens) > 3:
            schema, name = name, name_value(tokens[3])
            at = 4
        options["table"] = (schema, name)
        if at < len(tokens) and tokens[at].text == "(":
            end = utility.closing(tokens, at)
            options["columns"] = [name_value(token) for token in tokens[at + 1 : end] if token.text != ","]
            at = end + 1
    options.update(utility.copy_tail(text, tokens, at))
    return Statement("copy", text, tag="COPY", options=options)
