"""@? and @@, and the jsonb_path_* functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import IMMUTABLE, STABLE, Function, declare, operator
from tausql.sql.functions.jsonpath_run import Moment, Run, softens
from tausql.sql.types.jsonpath import JsonPath
from tausql.sql.types.jsons import Jsonb


def _plain(item: Any) -> Any:
    return item.text() if isinstance(item, Moment) else item


def _items(
    context: Any, target: Jsonb, path: JsonPath, variables: Jsonb | None, silent: bool, zoned: bool
) -> list[Any] | None:
    """The items of a path; None where an error is to be passed over in silence."""
    if variables is not None and not isinstance(variables.value, dict):
        raise SqlError(
            Code.invalid_parameter_value,
            '"vars" argument is not an object',
            detail='Jsonpath parameters should be encoded as key-value pairs of "vars" object.',
        )
    try:
        found = Run(path, target.value, None if variables is None else variables.value, context, zoned).items(path.root)
    except SqlError as error:
        if silent and softens(error):
            return None
        raise
    return found


def _exists(items: list[Any] | None, _silent: bool) -> bool | None:
    return None if items is None else bool(items)


def _match(items: list[Any] | None, silent: bool) -> bool | None:
    if items is not None and len(items) == 1 and (items[0] is None or isinstance(items[0], bool)):
        return items[0]
    if silent:
        return None
    raise SqlError(Code.singleton_sql_json_item_required, "single boolean result is expected")


def _query(items: list[Any] | None, _silent: bool) -> Iterator[Jsonb]:
    return iter([Jsonb(_plain(item)) for item in items or ()])


def _array(items: list[Any] | None, _silent: bool) -> Jsonb:
    return Jsonb([_plain(item) for item in items or ()])


def _first(items: list[Any] | None, _silent: bool) -> Jsonb | None:
    return Jsonb(_plain(items[0])) if items else None


def _called(finish: Callable[[list[Any] | None, bool], Any], zoned: bool) -> Callable[..., Any]:
    def run(context: Any, target: Jsonb, path: JsonPath, variables: Jsonb | None = None, silent: bool = False) -> Any:
        return finish(_items(context, target, path, variables, silent, zoned), silent)

    return run


def functions() -> Iterator[Function]:
    for name, result, finish in (
        ("exists", "bool", _exists), ("match", "bool", _match), ("query", "jsonb", _query),
        ("query_array", "jsonb", _array), ("query_first", "jsonb", _first),
    ):  # fmt: skip
        for suffix, zoned in (("", False), ("_tz", True)):
            for more in ("", ", jsonb", ", jsonb, bool"):
                yield declare(
                    f"jsonb_path_{name}{suffix}(jsonb, jsonpath{more}) {result}", _called(finish, zoned),
                    volatility=STABLE if zoned else IMMUTABLE, context=True, returns_set=name == "query",
                )  # fmt: skip
    yield operator(
        "@?", "jsonb", "jsonpath", "bool",
        lambda context, target, path: _exists(_items(context, target, path, None, True, False), True),
        context=True,
    )  # fmt: skip
    yield operator(
        "@@", "jsonb", "jsonpath", "bool",
        lambda context, target, path: _match(_items(context, target, path, None, True, False), True),
        context=True,
    )  # fmt: skip
