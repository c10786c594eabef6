"""What every enum type has: comparison in the declared order, min, max, enum_first, enum_last, enum_range.

PostgreSQL declares them once, for `anyenum`. Here they are made for a type when it is met: the types are the schema's,
and the catalogue of functions is everybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.objects import Domain, Label
from tausql.sql.functions.aggregates import extreme
from tausql.sql.functions.comparison import COMPARISONS
from tausql.sql.functions.function import STABLE, Function
from tausql.sql.types import builtin as b
from tausql.sql.types.enums import EnumType, enum_array
from tausql.sql.types.type import Type

_COMPARISONS: Final = dict(COMPARISONS)
_FUNCTIONS: Final = frozenset(("enum_first", "enum_last", "enum_range"))
_KNOWN_MAX: Final = 1 << 16


def enum_operator(name: str, left: Type | None, right: Type) -> Function | None:
    """A comparison of two values of one enum type, one of which may be a literal."""
    if name not in _COMPARISONS:
        return None
    type = left if isinstance(left, EnumType) else right
    if not isinstance(type, EnumType) or any(one is not type and one is not b.UNKNOWN for one in (left, right)):
        return None
    return _comparison(name, type)


@lru_cache(maxsize=_KNOWN_MAX)
def _comparison(name: str, type: EnumType) -> Function:
    return Function(name, (type, type), b.BOOL, _COMPARISONS[name], kind="o")


def enum_function(name: str, arg_types: tuple[Type, ...]) -> Function | None:
    """min and max of an enum type, and what tells its values."""
    type = next((one for one in arg_types if isinstance(one, EnumType)), None)
    if type is None or any(one is not type and one is not b.UNKNOWN for one in arg_types):
        return None
    if name in ("min", "max") and len(arg_types) == 1:
        return extreme(name, type)
    if name not in _FUNCTIONS or len(arg_types) != (2 if name == "enum_range" and len(arg_types) == 2 else 1):
        return None
    return _telling(name, type, len(arg_types))


@lru_cache(maxsize=_KNOWN_MAX)
def _telling(name: str, type: EnumType, count: int) -> Function:
    def values(context: Any) -> list[float]:
        item = context.snapshot.objects.by_oid.get(type.oid)
        labels: tuple[Label, ...] = item.labels if isinstance(item, Domain) else ()
        if not labels and name != "enum_range":
            raise SqlError(Code.object_not_in_prerequisite_state, "enum contains no values")
        return [label.order for label in labels]

    def first(context: Any, _value: Any) -> float:
        return values(context)[0]

    def last(context: Any, _value: Any) -> float:
        return values(context)[-1]

    def between(context: Any, low: float | None, high: float | None = None) -> list[float]:
        found = values(context)
        if count == 1:
            return found
        return [one for one in found if (low is None or one >= low) and (high is None or one <= high)]

    impls: dict[str, Callable[..., Any]] = {"enum_first": first, "enum_last": last, "enum_range": between}
    result = enum_array(type.array_oid) if name == "enum_range" else type
    return Function(name, (type,) * count, result, impls[name], volatility=STABLE, strict=False, needs_context=True)
