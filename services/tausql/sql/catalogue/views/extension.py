"""pg_extension: the schema `sys` as PostgreSQL would have got it, brought by an extension.

A dump takes along whatever lies in a schema that PostgreSQL itself does not have, and restoring it elsewhere would fail
at functions whose language is `internal`. What an extension brings is left out, and so is an extension whose oid is one
of the system's own: it is there wherever the dump is restored, or is of no use there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tausql.sql.catalogue.facts import PG_CLASS, PG_NAMESPACE, PG_PROC, Facts
from tausql.sql.catalogue.objects import SUPERUSER_OID
from tausql.sql.catalogue.shapes import Row, Shape, shape, shapes
from tausql.sql.catalogue.views.relation import Build
from tausql.sql.catalogue.views.types import own_procedures

PG_EXTENSION: Final = 3079
EXTENSION_OID: Final = 13002  # below 16384: one of the system's own
NAME: Final = "tausql"
_VERSION: Final = "1.0"


def _extensions(facts: Facts, to: Shape) -> Iterator[Row]:
    yield to.row(
        oid=EXTENSION_OID, extname=NAME, extowner=SUPERUSER_OID, extnamespace=facts.schema_oid("sys"),
        extrelocatable=False, extversion=_VERSION,
    )  # fmt: skip


def members(facts: Facts) -> Iterator[tuple[int, int]]:
    """(catalogue, oid) of what belongs to it."""
    yield PG_NAMESPACE, facts.schema_oid("sys")
    for (schema, _), relation in shapes().items():
        if schema == "sys":
            yield PG_CLASS, relation.oid
    for row in own_procedures(facts, shape("pg_proc")):
        yield PG_PROC, row[0]


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType({"pg_extension": _extensions})
