"""Functions, operators and aggregates of ranges and multiranges."""

from __future__ import annotations

import operator as py
from collections.abc import Callable, Iterator
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Aggregate, Function, declare, operator
from tausql.sql.types import ranges as r
from tausql.sql.types.ranges import EMPTY, Multirange, Range, RangeType, normalized
from tausql.sql.types.run_time import ANYMULTIRANGE, ANYRANGE, MULTIRANGES, RANGES, multirange_of


def _bounds(flags: str | None) -> tuple[bool, bool]:
    if flags is None:
        raise SqlError(Code.data_exception, "range constructor flags argument must not be null")
    if flags not in ("[]", "[)", "(]", "()"):
        raise SqlError(
            Code.syntax_error, "invalid range bound flags", hint='Valid values are "[]", "[)", "(]", and "()".'
        )
    return flags[0] == "[", flags[1] == "]"


def _constructor(type: RangeType) -> Callable[..., Range]:
    return lambda low, high, flags="[)": r.made(type, low, high, *_bounds(flags))


def _spread(*ranges: Range | None) -> Multirange | None:
    if ranges == (None,):
        return None
    kept = [item for item in ranges if item is not None]
    if len(kept) < len(ranges):
        raise SqlError(Code.null_value_not_allowed, "multirange values cannot contain null members")
    return normalized(kept)


def _all(value: Any) -> tuple[Range, ...]:
    """The ranges of either."""
    return (value,) if isinstance(value, Range) else tuple(value)


def _some(value: Any) -> list[Range]:
    return [item for item in _all(value) if not item.empty]


def _overlap(a: Any, b: Any) -> bool:
    return any(r.overlaps(x, y) for x in _some(a) for y in _some(b))


def _contains(a: Any, b: Any) -> bool:
    return all(any(r.contains(x, y) for x in _some(a)) for y in _some(b))


def _contains_value(a: Any, value: Any) -> bool:
    return any(r.contains_value(item, value) for item in _all(a))


def _left(a: Any, b: Any) -> bool:
    first, second = _some(a), _some(b)
    return bool(first) and bool(second) and r.before(first[-1], second[0])


def _not_right(a: Any, b: Any) -> bool:
    """&<: does not reach beyond the end of b."""
    first, second = _some(a), _some(b)
    return bool(first) and bool(second) and first[-1].high() <= second[-1].high()


def _not_left(a: Any, b: Any) -> bool:
    first, second = _some(a), _some(b)
    return bool(first) and bool(second) and first[0].low() >= second[0].low()


def _adjacent(a: Any, b: Any) -> bool:
    first, second = _some(a), _some(b)
    if not first or not second:
        return False
    return r.touches(first[-1], second[0]) or r.touches(second[-1], first[0])


def _minus(a: Range, b: Range) -> Range:
    left = r.difference(a, b)
    if len(left) > 1:
        raise SqlError(Code.data_exception, "result of range difference would not be contiguous")
    return left[0] if left else EMPTY


def _minus_all(a: Multirange, b: Multirange) -> Multirange:
    left = list(a)
    for item in b:
        left = [piece for one in left for piece in r.difference(one, item)]
    return normalized(left)


def _common(a: Multirange, b: Multirange) -> Multirange:
    return normalized(r.intersection(x, y) for x in a for y in b)


def _first(value: Any) -> Range:
    items = _all(value)
    return items[0] if items else EMPTY


def _last(value: Any) -> Range:
    items = _all(value)
    return items[-1] if items else EMPTY


def _merge(value: Multirange) -> Range:
    return r.merged(value[0], value[-1]) if value else EMPTY


def _inspection(kind: str) -> Iterator[Function]:
    yield declare(f"lower({kind}) anyelement", lambda v: _first(v).lower)
    yield declare(f"upper({kind}) anyelement", lambda v: _last(v).upper)
    yield declare(f"isempty({kind}) bool", lambda v: not _some(v))
    yield declare(f"lower_inc({kind}) bool", lambda v: _first(v).lower_inc)
    yield declare(f"upper_inc({kind}) bool", lambda v: _last(v).upper_inc)
    yield declare(f"lower_inf({kind}) bool", lambda v: not _first(v).empty and _first(v).lower is None)
    yield declare(f"upper_inf({kind}) bool", lambda v: not _last(v).empty and _last(v).upper is None)
    yield operator("@>", kind, "anyelement", "bool", _contains_value)
    yield operator("<@", "anyelement", kind, "bool", lambda value, a: _contains_value(a, value))


def _relations(left: str, right: str) -> Iterator[Function]:
    yield operator("&&", left, right, "bool", _overlap)
    yield operator("@>", left, right, "bool", _contains)
    yield operator("<@", left, right, "bool", lambda a, b: _contains(b, a))
    yield operator("<<", left, right, "bool", _left)
    yield operator(">>", left, right, "bool", lambda a, b: _left(b, a))
    yield operator("&<", left, right, "bool", _not_right)
    yield operator("&>", left, right, "bool", _not_left)
    yield operator("-|-", left, right, "bool", _adjacent)


def _nothing() -> list[Range]:
    return []


def _collect(state: list[Range], value: Any) -> list[Range]:
    state.extend(_all(value))
    return state


def _narrow(state: list[Any], value: Any) -> list[Any]:
    if not state:
        return [value]
    both = r.intersection if isinstance(value, Range) else _common
    return [both(state[0], value)]


def _aggregates() -> Iterator[Function]:
    """Of each type by itself: a state does not say what it is made of."""
    for type in RANGES:
        multirange = multirange_of(type)
        assert multirange is not None
        for kind in (type, multirange):
            yield Aggregate(
                "range_agg", (kind,), multirange, _nothing, _collect, lambda s: normalized(s) if s else None
            )
            yield Aggregate("range_intersect_agg", (kind,), kind, _nothing, _narrow, lambda s: s[0] if s else None)


def functions() -> Iterator[Function]:
    for type in RANGES:
        low = type.subtype.name
        yield declare(f"{type.name}({low}, {low}) {type.name}", _constructor(type), strict=False)
        yield declare(f"{type.name}({low}, {low}, text) {type.name}", _constructor(type), strict=False)
    for multirange in MULTIRANGES:
        name = multirange.name
        yield declare(f"{name}() {name}", lambda: Multirange())
        yield declare(f"{name}(variadic {multirange.range.name}) {name}", _spread, strict=False)
    for kind in (ANYRANGE.name, ANYMULTIRANGE.name):
        yield from _inspection(kind)
        for other in (ANYRANGE.name, ANYMULTIRANGE.name):
            yield from _relations(kind, other)
        for name, compare in (("=", py.eq), ("<>", py.ne), ("<", py.lt), ("<=", py.le), (">", py.gt), (">=", py.ge)):
            yield operator(name, kind, kind, "bool", compare)
    yield operator("+", "anyrange", "anyrange", "anyrange", r.union)
    yield operator("*", "anyrange", "anyrange", "anyrange", r.intersection)
    yield operator("-", "anyrange", "anyrange", "anyrange", _minus)
    yield operator("+", "anymultirange", "anymultirange", "anymultirange", lambda a, b: normalized((*a, *b)))
    yield operator("*", "anymultirange", "anymultirange", "anymultirange", _common)
    yield operator("-", "anymultirange", "anymultirange", "anymultirange", _minus_all)
    yield declare("range_merge(anyrange, anyrange) anyrange", r.merged)
    yield declare("range_merge(anymultirange) anyrange", _merge)
    yield declare("multirange(anyrange) anymultirange", lambda value: normalized((value,)))
    yield declare("unnest(anymultirange) anyrange", iter, returns_set=True)
    yield from _aggregates()
