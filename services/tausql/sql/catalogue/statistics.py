"""What ANALYZE found out about tables: part of a snapshot of the catalogue, though no part of the schema.

Nothing becomes wrong when statistics are old, so they have no versions, no reader names them and no transaction meets
OC001 for them. They travel with the snapshot all the same: a plan belongs to one snapshot object, so a snapshot that
differs only in its statistics makes every plan be made anew, and where there are no news it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec


class ColumnStatistics(msgspec.Struct, frozen=True):
    """One column. `distinct` as in pg_stats.n_distinct: a number, or, negative, a share of the rows. `common` are the
    most frequent values with their `fractions` of all rows, NULLs included; `histogram` the bounds of equally full
    buckets of the others; `width` bytes on average. Values are datums."""

    null_fraction: float
    width: int
    distinct: float
    common: tuple[Any, ...]
    fractions: tuple[float, ...]
    histogram: tuple[Any, ...]
    correlation: float | None


class TableStatistics(msgspec.Struct, frozen=True):
    """`rows`: pg_class.reltuples. `columns` by attnum."""

    rows: float
    width: int
    analyzed: int
    columns: Mapping[int, ColumnStatistics]


NO_STATISTICS: Mapping[int, TableStatistics] = MappingProxyType({})
