"""A DDL statement, word by word: what the statements sqlglot has no grammar for are read with.

PostgreSQL's DDL is a list of optional clauses behind fixed words. A reader with one place and a handful of questions is
shorter than a grammar, and it points at the word that is wrong as PostgreSQL does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.lexer import NUMBER, Token, name_value, string_value, syntax_error_at, syntax_error_at_end


class QualifiedName(NamedTuple):
    schema: str | None
    name: str
    position: int  # characters from 1: for errors that point

    def __str__(self) -> str:
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


class Words:
    """A place in a statement's tokens. Questions answer and move on where they are met; `expect_*` raise 42601."""

    __slots__ = ("at", "text", "tokens")

    def __init__(self, text: str, tokens: Sequence[Token], at: int = 0) -> None:
        self.text = text
        self.tokens = tokens
        self.at = at

    @property
    def ended(self) -> bool:
        return self.at >= len(self.tokens)

    def peek(self, ahead: int = 0) -> str:
        """The word `ahead` of here in upper case, "" at the end and for strings and quoted names."""
        at = self.at + ahead
        return self.tokens[at].word if at < len(self.tokens) else ""

    def next_is(self, *words: str) -> bool:
        return all(self.peek(ahead) == word for ahead, word in enumerate(words))

    def take(self, *words: str) -> bool:
        """Whether these words come next; then they are behind."""
        if not self.next_is(*words):
            return False
        self.at += len(words)
        return True

    def take_one(self, *words: str) -> str:
        """Which of these words comes next, "" for none of them."""
        word = self.peek()
        if word and word in words:
            self.at += 1
            return word
        return ""

    def expect(self, *words: str) -> None:
        for word in words:
            if self.peek() != word:
                raise self.error()
            self.at += 1

    def error(self) -> SqlError:
        """42601 about the word here."""
        if self.ended:
            return syntax_error_at_end(self.text)
        token = self.tokens[self.at]
        return syntax_error_at(token.text, token.start)

    def expect_end(self) -> None:
        if not self.ended:
            raise self.error()

    def name(self) -> str:
        """An identifier, folded and cut as PostgreSQL keeps it."""
        value = None if self.ended else name_value(self.tokens[self.at])
        if value is None:
            raise self.error()
        self.at += 1
        return value

    def qualified_name(self) -> QualifiedName:
        """[schema .] name. Raises 0A000 for a name with a database."""
        position = 1 if self.ended else self.tokens[self.at].start + 1
        parts = [self.name()]
        while self.take("."):
            parts.append(self.name())
        if len(parts) > 2:
            raise not_supported(f"cross-database references are not implemented: {'.'.join(parts)}")
        return QualifiedName(parts[0] if len(parts) == 2 else None, parts[-1], position)

    def names(self) -> list[str]:
        """( name, ... )"""
        self.expect("(")
        found = [self.name()]
        while self.take(","):
            found.append(self.name())
        self.expect(")")
        return found

    def string(self) -> str:
        value = None if self.ended else string_value(self.tokens[self.at])
        if value is None:
            raise self.error()
        self.at += 1
        return value

    def integer(self) -> int:
        """A whole number with its sign. Raises 42601 for anything else."""
        sign = -1 if self.take_one("-", "+") == "-" else 1
        if self.ended or self.tokens[self.at].kind != NUMBER or not self.tokens[self.at].text.isdigit():
            raise self.error()
        self.at += 1
        return sign * int(self.tokens[self.at - 1].text)

    def parenthesised(self) -> str:
        """The text between the parenthesis that opens here and the one that closes it."""
        self.expect("(")
        depth, first = 1, self.at
        while not self.ended:
            depth += {"(": 1, ")": -1}.get(self.tokens[self.at].text, 0)
            self.at += 1
            if depth == 0:
                return self.between(first, self.at - 1)
        raise self.error()

    def until(self, *words: str) -> str:
        """The text up to one of these words outside of parentheses and CASE, or to the end. Raises 42601 where it is
        empty."""
        depth, first = 0, self.at
        while not self.ended and not (depth == 0 and self.peek() in words):
            depth += {"(": 1, "[": 1, "CASE": 1, ")": -1, "]": -1, "END": -1}.get(self.peek(), 0)
            if depth < 0:
                break
            self.at += 1
        if self.at == first:
            raise self.error()
        return self.between(first, self.at)

    def between(self, first: int, end: int) -> str:
        """The statement's text of tokens [first, end)."""
        if first >= end:
            return ""
        last = self.tokens[end - 1]
        return self.text[self.tokens[first].start : last.start + len(last.text)]

    def rest(self) -> str:
        found = self.between(self.at, len(self.tokens))
        self.at = len(self.tokens)
        return found

    def expression(self, *ends: str) -> exp.Expr:
        """An expression up to one of `ends` (see `until`), parsed."""
        return parse_expression(self.until(*ends))


def undefined_object(kind: str, name: str) -> SqlError:
    """42704, as for a role, a type, a constraint that is not there."""
    return SqlError(Code.undefined_object, f'{kind} "{name}" does not exist')
