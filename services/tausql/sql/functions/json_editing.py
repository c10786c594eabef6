"""Changing jsonb: - #- jsonb_set, jsonb_insert, jsonb_set_lax."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare, operator
from tausql.sql.functions.json_access import path_index
from tausql.sql.types.jsons import Jsonb

ITEMS_MAX: Final = 1_000_000  # of an array that an assignment fills up
_ABSENT: Final = object()


def _cannot(what: str) -> SqlError:
    return SqlError(Code.invalid_parameter_value, f"cannot {what}")


def _minus_key(value: Jsonb, key: str) -> Jsonb:
    return _minus_keys(value, [key])


def _minus_keys(value: Jsonb, keys: list[str]) -> Jsonb:
    inner = value.value
    gone = frozenset(keys)
    if isinstance(inner, dict):
        return Jsonb({name: item for name, item in inner.items() if name not in gone})
    if isinstance(inner, list):
        return Jsonb([item for item in inner if not isinstance(item, str) or item not in gone])
    raise _cannot("delete from scalar")


def _minus_index(value: Jsonb, at: int) -> Jsonb:
    inner = value.value
    if isinstance(inner, dict):
        raise _cannot("delete from object using integer index")
    if not isinstance(inner, list):
        raise _cannot("delete from scalar")
    if -len(inner) <= at < len(inner):
        at %= len(inner)
        return Jsonb(inner[:at] + inner[at + 1 :])
    return value


@dataclass(frozen=True, slots=True)
class _Edit:
    """What to do where the path ends. action: 'delete' | 'set' | 'insert'; create: add what is not there."""

    path: list[str | None]
    action: str
    new: Any = None
    create: bool = True
    after: bool = False

    def apply(self, value: Any, depth: int = 0) -> Any:
        step = self.path[depth]
        if step is None and isinstance(value, dict | list):
            raise SqlError(Code.null_value_not_allowed, f"path element at position {depth + 1} is null")
        if isinstance(value, dict):
            return self._object(value, step or "", depth)
        return self._array(value, step or "", depth) if isinstance(value, list) else value

    def _object(self, value: dict[str, Any], step: str, depth: int) -> Any:
        last = depth == len(self.path) - 1
        if step not in value:
            return value | {step: self.new} if last and self.action != "delete" and self.create else value
        if not last:
            return value | {step: self.apply(value[step], depth + 1)}
        if self.action == "delete":
            return {key: item for key, item in value.items() if key != step}
        if self.action == "insert":
            raise SqlError(
                Code.invalid_parameter_value,
                "cannot replace existing key",
                hint="Try using the function jsonb_set to replace key value.",
            )
        return value | {step: self.new}

    def _array(self, value: list[Any], step: str, depth: int) -> Any:
        at = path_index(step)
        if at is None:
            raise SqlError(
                Code.invalid_text_representation, f'path element at position {depth + 1} is not an integer: "{step}"'
            )
        last = depth == len(self.path) - 1
        if not -len(value) <= at < len(value):
            if not last or self.action == "delete" or not self.create:
                return value
            return [self.new, *value] if at < 0 else [*value, self.new]
        at %= len(value)
        if not last:
            return [*value[:at], self.apply(value[at], depth + 1), *value[at + 1 :]]
        if self.action == "delete":
            return value[:at] + value[at + 1 :]
        if self.action == "insert":
            at += self.after
            return [*value[:at], self.new, *value[at:]]
        return [*value[:at], self.new, *value[at + 1 :]]


def _minus_path(value: Jsonb, path: list[str | None]) -> Jsonb:
    if not isinstance(value.value, dict | list):
        raise _cannot("delete path in scalar")
    return Jsonb(_Edit(path, "delete").apply(value.value)) if path and value.value else value


def _set(value: Jsonb, path: list[str | None], new: Jsonb, create: bool = True) -> Jsonb:
    if not isinstance(value.value, dict | list):
        raise _cannot("set path in scalar")
    if not value.value and not create:
        return value
    return Jsonb(_Edit(path, "set", new.value, create).apply(value.value)) if path else value


def _insert(value: Jsonb, path: list[str | None], new: Jsonb, after: bool = False) -> Jsonb:
    if not isinstance(value.value, dict | list):
        raise _cannot("set path in scalar")
    return Jsonb(_Edit(path, "insert", new.value, True, after).apply(value.value)) if path else value


def _set_lax(
    value: Jsonb | None, path: list[str | None] | None, new: Jsonb | None, create: bool | None = True,
    treatment: str | None = "use_json_null",
) -> Jsonb | None:  # fmt: skip
    """As jsonb_set, with a choice of what a NULL does."""
    if value is None or path is None or create is None:
        return None
    if new is not None and treatment is not None:
        return _set(value, path, new, create)
    if treatment not in ("raise_exception", "use_json_null", "delete_key", "return_target"):
        raise SqlError(
            Code.invalid_parameter_value,
            'null_value_treatment must be "delete_key", "return_target", "use_json_null", or "raise_exception"',
        )
    if treatment == "raise_exception":
        raise SqlError(
            Code.null_value_not_allowed,
            "JSON value must not be null",
            detail='Exception was raised because null_value_treatment is "raise_exception".',
            hint="To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
        )
    if treatment == "use_json_null":
        return _set(value, path, Jsonb(None), create)
    return _minus_path(value, path) if treatment == "delete_key" else value


ASSIGN: Final = "jsonb_assign"


def _assign(value: Jsonb | None, path: list[str | None] | None, new: Jsonb | None) -> Jsonb:
    """j['a'][1] = new: makes what is missing on the way, objects for names, arrays (filled with null) for numbers."""
    if path is None or None in path:
        raise SqlError(Code.null_value_not_allowed, "jsonb subscript in assignment must not be null")
    steps = [step for step in path if step is not None]
    inner = _missing(steps[0]) if value is None else value.value
    return Jsonb(_assigned(inner, steps, 0, None if new is None else new.value))


def _missing(step: str) -> Any:
    return {} if path_index(step) is None else []


def _assigned(value: Any, path: list[str], depth: int, new: Any) -> Any:
    if depth == len(path):
        return new
    step = path[depth]

    def inside(item: Any) -> Any:
        if item is _ABSENT:
            item = _missing(path[depth + 1]) if depth + 1 < len(path) else None
        return _assigned(item, path, depth + 1, new)

    if isinstance(value, dict):
        return value | {step: inside(value.get(step, _ABSENT))}
    if not isinstance(value, list):
        raise SqlError(
            Code.invalid_parameter_value,
            "cannot replace existing key",
            detail="The path assumes key is a composite object, but it is a scalar value.",
        )
    at = path_index(step)
    if at is None:
        raise SqlError(
            Code.invalid_text_representation, f'path element at position {depth + 1} is not an integer: "{step}"'
        )
    if at < -len(value):
        raise SqlError(Code.invalid_parameter_value, f"path element at position {depth + 1} is out of range: {at}")
    if at > ITEMS_MAX:
        raise SqlError(Code.program_limit_exceeded, f"array index {at} is too large")
    if at < 0:
        at += len(value)
    items = value + [None] * (at + 1 - len(value))
    items[at] = inside(value[at] if at < len(value) else _ABSENT)
    return items


def functions() -> Iterator[Function]:
    yield declare(f"{ASSIGN}(jsonb, _text, jsonb) jsonb", _assign, strict=False)
    yield operator("-", "jsonb", "text", "jsonb", _minus_key)
    yield operator("-", "jsonb", "_text", "jsonb", _minus_keys)
    yield operator("-", "jsonb", "int4", "jsonb", _minus_index)
    yield operator("#-", "jsonb", "_text", "jsonb", _minus_path)
    for name, impl in (("jsonb_set", _set), ("jsonb_insert", _insert)):
        yield declare(f"{name}(jsonb, _text, jsonb) jsonb", impl)
        yield declare(f"{name}(jsonb, _text, jsonb, bool) jsonb", impl)
    for more in ("", ", bool", ", bool, text"):
        yield declare(f"jsonb_set_lax(jsonb, _text, jsonb{more}) jsonb", _set_lax, strict=False)
