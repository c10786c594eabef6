"""json_agg, jsonb_agg, json_object_agg, jsonb_object_agg. Arguments arrive as JSON texts, NULL as NULL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, aggregate
from tausql.sql.types.jsons import Jsonb, json_string, parse_json


def _none() -> None:
    return None


def _item(state: list[str] | None, text: str | None) -> list[str]:
    state = [] if state is None else state
    state.append("null" if text is None else text)
    return state


def _pair(state: list[str] | None, key: str | None, text: str | None) -> list[str]:
    if key is None:
        raise SqlError(Code.invalid_parameter_value, "field name must not be null")
    state = [] if state is None else state
    shown = key if key.startswith('"') else json_string(key)
    state.append(f"{shown} : {'null' if text is None else text}")
    return state


def _array_text(state: list[str] | None) -> str | None:
    return None if state is None else "[" + ", ".join(state) + "]"


def _object_text(state: list[str] | None) -> str | None:
    return None if state is None else "{ " + ", ".join(state) + " }"


def _binary(text: str | None) -> Any:
    return None if text is None else Jsonb(parse_json(text))


def functions() -> Iterator[Function]:
    yield aggregate("json_agg(anyelement) json", _none, _item, _array_text, strict=False)
    yield aggregate("jsonb_agg(anyelement) jsonb", _none, _item, lambda s: _binary(_array_text(s)), strict=False)
    yield aggregate("json_object_agg(any, any) json", _none, _pair, _object_text, strict=False)
    yield aggregate("jsonb_object_agg(any, any) jsonb", _none, _pair, lambda s: _binary(_object_text(s)), strict=False)
