"""Relations that are not tables: pg_catalog, information_schema, sys. Whoever knows the catalogue implements these."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from tausql.sql.access import Transaction
from tausql.sql.catalogue import objects
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.types.type import Type


class SystemRelation(Protocol):
    """A virtual table, or a table function. Rows are lists of datums, one for each column."""

    @property
    def schema(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def oid(self) -> int: ...

    @property
    def columns(self) -> Sequence[tuple[str, Type]]: ...

    def rows(
        self, snapshot: Snapshot, transaction: Transaction, context: Any, *arguments: Any
    ) -> Awaitable[list[list[Any]]]:
        """All rows as of the statement's snapshot. `arguments` of a table function."""
        ...

    def matching(self, snapshot: Snapshot, context: Any, column: int, value: Any) -> list[list[Any]] | None:
        """At least the rows with `value` in this column (by place), or None: only `rows` can tell."""
        ...


class SystemRelations(Protocol):
    """What a name that no table has may mean."""

    def find(self, schema: str | None, name: str, search_path: tuple[str, ...]) -> SystemRelation | None:
        """Views of the catalogue: pg_catalog is searched before `search_path` where no schema is named."""
        ...

    def sequence(self, sequence: objects.Sequence) -> SystemRelation:
        """A sequence as a relation of one row."""
        ...

    def by_oid(self, oid: int) -> SystemRelation | None: ...

    def function(self, schema: str | None, name: str, arguments: Sequence[Type]) -> SystemRelation | None:
        """Table functions in FROM other than the set-returning functions every expression knows."""
        ...
