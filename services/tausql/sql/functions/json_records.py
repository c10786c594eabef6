"""JSON taken apart into rows: json_each, json_to_record, json_populate_record and their kin.

The row's shape is known while binding (a table's row type, or the columns told in FROM) and comes as the last argument.
A field is read by its type's own input, as PostgreSQL does: a JSON string by its value, anything else by its JSON text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.functions.json_access import node_text, text_of
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import length_coercion
from tausql.sql.types.json_text import Node, read_json
from tausql.sql.types.jsons import Jsonb, jsonb_text, parse_json
from tausql.sql.types.records import CompositeType, Record, Shape, record, shape_of
from tausql.sql.types.registry import element_of
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

# Functions whose result's shape the binder tells in a last argument of its own.
SHAPED: Final = frozenset(
    f"{kind}_{name}"
    for kind in ("json", "jsonb")
    for name in ("to_record", "to_recordset", "populate_record", "populate_recordset")
)


def _kind(value: Any) -> str:
    return "an array" if isinstance(value, list) else "a scalar"


def _each(kind: str, as_text: bool) -> Callable[[Any], Iterator[Record]]:
    name = f"{kind}_each{'_text' if as_text else ''}"
    value_type = b.TEXT if as_text else b.JSON if kind == "json" else b.JSONB
    shape = shape_of([("key", b.TEXT, -1), ("value", value_type, -1)])

    def of_jsonb(value: Jsonb) -> Iterator[Record]:
        if not isinstance(value.value, dict):
            raise SqlError(Code.invalid_parameter_value, f"cannot call {name} on a non-object")
        keys = sorted(value.value, key=lambda key: (len(key.encode()), key.encode()))
        show: Callable[[Any], Any] = text_of if as_text else Jsonb
        return (record((key, show(value.value[key])), shape) for key in keys)

    def of_json(text: str) -> Iterator[Record]:
        node = read_json(text)
        if node.kind != "object":
            what = "an array as an object" if node.kind == "array" else "a scalar"
            raise SqlError(Code.invalid_parameter_value, f"cannot deconstruct {what}")
        show: Callable[[Node], Any] = node_text if as_text else Node.raw
        return (record((key, show(item)), shape) for key, item in node.items)

    return of_json if kind == "json" else of_jsonb


class _Source:
    """A JSON value of either type, looked at alike."""

    __slots__ = ("node", "value")

    def __init__(self, node: Node | None, value: Any) -> None:
        self.node = node
        self.value = value

    @property
    def kind(self) -> str:
        if self.node is not None:
            return self.node.kind
        value = self.value
        if value is None:
            return "null"
        if isinstance(value, dict):
            return "object"
        if isinstance(value, list):
            return "array"
        return "string" if isinstance(value, str) else "scalar"

    def items(self) -> list[_Source]:
        if self.node is not None:
            return [_Source(item, None) for item in self.node.items]
        return [_Source(None, item) for item in self.value]

    def field(self, name: str) -> _Source | None:
        if self.node is not None:
            found = self.node.field(name)
            return None if found is None else _Source(found, None)
        return _Source(None, self.value[name]) if name in self.value else None

    def json(self) -> str:
        return self.node.raw() if self.node is not None else jsonb_text(self.value)

    def text(self) -> str:
        """A string's value, else the JSON text."""
        if self.kind == "string":
            return self.node.string() if self.node is not None else str(self.value)
        return self.json()


def _read(kind: str, value: Any) -> _Source:
    return _Source(read_json(value), None) if kind == "json" else _Source(None, value.value)


def field_value(source: _Source | None, type: Type, typmod: int, format: SessionFormat, default: Any = None) -> Any:
    """The datum of a field; `default` where the object has no such key."""
    if source is None:
        return default
    if type is b.JSON:
        return source.json()
    if type is b.JSONB:
        return Jsonb(parse_json(source.json()))
    if source.kind == "null":
        return None
    if isinstance(type, CompositeType):
        return populated(source, type.shape, None, format)
    element = element_of(type) if type.is_array else None
    if element is not None and source.kind != "string":
        return _array(source, element, typmod, format, 1)
    value = type.text_in(source.text(), format, typmod)
    fit = length_coercion(type, typmod, False)
    return value if fit is None or value is None else fit(value)


def _array(source: _Source, element: Type, typmod: int, format: SessionFormat, depth: int) -> list[Any]:
    if source.kind != "array":
        raise SqlError(
            Code.invalid_text_representation,
            "expected JSON array",
            hint=None if depth == 1 else "See the array element.",
        )
    items = source.items()
    takes_arrays = isinstance(element, CompositeType) or element in (b.JSON, b.JSONB)
    if not takes_arrays and any(item.kind == "array" for item in items):
        nested = [_array(item, element, typmod, format, depth + 1) for item in items]
        if len({len(item) for item in nested}) > 1:
            raise SqlError(
                Code.invalid_text_representation,
                "malformed JSON array",
                detail="Multidimensional arrays must have sub-arrays with matching dimensions.",
            )
        return nested
    return [field_value(item, element, typmod, format) for item in items]


def populated(source: _Source, shape: Shape, base: Record | None, format: SessionFormat) -> Record:
    """An object as a row; fields it lacks keep the values of `base`."""
    if source.kind == "string" and base is None:
        composite: Record = CompositeType(shape).text_in(source.text(), format, -1)
        return composite
    if source.kind != "object":
        return record(list(base) if base is not None else [None] * len(shape.names), shape)
    defaults = [None] * len(shape.names) if base is None else list(base)
    values = [
        field_value(source.field(name), type, typmod, format, default)
        for name, type, typmod, default in zip(shape.names, shape.types, shape.typmods, defaults, strict=True)
    ]
    return record(values, shape)


def _own_shape(name: str, base: Any) -> Shape:
    """The shape of the record given; 0A000 without one."""
    if isinstance(base, Record):
        return base.shape
    from_call = "call the function in the FROM clause using a column definition list."
    raise SqlError(
        Code.feature_not_supported,
        f"could not determine row type for result of {name}",
        hint=f"Provide a non-null record argument, or {from_call}" if "populate" in name else "C" + from_call[1:],
    )


def _one(name: str, kind: str, has_base: bool) -> Callable[..., Any]:
    def run(context: Any, *args: Any) -> Any:
        base, value, shape = args if has_base else (None, *args)
        if shape is None:
            shape = _own_shape(name, base)
        if value is None:
            return base
        source = _read(kind, value)
        if source.kind not in ("object",):
            what = "an array" if source.kind == "array" else "a scalar"
            raise SqlError(Code.invalid_parameter_value, f"cannot call {name} on {what}")
        return populated(source, shape, base, context.format)

    return run


def _many(name: str, kind: str, has_base: bool) -> Callable[..., Iterator[Any]]:
    def run(context: Any, *args: Any) -> Iterator[Any]:
        base, value, shape = args if has_base else (None, *args)
        if shape is None:
            shape = _own_shape(name, base)
        if value is None:
            return iter(())
        source = _read(kind, value)
        if source.kind != "array":
            what = "an object" if source.kind == "object" else "a scalar" if kind == "json" else "a non-array"
            raise SqlError(
                Code.invalid_parameter_value,
                f"cannot call {name} on {what if kind == 'json' else 'a non-array'}",
            )
        items = source.items()
        for item in items:
            if item.kind != "object":
                raise SqlError(Code.invalid_parameter_value, f"argument of {name} must be an array of objects")
        return (populated(item, shape, base, context.format) for item in items)

    return run


def functions() -> Iterator[Function]:
    for kind in ("json", "jsonb"):
        for name, as_text, value in (("each", False, kind), ("each_text", True, "text")):
            yield declare(
                f"{kind}_{name}({kind}) record",
                _each(kind, as_text),
                returns_set=True,
                columns=f"key text,value {value}",
            )
        for name, has_base, many in (
            ("to_record", False, False), ("to_recordset", False, True), ("populate_record", True, False),
            ("populate_recordset", True, True),
        ):  # fmt: skip
            full = f"{kind}_{name}"
            yield declare(
                f"{full}({'anyelement, ' if has_base else ''}{kind}) {'anyelement' if has_base else 'record'}",
                (_many if many else _one)(full, kind, has_base),
                volatility=STABLE, strict=False, context=True, returns_set=many,
            )  # fmt: skip
