"""jsonpath as a value: its syntax tree, and the text PostgreSQL prints for it.

A node is (operator, *operands). The text is not what was written: member names are quoted, every operation stands in
parentheses where its precedence does not tell it, and numbers are numerics.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tausql.protocol.errors import Code, SqlError
from tausql.sql.types.jsons import json_string
from tausql.sql.types.numbers import numeric_text
from tausql.sql.types.scalars import Codec, binary_length_error, decode_utf8
from tausql.sql.types.session_format import SessionFormat

Node = tuple[Any, ...]
DEPTH_MAX: Final = 200
METHODS: Final = frozenset(
    ("type", "size", "abs", "floor", "ceiling", "double", "keyvalue", "datetime", "bigint", "boolean", "date",
     "decimal", "integer", "number", "string", "time", "time_tz", "timestamp", "timestamp_tz")
)  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<blank>[ \t\n\r\f]+|/\*.*?\*/)
    |(?P<number>0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|0[oO][0-7](?:_?[0-7])*|0[bB][01](?:_?[01])*
        |(?:(?:0|[1-9](?:_?\d)*)(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<variable>\$(?:"(?:[^"\\]|\\.)*"|(?:[^\s?%$.\[\]{}()|&!=<>@\#,*:\-+/"\\]|\\.)+))
    |(?P<op>\*\*|==|!=|<>|<=|>=|&&|\|\||[$@.\[\](){},*?!<>+\-/%|&=:\#])
    |(?P<word>(?:[^\s?%$.\[\]{}()|&!=<>@\#,*:\-+/"\\]|\\.)+)""",
    re.DOTALL | re.VERBOSE,
)
_COMPARISONS: Final = frozenset(("==", "!=", "<>", "<", "<=", ">", ">="))
_PRIORITY: Final = {
    "||": 0, "&&": 1, "==": 2, "!=": 2, "<": 2, "<=": 2, ">": 2, ">=": 2, "starts with": 2, "+": 3, "-": 3, "*": 4,
    "/": 4, "%": 4, "plus": 5, "minus": 5,
}  # fmt: skip


class JsonPath(NamedTuple):
    strict: bool
    root: Node


class _Tokens:
    __slots__ = ("at", "depth", "items", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.items: list[tuple[str, str]] = []
        self.at = 0
        self.depth = 0
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise _syntax(text[position:])
            position = found.end()
            kind = found.lastgroup or ""
            if kind == "number" and position < len(text) and (text[position].isalpha() or text[position] == "_"):
                raise SqlError(
                    Code.syntax_error,
                    f'trailing junk after numeric literal at or near "{found[0]}{text[position]}" of jsonpath input',
                )
            if kind != "blank":
                self.items.append((kind, found[0]))

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.items[at][1] if at < len(self.items) else ""

    def kind(self) -> str:
        return self.items[self.at][0] if self.at < len(self.items) else "end"

    def take(self) -> str:
        text = self.peek()
        self.at += 1
        return text

    def accept(self, *texts: str) -> bool:
        if self.kind() != "string" and self.peek() in texts:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if self.kind() == "string" or self.peek() != text:
            raise self.error()
        self.at += 1

    def error(self) -> SqlError:
        return _syntax(self.peek())


def _syntax(near: str) -> SqlError:
    if not near:
        return SqlError(Code.syntax_error, "syntax error at end of jsonpath input")
    return SqlError(Code.syntax_error, f'syntax error at or near "{near}" of jsonpath input')


def read_path(text: str) -> JsonPath:
    """22P02 for an empty text, 42601 for what does not parse."""
    tokens = _Tokens(text)
    if not tokens.items:
        raise SqlError(Code.invalid_text_representation, f'invalid input syntax for type jsonpath: "{text}"')
    strict = tokens.peek() == "strict"
    if tokens.kind() == "word" and tokens.peek() in ("strict", "lax"):
        tokens.at += 1
    root = _expression(tokens)
    if tokens.at < len(tokens.items):
        raise tokens.error()
    _check(root, filtered=False, subscripted=False)
    return JsonPath(strict, root)


def _check(node: Node, *, filtered: bool, subscripted: bool) -> None:
    """@ only in filters, last only in subscripts."""
    if node[0] == "@" and not filtered:
        raise SqlError(Code.syntax_error, "@ is not allowed in root expressions")
    if node[0] == "last" and not subscripted:
        raise SqlError(Code.syntax_error, "LAST is allowed only in array subscripts")
    for part in node[1:]:
        if isinstance(part, tuple) and part and isinstance(part[0], str):
            _check(part, filtered=filtered or node[0] == "?", subscripted=subscripted)
        elif isinstance(part, tuple):
            for pair in part:
                for item in pair:
                    if isinstance(item, tuple):
                        _check(item, filtered=filtered, subscripted=True)


def _expression(tokens: _Tokens) -> Node:
    tokens.depth += 1
    if tokens.depth > DEPTH_MAX:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
    left = _conjunction(tokens)
    while tokens.accept("||"):
        left = ("||", left, _conjunction(tokens))
    tokens.depth -= 1
    return left


def _conjunction(tokens: _Tokens) -> Node:
    left = _comparison(tokens)
    while tokens.accept("&&"):
        left = ("&&", left, _comparison(tokens))
    return left


def _comparison(tokens: _Tokens) -> Node:
    if tokens.kind() == "op" and tokens.peek() == "!":
        tokens.at += 1
        if tokens.peek() == "(":
            return ("!", _parenthesised(tokens))
        return ("!", _exists(tokens))
    if tokens.kind() == "word" and tokens.peek() == "exists" and tokens.peek(1) == "(":
        return _exists(tokens)
    left = _sum(tokens)
    if tokens.kind() == "op" and tokens.peek() in _COMPARISONS:
        name = tokens.take()
        return ("!=" if name == "<>" else name, left, _sum(tokens))
    if tokens.kind() == "word" and tokens.peek() == "starts":
        tokens.at += 1
        tokens.expect("with")
        if tokens.kind() not in ("string", "variable"):
            raise tokens.error()
        return ("starts with", left, _primary(tokens))
    if tokens.kind() == "word" and tokens.peek() == "like_regex":
        tokens.at += 1
        return _like_regex(tokens, left)
    is_predicate = left[0] in ("&&", "||", "!", "exists", "starts with", "like_regex", *_COMPARISONS)
    if is_predicate and tokens.kind() == "word" and tokens.peek() == "is":
        tokens.at += 1
        tokens.expect("unknown")
        return ("is unknown", left)
    return left


def _like_regex(tokens: _Tokens, left: Node) -> Node:
    if tokens.kind() != "string":
        raise tokens.error()
    pattern, flags = _string(tokens.take()), ""
    if tokens.accept("flag"):
        if tokens.kind() != "string":
            raise tokens.error()
        flags = _string(tokens.take())
    for flag in flags:
        if flag not in "ismxq":
            raise SqlError(
                Code.syntax_error,
                "invalid input syntax for type jsonpath",
                detail=f'Unrecognized flag character "{flag}" in LIKE_REGEX predicate.',
            )
    if "x" in flags and "q" not in flags:
        raise SqlError(Code.feature_not_supported, 'XQuery "x" flag (expanded regular expressions) is not implemented')
    return ("like_regex", left, pattern, "".join(f for f in "ismxq" if f in flags))


def _exists(tokens: _Tokens) -> Node:
    if tokens.kind() != "word" or tokens.peek() != "exists":
        raise tokens.error()
    tokens.at += 1
    tokens.expect("(")
    inner = _expression(tokens)
    tokens.expect(")")
    return ("exists", inner)


def _parenthesised(tokens: _Tokens) -> Node:
    tokens.expect("(")
    inner = _expression(tokens)
    tokens.expect(")")
    return inner


def _sum(tokens: _Tokens) -> Node:
    left = _product(tokens)
    while tokens.kind() == "op" and tokens.peek() in ("+", "-"):
        name = tokens.take()
        left = (name, left, _product(tokens))
    return left


def _product(tokens: _Tokens) -> Node:
    left = _unary(tokens)
    while tokens.kind() == "op" and tokens.peek() in ("*", "/", "%"):
        name = tokens.take()
        left = (name, left, _unary(tokens))
    return left


def _unary(tokens: _Tokens) -> Node:
    if tokens.kind() == "op" and tokens.peek() in ("+", "-"):
        name = "plus" if tokens.take() == "+" else "minus"
        operand = _unary(tokens)
        if operand[0] == "number" and name == "minus":
            return ("number", -operand[1] if operand[1] else operand[1])
        return operand if operand[0] == "number" else (name, operand)
    return _accessors(tokens, _primary(tokens))


def _primary(tokens: _Tokens) -> Node:
    kind, text = tokens.kind(), tokens.peek()
    if kind == "number":
        tokens.at += 1
        return ("number", _number(text))
    if kind == "string":
        tokens.at += 1
        return ("string", _string(text))
    if kind == "variable":
        tokens.at += 1
        name = text[1:]
        return ("variable", _string(name) if name.startswith('"') else _unescaped(name))
    if kind == "op" and text == "(":
        inner = _parenthesised(tokens)
        return inner
    if kind == "op" and text in ("$", "@"):
        tokens.at += 1
        return (text,)
    if kind == "word" and text in ("true", "false", "null"):
        tokens.at += 1
        return ("constant", {"true": True, "false": False, "null": None}[text])
    if kind == "word" and text == "last":
        tokens.at += 1
        return ("last",)
    raise tokens.error()


def _number(text: str) -> Decimal:
    digits = text.replace("_", "")
    if digits[:2].lower() in ("0x", "0o", "0b"):
        return Decimal(int(digits, 0))
    value = Decimal(digits)
    exponent = value.as_tuple().exponent
    return value.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else value


_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        return _ESCAPED.get(found[2], found[2])

    if "\\" not in text:
        return text
    joined = re.sub(r"\\(?:u\{?([0-9a-fA-F]{1,6})\}?|x([0-9a-fA-F]{2}))", lambda m: chr(int(m[1] or m[2], 16)), text)
    joined = re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", one, joined, flags=re.DOTALL)
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _string(literal: str) -> str:
    return _unescaped(literal[1:-1])


def _accessors(tokens: _Tokens, node: Node) -> Node:
    while tokens.kind() == "op":
        text = tokens.peek()
        if text == ".":
            tokens.at += 1
            node = _after_dot(tokens, node)
        elif text == "[":
            tokens.at += 1
            node = _subscripts(tokens, node)
        elif text == "?":
            tokens.at += 1
            node = ("?", node, _parenthesised(tokens))
        else:
            break
    return node


def _after_dot(tokens: _Tokens, node: Node) -> Node:
    kind, text = tokens.kind(), tokens.take()
    if kind == "op" and text == "*":
        return (".*", node)
    if kind == "op" and text == "**":
        return _any_depth(tokens, node)
    if kind == "string":
        return ("key", node, _string(text))
    if kind != "word":
        tokens.at -= 1
        raise tokens.error()
    if text in METHODS and tokens.peek() == "(" and tokens.kind() == "op":
        tokens.at += 1
        arguments: list[Node] = []
        while not tokens.accept(")"):
            if arguments:
                tokens.expect(",")
            arguments.append(_unary(tokens))
        return ("method", node, text, tuple((argument,) for argument in arguments))
    return ("key", node, _unescaped(text))


def _any_depth(tokens: _Tokens, node: Node) -> Node:
    """.** .**{2} .**{1 to last}; last is -1."""
    low, high = 0, -1
    if tokens.accept("{"):
        low = _level(tokens)
        high = _level(tokens) if tokens.accept("to") else low
        tokens.expect("}")
    return (".**", node, low, high)


def _level(tokens: _Tokens) -> int:
    if tokens.accept("last"):
        return -1
    if tokens.kind() != "number" or not tokens.peek().isdigit():
        raise tokens.error()
    return int(tokens.take())


def _subscripts(tokens: _Tokens, node: Node) -> Node:
    if tokens.accept("*"):
        tokens.expect("]")
        return ("[*]", node)
    pairs: list[tuple[Node, Node | None]] = []
    while True:
        low = _sum(tokens)
        high = _sum(tokens) if tokens.accept("to") else None
        pairs.append((low, high))
        if tokens.accept("]"):
            return ("[]", node, tuple(pairs))
        tokens.expect(",")


# --- text ---


def path_text(path: JsonPath) -> str:
    return ("strict " if path.strict else "") + _show(path.root, outer=True)


def _show(node: Node, *, outer: bool = False, bracket: bool = True) -> str:
    name = node[0]
    simple = {"$": "$", "@": "@", "last": "last"}.get(name)
    if simple is not None:
        return simple
    if name == "number":
        return numeric_text(node[1])
    if name == "string":
        return json_string(node[1])
    if name == "constant":
        return {True: "true", False: "false", None: "null"}[node[1]]
    if name == "variable":
        return "$" + json_string(node[1])
    if name in _PRIORITY:
        return _show_operation(node, outer, bracket)
    if name == "!":
        return f"!({_show(node[1], outer=False, bracket=False)})"
    if name == "is unknown":
        return f"({_show(node[1], bracket=False)}) is unknown"
    if name == "exists":
        return f"exists ({_show(node[1], bracket=False)})"
    if name == "like_regex":
        flags = f' flag "{node[3]}"' if node[3] else ""
        shown = f"{_show(node[1])} like_regex {json_string(node[2])}{flags}"
        return f"({shown})" if bracket else shown
    return _show_accessor(node)


def _show_operation(node: Node, outer: bool, bracket: bool) -> str:
    name = node[0]
    if len(node) == 2:
        shown = ("+" if name == "plus" else "-") + _show(node[1], bracket=_lower(node[1], name))
    else:
        left = _show(node[1], bracket=_lower(node[1], name))
        shown = f"{left} {name} {_show(node[2], bracket=_lower(node[2], name))}"
    return f"({shown})" if bracket else shown


def _lower(operand: Node, name: str) -> bool:
    return _PRIORITY.get(operand[0], 6) <= _PRIORITY[name]


def _show_accessor(node: Node) -> str:
    name = node[0]
    base: str = _show(node[1])
    if node[1][0] == "number":
        base = f"({base})"
    if name == "key":
        return f"{base}.{json_string(node[2])}"
    if name in (".*", "[*]"):
        return f"{base}{name}"
    if name == "?":
        return f"{base}?({_show(node[2], bracket=False)})"
    if name == ".**":
        low, high = node[2], node[3]
        if (low, high) == (0, -1):
            return f"{base}.**"
        words = ["last" if level < 0 else str(level) for level in (low, high)]
        return f"{base}.**{{{words[0] if low == high else ' to '.join(words)}}}"
    if name == "[]":
        parts = [
            _show(low, bracket=False) + ("" if high is None else f" to {_show(high, bracket=False)}")
            for low, high in node[2]
        ]
        return f"{base}[{','.join(parts)}]"
    arguments = ",".join(_show(argument[0]) for argument in node[3])
    return f"{base}.{node[2]}({arguments})"


def _binary_in(data: bytes) -> JsonPath:
    if not data or data[0] != 1:
        raise binary_length_error(f"unsupported jsonpath version number: {data[0] if data else 0}")
    return read_path(decode_utf8(data[1:]))


def _in(text: str, _format: SessionFormat, _typmod: int = -1) -> JsonPath:
    return read_path(text)


JSONPATH: Final[Codec] = (
    _in,
    lambda value, _format: path_text(value),
    _binary_in,
    lambda value: b"\x01" + path_text(value).encode(),
)
