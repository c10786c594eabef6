"""A function or operator of the catalogue, and the short notation the catalogue is written in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from tausql.sql.types.builtin import CHAR
from tausql.sql.types.registry import type_by_name
from tausql.sql.types.type import Type

IMMUTABLE: Final = "i"
STABLE: Final = "s"
VOLATILE: Final = "v"

_SIGNATURE = re.compile(r"([\w]+)\((.*)\) (\S+)")
_PSEUDO: Final = frozenset(
    ("any", "anyarray", "anyelement", "anynonarray", "anycompatible", "anycompatiblearray", "anyrange", "anymultirange")
)


def _named(name: str) -> Type:
    """By internal name: 'char' is the one-byte type here, not character(1)."""
    return CHAR if name == "char" else type_by_name(name)


class Function:
    """One overload.

    impl(*datums) or, with needs_context, impl(context, *datums) -> datum (an iterator of datums with returns_set).
    strict: any NULL argument gives NULL without a call. kind: 'f' function, 'o' operator, 'a' aggregate.
    variadic: the last of arg_types repeats one or more times. columns: the fields of a result of type record, where the
    function's declaration tells them (OUT parameters). reads_schema: it looks into `context.snapshot`, which must be
    the schema at the statement's tau.
    """

    __slots__ = (
        "arg_types",
        "columns",
        "impl",
        "kind",
        "name",
        "needs_context",
        "polymorphic",
        "reads_schema",
        "result",
        "returns_set",
        "strict",
        "variadic",
        "volatility",
    )

    def __init__(
        self,
        name: str,
        arg_types: tuple[Type, ...],
        result: Type,
        impl: Callable[..., Any],
        *,
        volatility: str = IMMUTABLE,
        strict: bool = True,
        needs_context: bool = False,
        returns_set: bool = False,
        variadic: bool = False,
        kind: str = "f",
        columns: tuple[tuple[str, Type], ...] = (),
        reads_schema: bool = False,
    ) -> None:
        self.name = name
        self.arg_types = arg_types
        self.result = result
        self.impl = impl
        self.volatility = volatility
        self.strict = strict
        self.needs_context = needs_context
        self.returns_set = returns_set
        self.variadic = variadic
        self.kind = kind
        self.columns = columns
        self.reads_schema = reads_schema
        self.polymorphic = any(t.name in _PSEUDO for t in (*arg_types, result))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(t.sql_name for t in self.arg_types)})"


def declare(
    signature: str,
    impl: Callable[..., Any],
    *,
    volatility: str = IMMUTABLE,
    strict: bool = True,
    context: bool = False,
    returns_set: bool = False,
    columns: str = "",
    reads_schema: bool = False,
) -> Function:
    """`declare('lpad(text, int4, text) text', impl)`; 'variadic T' as the last argument repeats."""
    found = _SIGNATURE.fullmatch(signature)
    assert found is not None, signature
    words = [word.strip() for word in found[2].split(",") if word.strip()]
    variadic = bool(words) and words[-1].startswith("variadic ")
    if variadic:
        words[-1] = words[-1][9:]
    return Function(
        found[1],
        tuple(_named(word) for word in words),
        _named(found[3]),
        impl,
        volatility=volatility,
        strict=strict,
        needs_context=context or reads_schema,
        returns_set=returns_set,
        variadic=variadic,
        columns=tuple((name, _named(kind)) for name, kind in (word.split() for word in columns.split(",") if word)),
        reads_schema=reads_schema,
    )


def operator(
    name: str,
    left: str | None,
    right: str,
    result: str,
    impl: Callable[..., Any],
    *,
    volatility: str = IMMUTABLE,
    strict: bool = True,
    context: bool = False,
) -> Function:
    """A binary or (left None) prefix operator; type names as PostgreSQL's."""
    names = (right,) if left is None else (left, right)
    return Function(
        name,
        tuple(_named(n) for n in names),
        _named(result),
        impl,
        volatility=volatility,
        strict=strict,
        needs_context=context,
        kind="o",
    )


class Aggregate(Function):
    """A state machine: state = init(); state = step(state, *args) for each row; final(state) -> datum.

    strict: the executor leaves out rows where an argument is NULL. DISTINCT, ORDER BY and FILTER are the executor's.
    impl is step. inverse(state, *args), where there is one, takes a row out again exactly: frames of window functions
    then move in one step.
    """

    __slots__ = ("final", "init", "inverse")

    def __init__(
        self,
        name: str,
        arg_types: tuple[Type, ...],
        result: Type,
        init: Callable[[], Any],
        step: Callable[..., Any],
        final: Callable[[Any], Any],
        *,
        strict: bool = True,
        inverse: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, arg_types, result, step, strict=strict, kind="a")
        self.init = init
        self.final = final
        self.inverse = inverse

    @property
    def step(self) -> Callable[..., Any]:
        return self.impl


def aggregate(
    signature: str,
    init: Callable[[], Any],
    step: Callable[..., Any],
    final: Callable[[Any], Any],
    *,
    strict: bool = True,
    inverse: Callable[..., Any] | None = None,
) -> Aggregate:
    """`aggregate('sum(int4) int8', ...)`."""
    found = _SIGNATURE.fullmatch(signature)
    assert found is not None, signature
    args = tuple(_named(word.strip()) for word in found[2].split(",") if word.strip())
    return Aggregate(found[1], args, _named(found[3]), init, step, final, strict=strict, inverse=inverse)
