"""All relations of the catalogue by name: what a name that no table has may mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.catalogue.shapes import shapes
from tausql.sql.catalogue.views import (
    constraints,
    extension,
    information,
    listings,
    relations,
    roles,
    session,
    statistics,
    types,
)
from tausql.sql.catalogue.views.relation import Build, CatalogueRelation, StoredBuild
from tausql.sql.catalogue.views.sequences import SequenceRelation, listed
from tausql.sql.catalogue.views.sys_views import sys_relations
from tausql.sql.types.type import Type

_BUILDS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        **relations.RELATIONS,
        **constraints.RELATIONS,
        **extension.RELATIONS,
        **roles.RELATIONS,
        **types.RELATIONS,
        **listings.RELATIONS,
        **statistics.RELATIONS,
    }
)

_STORED: Final[Mapping[str, StoredBuild]] = MappingProxyType({"pg_sequences": listed})


class CatalogueViews:
    """`SystemRelations`. Relations that PostgreSQL has and that have nothing to show here exist, and are empty."""

    def __init__(self) -> None:
        found: dict[tuple[str, str], CatalogueRelation] = {}
        for (schema, name), shape in shapes().items():
            if schema == "pg_catalog":
                made = CatalogueRelation(
                    shape, _BUILDS.get(name), session=session.RELATIONS.get(name), stored=_STORED.get(name)
                )
            else:
                by_user = information.SESSION_RELATIONS.get(name)
                made = CatalogueRelation(shape, information.RELATIONS.get(name), by_user)
            found[schema, name] = made
        for relation in sys_relations():
            found[relation.schema, relation.name] = relation
        self._relations = found
        self._by_oid = {relation.oid: relation for relation in found.values()}

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> CatalogueRelation | None:
        if schema is not None:
            return self._relations.get((schema, name))
        for candidate in ("pg_catalog", *search_path):
            found = self._relations.get((candidate, name))
            if found is not None:
                return found
        return None

    def sequence(self, sequence: SequenceObject) -> SequenceRelation:
        """A sequence as a relation of one row."""
        return SequenceRelation(sequence)

    def by_oid(self, oid: int) -> CatalogueRelation | None:
        return self._by_oid.get(oid)

    def function(self, schema: str | None, name: str, arguments: Sequence[Type]) -> CatalogueRelation | None:
        return None
