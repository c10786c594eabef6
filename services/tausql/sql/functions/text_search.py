"""Text search with the configuration `simple`: words in lower case, nothing left out, nothing stemmed."""

from __future__ import annotations

import operator as py
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare, operator
from tausql.sql.functions.strings import ascii_lower
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.jsons import Jsonb
from tausql.sql.types.records import Record, record, shape_of
from tausql.sql.types.registry import type_by_name
from tausql.sql.types.text_search import EMPTY, Query, TsVector, node_count, query_key, query_text, read_query, vector

SIMPLE_OID: Final = 3748
# Kinds of tokens of the default parser, the longest first.
_TOKEN = re.compile(
    r"(?P<email>[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+)"
    r"|(?P<url>(?:[A-Za-z]+://)?(?:[A-Za-z0-9\-]+\.)+[A-Za-z]+(?![^\W_])(?:/[\w./?&=%\-]*)?)"
    r"|(?P<number>[+-]?\d+(?:\.\d+)+|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![^\W_]))"
    r"|(?P<hyphenated>[^\W_]+(?:-[^\W_]+)+)"
    r"|(?P<word>[^\W_]+)",
)


def words(text: str) -> Iterator[tuple[str, int]]:
    """Lexemes with their places; a word with hyphens also by its parts."""
    place = 0
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup
        token = found[0]
        if kind == "url" and "/" in token:
            place += 1
            token = token.split("://")[-1]
            host, _, path = token.partition("/")
            yield ascii_lower(token), place
            yield ascii_lower(host), place + 1
            yield f"/{path}", place + 2
            place += 2
            continue
        place += 1
        yield ascii_lower(token), place
        if kind == "hyphenated":
            for part in token.split("-"):
                place += 1
                yield ascii_lower(part), place


def _checked(configuration: int) -> None:
    if configuration != SIMPLE_OID:
        raise SqlError(Code.undefined_object, f"cache lookup failed for text search configuration {configuration}")


def _no_default(*_args: Any) -> Any:
    raise SqlError(Code.undefined_object, 'text search configuration "english" does not exist')


def to_vector(configuration: int, text: str) -> TsVector:
    _checked(configuration)
    return vector((lexeme, [(place, "D")]) for lexeme, place in words(text))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value, key=lambda key: (len(key.encode()), key.encode())):
            yield from _strings(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _node_strings(node: Node) -> Iterator[str]:
    if node.kind == "string":
        yield node.string()
    elif node.kind == "array":
        for item in node.items:
            yield from _node_strings(item)
    elif node.kind == "object":
        for _, item in node.items:
            yield from _node_strings(item)


def _of_texts(texts: Iterator[str]) -> TsVector:
    """Places go on from text to text, with one left out between."""
    pairs: list[tuple[str, list[tuple[int, str]]]] = []
    shift = 0
    for text in texts:
        last = 0
        for lexeme, place in words(text):
            pairs.append((lexeme, [(place + shift, "D")]))
            last = place
        if last:
            shift += last + 1
    return vector(pairs)


def _json_to_vector(configuration: int, text: str) -> TsVector:
    _checked(configuration)
    return _of_texts(_node_strings(read_json(text)))


def _jsonb_to_vector(configuration: int, value: Jsonb) -> TsVector:
    _checked(configuration)
    return _of_texts(_strings(value.value))


# --- queries ---


def _joined(nodes: list[Query], sign: str) -> Query:
    found: Query = EMPTY
    for node in nodes:
        found = node if not found else ((sign, found, node) if sign != "<->" else ("<->", found, node, 1))
    return found


def _values(text: str) -> list[Query]:
    return [("val", lexeme, False, "") for lexeme, _ in words(text)]


def _plain(configuration: int, text: str) -> Query:
    _checked(configuration)
    return _joined(_values(text), "&")


def _phrase(configuration: int, text: str) -> Query:
    _checked(configuration)
    return _joined(_values(text), "<->")


def _to_query(configuration: int, text: str) -> Query:
    """As tsquery reads it, its words taken apart by the parser."""
    _checked(configuration)
    return _parsed(read_query(text))


def _parsed(node: Query) -> Query:
    if not node:
        return node
    if node[0] == "val":
        parts = [("val", value[1], node[2], node[3]) for value in _values(node[1])]
        return _joined(list(parts), "<->")
    if node[0] == "!":
        inner = _parsed(node[1])
        return ("!", inner) if inner else EMPTY
    left, right = _parsed(node[1]), _parsed(node[2])
    if not left or not right:
        return left or right
    return (node[0], left, right, *node[3:])


_WEB = re.compile(r'(-)?(?:"([^"]*)"?|([^\s":!&|()]+))')


def _web(configuration: int, text: str) -> Query:
    """Words together, "phrases", -without, or."""
    _checked(configuration)
    alternatives: list[list[Query]] = [[]]
    for found in _WEB.finditer(text):
        word = found[3]
        if word is not None and word.lower() == "or" and not found[1]:
            if alternatives[-1]:
                alternatives.append([])
            continue
        node = _joined(_values(found[2] if word is None else word), "<->")
        if node:
            alternatives[-1].append(("!", node) if found[1] else node)
    return _joined([_joined(group, "&") for group in alternatives if group], "|")


# --- matching ---


def _places(value: TsVector, node: Query) -> list[int]:
    """Where a phrase's part ends."""
    if node[0] == "val":
        return sorted({place for lexeme in _lexemes(value, node) for place, weight in value[lexeme]
                       if not node[3] or weight in node[3]})  # fmt: skip
    if node[0] == "<->":
        right = set(_places(value, node[2]))
        return [place + node[3] for place in _places(value, node[1]) if place + node[3] in right]
    if node[0] == "|":
        return sorted({*_places(value, node[1]), *_places(value, node[2])})
    if node[0] == "&":
        return sorted({*_places(value, node[1])} & {*_places(value, node[2])})
    return []


def _lexemes(value: TsVector, node: Query) -> list[str]:
    if node[2]:
        return [lexeme for lexeme in value if lexeme.startswith(node[1])]
    return [node[1]] if node[1] in value else []


def matches(value: TsVector, node: Query) -> bool:
    if not node:
        return False
    kind = node[0]
    if kind == "val":
        found = _lexemes(value, node)
        return bool(found) and (
            not node[3] or any(weight in node[3] for lexeme in found for _, weight in value[lexeme])
        )
    if kind == "!":
        return not matches(value, node[1])
    if kind == "&":
        return matches(value, node[1]) and matches(value, node[2])
    if kind == "|":
        return matches(value, node[1]) or matches(value, node[2])
    return bool(_places(value, node))


def _both(sign: str) -> Callable[[Query, Query], Query]:
    return lambda a, b: (sign, a, b) if a and b else a or b


def _apart(a: Query, b: Query, distance: int = 1) -> Query:
    if not 0 <= distance <= 16384:
        raise SqlError(
            Code.invalid_parameter_value,
            "distance in phrase operator must be an integer value between zero and 16384 inclusive",
        )
    return ("<->", a, b, distance) if a and b else a or b


def _query_values(node: Query) -> set[str]:
    if not node:
        return set()
    if node[0] == "val":
        return {node[1]}
    return {value for part in node[1:] if isinstance(part, tuple) for value in _query_values(part)}


# --- changing and looking ---


def _concat(a: TsVector, b: TsVector) -> TsVector:
    last = max((place for positions in a.values() for place, _ in positions), default=0)
    moved = ((lexeme, [(place + last, weight) for place, weight in positions]) for lexeme, positions in b.items())
    return vector([*a.items(), *moved])


def _weight(letter: str) -> str:
    if letter.upper() not in ("A", "B", "C", "D"):
        raise SqlError(Code.invalid_parameter_value, f'unrecognized weight: "{letter}"')
    return letter.upper()


def _set_weight(value: TsVector, letter: str, lexemes: list[str] | None = None) -> TsVector:
    weight = _weight(letter)
    return vector(
        (lexeme, [(p, weight if lexemes is None or lexeme in lexemes else w) for p, w in positions])
        for lexeme, positions in value.items()
    )


def _without(value: TsVector, gone: Any) -> TsVector:
    lexemes = {gone} if isinstance(gone, str) else set(gone)
    return TsVector((lexeme, positions) for lexeme, positions in value.items() if lexeme not in lexemes)


def _filtered(value: TsVector, letters: list[str]) -> TsVector:
    kept = {_weight(letter) for letter in letters}
    found = ((lexeme, tuple(p for p in positions if p[1] in kept)) for lexeme, positions in value.items())
    return TsVector((lexeme, positions) for lexeme, positions in found if positions)


def _rows(value: TsVector) -> Iterator[Record]:
    shape = shape_of([(name, type_by_name(kind), -1) for name, kind in
                      (("lexeme", "text"), ("positions", "_int2"), ("weights", "_text"))])  # fmt: skip
    for lexeme, positions in value.items():
        places = [place for place, _ in positions] or None
        weights = [weight for _, weight in positions] or None
        yield record((lexeme, places, weights), shape)


def _texts_to_vector(lexemes: list[str | None]) -> TsVector:
    if None in lexemes:
        raise SqlError(Code.null_value_not_allowed, "lexeme array may not contain nulls")
    if "" in lexemes:
        raise SqlError(Code.invalid_parameter_value, "lexeme array may not contain empty strings")
    return vector((lexeme, ()) for lexeme in lexemes if lexeme is not None)


def _query_tree(node: Query) -> str:
    """The part of a query an index can use: everything but negations."""
    kept = _positive(node)
    return query_text(kept) if kept else ("T" if node else "")


def _positive(node: Query) -> Query:
    if not node or node[0] == "!":
        return EMPTY
    if node[0] == "val":
        return node
    left, right = _positive(node[1]), _positive(node[2])
    if node[0] == "|" and (not left or not right):
        return EMPTY
    return (node[0], left, right, *node[3:]) if left and right else left or right


def _queries() -> Iterator[Function]:
    for name, impl in (
        ("to_tsquery", _to_query), ("plainto_tsquery", _plain), ("phraseto_tsquery", _phrase),
        ("websearch_to_tsquery", _web),
    ):  # fmt: skip
        yield declare(f"{name}(regconfig, text) tsquery", impl)
        yield declare(f"{name}(text) tsquery", _no_default, volatility=STABLE)
    yield operator("&&", "tsquery", "tsquery", "tsquery", _both("&"))
    yield operator("||", "tsquery", "tsquery", "tsquery", _both("|"))
    yield operator("<->", "tsquery", "tsquery", "tsquery", _apart)
    yield operator("!!", None, "tsquery", "tsquery", lambda node: ("!", node) if node else node)
    yield operator("@>", "tsquery", "tsquery", "bool", lambda a, b: _query_values(b) <= _query_values(a))
    yield operator("<@", "tsquery", "tsquery", "bool", lambda a, b: _query_values(a) <= _query_values(b))
    yield declare("tsquery_phrase(tsquery, tsquery) tsquery", _apart)
    yield declare("tsquery_phrase(tsquery, tsquery, int4) tsquery", _apart)
    yield declare("numnode(tsquery) int4", node_count)
    yield declare("querytree(tsquery) text", _query_tree)


def functions() -> Iterator[Function]:
    yield declare("to_tsvector(regconfig, text) tsvector", to_vector)
    yield declare("to_tsvector(regconfig, json) tsvector", _json_to_vector)
    yield declare("to_tsvector(regconfig, jsonb) tsvector", _jsonb_to_vector)
    for kind in ("text", "json", "jsonb"):
        yield declare(f"to_tsvector({kind}) tsvector", _no_default, volatility=STABLE)
    yield from _queries()
    for name in ("@@", "@@@"):
        yield operator(name, "tsvector", "tsquery", "bool", matches)
        yield operator(name, "tsquery", "tsvector", "bool", lambda node, value: matches(value, node))
    yield operator("@@", "text", "tsquery", "bool", _no_default, volatility=STABLE)
    yield operator("@@", "text", "text", "bool", _no_default, volatility=STABLE)
    yield operator("||", "tsvector", "tsvector", "tsvector", _concat)
    yield declare("setweight(tsvector, char) tsvector", _set_weight)
    yield declare("setweight(tsvector, char, _text) tsvector", _set_weight)
    yield declare("strip(tsvector) tsvector", lambda value: TsVector((lexeme, ()) for lexeme in value))
    yield declare("length(tsvector) int4", len)
    yield declare("ts_delete(tsvector, text) tsvector", _without)
    yield declare("ts_delete(tsvector, _text) tsvector", _without)
    yield declare("ts_filter(tsvector, _char) tsvector", _filtered)
    yield declare("tsvector_to_array(tsvector) _text", list)
    yield declare("array_to_tsvector(_text) tsvector", _texts_to_vector)
    yield declare(
        "unnest(tsvector) record", _rows, returns_set=True, columns="lexeme text,positions _int2,weights _text"
    )
    for name, compare in (("=", py.eq), ("<>", py.ne), ("<", py.lt), ("<=", py.le), (">", py.gt), (">=", py.ge)):
        yield operator(name, "tsvector", "tsvector", "bool", _keyed(compare, TsVector.key))
        yield operator(name, "tsquery", "tsquery", "bool", _keyed(compare, query_key))


def _keyed(compare: Callable[[Any, Any], bool], key: Callable[[Any], Any]) -> Callable[[Any, Any], bool]:
    return lambda a, b: compare(key(a), key(b))
