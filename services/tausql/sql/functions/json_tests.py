"""IS JSON, and the SQL standard's JSON_OBJECT and JSON_ARRAY: functions made for the clauses a statement writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function
from tausql.sql.functions.json_functions import key_text
from tausql.sql.types import builtin as b
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.type import Type

ABSENT: Final = 1
UNIQUE: Final = 2


def json_test(type: Type, what: str, unique: bool) -> Function:
    """A function text | json | jsonb | bytea -> boolean. what: value, object, array, scalar."""

    def test(value: Any) -> bool:
        if type is b.JSONB:
            inner = value.value
            kind = "object" if isinstance(inner, dict) else "array" if isinstance(inner, list) else "scalar"
            return what in ("value", kind)
        try:
            node = read_json(value.decode() if isinstance(value, bytes) else value)
        except (SqlError, UnicodeDecodeError):
            return False
        kind = node.kind if node.kind in ("object", "array") else "scalar"
        return what in ("value", kind) and (not unique or _has_unique_keys(node))

    return Function("is_json", (type,), b.BOOL, test)


def _has_unique_keys(node: Node) -> bool:
    if node.kind == "array":
        return all(map(_has_unique_keys, node.items))
    if node.kind != "object":
        return True
    keys = [key for key, _ in node.items]
    return len(set(keys)) == len(keys) and all(_has_unique_keys(item) for _, item in node.items)


def _pairs(texts: tuple[str | None, ...], flags: int) -> Iterator[str]:
    seen: set[str] = set()
    for at in range(0, len(texts), 2):
        key, value = texts[at], texts[at + 1]
        if key is None:
            raise SqlError(Code.null_value_not_allowed, "null value not allowed for object key")
        if value is None and flags & ABSENT:
            continue
        shown = key_text(key, at + 1)
        if flags & UNIQUE and shown in seen:
            raise SqlError(Code.duplicate_json_object_key_value, f"duplicate JSON object key value: {shown}")
        seen.add(shown)
        yield f"{shown} : {'null' if value is None else value}"


def built_object(flags: int) -> Function:
    """Of JSON texts, keys and values in turn."""
    return Function(
        "json_object", (), b.JSON, lambda *texts: "{" + ", ".join(_pairs(texts, flags)) + "}", volatility=STABLE,
        strict=False,
    )  # fmt: skip


def built_array(flags: int) -> Function:
    def run(*texts: str | None) -> str:
        kept = [text for text in texts if text is not None or not flags & ABSENT]
        return "[" + ", ".join("null" if text is None else text for text in kept) + "]"

    return Function("json_array", (), b.JSON, run, volatility=STABLE, strict=False)
