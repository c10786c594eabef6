"""random() and setseed(): after setseed a session draws the numbers that PostgreSQL would (xoroshiro128**)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.functions.function import VOLATILE, Function, declare

_MASK: Final = 0xFFFFFFFFFFFFFFFF


class Generator:
    """State of xoroshiro128**, seeded by splitmix64."""

    __slots__ = ("first", "second")

    def __init__(self, seed: float) -> None:
        state = int(float((1 << 52) - 1) * seed) & _MASK
        words = []
        for _ in range(2):
            state = state + 0x9E3779B97F4A7C15 & _MASK
            value = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
            value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
            words.append(value ^ value >> 31)
        self.first, self.second = words

    def next(self) -> float:
        """In [0, 1), 52 bits."""
        first, mixed = self.first, self.second ^ self.first
        value = _rotated(first * 5 & _MASK, 7) * 9 & _MASK
        self.first = _rotated(first, 24) ^ mixed ^ (mixed << 16 & _MASK)
        self.second = _rotated(mixed, 37)
        return math.ldexp(float(value >> 12), -52)


def _rotated(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _MASK


def _drawn(context: Any) -> float:
    generator: Generator | None = context.format.generator
    return float(context.random()) if generator is None else generator.next()


def _set_seed(context: Any, seed: float) -> str:
    if not -1 <= seed <= 1:
        raise SqlError(Code.invalid_parameter_value, f"setseed parameter {seed:g} is out of allowed range [-1,1]")
    context.format.generator = Generator(seed)
    return ""


def _normal(context: Any, mean: float = 0.0, deviation: float = 1.0) -> float:
    """Box and Muller's."""
    first, second = 1.0 - _drawn(context), 1.0 - _drawn(context)
    return deviation * math.sqrt(-2.0 * math.log(first)) * math.sin(2.0 * math.pi * second) + mean


def _shuffled(context: Any, value: list[Any], count: int | None = None) -> list[Any]:
    """Fisher and Yates', as many places as are wanted."""
    items = list(value)
    wanted = len(items) if count is None else count
    for at in range(min(wanted, len(items) - 1)):
        other = at + int(_drawn(context) * (len(items) - at))
        items[at], items[other] = items[other], items[at]
    return items[:wanted]


def _sample(context: Any, value: list[Any], count: int) -> list[Any]:
    if not 0 <= count <= len(value):
        raise SqlError(Code.invalid_parameter_value, f"sample size must be between 0 and {len(value)}")
    return _shuffled(context, value, count)


def functions() -> Iterator[Function]:
    yield declare("random() float8", _drawn, volatility=VOLATILE, context=True)
    yield declare("setseed(float8) void", _set_seed, volatility=VOLATILE, context=True)
    for arguments in ("", "float8", "float8, float8"):
        yield declare(f"random_normal({arguments}) float8", _normal, volatility=VOLATILE, context=True)
    yield declare("array_shuffle(anyarray) anyarray", _shuffled, volatility=VOLATILE, context=True)
    yield declare("array_sample(anyarray, int4) anyarray", _sample, volatility=VOLATILE, context=True)
