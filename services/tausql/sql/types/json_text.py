"""JSON as written: where each value begins and ends in its text, and what is wrong with a text in PostgreSQL's words.

`json` keeps its text, so `j -> 'a'` is a piece of it, blanks and repeated keys included: parsing it to Python values
and printing them again would give another text. `json.loads` also tells errors in its own words.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError

DEPTH_MAX: Final = 600  # below Python's recursion limit
_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_+\-.$\x80-\U0010ffff]+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Node:
    """A value of a JSON text: text[start:end]. kind: 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'.

    items: of an array its Nodes, of an object (key, Node) pairs as written, else None.
    """

    __slots__ = ("end", "items", "kind", "start", "text")

    def __init__(self, text: str, kind: str, start: int) -> None:
        self.text = text
        self.kind = kind
        self.start = start
        self.end = start
        self.items: Any = None

    def raw(self) -> str:
        return self.text[self.start : self.end]

    def string(self) -> str:
        """A string's value, any other value as written; 22P05 for \\u0000."""
        return decoded(self.raw()) if self.kind == "string" else self.raw()

    def field(self, key: str) -> Node | None:
        """The last value of the key."""
        if self.kind != "object":
            return None
        return next((node for name, node in reversed(self.items) if name == key), None)


def decoded(literal: str) -> str:
    """The value of a string literal with its quotes."""
    if "\\" not in literal:
        return literal[1:-1]
    return _Reader(literal).string_value()


def bad_json(detail: str) -> SqlError:
    return SqlError(Code.invalid_text_representation, "invalid input syntax for type json", detail=detail)


def read_json(text: str) -> Node:
    """The tree of a text; 22P02 with PostgreSQL's DETAIL."""
    reader = _Reader(text)
    node = reader.value(0, "Expected JSON value, but found")
    reader.blanks()
    if reader.at < len(text):
        raise reader.unexpected("Expected end of input, but found")
    return node


class _Reader:
    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def blanks(self) -> None:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def unexpected(self, expectation: str) -> SqlError:
        """The token at hand is not what should stand here; a token that is none at all is told as such."""
        char = self.peek()
        if not char:
            return bad_json("The input string ended unexpectedly.")
        if char == '"':
            start = self.at
            self.skip_string()
            return bad_json(f"{expectation} {self.text[start : self.at]!s}.".replace(' "', ' "'))
        if char in "{}[]:,":
            return bad_json(f'{expectation} "{char}".')
        word = self.word()
        if word in ("true", "false", "null") or _NUMBER.fullmatch(word):
            return bad_json(f'{expectation} "{word}".')
        return bad_json(f'Token "{word}" is invalid.')

    def word(self) -> str:
        found = _WORD.match(self.text, self.at)
        return found[0] if found is not None else self.peek()

    def value(self, depth: int, expectation: str) -> Node:
        if depth > DEPTH_MAX:
            raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
        self.blanks()
        char = self.peek()
        if char == "{":
            return self.object(depth)
        if char == "[":
            return self.array(depth)
        start = self.at
        if char == '"':
            self.skip_string()
            kind = "string"
        else:
            word = self.word()
            kind = {"true": "boolean", "false": "boolean", "null": "null"}.get(word, "number")
            if kind == "number" and not _NUMBER.fullmatch(word):
                raise self.unexpected(expectation)
            self.at += len(word)
        node = Node(self.text, kind, start)
        node.end = self.at
        return node

    def object(self, depth: int) -> Node:
        node = Node(self.text, "object", self.at)
        node.items = []
        self.at += 1
        self.blanks()
        if self.peek() == "}":
            self.at += 1
            node.end = self.at
            return node
        expectation = 'Expected string or "}", but found'
        while True:
            self.blanks()
            if self.peek() != '"':
                raise self.unexpected(expectation)
            start = self.at
            self.skip_string()
            key = decoded(self.text[start : self.at])
            self.blanks()
            if self.peek() != ":":
                raise self.unexpected('Expected ":", but found')
            self.at += 1
            node.items.append((key, self.value(depth + 1, "Expected JSON value, but found")))
            self.blanks()
            char = self.peek()
            if char == ",":
                self.at += 1
                expectation = "Expected string, but found"
            elif char == "}":
                self.at += 1
                node.end = self.at
                return node
            else:
                raise self.unexpected('Expected "," or "}", but found')

    def array(self, depth: int) -> Node:
        node = Node(self.text, "array", self.at)
        node.items = []
        self.at += 1
        self.blanks()
        if self.peek() == "]":
            self.at += 1
            node.end = self.at
            return node
        expectation = 'Expected array element or "]", but found'
        while True:
            node.items.append(self.value(depth + 1, expectation))
            expectation = "Expected JSON value, but found"
            self.blanks()
            char = self.peek()
            if char not in (",", "]"):
                raise self.unexpected('Expected "," or "]", but found')
            self.at += 1
            if char == "]":
                node.end = self.at
                return node

    def skip_string(self) -> None:
        self.at += 1
        while True:
            found = _PLAIN.match(self.text, self.at)
            assert found is not None
            self.at = found.end()
            char = self.peek()
            self.at += 1
            if char == '"':
                return
            if not char:
                raise bad_json(f'Token "{self.text[self.text.rindex(chr(34)) :]}" is invalid.')
            if char != "\\":
                raise bad_json(f"Character with value 0x{ord(char):02x} must be escaped.")
            escape = self.peek()
            self.at += 1
            if escape == "u":
                if not re.fullmatch(r"[0-9a-fA-F]{4}", self.text[self.at : self.at + 4]):
                    raise bad_json('"\\u" must be followed by four hexadecimal digits.')
                self.at += 4
            elif escape not in _ESCAPES:
                if not escape:
                    raise bad_json("The input string ended unexpectedly.")
                raise bad_json(f'Escape sequence "\\{escape}" is invalid.')

    def string_value(self) -> str:
        """Of a literal that is known to be well formed, but for its surrogates."""
        out: list[str] = []
        high = 0
        self.at = 1
        while self.text[self.at] != '"':
            char = self.text[self.at]
            self.at += 1
            code = -1
            if char == "\\":
                escape = self.text[self.at]
                self.at += 1
                char = _ESCAPES.get(escape, "")
                if escape == "u":
                    code = int(self.text[self.at : self.at + 4], 16)
                    self.at += 4
            if 0xD800 <= code <= 0xDBFF:
                if high:
                    raise bad_json("Unicode high surrogate must not follow a high surrogate.")
                high = code
                continue
            if 0xDC00 <= code <= 0xDFFF:
                if not high:
                    raise bad_json("Unicode low surrogate must follow a high surrogate.")
                code = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00
                high = 0
            if high:
                raise bad_json("Unicode low surrogate must follow a high surrogate.")
            if code == 0:
                raise SqlError(
                    Code.untranslatable_character,
                    "unsupported Unicode escape sequence",
                    detail="\\u0000 cannot be converted to text.",
                )
            out.append(char if code < 0 else chr(code))
        if high:
            raise bad_json("Unicode low surrogate must follow a high surrogate.")
        return "".join(out)
