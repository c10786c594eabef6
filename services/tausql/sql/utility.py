"""Utility statements by their words: BEGIN, SET, SHOW, COPY's options, EXPLAIN's options and the like.

Each function answers (kind, command tag, options) or part of it; the values are plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.lexer import NUMBER, PARAM, Token, name_value, string_value, syntax_error_at, syntax_error_at_end

Classified = tuple[str, str, dict[str, Any]]


def classify(tokens: Sequence[Token], words: Sequence[str]) -> Classified | None:
    """None: no statement of PostgreSQL begins like this."""
    first = words[0]
    if first in ("BEGIN", "START"):
        return _begin(tokens, words)
    if first in ("COMMIT", "END"):
        return _finish("commit", "COMMIT", tokens, words)
    if first in ("ROLLBACK", "ABORT"):
        return _finish("rollback", "ROLLBACK", tokens, words)
    if first == "SET":
        return _set(tokens, words)
    if first == "SHOW":
        return "show", "SHOW", {"name": _parameter_name(tokens, words, 1)}
    if first == "RESET":
        return "reset", "RESET", {"name": _parameter_name(tokens, words, 1)}
    if first == "DEALLOCATE":
        return _deallocate(tokens, words)
    if first == "ANALYZE":
        return "analyze", "ANALYZE", {}
    if first == "CALL":
        numbers = [int(token.text[1:]) for token in tokens if token.kind == PARAM]
        return "call", "CALL", {"parameters": max(numbers, default=0)}
    return None


def _begin(tokens: Sequence[Token], words: Sequence[str]) -> Classified:
    tag = "BEGIN" if words[0] == "BEGIN" else "START TRANSACTION"
    at = 1
    if words[0] == "START":
        if words[1:2] != ["TRANSACTION"]:
            raise _near(tokens, 1)
        at = 2
    elif words[1:2] in (["TRANSACTION"], ["WORK"]):
        at = 2
    return "begin", tag, transaction_modes(tokens, words, at)


def transaction_modes(tokens: Sequence[Token], words: Sequence[str], at: int) -> dict[str, Any]:
    """ISOLATION LEVEL x, READ ONLY | READ WRITE, [NOT] DEFERRABLE, separated by commas or blanks."""
    options: dict[str, Any] = {"isolation": None, "read_only": None, "deferrable": None}
    levels = ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "READ UNCOMMITTED")
    while at < len(words):
        rest = list(words[at : at + 4])
        if rest[0] == ",":
            at += 1
        elif rest[:2] == ["ISOLATION", "LEVEL"]:
            level = next((name for name in levels if rest[2 : 2 + len(name.split())] == name.split()), None)
            if level is None:
                raise _near(tokens, at + 2)
            options["isolation"] = level
            at += 2 + len(level.split())
        elif rest[:2] in (["READ", "ONLY"], ["READ", "WRITE"]):
            options["read_only"] = rest[1] == "ONLY"
            at += 2
        elif rest[0] == "DEFERRABLE":
            options["deferrable"] = True
            at += 1
        elif rest[:2] == ["NOT", "DEFERRABLE"]:
            options["deferrable"] = False
            at += 2
        else:
            raise _near(tokens, at)
    return options


def _finish(kind: str, tag: str, tokens: Sequence[Token], words: Sequence[str]) -> Classified:
    at = 2 if words[1:2] in (["TRANSACTION"], ["WORK"]) else 1
    rest = list(words[at:])
    if rest == ["AND", "CHAIN"]:
        return "refused", "", {"error": not_supported(f"unsupported transaction statement: {tag} AND CHAIN")}
    if rest and rest != ["AND", "NO", "CHAIN"]:
        raise _near(tokens, at)
    return kind, tag, {}


def _deallocate(tokens: Sequence[Token], words: Sequence[str]) -> Classified:
    at = 2 if words[1:2] == ["PREPARE"] and len(words) > 2 else 1
    if at >= len(tokens):
        raise _near(tokens, at)
    if words[at] == "ALL":
        return "deallocate", "DEALLOCATE ALL", {"name": None}
    return "deallocate", "DEALLOCATE", {"name": name_value(tokens[at])}


def _set(tokens: Sequence[Token], words: Sequence[str]) -> Classified:
    at = 1
    local = words[1:2] == ["LOCAL"]
    if local or words[1:2] == ["SESSION"]:
        at = 2
    rest = list(words[at : at + 3])
    if not rest:
        raise _near(tokens, at)
    options: dict[str, Any] = {"local": local, "name": "", "value": None}
    if rest[0] == "TRANSACTION" and rest[1:2] != ["="]:
        options["name"] = "TRANSACTION"
        options["modes"] = None if rest[1:2] == ["SNAPSHOT"] else transaction_modes(tokens, words, at + 1)
        return "set", "SET", options
    if rest == ["CHARACTERISTICS", "AS", "TRANSACTION"]:
        options["name"] = "SESSION CHARACTERISTICS"
        options["modes"] = transaction_modes(tokens, words, at + 3)
        return "set", "SET", options
    if rest[0] == "CONSTRAINTS":
        return "set_constraints", "SET CONSTRAINTS", {"tokens": tokens}
    if rest[:2] == ["TIME", "ZONE"]:
        options["name"] = "timezone"
        at += 2
        if words[at : at + 1] == ["LOCAL"]:
            return "set", "SET", options
    elif rest[0] in ("NAMES", "SCHEMA", "ROLE"):
        options["name"] = {"NAMES": "client_encoding", "SCHEMA": "search_path", "ROLE": "role"}[rest[0]]
        at += 1
    elif rest[:2] == ["SESSION", "AUTHORIZATION"] or rest[:1] == ["AUTHORIZATION"]:
        options["name"] = "session_authorization"
        at += 2 if rest[0] == "SESSION" else 1
    else:
        name, at = _dotted(tokens, at)
        options["name"] = name
        if at >= len(tokens) or tokens[at].word not in ("=", "TO"):
            raise _near(tokens, at)
        at += 1
    options["value"] = _values(tokens, at)
    return "set", "SET", options


def _dotted(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    parts: list[str] = []
    while True:
        name = name_value(tokens[at]) if at < len(tokens) else None
        if name is None:
            raise _near(tokens, at)
        parts.append(name)
        at += 1
        if at >= len(tokens) or tokens[at].text != ".":
            return ".".join(parts), at
        at += 1


def _values(tokens: Sequence[Token], at: int) -> str | list[str] | None:
    """The right-hand side of SET: None for DEFAULT, a text, or a list where commas separate several."""
    values: list[str] = []
    sign = ""
    if at >= len(tokens):
        raise _near(tokens, at)
    if len(tokens) == at + 1 and tokens[at].word == "DEFAULT":
        return None
    for token in tokens[at:]:
        if token.text == ",":
            continue
        if token.text in ("-", "+") and not sign:
            sign = token.text
            continue
        value = string_value(token)
        if value is None:
            value = name_value(token)
        if value is None and token.kind == NUMBER:
            value = sign.replace("+", "") + token.text
        if value is None:
            raise syntax_error_at(token.text, token.start)
        values.append(value)
        sign = ""
    return values[0] if len(values) == 1 else values


def _parameter_name(tokens: Sequence[Token], words: Sequence[str], at: int) -> str:
    rest = list(words[at:])
    if rest == ["ALL"]:
        return "all"
    if rest == ["TIME", "ZONE"]:
        return "timezone"
    if rest == ["TRANSACTION", "ISOLATION", "LEVEL"]:
        return "transaction_isolation"
    if rest == ["SESSION", "AUTHORIZATION"]:
        return "session_authorization"
    name, end = _dotted(tokens, at)
    if end != len(tokens):
        raise _near(tokens, end)
    return name


def explain_options(tokens: Sequence[Token], words: Sequence[str]) -> tuple[dict[str, Any], int]:
    """The options and where the explained statement begins."""
    options: dict[str, Any] = {"analyze": False, "verbose": False, "format": "text"}
    at = 1
    if words[1:2] == ["("] and len(words) > 2 and words[2] not in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        end = closing(tokens, 1)
        item: list[Token] = []
        for token in [*tokens[2:end], tokens[end]]:
            if token.text == "," or token is tokens[end]:
                _explain_option(options, item)
                item = []
            else:
                item.append(token)
        return options, end + 1
    while words[at : at + 1] and words[at] in ("ANALYZE", "ANALYSE", "VERBOSE"):
        options["verbose" if words[at] == "VERBOSE" else "analyze"] = True
        at += 1
    return options, at


_EXPLAIN_FLAGS = frozenset(
    ("analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary", "generic_plan", "memory")
)


def _explain_option(options: dict[str, Any], item: Sequence[Token]) -> None:
    if not item:
        return
    name = (name_value(item[0]) or "").replace("analyse", "analyze")
    value = "true" if len(item) < 2 else (string_value(item[1]) or item[1].text).lower()
    if name == "format":
        if value not in ("text", "json", "yaml", "xml"):
            told = f'unrecognized value for EXPLAIN option "format": "{value}"'
            raise SqlError(Code.invalid_parameter_value, told, position=item[0].start + 1)
        options["format"] = value
    elif name in _EXPLAIN_FLAGS:
        options[name] = boolean_option(name, value)
    else:
        raise SqlError(Code.syntax_error, f'unrecognized EXPLAIN option "{name}"', position=item[0].start + 1)


def boolean_option(name: str, value: str) -> bool:
    if value in ("true", "on", "1", "yes"):
        return True
    if value in ("false", "off", "0", "no"):
        return False
    raise SqlError(Code.syntax_error, f"{name} requires a Boolean value")


def closing(tokens: Sequence[Token], at: int) -> int:
    """Where the parenthesis that opens at `at` closes."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].text == "(":
            depth += 1
        elif tokens[index].text == ")":
            depth -= 1
            if depth == 0:
                return index
    raise SqlError(Code.syntax_error, "syntax error at end of input")


def copy_tail(text: str, tokens: Sequence[Token], at: int) -> dict[str, Any]:
    """FROM STDIN | TO STDOUT and the options, in the parenthesised and the old form."""
    if at >= len(tokens):
        raise syntax_error_at_end(text)
    direction = tokens[at].word
    if direction not in ("FROM", "TO"):
        raise syntax_error_at(tokens[at].text, tokens[at].start)
    at += 1
    if at >= len(tokens):
        raise syntax_error_at_end(text)
    place = tokens[at].word
    if place != ("STDIN" if direction == "FROM" else "STDOUT"):
        raise not_supported(f"COPY {direction} a file or program not supported", hint="Use STDIN or STDOUT.")
    at += 1
    if at < len(tokens) and tokens[at].word == "WITH":
        at += 1
    options: dict[str, Any] = {}
    if at < len(tokens) and tokens[at].text == "(":
        end = closing(tokens, at)
        _copy_options(options, tokens[at + 1 : end])
        at = end + 1
    else:
        at = _old_copy_options(options, tokens, at)
    if at < len(tokens):
        raise syntax_error_at(tokens[at].text, tokens[at].start)
    return {"direction": direction.lower(), "options": options}


def _copy_options(options: dict[str, Any], tokens: Sequence[Token]) -> None:
    at = 0
    while at < len(tokens):
        name = name_value(tokens[at])
        if name is None:
            raise syntax_error_at(tokens[at].text, tokens[at].start)
        at += 1
        value: Any = None
        if at < len(tokens) and tokens[at].text == "(":
            end = closing(tokens, at)
            value = [name_value(token) for token in tokens[at + 1 : end] if token.text != ","]
            at = end + 1
        elif at < len(tokens) and tokens[at].text != ",":
            token = tokens[at]
            value = string_value(token)
            if value is None:
                value = token.text.lower()
            at += 1
        options[name] = value
        if at < len(tokens):
            if tokens[at].text != ",":
                raise syntax_error_at(tokens[at].text, tokens[at].start)
            at += 1


def _old_copy_options(options: dict[str, Any], tokens: Sequence[Token], at: int) -> int:
    """The form before PostgreSQL 9.0: WITH CSV HEADER DELIMITER AS ',' NULL AS '' QUOTE '"' ESCAPE '"'."""
    while at < len(tokens):
        word = tokens[at].word
        if word in ("CSV", "TEXT"):
            options["format"] = word.lower()
            at += 1
        elif word == "HEADER":
            options["header"] = None
            at += 1
        elif word in ("DELIMITER", "NULL", "QUOTE", "ESCAPE"):
            at += 1
            if at < len(tokens) and tokens[at].word == "AS":
                at += 1
            value = string_value(tokens[at]) if at < len(tokens) else None
            if value is None:
                raise _near(tokens, at)
            options[word.lower()] = value
            at += 1
        else:
            return at
    return at


def _near(tokens: Sequence[Token], at: int) -> SqlError:
    if at < len(tokens):
        return syntax_error_at(tokens[at].text, tokens[at].start)
    last = tokens[-1]
    return SqlError(Code.syntax_error, "syntax error at end of input", position=last.start + len(last.text) + 1)
