"""PostgreSQL's lexical rules, enough to split a query string, to know a statement by its words and to lift literals.

The parser proper is sqlglot's. It wants one dialect's whole grammar, though, and answers what it does not know with an
opaque command; PostgreSQL's utility statements are told apart by their first words, and those must not be looked for
inside strings, comments or dollar quotes. One regular expression does that in about 0.5 us a token: the commonest kinds
stand first in it, and it takes the space before a token along.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tausql.protocol.errors import Code, SqlError

STRING, ESCAPE_STRING, DOLLAR, NUMBER, PARAM, WORD, QUOTED, OPERATOR, PUNCTUATION = (
    "string escape dollar number param word quoted operator punctuation".split()
)

NAME_BYTES_MAX = 63

_TOKEN = re.compile(
    r"""
    (?:[ \t\r\n\f\v]++|--[^\r\n]*+)*+
    (?:
    (?P<escape>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<special>(?:[bBxXnN]|[uU]&)'(?:[^']|'')*')
  | (?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)
  | (?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
              |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)
  | (?P<string>'(?:[^']|'')*')
  | (?P<comment>/\*)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<param>\$[0-9]+)
  | (?P<dollar>\$(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*)?\$)
  | (?P<punctuation>::|:=|[()\[\],;.:])
  | (?P<operator>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+)
  | (?P<end>\Z)
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_SPACE = re.compile(r"(?:[ \t\r\n\f\v]+|--[^\r\n]*)*")
_NO_WORDS = frozenset((STRING, ESCAPE_STRING, DOLLAR, QUOTED))


class Token(NamedTuple):
    kind: str  # one of the constants above, or "special" (b'..', x'..', n'..', u&'..')
    text: str
    start: int  # characters from 0

    @property
    def word(self) -> str:
        """Upper case for an unquoted word, the text itself for what is no word ('' for strings: never a keyword)."""
        if self.kind == WORD:
            return self.text.upper()
        return "" if self.kind in _NO_WORDS else self.text


def tokens(text: str) -> list[Token]:
    """All tokens, without space and comments. Raises 42601 for what is not a token or does not end."""
    found: list[Token] = []
    at = 0
    size = len(text)
    match = _TOKEN.match
    while at < size:
        token = match(text, at)
        if token is None:
            raise _bad_token(text, _after_space(text, at))
        kind = token.lastgroup
        assert kind is not None
        at, end = token.span(kind)
        if kind == "comment":
            end = _comment_end(text, at)
        elif kind == "dollar":
            closing = text.find(token.group(kind), end)
            if closing < 0:
                raise unterminated("dollar-quoted string", text, at)
            end = closing + end - at
            found.append(Token(DOLLAR, text[at:end], at))
        elif kind != "end":
            text_of = text[at:end]
            if text_of == '""':
                raise SqlError(Code.syntax_error, 'zero-length delimited identifier at or near """"', position=at + 1)
            if kind == "escape" and "\\" in text_of and "\0" in _unescape(text_of[2:-1]):
                raise SqlError(Code.character_not_in_repertoire, 'invalid byte sequence for encoding "UTF8": 0x00')
            found.append(Token(kind, text_of, at))
        at = end
    return found


def words_of(tokens: list[Token]) -> list[str]:
    """Each token's `word`."""
    return [text.upper() if kind == WORD else "" if kind in _NO_WORDS else text for kind, text, _ in tokens]


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _comment_end(text: str, start: int) -> int:
    """Comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise unterminated("/* comment", text, start)


def _bad_token(text: str, at: int) -> SqlError:
    character = text[at]
    if character == "'" or text[at + 1 : at + 2] == "'":
        return unterminated("quoted string", text, at)
    if character == '"':
        return unterminated("quoted identifier", text, at)
    return syntax_error_at(character, at)


def unterminated(what: str, text: str, at: int) -> SqlError:
    return SqlError(Code.syntax_error, f'unterminated {what} at or near "{text[at:]}"', position=at + 1)


def syntax_error_at(near: str, at: int) -> SqlError:
    return SqlError(Code.syntax_error, f'syntax error at or near "{near}"', position=at + 1)


def syntax_error_at_end(text: str) -> SqlError:
    return SqlError(Code.syntax_error, "syntax error at end of input", position=len(text) + 1)


def split(text: str) -> list[tuple[str, list[Token]]]:
    """The statements of a query string with their tokens; empty ones are left out. Token starts count from the
    statement's own text."""
    if ";" not in text:
        found = tokens(text)
        return [cut(text, found)] if found else []
    statements: list[tuple[str, list[Token]]] = []
    current: list[Token] = []
    depth = 0  # of BEGIN ATOMIC ... END in the body of a function, and of CASE within it
    for token in tokens(text):
        if token.kind == WORD and (depth or token.text.upper() == "ATOMIC"):
            depth += _atomic(token.text.upper(), current, depth)
        if token.kind == PUNCTUATION and token.text == ";" and not depth:
            if current:
                statements.append(cut(text, current))
                current = []
        else:
            current.append(token)
    if current:
        statements.append(cut(text, current))
    return statements


def _atomic(word: str, current: list[Token], depth: int) -> int:
    """How a word changes the nesting of BEGIN ATOMIC ... END."""
    if not depth:
        return 1 if current and current[0].word == "CREATE" and current[-1].word == "BEGIN" else 0
    return {"CASE": 1, "END": -1}.get(word, 0)


def cut(text: str, current: list[Token]) -> tuple[str, list[Token]]:
    """One statement of a query string: its text and its tokens, which count from there."""
    start = current[0].start
    last = current[-1]
    own = text[start : last.start + len(last.text)]
    if start:
        current = [Token(token.kind, token.text, token.start - start) for token in current]
    return own, current


def string_value(token: Token) -> str | None:
    """The value of a plain, escape or dollar-quoted string token, None for other tokens."""
    if token.kind == STRING:
        return token.text[1:-1].replace("''", "'")
    if token.kind == DOLLAR:
        tag = token.text.index("$", 1) + 1
        return token.text[tag:-tag]
    if token.kind == ESCAPE_STRING:
        return _unescape(token.text[2:-1])
    return None


_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))|''", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescape(body: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        octal, hexadecimal, short, long, letter = match.groups()
        if octal is not None:
            return chr(int(octal, 8) & 0xFF)
        digits = hexadecimal or short or long
        if digits is not None:
            return chr(int(digits, 16))
        return "'" if letter is None else _LETTERS.get(letter, letter)

    return _ESCAPE.sub(replaced, body)


def name_value(token: Token) -> str | None:
    """A name as PostgreSQL folds it, None where the token is no name."""
    if token.kind == WORD:
        return truncated(token.text.lower())
    if token.kind == QUOTED and token.text.startswith('"'):
        return truncated(token.text[1:-1].replace('""', '"'))
    return None


def truncated(name: str) -> str:
    """An identifier as PostgreSQL keeps and looks for it: at most 63 bytes, cut at a character."""
    if len(name) * 4 <= NAME_BYTES_MAX:
        return name
    encoded = name.encode()
    return name if len(encoded) <= NAME_BYTES_MAX else encoded[:NAME_BYTES_MAX].decode(errors="ignore")
