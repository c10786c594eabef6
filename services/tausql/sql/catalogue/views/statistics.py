"""What ANALYZE found out, as pg_stats and pg_statistic show it, and the extended statistics' own relations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.catalogue.statistics import ColumnStatistics
from tausql.sql.catalogue.views.relation import Build
from tausql.sql.types.arrays import array_text
from tausql.sql.types.registry import type_by_oid
from tausql.sql.types.session_format import SessionFormat

_LETTERS: Final = MappingProxyType({"ndistinct": "d", "dependencies": "f", "mcv": "m"})


def _analyzed(facts: Facts) -> Iterator[tuple[Table, Column, ColumnStatistics]]:
    for table in facts.tables:
        known = facts.snapshot.statistics.get(table.oid)
        if known is not None:
            for column in table.live_columns:
                found = known.columns.get(column.position + 1)
                if found is not None:
                    yield table, column, found


def _stats(facts: Facts, to: Shape) -> Iterator[Row]:
    for table, column, found in _analyzed(facts):
        yield to.row(
            schemaname=table.schema, tablename=table.name, attname=column.name, inherited=False,
            null_frac=found.null_fraction, avg_width=found.width, n_distinct=found.distinct,
            most_common_vals=_values(column, found.common),
            most_common_freqs=list(found.fractions) or None,
            histogram_bounds=_values(column, found.histogram), correlation=found.correlation,
        )  # fmt: skip


def _values(column: Column, values: Sequence[Any]) -> str | None:
    """An array of any type is shown as its text."""
    if not values:
        return None
    text_out = type_by_oid(column.type_oid).text_out
    format = SessionFormat()
    return array_text(list(values), lambda value: text_out(value, format))


def _slots(facts: Facts, to: Shape) -> Iterator[Row]:
    for table, column, found in _analyzed(facts):
        yield to.row(
            starelid=table.oid, staattnum=column.position + 1, stanullfrac=found.null_fraction,
            stawidth=found.width, stadistinct=found.distinct,
        )  # fmt: skip


def _objects(facts: Facts, to: Shape) -> Iterator[Row]:
    for one in facts.statistics:
        kinds = [_LETTERS[kind] for kind in one.kinds if kind in _LETTERS] + (["e"] if one.expressions else [])
        yield to.row(
            oid=one.oid, stxrelid=one.table, stxname=one.name, stxnamespace=facts.schema_oid(one.schema),
            stxowner=one.owner, stxkeys=[position + 1 for position in one.columns], stxkind=kinds,
            stxexprs=", ".join(one.expressions) or None, stxstattarget=-1,
        )  # fmt: skip


def _extended(facts: Facts, to: Shape) -> Iterator[Row]:
    for one in facts.statistics:
        table = facts.snapshot.by_oid.get(one.table)
        if table is not None:
            yield to.row(
                schemaname=table.schema, tablename=table.name, statistics_schemaname=one.schema,
                statistics_name=one.name, statistics_owner=facts.role_name(one.owner),
                attnames=[quoted(table.columns[position].name) for position in one.columns],
                exprs=list(one.expressions) or None, kinds=[_LETTERS[kind] for kind in one.kinds if kind in _LETTERS],
                inherited=False,
            )  # fmt: skip


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {"pg_stats": _stats, "pg_statistic": _slots, "pg_statistic_ext": _objects, "pg_stats_ext": _extended}
)
