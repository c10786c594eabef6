"""SQL text to sqlglot's syntax tree, without what sqlglot would lose on the way.

sqlglot's PostgreSQL dialect turns functions into dialect-neutral nodes (now() and current_timestamp become one, to_char
formats become strftime's, `btrim` becomes TRIM, JSON keys become JSON paths, subscripts move to base 0). Its parser
is compiled and cannot be subclassed, so the token stream is edited instead: a known function name before "(" gets a
mark that no function of sqlglot has, and stays a plain call; JSON keys and subscripts are wrapped so that they stay
as written.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.clause_tokens import (
    COPIED_WINDOW,
    as_written,
    copied_window,
    ends_item,
    is_bare_groups,
    searched_columns,
    using_alias,
)
from tausql.sql.expressions.token_edits import MARK, prepared
from tausql.sql.expressions.with_clauses import with_clauses_moved
from tausql.sql.functions.catalogue import WINDOW_ONLY, function_names
from tausql.sql.lexer import PARAM
from tausql.sql.lexer import tokens as tokens_of

SUBSCRIPT: Final = MARK + "subscript"
INTERVAL_LITERAL: Final = MARK + "interval_literal"
USING_ALIAS: Final = MARK + "using "

# Names whose call has a syntax of its own (or is an expression, not a function); sqlglot's own node is kept.
_SPECIAL: Final = frozenset(
    ("extract", "position", "overlay", "substring", "trim", "cast", "coalesce", "nullif", "greatest", "least",
     "overlaps", "current_timestamp", "localtimestamp", "current_time", "localtime", "current_date", "interval",
     "timestamp", "date", "time", "timestamptz", "name", "text", "like", "user")
)  # fmt: skip
_EXTRA: Final = frozenset(
    ("pg_typeof", "substr", "percentile_cont", "percentile_disc", "mode", "uuid", "date", "json", "jsonb",
     "grouping", "nextval", "currval", "setval", "lastval", "obj_description", "col_description",
     "has_table_privilege", "array_sample", "array_shuffle", "string_to_table", "to_tsvector", "date_diff",
     "datediff", "levenshtein", "soundex", "xmlagg", "json_object", "json_value", "json_query", "json_exists",
     "json_table", "isnull", "if", "iif", "nvl", "ifnull", "decode", "convert", "log2", "instr", "dateadd",
     "date_diff", "any_value", "median", "corr", "covar_pop", "covar_samp", "regr_slope", "approx_distinct",
     "random_normal", "jsonb_path_query", "ts_rank", "unnest", "normalize", "xmlelement")
)  # fmt: skip
# What stands before a name that is being defined or written to, not called.
_NOT_CALLED_AFTER: Final = frozenset(("INTO", "TABLE", "REFERENCES", "UPDATE", "INDEX", "AS", "ONLY", "EXISTS", "VIEW"))
_SUBSCRIPTED: Final = frozenset((TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.VAR, TokenType.IDENTIFIER))
_JSON_ARROWS: Final = frozenset((TokenType.ARROW, TokenType.DARROW, TokenType.HASH_ARROW, TokenType.DHASH_ARROW))
_JOIN_KINDS: Final = frozenset(
    (TokenType.INNER, TokenType.LEFT, TokenType.RIGHT, TokenType.FULL, TokenType.OUTER, TokenType.CROSS,
     TokenType.NATURAL)
)  # fmt: skip
# Tokens that `edited` may do something about, besides words before a parenthesis and parameters.
_EDITED: Final = _JSON_ARROWS | {
    TokenType.JOIN, TokenType.USING, TokenType.L_PAREN, TokenType.INTERVAL, TokenType.L_BRACKET, TokenType.R_BRACKET,
    TokenType.STRING, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.NUMBER, TokenType.DCOLON,
}  # fmt: skip
_FIELD_WORDS: Final = frozenset(("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"))
_LITERAL_TYPES: Final = frozenset(
    ("DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMETZ", "TEXT", "VARCHAR", "NUMERIC", "DECIMAL", "INT",
     "INTEGER", "BIGINT", "SMALLINT", "INT2", "INT4", "INT8", "FLOAT4", "FLOAT8", "REAL", "FLOAT", "BOOL",
     "BOOLEAN", "UUID", "JSON", "JSONB", "BYTEA", "NAME", "OID", "REGCLASS")
)  # fmt: skip
_CATALOGUE_TYPES: Final = frozenset(
    ("oid", "name", "char", "xid", "cid", "tid", "aclitem", "int2vector", "oidvector", "regclass", "regtype",
     "regproc", "regprocedure", "regoper", "regoperator", "regnamespace", "regrole", "regconfig")
)  # fmt: skip
_QUOTES = re.compile(r"""['"]|--|/\*|\$[^0-9]|[@<]\$""")
_PARAMETER = re.compile(r"(?<![\w$])\$(?=[0-9])")
STATEMENT_LENGTH_MAX: Final = 10 << 20  # as large as a protocol message


def _dialect() -> Dialect:
    """PostgreSQL's, but a subscript stays the number it is."""
    dialect = Dialect.get_or_raise("postgres")
    dialect.INDEX_OFFSET = 0
    return dialect


POSTGRES: Final = _dialect()  # has no state


def _markable() -> frozenset[str]:
    return (frozenset(function_names()) | WINDOW_ONLY | _EXTRA) - _SPECIAL


_MARKABLE: Final = _markable()


def _foreign() -> frozenset[str]:
    """Functions of other databases, which sqlglot knows and PostgreSQL does not: a user may have made one (`day`)."""
    parser = POSTGRES.parser()
    names = {*parser.FUNCTIONS, *parser.FUNCTION_PARSERS}
    return frozenset(name.lower() for name in names) - _MARKABLE - _SPECIAL - {"xmltable", "json_objectagg"}


_FOREIGN: Final = _foreign()


def parse(sql: str) -> list[exp.Expr]:
    """The statements of a query string; empty ones are left out. 42601 for what does not parse."""
    if len(sql) > STATEMENT_LENGTH_MAX:
        raise SqlError(Code.program_limit_exceeded, "statement is too long")
    try:
        sql = with_clauses_moved(sql)
        tokens = edited(prepared(POSTGRES.tokenize(_without_false_quotes(sql)), sql), sql)
        parsed = POSTGRES.parser().parse(tokens, sql)
    except (ParseError, TokenError) as error:
        raise _syntax_error(error, sql) from error
    except RecursionError as error:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded") from error
    return [statement for statement in parsed if statement is not None]


def _without_false_quotes(sql: str) -> str:
    """`sql` with `@1` for `$1`, the same parameter to sqlglot, which takes `$1,$` for the tag of a dollar quote."""
    if "$" not in sql:
        return sql
    if _QUOTES.search(sql) is None:
        return _PARAMETER.sub("@", sql)
    characters = list(sql)
    for token in tokens_of(sql):
        if token.kind == PARAM and sql[token.start - 1 : token.start] not in ("<", "@"):  # not an operator with the @
            characters[token.start] = "@"
    return "".join(characters)


def parse_expression(sql: str) -> exp.Expr:
    """One scalar expression (a CHECK, a DEFAULT)."""
    statements = parse(f"SELECT {sql}")
    if len(statements) != 1 or not isinstance(statements[0], exp.Select) or len(statements[0].expressions) != 1:
        raise SqlError(Code.syntax_error, "syntax error in expression")
    expression: exp.Expr = statements[0].expressions[0]
    return expression


def function_name(node: exp.Expr) -> str | None:
    """The lower-case name of a call, without mark and pg_catalog; None when the node is no plain call."""
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
        if node.this.name.lower() != "pg_catalog":
            return f"{node.this.name.lower()}.{function_name(node.expression)}"
        return function_name(node.expression)
    if isinstance(node, exp.Anonymous):
        this = node.this
        name = str(this.this) if isinstance(this, exp.Identifier) else str(this)
        if isinstance(this, exp.Identifier) and this.args.get("quoted"):
            return name
        return name.lstrip(MARK).lower()
    if isinstance(node, exp.Func) and not isinstance(node, exp.AggFunc | exp.Cast | exp.Case):
        return str(node.sql_name()).lower()
    return None


def _syntax_error(error: ParseError | TokenError, sql: str) -> SqlError:
    """PostgreSQL's words: `syntax error at or near "x"`, with the position."""
    details = getattr(error, "errors", None)
    if details:
        first = details[0]
        near = (first.get("highlight") or "").replace(MARK, "")
        line, column = first.get("line") or 1, first.get("col") or 1
        start = sum(len(text) + 1 for text in sql.split("\n")[: line - 1])
        position = start + max(column - len(near) + 1, 1)
        if near and position <= len(sql):
            return SqlError(Code.syntax_error, f'syntax error at or near "{near}"', position=position)
    if isinstance(error, TokenError):
        return SqlError(Code.syntax_error, "syntax error: unterminated quoted string or comment")
    return SqlError(Code.syntax_error, "syntax error at end of input", position=len(sql) + 1)


def _at(token: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, token.line, token.col, token.start, token.end)


def edited(tokens: list[Token], sql: str) -> list[Token]:
    """The tokens with calls marked, JSON keys and subscripts wrapped, interval literals made calls."""
    kinds = [token.token_type for token in tokens]
    searching = "recursive" in sql.lower()
    if not searching and _EDITED.isdisjoint(kinds) and "@" not in sql:
        return tokens
    out: list[Token] = []
    closing: dict[int, str] = {}
    at, count = 0, len(tokens)
    kinds.append(TokenType.SEMICOLON)
    while at < count:
        token = tokens[at]
        kind = kinds[at]
        following = kinds[at + 1]
        left_alone = kind not in _EDITED and following is not TokenType.L_PAREN and kind is not TokenType.PARAMETER
        if left_alone and not searching:
            out.append(token)
            at += 1
            continue
        if kind is TokenType.PARAMETER and sql[token.start] == "@":
            raise not_supported("operator @ is not supported", "Use abs().")
        if kind is TokenType.JOIN and not (out and out[-1].token_type in _JOIN_KINDS):
            out += [_at(token, TokenType.INNER, "INNER"), token]  # to be told from a comma when it has no ON
        elif kind is TokenType.USING and following in (TokenType.LT, TokenType.GT) and ends_item(tokens, at + 2):
            at += 1  # ORDER BY x USING > is ORDER BY x DESC
            if following is TokenType.GT:
                out.append(_at(token, TokenType.DESC, "DESC"))
        elif kind is TokenType.USING and (named := using_alias(tokens, at)) is not None:
            # `JOIN ... USING (a, b) AS j`: the name goes into the list, marked, where the binder finds it.
            last, joined = named
            out += [*tokens[at:last], _at(joined, TokenType.COMMA, ",")]
            out += [_at(joined, TokenType.IDENTIFIER, USING_ALIAS + as_written(joined)), tokens[last]]
            at = last + 2
        elif searching and (listed := searched_columns(tokens, at)) is not None:
            # SEARCH ... BY a, b SET and CYCLE a, b SET: one name for all, which the binder takes apart.
            last, together = listed
            out += [token, _at(tokens[at + 1], TokenType.IDENTIFIER, together)]
            at = last - 1
        elif kind is TokenType.L_PAREN and (copied := copied_window(tokens, at)) is not None:
            out.append(_at(copied, TokenType.IDENTIFIER, COPIED_WINDOW + as_written(copied)))
            at += 2
        elif kind is TokenType.L_PAREN and is_bare_groups(tokens, at):
            raise SqlError(Code.windowing_error, "GROUPS mode requires an ORDER BY clause")
        elif following is TokenType.L_PAREN and (_is_call(token, out) or _is_foreign_call(tokens, at)):
            out.append(_at(token, TokenType.VAR, MARK + token.text.lower()))
        elif kind in _JSON_ARROWS and following in (TokenType.STRING, TokenType.NUMBER):
            key = tokens[at + 1]
            out += [token, _at(key, TokenType.L_PAREN, "("), key, _at(key, TokenType.R_PAREN, ")")]
            at += 1
        elif kind is TokenType.INTERVAL and following is TokenType.STRING and not _has_field(tokens, at + 2):
            text = tokens[at + 1]
            out += [
                _at(token, TokenType.VAR, INTERVAL_LITERAL),
                _at(text, TokenType.L_PAREN, "("),
                text,
                _at(text, TokenType.R_PAREN, ")"),
            ]
            at += 1
        elif kind is TokenType.L_BRACKET and out and _is_subscript(tokens, at, out):
            end = _closing_bracket(tokens, at)
            out.append(token)
            if end is not None:
                out += [_at(token, TokenType.VAR, SUBSCRIPT), _at(token, TokenType.L_PAREN, "(")]
                closing[end] = ")"
        elif kind is TokenType.STRING and following is TokenType.DCOLON and (start := _type_start(out)) is not None:
            # timestamp '...'::date is (timestamp '...')::date
            out.insert(start, _at(out[start], TokenType.L_PAREN, "("))
            out += [token, _at(token, TokenType.R_PAREN, ")")]
        elif kind is TokenType.HEX_STRING and sql[token.start : token.start + 2].lower() == "0x":
            out.append(_at(token, TokenType.NUMBER, str(int(token.text, 16))))
        elif kind is TokenType.BIT_STRING and sql[token.start : token.start + 2].lower() == "0b":
            out.append(_at(token, TokenType.NUMBER, str(int(token.text, 2))))
        elif kind is TokenType.NUMBER and _octal_digits(tokens, at):
            at += 1
            out.append(_at(token, TokenType.NUMBER, str(int(tokens[at].text[1:], 8))))
        elif kind is TokenType.NUMBER and _grouped_digits(tokens, at):
            at += 1
            out.append(_at(token, TokenType.NUMBER, (token.text + tokens[at].text).replace("_", "")))
        elif kind is TokenType.DCOLON and (length := _catalogue_array(tokens, at + 1)):
            name = tokens[at + length - 2]
            out += [token, _at(name, TokenType.VAR, "_" + name.text.lower())]
            at += length
        elif kind is TokenType.R_BRACKET and at in closing:
            out += [_at(token, TokenType.R_PAREN, ")"), token]
        else:
            out.append(token)
        at += 1
    return out


def _catalogue_array(tokens: list[Token], at: int) -> int:
    """The number of tokens of `oid[]` or `pg_catalog.oid[]`: array types of types that sqlglot does not know."""
    for length in (3, 5):
        name = at + length - 3
        if name + 2 >= len(tokens) or tokens[name + 1].token_type is not TokenType.L_BRACKET:
            continue
        if length == 5 and tokens[at].text.lower() != "pg_catalog":
            continue
        if tokens[name + 2].token_type is TokenType.R_BRACKET and tokens[name].text.lower() in _CATALOGUE_TYPES:
            if tokens[name].text.lower() == "char" and tokens[name].token_type is not TokenType.IDENTIFIER:
                return 0
            return length
    return 0


def _is_call(token: Token, before: list[Token]) -> bool:
    if token.token_type in (TokenType.STRING, TokenType.NUMBER, TokenType.IDENTIFIER):
        return False
    if token.text.lower() not in _MARKABLE:
        return False
    if not before:
        return True
    previous = before[-1]
    if previous.token_type is TokenType.STRING or previous.token_type is TokenType.IDENTIFIER:
        return False
    return previous.text.upper() not in _NOT_CALLED_AFTER


def _is_foreign_call(tokens: list[Token], at: int) -> bool:
    """A word of sqlglot's before "(", where it is not the name of an alias or of a query in WITH with its columns."""
    token = tokens[at]
    if token.token_type is not TokenType.VAR or token.text.lower() not in _FOREIGN:
        return False
    if at == 0:
        return True
    previous = tokens[at - 1]
    if previous.token_type in _SUBSCRIPTED or previous.text.upper() in _NOT_CALLED_AFTER:
        return False
    depth = 0
    for position in range(at + 1, len(tokens)):
        kind = tokens[position].token_type
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if depth == 0:
            words = [one.text.upper() for one in tokens[position + 1 : position + 3]]
            return len(words) < 2 or words[0] != "AS" or words[1] not in ("(", "MATERIALIZED", "NOT")
    return False


def _grouped_digits(tokens: list[Token], at: int) -> bool:
    """1_000 arrives as a number and a word right behind it."""
    if at + 1 >= len(tokens):
        return False
    word = tokens[at + 1]
    digits = word.text.replace("_", "")
    return word.start == tokens[at].end + 1 and word.text.startswith("_") and digits.isdigit()


def _octal_digits(tokens: list[Token], at: int) -> bool:
    """0o17 arrives as a zero and a word right behind it."""
    if at + 1 >= len(tokens) or tokens[at].text != "0":
        return False
    word = tokens[at + 1]
    digits = word.text[1:].replace("_", "")
    octal = word.text[:1] in ("o", "O") and digits != "" and set(digits) <= set("01234567")
    return octal and word.start == tokens[at].end + 1


def _type_start(before: list[Token]) -> int | None:
    """Where the type name begins that ends right here, or None when none does."""
    if not before:
        return None
    last = len(before) - 1
    words = [token.text.upper() for token in before[-7:]]
    if words[-2:] == ["TIME", "ZONE"] and len(words) > 3 and words[-3] in ("WITH", "WITHOUT"):
        last -= 3
        if before[last].token_type is TokenType.R_PAREN and last >= 3:
            last -= 3
        return last if before[last].text.upper() in ("TIME", "TIMESTAMP") else None
    if words[-2:] == ["DOUBLE", "PRECISION"]:
        return last - 1
    return last if words[-1] in _LITERAL_TYPES else None


def _has_field(tokens: list[Token], at: int) -> bool:
    return (
        at < len(tokens) and tokens[at].text.upper() in _FIELD_WORDS and tokens[at].token_type is not TokenType.STRING
    )


def _is_subscript(tokens: list[Token], at: int, before: list[Token]) -> bool:
    if before[-1].token_type not in _SUBSCRIPTED or before[-1].text.upper() == "ARRAY":
        return False
    if len(before) > 1 and before[-2].token_type is TokenType.DCOLON:
        return False
    return at + 1 < len(tokens) and tokens[at + 1].token_type is not TokenType.R_BRACKET


def _closing_bracket(tokens: list[Token], at: int) -> int | None:
    """The position of the matching "]", or None for a slice."""
    depth = 0
    for position in range(at, len(tokens)):
        kind = tokens[position].token_type
        if kind in (TokenType.L_BRACKET, TokenType.L_PAREN):
            depth += 1
        elif kind in (TokenType.R_BRACKET, TokenType.R_PAREN):
            depth -= 1
            if depth == 0:
                return position
        elif kind is TokenType.COLON and depth == 1:
            return None
    return None
