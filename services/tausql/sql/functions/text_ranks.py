"""ts_rank: how well a text fits a query, by how often and how close together its words stand.

Computed in 4-byte floats step by step, as PostgreSQL does: the last digits come from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import Function, declare
from tausql.sql.types.numbers import to_float4_or_none
from tausql.sql.types.text_search import Query, TsVector

_WEIGHTS: Final = (0.1, 0.2, 0.4, 1.0)  # of D, C, B, A
_LETTERS: Final = "DCBA"
_POSITION_MAX: Final = 16384
_LOG_LENGTH, _LENGTH, _, _UNIQUE, _LOG_UNIQUE, _PLUS_ONE = 1, 2, 4, 8, 16, 32


def _single(value: float) -> float:
    found = to_float4_or_none(value)
    return math.inf if found is None else found


def _weights(given: list[Any] | None) -> tuple[float, ...]:
    if given is None:
        return tuple(_single(weight) for weight in _WEIGHTS)
    if given and isinstance(given[0], list):
        raise SqlError(Code.array_subscript_error, "array of weight must be one-dimensional")
    if len(given) < len(_WEIGHTS):
        raise SqlError(Code.array_subscript_error, "array of weight is too short")
    if None in given:
        raise SqlError(Code.null_value_not_allowed, "array of weight must not contain nulls")
    if any(weight > 1.0 for weight in given):
        raise SqlError(Code.invalid_parameter_value, "weight out of range")
    return tuple(_single(default if weight < 0 else weight) for weight, default in zip(given, _WEIGHTS, strict=False))


def _operands(node: Query) -> list[Query]:
    """The words of a query, each once, in their order."""
    found: dict[tuple[bytes, bool], Query] = {}

    def walk(part: Query) -> None:
        if part[0] == "val":
            found.setdefault((part[1].encode(), part[2]), part)
            return
        for inner in part[1:]:
            if isinstance(inner, tuple):
                walk(inner)

    if node:
        walk(node)
    return [found[key] for key in sorted(found)]


def _entries(value: TsVector, item: Query) -> list[str]:
    if item[2]:
        return [lexeme for lexeme in value if lexeme.startswith(item[1])]
    return [item[1]] if item[1] in value else []


def _weight(weights: tuple[float, ...], letter: str) -> float:
    return weights[_LETTERS.index(letter)]


def _any_of(weights: tuple[float, ...], value: TsVector, items: list[Query]) -> float:
    result = 0.0
    for item in items:
        for lexeme in _entries(value, item):
            positions = value[lexeme] or ((_POSITION_MAX - 1, "D"),)
            total, heaviest, at_heaviest = 0.0, -1.0, 0
            for at, (_, letter) in enumerate(positions):
                weight = _weight(weights, letter)
                total = _single(total + weight / ((at + 1) * (at + 1)))
                if weight > heaviest:
                    heaviest, at_heaviest = weight, at
            share = heaviest + total - heaviest / ((at_heaviest + 1) * (at_heaviest + 1))
            result = _single(result + share / 1.64493406685)
    return _single(result / len(items)) if items else result


def _closeness(distance: int) -> float:
    if distance > 100:
        return _single(1e-30)
    return _single(1.0 / (1.005 + 0.05 * math.exp(_single(distance) / 1.5 - 2)))


def _all_of(weights: tuple[float, ...], value: TsVector, items: list[Query]) -> float:
    if len(items) < 2:
        return _any_of(weights, value, items)
    result = -1.0
    seen: list[tuple[tuple[tuple[int, str], ...], bool]] = []
    for item in items:
        for lexeme in _entries(value, item):
            bare = not value[lexeme]
            positions = value[lexeme] or ((_POSITION_MAX - 1, "D"),)
            for others, other_bare in seen:
                for place, letter in positions:
                    for other_place, other_letter in others:
                        distance = abs(place - other_place)
                        if not distance and not (bare or other_bare):
                            continue
                        close = _closeness(distance or _POSITION_MAX)
                        both = _weight(weights, letter) * _weight(weights, other_letter) * close
                        now = _single(math.sqrt(both))
                        result = now if result < 0 else _single(1.0 - (1.0 - result) * (1.0 - now))
            last = (positions, bare)
        if _entries(value, item):
            seen.append(last)
    return result


def _count(value: TsVector) -> int:
    return sum(len(positions) or 1 for positions in value.values())


def _rank(weights: list[Any] | None, value: TsVector, query: Query, method: int) -> float:
    heavy = _weights(weights)
    if not value or not query:
        return 0.0
    items = _operands(query)
    result = (_all_of if query[0] in ("&", "<->") else _any_of)(heavy, value, items)
    if result < 0:
        result = _single(1e-20)
    return _normalised(result, value, method)


def _normalised(result: float, value: TsVector, method: int) -> float:
    if method & _LOG_LENGTH and value:
        result = _single(result / (math.log(_count(value) + 1) / math.log(2.0)))
    if method & _LENGTH and _count(value) > 0:
        result = _single(result / _count(value))
    if method & _UNIQUE and value:
        result = _single(result / len(value))
    if method & _LOG_UNIQUE and value:
        result = _single(result / (math.log(len(value) + 1) / math.log(2.0)))
    if method & _PLUS_ONE:
        result = _single(result / (result + 1))
    return result


def functions() -> Iterator[Function]:
    plain: Callable[..., float] = lambda value, query, method=0: _rank(None, value, query, method)  # noqa: E731
    weighted: Callable[..., float] = lambda w, value, query, method=0: _rank(w, value, query, method)  # noqa: E731
    for more in ("", ", int4"):
        yield declare(f"ts_rank(tsvector, tsquery{more}) float4", plain)
        yield declare(f"ts_rank(_float4, tsvector, tsquery{more}) float4", weighted)
