"""-> ->> #> #>> of json and jsonb.

Of json they give a piece of the text as it was written; of jsonb a part of the parsed value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.sql.functions.function import Function, declare, operator
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.jsons import Jsonb, jsonb_text

MISSING: Final = object()
_INTEGER = re.compile(r"[ \t\n\r\f\v]*[+-]?[0-9]{1,10}[ \t\n\r\f\v]*")


def path_index(step: str) -> int | None:
    """A step of a path as an array index; None where it is no integer."""
    if _INTEGER.fullmatch(step) is None:
        return None
    at = int(step)
    return at if -(2**31) <= at < 2**31 else None


# --- jsonb ---


def _index(value: Any, at: int) -> Any:
    """A scalar is stored as an array of one in PostgreSQL, and `->` shows it."""
    items = value if isinstance(value, list | dict) else [value]
    return items[at] if isinstance(items, list) and -len(items) <= at < len(items) else MISSING


def _field(value: Any, key: str) -> Any:
    return value.get(key, MISSING) if isinstance(value, dict) else MISSING


def by_path(value: Any, path: list[str | None]) -> Any:
    """What stands at the path, or MISSING."""
    for step in path:
        if step is None:
            return MISSING
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list):
            at = path_index(step)
            value = MISSING if at is None or not -len(value) <= at < len(value) else value[at]
        else:
            return MISSING
        if value is MISSING:
            return MISSING
    return value


def text_of(found: Any) -> str | None:
    """A part of a jsonb as text: strings without quotes, null as NULL."""
    if found is MISSING or found is None:
        return None
    return found if isinstance(found, str) else jsonb_text(found)


def _jsonb_of(found: Any) -> Jsonb | None:
    return None if found is MISSING else Jsonb(found)


# --- json ---


def _node_index(node: Node, at: int) -> Node | None:
    if node.kind != "array" or not -len(node.items) <= at < len(node.items):
        return None
    found: Node = node.items[at]
    return found


def _node_path(node: Node | None, path: list[str | None]) -> Node | None:
    for step in path:
        if node is None or step is None:
            return None
        if node.kind == "object":
            node = node.field(step)
        elif node.kind == "array":
            at = path_index(step)
            node = None if at is None else _node_index(node, at)
        else:
            return None
    return node


def raw_of(node: Node | None) -> str | None:
    return None if node is None else node.raw()


def node_text(node: Node | None) -> str | None:
    return None if node is None or node.kind == "null" else node.string()


def _composed(read: Callable[[Any], Any], look: Callable[..., Any], show: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value, key: show(look(read(value), key))


def _spread(read: Callable[[Any], Any], look: Callable[..., Any], show: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value, *steps: show(look(read(value), list(steps)))


def functions() -> Iterator[Function]:
    plain: Callable[[Jsonb], Any] = lambda value: value.value  # noqa: E731
    kinds: tuple[tuple[str, Callable[[Any], Any], Any, Any, dict[str, Callable[..., Any]]], ...] = (
        ("jsonb", plain, _jsonb_of, text_of, {"text": _field, "int4": _index, "_text": by_path}),
        ("json", read_json, raw_of, node_text, {"text": Node.field, "int4": _node_index, "_text": _node_path}),
    )
    for kind, read, show, show_text, looks in kinds:
        for key, look in looks.items():
            name = "#>" if key == "_text" else "->"
            yield operator(name, kind, key, kind, _composed(read, look, show))
            yield operator(name + ">", kind, key, "text", _composed(read, look, show_text))
        path = looks["_text"]
        yield declare(f"{kind}_extract_path({kind}, variadic text) {kind}", _spread(read, path, show))
        yield declare(f"{kind}_extract_path_text({kind}, variadic text) text", _spread(read, path, show_text))
