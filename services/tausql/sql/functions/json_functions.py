"""json and jsonb: operators, constructors, and turning values of any type into JSON.

Functions that take values of any type ("any") receive JSON texts: the binder wraps each argument with `json_writer` of
its type, because a datum alone does not say its type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare, operator
from tausql.sql.types.jsons import Jsonb, json_string, jsonb_text, parse_json
from tausql.sql.types.registry import element_of
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

Writer = Callable[[Any, SessionFormat], str]

# Functions whose arguments (from this position on) arrive as JSON texts.
JSON_ARGUMENTS: Final = {
    "to_json": 0, "to_jsonb": 0, "json_build_object": 0, "jsonb_build_object": 0, "json_build_array": 0,
    "jsonb_build_array": 0, "row_to_json": 0, "array_to_json": 0, "json_agg": 0, "jsonb_agg": 0,
    "json_object_agg": 0, "jsonb_object_agg": 0,
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
    if name in ("timestamp", "timestamptz"):
        return lambda value, format: json_string(_iso(type.text_out(value, format)))
    element = element_of(type) if type.is_array else None
    if element is not None:
        return _array_writer(json_writer(element))
    if name == "record":
        return _record_json
    return lambda value, format: json_string(type.text_out(value, format))


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
    parts = [f"{json_string(f'f{at}')}:{guessed_json(item, format)}" for at, item in enumerate(value, 1)]
    return "{" + ",".join(parts) + "}"


def guessed_json(item: Any, format: SessionFormat) -> str:
    """Fields of an anonymous record have no types at run time."""
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int | float | Decimal):
        return str(item)
    if isinstance(item, tuple):
        return _record_json(item, format)
    return json_string(str(item))


def _index(value: Any, at: int) -> Any:
    if isinstance(value, list) and -len(value) <= at < len(value):
        return value[at]
    return _MISSING


def _jsonb_index(value: Any, at: int) -> Any:
    """A scalar is stored as an array of one in PostgreSQL, and `->` shows it."""
    return _index(value if isinstance(value, (list, dict)) else [value], at)


_MISSING: Final = object()


def _field(value: Any, key: str) -> Any:
    return value.get(key, _MISSING) if isinstance(value, dict) else _MISSING


def _by_path(value: Any, path: list[str | None]) -> Any:
    for step in path:
        if step is None:
            return _MISSING
        if isinstance(value, dict):
            value = value.get(step, _MISSING)
        elif isinstance(value, list):
            digits = step.lstrip("-")
            value = _index(value, int(step)) if digits.isdigit() else _MISSING
        else:
            return _MISSING
        if value is _MISSING:
            return _MISSING
    return value


def _text_of(found: Any) -> str | None:
    if found is _MISSING or found is None:
        return None
    return found if isinstance(found, str) else jsonb_text(found)


def _jsonb_of(found: Any) -> Jsonb | None:
    return None if found is _MISSING else Jsonb(found)


def _json_of(found: Any) -> str | None:
    """json results are re-printed; the spacing of the original is not kept below the top."""
    return None if found is _MISSING else _compact(found)


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_string(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return jsonb_text(value)


def _accessors() -> Iterator[Function]:
    lookups: tuple[tuple[str, str, str, Callable[[Any, Any], Any]], ...] = (
        ("->", "->>", "text", _field),
        ("->", "->>", "int4", _index),
        ("#>", "#>>", "_text", _by_path),
    )
    for name, text_name, key, look in lookups:
        in_jsonb = _jsonb_index if look is _index else look
        yield operator(name, "jsonb", key, "jsonb", _compose(in_jsonb, _jsonb_of, False))
        yield operator(text_name, "jsonb", key, "text", _compose(in_jsonb, _text_of, False))
        yield operator(name, "json", key, "json", _compose(look, _json_of, True))
        yield operator(text_name, "json", key, "text", _compose(look, _text_of, True))
    for prefix, parsed in (("jsonb", False), ("json", True)):
        path = lambda value, *steps: _by_path(value, list(steps))  # noqa: E731
        result = _jsonb_of if prefix == "jsonb" else _json_of
        yield declare(f"{prefix}_extract_path({prefix}, variadic text) {prefix}", _compose_path(path, result, parsed))
        yield declare(
            f"{prefix}_extract_path_text({prefix}, variadic text) text", _compose_path(path, _text_of, parsed)
        )


def _compose(look: Callable[[Any, Any], Any], show: Callable[[Any], Any], parsed: bool) -> Callable[[Any, Any], Any]:
    if parsed:
        return lambda value, key: show(look(parse_json(value), key))
    return lambda value, key: show(look(value.value, key))


def _compose_path(look: Callable[..., Any], show: Callable[[Any], Any], parsed: bool) -> Callable[..., Any]:
    if parsed:
        return lambda value, *steps: show(look(parse_json(value), *steps))
    return lambda value, *steps: show(look(value.value, *steps))


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


def _minus_key(value: Jsonb, key: str) -> Jsonb:
    inner = value.value
    if isinstance(inner, dict):
        return Jsonb({name: item for name, item in inner.items() if name != key})
    if isinstance(inner, list):
        return Jsonb([item for item in inner if item != key or not isinstance(item, str)])
    raise _scalar_error("delete from scalar")


def _minus_keys(value: Jsonb, keys: list[str]) -> Jsonb:
    for key in keys:
        value = _minus_key(value, key)
    return value


def _minus_index(value: Jsonb, at: int) -> Jsonb:
    inner = value.value
    if isinstance(inner, dict):
        raise _scalar_error("delete from object using integer index")
    if not isinstance(inner, list):
        raise _scalar_error("delete from scalar")
    if -len(inner) <= at < len(inner):
        at %= len(inner)
        return Jsonb(inner[:at] + inner[at + 1 :])
    return value


def _minus_path(value: Jsonb, path: list[str]) -> Jsonb:
    return Jsonb(_edited(value.value, path, _MISSING, create=False)) if path else value


def _edited(value: Any, path: list[str], new: Any, *, create: bool) -> Any:
    """`value` with the item at the path replaced by `new` (_MISSING: removed)."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        if step not in value:
            return value | {step: new} if create and not rest and new is not _MISSING else value
        if rest:
            return value | {step: _edited(value[step], rest, new, create=create)}
        return {k: v for k, v in value.items() if k != step} if new is _MISSING else value | {step: new}
    if isinstance(value, list):
        if not step.lstrip("-").isdigit():
            raise SqlError(Code.invalid_text_representation, f'path element at position 1 is not an integer: "{step}"')
        at = int(step)
        if not -len(value) <= at < len(value):
            if create and not rest and new is not _MISSING:
                return [new, *value] if at < 0 else [*value, new]
            return value
        at %= len(value)
        if rest:
            return [*value[:at], _edited(value[at], rest, new, create=create), *value[at + 1 :]]
        return value[:at] + ([] if new is _MISSING else [new]) + value[at + 1 :]
    return value


def _set(value: Jsonb, path: list[str], new: Jsonb, create: bool = True) -> Jsonb:
    if not isinstance(value.value, dict | list):
        raise _scalar_error("set path in scalar")
    return Jsonb(_edited(value.value, path, new.value, create=create)) if path else value


def _jsonb_operators() -> Iterator[Function]:
    yield operator("@>", "jsonb", "jsonb", "bool", lambda a, b: contains(a.value, b.value))
    yield operator("<@", "jsonb", "jsonb", "bool", lambda a, b: contains(b.value, a.value))
    yield operator("?", "jsonb", "text", "bool", _has_key)
    yield operator("?|", "jsonb", "_text", "bool", lambda value, keys: any(_has_key(value, k) for k in keys))
    yield operator("?&", "jsonb", "_text", "bool", lambda value, keys: all(_has_key(value, k) for k in keys))
    yield operator("||", "jsonb", "jsonb", "jsonb", _concat)
    yield operator("-", "jsonb", "text", "jsonb", _minus_key)
    yield operator("-", "jsonb", "_text", "jsonb", _minus_keys)
    yield operator("-", "jsonb", "int4", "jsonb", _minus_index)
    yield operator("#-", "jsonb", "_text", "jsonb", _minus_path)
    yield declare("jsonb_set(jsonb, _text, jsonb) jsonb", _set)
    yield declare("jsonb_set(jsonb, _text, jsonb, bool) jsonb", _set)


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


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        what = "a non-array" if isinstance(value, dict) else "a scalar"
        raise _scalar_error(f"extract elements from {'an object' if isinstance(value, dict) else what}")
    return value


def _keys(value: Any) -> list[str]:
    if not isinstance(value, dict):
        raise _scalar_error(f"call jsonb_object_keys on {'an array' if isinstance(value, list) else 'a scalar'}")
    return sorted(value, key=lambda key: (len(key.encode()), key))


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


def _inspection() -> Iterator[Function]:
    readers: tuple[tuple[str, Callable[[Any], Any]], ...] = (("jsonb", lambda v: v.value), ("json", parse_json))
    for prefix, read in readers:
        wrap: Callable[[Any], Any] = Jsonb if prefix == "jsonb" else _compact
        yield declare(f"{prefix}_typeof({prefix}) text", _through(read, type_name))
        yield declare(f"{prefix}_array_length({prefix}) int4", _through(read, _length))
        yield declare(f"{prefix}_strip_nulls({prefix}) {prefix}", _stripped(read, wrap))
        yield declare(f"{prefix}_array_elements({prefix}) {prefix}", _elements(read, wrap), returns_set=True)
        yield declare(
            f"{prefix}_array_elements_text({prefix}) text",
            _through(read, lambda v: map(_text_of, _items(v))),
            returns_set=True,
        )
        keys = (lambda v: iter(_keys(v))) if prefix == "jsonb" else (lambda v: iter(v))
        yield declare(f"{prefix}_object_keys({prefix}) text", _through(read, keys), returns_set=True)
    yield declare("jsonb_pretty(jsonb) text", lambda value: _pretty(value.value))


def _stripped(read: Callable[[Any], Any], wrap: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: wrap(_strip_nulls(read(value)))


def _elements(read: Callable[[Any], Any], wrap: Callable[[Any], Any]) -> Callable[[Any], Iterator[Any]]:
    return lambda value: map(wrap, _items(read(value)))


def _through(read: Callable[[Any], Any], then: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: then(read(value))


def _key_text(json_text: str | None) -> str:
    """The key of a pair, given as JSON text."""
    if json_text is None:
        raise SqlError(Code.invalid_parameter_value, "null value not allowed for object key")
    return json_text if json_text.startswith('"') else json_string(json_text)


def build_object(*texts: str | None) -> str:
    if len(texts) % 2:
        raise SqlError(
            Code.invalid_parameter_value,
            "argument list must have even number of elements",
            hint="The arguments of json_build_object() must consist of alternating keys and values.",
        )
    pairs = (f"{_key_text(texts[at])} : {texts[at + 1] or 'null'}" for at in range(0, len(texts), 2))
    return "{" + ", ".join(pairs) + "}"


def _build_array(*texts: str | None) -> str:
    return "[" + ", ".join(text or "null" for text in texts) + "]"


def _binary(build: Callable[..., str]) -> Callable[..., Jsonb]:
    return lambda *texts: Jsonb(parse_json(build(*texts)))


def _constructors() -> Iterator[Function]:
    """The arguments are JSON texts (see JSON_ARGUMENTS)."""
    builders: tuple[tuple[str, Callable[..., str]], ...] = (("object", build_object), ("array", _build_array))
    for name, build in builders:
        yield declare(f"json_build_{name}() json", build, volatility=STABLE, strict=False)
        yield declare(f"json_build_{name}(variadic any) json", build, volatility=STABLE, strict=False)
        yield declare(f"jsonb_build_{name}() jsonb", _binary(build), volatility=STABLE, strict=False)
        yield declare(f"jsonb_build_{name}(variadic any) jsonb", _binary(build), volatility=STABLE, strict=False)
    yield declare("to_json(anyelement) json", lambda text: text, volatility=STABLE)
    yield declare("to_jsonb(anyelement) jsonb", lambda text: Jsonb(parse_json(text)), volatility=STABLE)
    yield declare("row_to_json(record) json", lambda text: text, volatility=STABLE)
    yield declare("array_to_json(anyarray) json", lambda text: text, volatility=STABLE)


def functions() -> Iterator[Function]:
    yield from _accessors()
    yield from _jsonb_operators()
    yield from _inspection()
    yield from _constructors()
