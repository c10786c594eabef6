"""json and jsonb: operators, constructors, and turning values of any type into JSON.

Functions that take values of any type ("any") receive JSON texts: the binder wraps each argument with `json_writer` of
its type, because a datum alone does not say its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare, operator
from tausql.sql.functions.json_access import node_text, text_of
from tausql.sql.types.arrays import dimensions
from tausql.sql.types.datetimes import date_out, timestamp_text, timestamptz_text
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.jsons import Jsonb, json_string, jsonb_text, parse_json
from tausql.sql.types.records import Record
from tausql.sql.types.registry import element_of
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

Writer = Callable[[Any, SessionFormat], str]

# Functions whose arguments (from this position on) arrive as JSON texts.
JSON_ARGUMENTS: Final = {
    "to_json": 0, "to_jsonb": 0, "json_build_object": 0, "jsonb_build_object": 0, "json_build_array": 0,
    "jsonb_build_array": 0, "row_to_json": 0, "array_to_json": 0, "json_agg": 0, "jsonb_agg": 0,
    "json_object_agg": 0, "jsonb_object_agg": 0, "json_agg_strict": 0, "jsonb_agg_strict": 0,
    "json_object_agg_strict": 0, "jsonb_object_agg_strict": 0, "json_object_agg_unique": 0,
    "jsonb_object_agg_unique": 0, "json_object_agg_unique_strict": 0, "jsonb_object_agg_unique_strict": 0,
}  # fmt: skip


def json_writer(type: Type) -> Writer:
    """(datum, format) -> JSON text of a value of the type."""
    name = type.name
    if name == "bool":
        return lambda value, _format: "true" if value else "false"
    if name in ("int2", "int4", "int8"):
        return lambda value, _format: str(value)
    if name in ("float4", "float8", "numeric"):
        text_out = type.text_out

        def number(value: Any, format: SessionFormat) -> str:
            text = text_out(value, format)
            return text if math.isfinite(value) else f'"{text}"'

        return number
    if name == "json":
        return lambda value, _format: value
    if name == "jsonb":
        return lambda value, _format: jsonb_text(value.value)
    if name in ("timestamp", "timestamptz", "date"):
        return _date_writer(name)
    element = element_of(type) if type.is_array else None
    if element is not None:
        return _array_writer(json_writer(element))
    if name == "record" or type.category == "C":
        return _record_json
    return lambda value, format: json_string(type.text_out(value, format))


def _date_writer(name: str) -> Writer:
    """ISO 8601 whatever DateStyle says."""
    if name == "date":
        return lambda value, _format: json_string(date_out(value, SessionFormat()))
    if name == "timestamp":
        return lambda value, _format: json_string(_iso(timestamp_text(value)))
    return lambda value, format: json_string(_iso(timestamptz_text(value, format)))


def _iso(text: str) -> str:
    """'2026-01-01 12:00:00+00' -> '2026-01-01T12:00:00+00:00'."""
    if text.endswith("infinity"):
        return text
    text = text.replace(" ", "T", 1)
    return text + ":00" if len(text) > 3 and text[-3] in "+-" else text


def _array_writer(write: Writer) -> Writer:
    def run(value: Any, format: SessionFormat) -> str:
        parts = (
            "null" if item is None else run(item, format) if isinstance(item, list) else write(item, format)
            for item in value
        )
        return "[" + ",".join(parts) + "]"

    return run


def _record_json(value: tuple[Any, ...], format: SessionFormat) -> str:
    """{"f1":1,"f2":null}"""
    assert isinstance(value, Record)
    shape = value.shape
    parts = [
        f"{json_string(name)}:{'null' if item is None else json_writer(type)(item, format)}"
        for name, type, item in zip(shape.names, shape.types, value, strict=True)
    ]
    return "{" + ",".join(parts) + "}"


def contains(a: Any, b: Any, top: bool = True) -> bool:
    """jsonb @>."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(key in a and contains(a[key], item, False) for key, item in b.items())
    if isinstance(a, list) and isinstance(b, list):
        return all(any(contains(mine, item, False) for mine in a) for item in b)
    if top and isinstance(a, list) and not isinstance(b, dict):
        return any(Jsonb(item) == Jsonb(b) for item in a)
    if isinstance(a, dict | list) or isinstance(b, dict | list):
        return False
    return Jsonb(a) == Jsonb(b)


def _has_key(value: Jsonb, key: str) -> bool:
    inner = value.value
    if isinstance(inner, dict):
        return key in inner
    return key in inner if isinstance(inner, list) else inner == key and isinstance(inner, str)


def _concat(a: Jsonb, b: Jsonb) -> Jsonb:
    left, right = a.value, b.value
    if isinstance(left, dict) and isinstance(right, dict):
        return Jsonb(left | right)
    return Jsonb((left if isinstance(left, list) else [left]) + (right if isinstance(right, list) else [right]))


def _scalar_error(what: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f"cannot {what}")


def _jsonb_operators() -> Iterator[Function]:
    yield operator("@>", "jsonb", "jsonb", "bool", lambda a, b: contains(a.value, b.value))
    yield operator("<@", "jsonb", "jsonb", "bool", lambda a, b: contains(b.value, a.value))
    yield operator("?", "jsonb", "text", "bool", _has_key)
    yield operator("?|", "jsonb", "_text", "bool", lambda v, keys: any(_has_key(v, k) for k in keys if k is not None))
    yield operator("?&", "jsonb", "_text", "bool", lambda v, keys: all(_has_key(v, k) for k in keys if k is not None))
    yield operator("||", "jsonb", "jsonb", "jsonb", _concat)


def type_name(value: Any) -> str:
    """json_typeof()."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "object"
    return "array" if isinstance(value, list) else "number"


def _length(value: Any) -> int:
    if not isinstance(value, list):
        what = "a non-array" if isinstance(value, dict) else "a scalar"
        raise _scalar_error(f"get array length of {what}")
    return len(value)


def _strip_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strip_nulls(item) for key, item in value.items() if item is not None}
    return [_strip_nulls(item) for item in value] if isinstance(value, list) else value


def _stripped_text(node: Node) -> str:
    """json without the fields that are null; otherwise as written, without blanks."""
    if node.kind == "object":
        kept = (f"{json_string(key)}:{_stripped_text(item)}" for key, item in node.items if item.kind != "null")
        return "{" + ",".join(kept) + "}"
    if node.kind == "array":
        return "[" + ",".join(map(_stripped_text, node.items)) + "]"
    return json_string(node.string()) if node.kind == "string" else node.raw()


def _items(name: str) -> Callable[[Any], list[Any]]:
    def read(value: Any) -> list[Any]:
        if isinstance(value, list):
            return value
        if isinstance(value, dict):
            raise _scalar_error("extract elements from an object")
        raise _scalar_error("extract elements from a scalar")

    return read


def _node_items(name: str) -> Callable[[Node], list[Node]]:
    def read(node: Node) -> list[Node]:
        if node.kind != "array":
            raise _scalar_error(f"call {name} on a {'non-array' if node.kind == 'object' else 'scalar'}")
        items: list[Node] = node.items
        return items

    return read


def _keys(value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise _scalar_error(f"call jsonb_object_keys on {'an array' if isinstance(value, list) else 'a scalar'}")
    return sorted(value, key=lambda key: (len(key.encode()), key.encode()))


def _node_keys(text: str) -> Iterator[str]:
    node = read_json(text)
    if node.kind != "object":
        raise _scalar_error(f"call json_object_keys on {'an array' if node.kind == 'array' else 'a scalar'}")
    return iter([key for key, _ in node.items])


def _pretty(value: Any, depth: int = 0) -> str:
    pad = "    " * (depth + 1)
    if isinstance(value, dict) and value:
        parts = [f"{pad}{json_string(key)}: {_pretty(value[key], depth + 1)}" for key in _keys(value)]
        return "{\n" + ",\n".join(parts) + "\n" + pad[4:] + "}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(pad + _pretty(item, depth + 1) for item in value) + "\n" + pad[4:] + "]"
    if isinstance(value, dict | list):
        return ("{\n" + pad[4:] + "}") if isinstance(value, dict) else "[\n" + pad[4:] + "]"
    return jsonb_text(value)


def _node_length(text: str) -> int:
    node = read_json(text)
    if node.kind != "array":
        raise _scalar_error(f"get array length of a {'non-array' if node.kind == 'object' else 'scalar'}")
    return len(node.items)


def _inspection() -> Iterator[Function]:
    yield declare("jsonb_typeof(jsonb) text", lambda value: type_name(value.value))
    yield declare("json_typeof(json) text", lambda text: read_json(text).kind)
    yield declare("jsonb_array_length(jsonb) int4", lambda value: _length(value.value))
    yield declare("json_array_length(json) int4", _node_length)
    yield declare("jsonb_strip_nulls(jsonb) jsonb", lambda value: Jsonb(_strip_nulls(value.value)))
    yield declare("json_strip_nulls(json) json", lambda text: _stripped_text(read_json(text)))
    yield declare("jsonb_object_keys(jsonb) text", lambda value: iter(_keys(value.value)), returns_set=True)
    yield declare("json_object_keys(json) text", _node_keys, returns_set=True)
    for suffix, result, wrap, show in (("", "", Jsonb, Node.raw), ("_text", "text", text_of, node_text)):
        name = f"array_elements{suffix}"
        of_jsonb, of_json = _elements(_items(f"jsonb_{name}"), wrap), _elements(_node_items(f"json_{name}"), show)
        yield declare(f"jsonb_{name}(jsonb) {result or 'jsonb'}", _through(_plain, of_jsonb), returns_set=True)
        yield declare(f"json_{name}(json) {result or 'json'}", _through(read_json, of_json), returns_set=True)
    yield declare("jsonb_pretty(jsonb) text", lambda value: _pretty(value.value))


def _plain(value: Jsonb) -> Any:
    return value.value


def _elements(read: Callable[[Any], list[Any]], wrap: Callable[[Any], Any]) -> Callable[[Any], Iterator[Any]]:
    return lambda value: map(wrap, read(value))


def _through(read: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: then(read(value))


def key_text(json_text: str | None, argument: int) -> str:
    """The key of a pair, given as JSON text."""
    if json_text is None:
        raise SqlError(Code.null_value_not_allowed, f"argument {argument}: key must not be null")
    if json_text[:1] in "{[":
        raise SqlError(Code.invalid_parameter_value, "key value must be scalar, not array, composite, or json")
    return json_text if json_text.startswith('"') else json_string(json_text)


def _build_object(name: str, null_key: Callable[[int], SqlError]) -> Callable[..., str]:
    def build(*texts: str | None) -> str:
        if len(texts) % 2:
            raise SqlError(
                Code.invalid_parameter_value,
                "argument list must have even number of elements",
                hint=f"The arguments of {name}() must consist of alternating keys and values.",
            )
        pairs = []
        for at in range(0, len(texts), 2):
            if texts[at] is None:
                raise null_key(at + 1)
            pairs.append(f"{key_text(texts[at], at + 1)} : {texts[at + 1] or 'null'}")
        return "{" + ", ".join(pairs) + "}"

    return build


def _build_array(*texts: str | None) -> str:
    return "[" + ", ".join(text or "null" for text in texts) + "]"


def _binary(build: Callable[..., str]) -> Callable[..., Jsonb]:
    return lambda *texts: Jsonb(parse_json(build(*texts)))


def _null_json_key(_argument: int) -> SqlError:
    return SqlError(Code.null_value_not_allowed, "null value not allowed for object key")


def _null_jsonb_key(argument: int) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f"argument {argument}: key must not be null")


def _array_pretty(value: str, pretty: str) -> str:
    """pretty: a JSON text as all arguments here."""
    return _line_feeds(read_json(value)) if pretty.strip('"').lower() in ("true", "t", "on", "1", "yes", "y") else value


def _line_feeds(node: Node) -> str:
    """The pretty form of row_to_json and array_to_json: a line feed behind the commas of the outermost level."""
    if node.kind == "array":
        return "[" + ",\n ".join(item.raw() for item in node.items) + "]"
    if node.kind == "object":
        return "{" + ",\n ".join(f"{json_string(key)}:{item.raw()}" for key, item in node.items) + "}"
    return node.raw()


def _from_pairs(name: str, kind: str) -> Iterator[Function]:
    """json_object(text[]) and json_object(keys, values)."""
    wrap: Callable[[str], Any] = (lambda text: text) if kind == "json" else lambda text: Jsonb(parse_json(text))

    def pairs(keys: list[Any], values: list[Any]) -> Any:
        if None in keys:
            raise SqlError(Code.null_value_not_allowed, "null value not allowed for object key")
        parts = (
            f"{json_string(k)} : {'null' if v is None else json_string(v)}" for k, v in zip(keys, values, strict=True)
        )
        return wrap("{" + ", ".join(parts) + "}")

    def one(items: list[Any]) -> Any:
        sizes = dimensions(items)
        if len(sizes) > 2:
            raise SqlError(Code.array_subscript_error, "wrong number of array subscripts")
        if len(sizes) == 2:
            if sizes[1] != 2:
                raise SqlError(Code.array_subscript_error, "array must have two columns")
            return pairs([item[0] for item in items], [item[1] for item in items])
        if len(items) % 2:
            raise SqlError(Code.array_subscript_error, "array must have even number of elements")
        return pairs(items[::2], items[1::2])

    def two(keys: list[Any], values: list[Any]) -> Any:
        if len(dimensions(keys)) > 1 or len(dimensions(keys)) != len(dimensions(values)):
            raise SqlError(Code.array_subscript_error, "wrong number of array subscripts")
        if len(keys) != len(values):
            raise SqlError(Code.array_subscript_error, "mismatched array dimensions")
        return pairs(keys, values)

    yield declare(f"{name}(_text) {kind}", one)
    yield declare(f"{name}(_text, _text) {kind}", two)


def _constructors() -> Iterator[Function]:
    """The arguments are JSON texts (see JSON_ARGUMENTS)."""
    for kind, null_key in (("json", _null_json_key), ("jsonb", _null_jsonb_key)):
        build = _build_object(f"{kind}_build_object", null_key)
        builders: tuple[tuple[str, Callable[..., str]], ...] = (("object", build), ("array", _build_array))
        for name, make in builders:
            impl = make if kind == "json" else _binary(make)
            yield declare(f"{kind}_build_{name}() {kind}", impl, volatility=STABLE, strict=False)
            yield declare(f"{kind}_build_{name}(variadic any) {kind}", impl, volatility=STABLE, strict=False)
        yield from _from_pairs(f"{kind}_object", kind)
    yield declare("to_json(anyelement) json", lambda text: text, volatility=STABLE)
    yield declare("to_jsonb(anyelement) jsonb", lambda text: Jsonb(parse_json(text)), volatility=STABLE)
    yield declare("row_to_json(record) json", lambda text: text, volatility=STABLE)
    yield declare("array_to_json(anyarray) json", lambda text: text, volatility=STABLE)
    yield declare("row_to_json(record, bool) json", _array_pretty, volatility=STABLE)
    yield declare("array_to_json(anyarray, bool) json", _array_pretty, volatility=STABLE)


def functions() -> Iterator[Function]:
    yield from _jsonb_operators()
    yield from _inspection()
    yield from _constructors()
