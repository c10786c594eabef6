"""A relation of the catalogue: columns that are declared, rows that are worked out when somebody reads them.

Rows are made of the statement's snapshot, so they are as consistent as any read. They are kept with the snapshot: psql
asks a dozen queries of the same few relations for one `\\d`, and between two schema changes nothing in them changes.
What belongs to a session (settings, its activity) is made anew each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.facts import Facts, facts_of
from tausql.sql.catalogue.shapes import Row, Shape
from tausql.sql.types.type import Type

Build = Callable[[Facts, Shape], Iterable[Row]]
SessionBuild = Callable[[Facts, Shape, Any], Iterable[Row]]
StoredBuild = Callable[[Facts, Shape, Transaction], Awaitable[Iterable[Row]]]


class CatalogueRelation:
    """One of them. Exactly one of `build` (of the schema alone), `by_user` (of the schema and who asks), `session` (of
    the session at this moment) and `stored` (of rows in storage) makes its rows; none of them: it is always empty."""

    __slots__ = ("build", "by_user", "session", "shape", "stored")

    def __init__(
        self,
        shape: Shape,
        build: Build | None = None,
        by_user: SessionBuild | None = None,
        session: SessionBuild | None = None,
        stored: StoredBuild | None = None,
    ) -> None:
        self.shape = shape
        self.build = build
        self.by_user = by_user
        self.session = session
        self.stored = stored

    @property
    def schema(self) -> str:
        return self.shape.schema

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def oid(self) -> int:
        return self.shape.oid

    @property
    def columns(self) -> Sequence[tuple[str, Type]]:
        return self.shape.columns

    async def rows(self, snapshot: Snapshot, transaction: Transaction, context: Any, *arguments: Any) -> list[Row]:
        """Not to be changed by whoever reads them."""
        if self.stored is not None:
            return list(await self.stored(facts_of(snapshot), self.shape, transaction))
        if self.session is not None:
            return list(self.session(facts_of(snapshot), self.shape, context))
        return list(self.kept(snapshot, context))

    def kept(self, snapshot: Snapshot, context: Any) -> list[Row]:
        """The rows that nothing but a schema change changes, made once for each snapshot."""
        key = self._key(context)
        rows: list[Row] | None = snapshot.derived.get(key)
        if rows is None:
            facts = facts_of(snapshot)
            if self.by_user is not None:
                rows = list(self.by_user(facts, self.shape, context))
            else:
                rows = list(self.build(facts, self.shape)) if self.build is not None else []
            snapshot.derived[key] = rows
        return rows

    def _key(self, context: Any) -> str:
        user = context.session.user if self.by_user is not None else ""
        return f"{self.schema}.{self.name} {user}"

    def matching(self, snapshot: Snapshot, context: Any, column: int, value: Any) -> list[Row] | None:
        """The rows with this value in one column, or None where that is not known without reading them all."""
        if self.stored is not None or self.session is not None:
            return None
        key = f"{self._key(context)} {column}"
        found: dict[Any, list[Row]] | None = snapshot.derived.get(key)
        if found is None:
            found = snapshot.derived[key] = {}
            for row in self.kept(snapshot, context):
                found.setdefault(row[column], []).append(row)
        return found.get(value, [])
