"""json_agg, json_object_agg, their jsonb, strict and unique kin. Arguments arrive as JSON texts, NULL as NULL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, aggregate
from tausql.sql.types.jsons import Jsonb, json_string, parse_json


def _none() -> None:
    return None


def _item(state: list[str] | None, text: str | None) -> list[str]:
    """Arrays and rows come with a line feed before them, which the first item goes without."""
    if state is None:
        return ["null" if text is None else text.lstrip("\n ")]
    state.append("null" if text is None else text)
    return state


def _pair(state: list[str] | None, key: str | None, text: str | None) -> list[str]:
    if key is None:
        raise SqlError(Code.invalid_parameter_value, "field name must not be null")
    state = [] if state is None else state
    shown = key if key.startswith('"') else json_string(key)
    state.append(f"{shown} : {'null' if text is None else text}")
    return state


class _UniquePairs(list[str]):
    """The pairs of an object, with the keys that are taken."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()


def _unique_pair(strict: bool, named: bool) -> Callable[..., list[str]]:
    """`strict`: a NULL value is left out, its key taken all the same. `named`: errors tell the key."""

    def step(state: list[str] | None, key: str | None, text: str | None) -> list[str]:
        made = state if isinstance(state, _UniquePairs) else _UniquePairs()
        if key is None:
            raise SqlError(Code.invalid_parameter_value, "field name must not be null")
        shown = key if key.startswith('"') else json_string(key)
        if shown in made.keys:
            told = f": {shown}" if named else ""
            raise SqlError(Code.duplicate_json_object_key_value, f"duplicate JSON object key value{told}")
        made.keys.add(shown)
        if text is not None or not strict:
            made.append(f"{shown} : {'null' if text is None else text}")
        return made

    return step


def _without_nulls(step: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Rows whose value is NULL leave no trace, but that there were rows."""

    def strict(state: list[str] | None, *values: str | None) -> list[str]:
        if values[-1] is None:
            if len(values) > 1 and values[0] is None:
                raise SqlError(Code.invalid_parameter_value, "field name must not be null")
            return _UniquePairs() if state is None else state
        return step(state if state else None, *values)

    return strict


def _array_text(state: list[str] | None) -> str | None:
    return None if state is None else "[" + ", ".join(state) + "]"


def _object_text(state: list[str] | None) -> str | None:
    return None if state is None else "{ " + ", ".join(state) + " }"


def _binary(text: str | None) -> Any:
    return None if text is None else Jsonb(parse_json(text))


def _both(name: str, arguments: str, step: Callable[..., Any], text: Callable[..., Any]) -> Iterator[Function]:
    yield aggregate(f"json_{name}({arguments}) json", _none, step, text, strict=False)
    yield aggregate(f"jsonb_{name}({arguments}) jsonb", _none, step, lambda s: _binary(text(s)), strict=False)


def functions() -> Iterator[Function]:
    yield from _both("agg", "anyelement", _item, _array_text)
    yield from _both("agg_strict", "anyelement", _without_nulls(_item), _array_text)
    yield from _both("object_agg", "any, any", _pair, _object_text)
    yield from _both("object_agg_strict", "any, any", _without_nulls(_pair), _object_text)
    for strict in (False, True):
        suffix = "_strict" if strict else ""
        for kind in ("json", "jsonb"):
            final = _object_text if kind == "json" else lambda s: _binary(_object_text(s))
            step = _unique_pair(strict, kind == "json")
            yield aggregate(f"{kind}_object_agg_unique{suffix}(any, any) {kind}", _none, step, final, strict=False)
