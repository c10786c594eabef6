"""tsvector and tsquery: lexemes with positions, and searches for them.

A tsvector is a dictionary in the order of its lexemes' bytes; a tsquery a tree of nodes ('val', lexeme, prefix,
weights), ('!', a), ('&', a, b), ('|', a, b) and ('<->', a, b, distance).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.scalars import Codec, binary_length_error
from tausql.sql.types.session_format import SessionFormat

Position = tuple[int, str]  # (place from 1, weight A to D)
Query = tuple[Any, ...]
POSITION_MAX: Final = 16383
POSITIONS_MAX: Final = 255
DEPTH_MAX: Final = 200
EMPTY: Final[Query] = ()


class TsVector(dict[str, tuple[Position, ...]]):
    """lexeme -> its positions, () without."""

    def key(self) -> tuple[Any, ...]:
        return len(self), tuple((lexeme.encode(), places) for lexeme, places in self.items())

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.key())

    def __lt__(self, other: TsVector) -> bool:
        return self.key() < other.key()


def vector(pairs: Iterable[tuple[str, Iterable[Position]]]) -> TsVector:
    """Lexemes in order, positions of equal ones together, each place once with its heaviest weight."""
    found: dict[str, dict[int, str]] = {}
    for lexeme, positions in pairs:
        places = found.setdefault(lexeme, {})
        for place, weight in positions:
            place = min(place, POSITION_MAX)
            places[place] = min(places.get(place, "D"), weight)
    return TsVector(
        (lexeme, tuple(sorted(found[lexeme].items())[:POSITIONS_MAX])) for lexeme in sorted(found, key=str.encode)
    )


def _bad_vector(text: str) -> SqlError:
    return SqlError(Code.syntax_error, f'syntax error in tsvector: "{text}"')


_PLACES = re.compile(r"(\d+)([ABCDabcd*]?)")


def read_vector(text: str) -> TsVector:
    """'a:1A,2 ''b c'':3'"""
    pairs: list[tuple[str, list[Position]]] = []
    at = 0
    while True:
        while text[at : at + 1].isspace():
            at += 1
        if at >= len(text):
            return vector(pairs)
        lexeme, at = _lexeme(text, at, ":", lambda: _bad_vector(text))
        if not lexeme:
            raise _bad_vector(text)
        positions: list[Position] = []
        if text[at : at + 1] == ":":
            while True:
                found = _PLACES.match(text, at + 1)
                if found is None:
                    raise _bad_vector(text)
                if int(found[1]) == 0:
                    raise SqlError(Code.syntax_error, f'wrong position info in tsvector: "{text}"')
                positions.append((int(found[1]), (found[2] or "D").upper().replace("*", "D")))
                at = found.end()
                if text[at : at + 1] != ",":
                    break
        pairs.append((lexeme, positions))


def _lexeme(text: str, at: int, ends: str, bad: Any) -> tuple[str, int]:
    chars: list[str] = []
    if text[at : at + 1] == "'":
        at += 1
        while True:
            char = text[at : at + 1]
            if not char:
                raise bad()
            at += 1
            if char == "'":
                if text[at : at + 1] != "'":
                    return "".join(chars), at
                at += 1
            elif char == "\\":
                char = text[at : at + 1]
                at += 1
            chars.append(char)
    while at < len(text) and not text[at].isspace() and text[at] not in ends:
        if text[at] == "\\":
            at += 1
            if at >= len(text):
                raise bad()
        chars.append(text[at])
        at += 1
    return "".join(chars), at


def quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def vector_text(value: TsVector) -> str:
    parts = []
    for lexeme, positions in value.items():
        places = ",".join(f"{place}{'' if weight == 'D' else weight}" for place, weight in positions)
        parts.append(quoted(lexeme) + (f":{places}" if places else ""))
    return " ".join(parts)


# --- tsquery ---

_OPERATOR = re.compile(r"\s*(?:(&)|(\|)|<(-|\d+)>)")


class _Reader:
    __slots__ = ("at", "depth", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def bad(self) -> SqlError:
        return SqlError(Code.syntax_error, f'syntax error in tsquery: "{self.text}"')

    def blanks(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1

    def either(self) -> Query:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
        left = self.both()
        while self.operator(2):
            left = ("|", left, self.both())
        self.depth -= 1
        return left

    def operator(self, group: int) -> str | None:
        found = _OPERATOR.match(self.text, self.at)
        if found is None or found[group] is None:
            return None
        self.at = found.end()
        return found[group]

    def both(self) -> Query:
        left = self.phrase()
        while self.operator(1):
            left = ("&", left, self.phrase())
        return left

    def phrase(self) -> Query:
        left = self.single()
        while (distance := self.operator(3)) is not None:
            steps = 1 if distance == "-" else int(distance)
            if steps > POSITION_MAX + 1:
                raise SqlError(
                    Code.invalid_parameter_value,
                    "distance in phrase operator must be an integer value between zero and 16384 inclusive",
                )
            left = ("<->", left, self.single(), steps)
        return left

    def single(self) -> Query:
        self.blanks()
        char = self.text[self.at : self.at + 1]
        if char == "!":
            self.at += 1
            return ("!", self.single())
        if char == "(":
            self.at += 1
            inner = self.either()
            self.blanks()
            if self.text[self.at : self.at + 1] != ")":
                raise self.bad()
            self.at += 1
            return inner
        if not char or char in "&|)<:":
            raise SqlError(Code.syntax_error, f'no operand in tsquery: "{self.text}"') if not char else self.bad()
        lexeme, self.at = _lexeme(self.text, self.at, ":&|!()<", self.bad)
        prefix, weights = False, ""
        if self.text[self.at : self.at + 1] == ":":
            self.at += 1
            while (mark := self.text[self.at : self.at + 1].upper()) and mark in "ABCD*":
                prefix = prefix or mark == "*"
                weights += "" if mark == "*" or mark in weights else mark
                self.at += 1
        return ("val", lexeme, prefix, "".join(sorted(weights)))


def read_query(text: str) -> Query:
    reader = _Reader(text)
    if not text.strip():
        return EMPTY
    node = reader.either()
    reader.blanks()
    if reader.at < len(text):
        raise reader.bad()
    return node


_PRIORITY: Final = {"|": 1, "&": 2, "<->": 3, "!": 4, "val": 5}


def query_text(node: Query, outer: int = 0) -> str:
    """With a blank inside parentheses, as PostgreSQL prints them."""
    if not node:
        return ""
    kind = node[0]
    if kind == "val":
        marks = ("*" if node[2] else "") + node[3]
        return quoted(node[1]) + (f":{marks}" if marks else "")
    priority = _PRIORITY[kind]
    if kind == "!":
        inner = query_text(node[1], 0)
        return f"!{inner}" if node[1][0] in ("val", "!") else f"!( {inner} )"
    sign = kind if kind != "<->" or node[3] == 1 else f"<{node[3]}>"
    left = query_text(node[1], priority)
    right = query_text(node[2], priority + (kind == "<->"))
    shown = f"{left} {sign} {right}"
    return f"( {shown} )" if priority < outer else shown


def query_key(node: Query) -> tuple[Any, ...]:
    """By the number of nodes, then by the size they take, as PostgreSQL has it."""
    kinds = {"!": 1, "&": 2, "|": 3, "<->": 4}
    kind = kinds.get(node[0], 0) if node else 0
    return node_count(node), _size(node), -min(kind, 1), -kind, query_text(node)


def _size(node: Query) -> int:
    if not node:
        return 0
    if node[0] == "val":
        return len(node[1].encode()) + 1
    return sum(_size(part) for part in node[1:] if isinstance(part, tuple))


def node_count(node: Query) -> int:
    """numnode()"""
    if not node:
        return 0
    if node[0] == "val":
        return 1
    return 1 + sum(node_count(part) for part in node[1:] if isinstance(part, tuple))


_WEIGHTS: Final = "DCBA"


def _vector_out(value: TsVector) -> bytes:
    parts = [struct.pack("!i", len(value))]
    for lexeme, positions in value.items():
        parts.append(lexeme.encode() + b"\0" + struct.pack("!H", len(positions)))
        parts += [struct.pack("!H", _WEIGHTS.index(weight) << 14 | place) for place, weight in positions]
    return b"".join(parts)


def _vector_in(data: bytes) -> TsVector:
    raw = bytes(data)
    pairs: list[tuple[str, list[Position]]] = []
    try:
        (count,) = struct.unpack_from("!i", raw)
        at = 4
        for _ in range(count):
            end = raw.index(b"\0", at)
            (places,) = struct.unpack_from("!H", raw, end + 1)
            numbers = struct.unpack_from(f"!{places}H", raw, end + 3)
            pairs.append((raw[at:end].decode(), [(n & 0x3FFF, _WEIGHTS[n >> 14]) for n in numbers]))
            at = end + 3 + 2 * places
    except (struct.error, ValueError) as error:
        raise binary_length_error("invalid tsvector") from error
    return vector(pairs)


def _query_out(node: Query) -> bytes:
    """Nodes in prefix order, the right operand first."""
    parts: list[bytes] = []

    def walk(part: Query) -> None:
        if part[0] == "val":
            weights = sum(1 << _WEIGHTS.index(mark) for mark in part[3])
            parts.append(struct.pack("!BBB", 1, weights, int(part[2])) + part[1].encode() + b"\0")
            return
        code = {"!": 1, "&": 2, "|": 3, "<->": 4}[part[0]]
        parts.append(struct.pack("!BB", 2, code) + (struct.pack("!H", part[3]) if code == 4 else b""))
        for operand in reversed([p for p in part[1:] if isinstance(p, tuple)]):
            walk(operand)

    if node:
        walk(node)
    return struct.pack("!i", len(parts)) + b"".join(parts)


def _query_in(data: bytes) -> Query:
    raw = bytes(data)
    at = 4

    def node() -> Query:
        nonlocal at
        kind = raw[at]
        if kind == 1:
            weights, prefix = raw[at + 1], raw[at + 2]
            end = raw.index(b"\0", at + 3)
            lexeme = raw[at + 3 : end].decode()
            at = end + 1
            return ("val", lexeme, bool(prefix), "".join(w for w in "ABCD" if weights >> _WEIGHTS.index(w) & 1))
        code = raw[at + 1]
        at += 2
        distance = 0
        if code == 4:
            (distance,) = struct.unpack_from("!H", raw, at)
            at += 2
        right = node()
        if code == 1:
            return ("!", right)
        left = node()
        return ("<->", left, right, distance) if code == 4 else ("&" if code == 2 else "|", left, right)

    try:
        (count,) = struct.unpack_from("!i", raw)
        return node() if count else EMPTY
    except (struct.error, IndexError, ValueError, RecursionError) as error:
        raise binary_length_error("malformed tsquery") from error


def _vector_in_text(text: str, _format: SessionFormat, _typmod: int = -1) -> TsVector:
    return read_vector(text)


def _query_in_text(text: str, _format: SessionFormat, _typmod: int = -1) -> Query:
    return read_query(text)


TSVECTOR: Final[Codec] = (_vector_in_text, lambda value, _format: vector_text(value), _vector_in, _vector_out)
TSQUERY: Final[Codec] = (_query_in_text, lambda value, _format: query_text(value), _query_in, _query_out)
