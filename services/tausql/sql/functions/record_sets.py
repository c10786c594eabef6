"""Functions that give rows of several columns: tuples become records that know their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.types.records import Record, record, shape_of


def record_set(
    signature: str, impl: Callable[..., Iterator[tuple[Any, ...]]], columns: str, reads_schema: bool = False
) -> Function:
    """`record_set("f(text) record", impl, "word text,catcode char")`."""

    def rows(*arguments: Any) -> Iterator[Record]:
        return (record(values, shape) for values in impl(*arguments))

    made = declare(signature, rows, volatility=STABLE, returns_set=True, columns=columns, reads_schema=reads_schema)
    shape = shape_of([(name, type, -1) for name, type in made.columns])
    return made
