"""The set-returning functions of the schema `sys`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tausql.sql.functions.function import Function
from tausql.sql.functions.record_sets import record_set
from tausql.sql.types.registry import type_by_name

# Types that columns can have, and whether storage tests conditions on them.
_COLUMN_TYPES: Final = (
    ("int2", True), ("int4", True), ("int8", True), ("float4", True), ("float8", True), ("numeric", True),
    ("text", True), ("varchar", True), ("bpchar", True), ("uuid", True), ("bool", True), ("date", True),
    ("time", True), ("timetz", False), ("timestamp", True), ("timestamptz", True), ("interval", False),
    ("bytea", True), ("json", False), ("jsonb", False),
)  # fmt: skip


def _supported() -> Iterator[tuple[str, bool]]:
    for name, pushed in _COLUMN_TYPES:
        yield type_by_name(name).sql_name, pushed


def functions() -> Iterator[Function]:
    made = record_set("supported_datatypes() record", _supported, "name text,supported_in_pushdown bool")
    made.name = "sys.supported_datatypes"
    yield made
