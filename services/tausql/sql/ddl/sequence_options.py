"""The options of a sequence as written, in CREATE and ALTER SEQUENCE and in the parentheses of an identity column."""

from __future__ import annotations

from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.ddl.reading import Words
from tausql.sql.lexer import syntax_error_at

INT8 = 20
_TYPES = {"BIGINT": 20, "INT8": 20, "INTEGER": 23, "INT": 23, "INT4": 23, "SMALLINT": 21, "INT2": 21}

# By name: type_oid, increment, minimum, maximum (None: NO ...), start, restart, cache, cycle, owned_by, name.
Options = dict[str, Any]


def invalid(text: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, text)


def read_options(words: Words) -> Options:
    """The options of a sequence up to what is none. Raises 42601 for one given twice."""
    options: Options = {}
    while not words.ended and not words.next_is(")"):
        token = words.tokens[words.at]
        found = _option(words)
        if found is None:
            break
        name, value = found
        if name in options:
            error = syntax_error_at(token.text, token.start)
            raise SqlError(Code.syntax_error, "conflicting or redundant options", position=error.position)
        options[name] = value
    return options


def _option(words: Words) -> tuple[str, Any] | None:
    match words.take_one("AS", "INCREMENT", "MINVALUE", "MAXVALUE", "START", "RESTART", "CACHE", "CYCLE", "NO", "OWNED",
                         "SEQUENCE"):  # fmt: skip
        case "AS":
            name = words.take_one(*_TYPES)
            if not name:
                words.name()
            if _TYPES.get(name) != INT8:
                raise invalid("sequence type must be bigint")
            return "type_oid", INT8
        case "INCREMENT":
            words.take("BY")
            return "increment", words.integer()
        case "MINVALUE":
            return "minimum", words.integer()
        case "MAXVALUE":
            return "maximum", words.integer()
        case "START":
            words.take("WITH")
            return "start", words.integer()
        case "RESTART":
            given = words.take("WITH") or (not words.ended and words.peek().lstrip("-+")[:1].isdigit())
            given = given or words.peek() in ("-", "+")
            return "restart", words.integer() if given else None
        case "CACHE":
            return "cache", words.integer()
        case "CYCLE":
            return "cycle", True
        case "NO":
            which = words.take_one("MINVALUE", "MAXVALUE", "CYCLE")
            if not which:
                raise words.error()
            return {"MINVALUE": ("minimum", None), "MAXVALUE": ("maximum", None), "CYCLE": ("cycle", False)}[which]
        case "OWNED":
            words.expect("BY")
            return "owned_by", _column_name(words)
        case "SEQUENCE":
            words.expect("NAME")
            return "name", words.qualified_name()
        case _:
            return None


def _column_name(words: Words) -> list[str] | None:
    """[schema, table, column] or [table, column]; None = NONE."""
    parts = [words.name()]
    while words.take("."):
        parts.append(words.name())
    if parts == ["none"]:
        return None
    if not 2 <= len(parts) <= 3:
        raise SqlError(
            Code.syntax_error, "invalid OWNED BY option", hint="Specify OWNED BY table.column or OWNED BY NONE."
        )
    return parts
