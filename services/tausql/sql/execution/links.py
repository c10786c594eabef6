"""One foreign key at run time: a child row's values as the parent's key, and the child rows of a parent's key.

Values of both sides are compared as the parent's key encodes them: an int4 that references a bigint, a varchar that
references a text meet there without a conversion; other pairs go through PostgreSQL's cast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import KeyEncoder, row_key_of, values_end
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Column, ForeignKey
from tausql.sql.execution.constraints import value_text
from tausql.sql.expressions import assign, coerce, compile_expr
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Slot
from tausql.sql.stored_kinds import key_kind
from tausql.sql.tables import IndexAccess, TableAccess
from tausql.sql.types import type_by_oid

Row = list[Any]
Found = list[tuple[bytes, Row]]  # (row key, row)
Converter = Callable[[Sequence[Any], Context], Any]

CHILDREN_MAX = 3001  # of one parent row: more can never be changed in one transaction


class Link:
    """A foreign key between two tables as they are now."""

    __slots__ = ("_lookup", "_prefixes", "_to_child", "_to_parent", "child", "encode", "key", "key_order", "parent")

    def __init__(self, key: ForeignKey, child: TableAccess, parent: TableAccess) -> None:
        self.key = key
        self.child = child
        self.parent = parent
        columns = parent.table.columns
        index = next((access for access in parent.indexes if access.index.oid == key.key), None)
        ordered = parent.key_columns if index is None else index.columns
        self.key_order = tuple(key.referenced.index(at) for at in ordered)
        self.encode: KeyEncoder = parent.encode_key if index is None else index.encode
        pairs = [(child.table.columns[at], columns[to]) for at, to in zip(key.columns, key.referenced, strict=True)]
        self._to_parent = [_converter(one, other) for one, other in pairs]
        self._to_child = [_assigner(other, one) for one, other in pairs]
        alike = all(key_kind(one) is key_kind(other) for one, other in pairs)
        self._lookup = _lookup(key, child) if alike else None
        self._prefixes: tuple[int, ...] = ()
        if self._lookup is not None:
            ordered = child.key_columns if self._lookup is child else self._lookup.columns  # type: ignore[union-attr]
            self._prefixes = tuple(key.columns.index(at) for at in ordered[: len(key.columns)])

    def values_of(self, row: Sequence[Any]) -> list[Any]:
        """The child's columns."""
        return [row[at] for at in self.key.columns]

    def parent_key(self, row: Sequence[Any], context: Context) -> bytes | None:
        """What must be there for a child row; None where the row refers to nothing. Raises 23503 for a row that MATCH
        FULL does not take."""
        values = self.values_of(row)
        if None in values:
            if self.key.full and any(value is not None for value in values):
                raise self._violation(
                    "MATCH FULL does not allow mixing of null and nonnull key values.",
                )
            return None
        made = [
            value if convert is None else convert([value], context)
            for value, convert in zip(values, self._to_parent, strict=True)
        ]
        return self.encode([made[at] for at in self.key_order])

    def own_key(self, row: Sequence[Any]) -> bytes | None:
        """The key of a parent row, None where it has NULLs: nothing refers to it then."""
        values = [row[at] for at in self.key.referenced]
        return None if None in values else self.encode([values[at] for at in self.key_order])

    def row_key(self, key: bytes, value: bytes) -> bytes:
        """The parent row's key, from what was found under `parent_key`."""
        return key if self.key.key == self.parent.oid else row_key_of(value)

    def child_values(self, parent_row: Sequence[Any], context: Context) -> list[Any]:
        """What ON UPDATE CASCADE writes into the child's columns."""
        values = [parent_row[at] for at in self.key.referenced]
        return [
            value if convert is None or value is None else convert([value], context)
            for value, convert in zip(values, self._to_child, strict=True)
        ]

    async def children(
        self,
        transaction: Transaction,
        parents: Sequence[tuple[bytes, Row]],
        context: Context,
        limit: int = CHILDREN_MAX,
    ) -> dict[bytes, Found]:
        """The child rows of parent rows, by the parent's key as `own_key` gives it. `limit`: of one parent row."""
        if self._lookup is None:
            return await self._searched(transaction, {key for key, _ in parents}, context)
        access = self._lookup
        scans: list[Scan] = []
        for _, row in parents:
            values = [row[at] for at in self.key.referenced]
            low = (access.encode_key if isinstance(access, TableAccess) else access.encode)(
                [values[at] for at in self._prefixes]
            )
            scans.append(Scan(low, values_end(low), limit=limit, fetch=isinstance(access, IndexAccess)))
        pages = await transaction.scan_many(self.child.oid, scans)
        decode = self.child.decode
        return {
            key: [(row_key, decode(value)) for row_key, value in page]
            for (key, _), page in zip(parents, pages, strict=True)
            if page
        }

    async def _searched(self, transaction: Transaction, wanted: set[bytes], context: Context) -> dict[bytes, Found]:
        """Without an index on the child's columns: every row is looked at."""
        low, high = self.child.row_range()
        scanner = transaction.scan(self.child.oid, Scan(low, high))
        found: dict[bytes, Found] = {}
        decode = self.child.decode
        while page := await scanner.next_page():
            for row_key, value in page:
                row = decode(value)
                if any(row[at] is None for at in self.key.columns):
                    continue
                key = self.parent_key(row, context)
                if key in wanted:
                    assert key is not None
                    found.setdefault(key, []).append((row_key, row))
        return found

    # --- errors --------------------------------------------------------------------------------------------------

    def missing(self, row: Sequence[Any], context: Context) -> SqlError:
        """23503: a child row without its parent."""
        child, parent = self.child.table, self.parent.table
        names = ", ".join(child.columns[at].name for at in self.key.columns)
        values = ", ".join(value_text(child.columns[at], row[at], context) for at in self.key.columns)
        return self._violation(f'Key ({names})=({values}) is not present in table "{parent.name}".')

    def _violation(self, detail: str) -> SqlError:
        table = self.child.table
        return SqlError(
            Code.foreign_key_violation,
            f'insert or update on table "{table.name}" violates foreign key constraint "{self.key.name}"',
            detail=detail,
            schema=table.schema,
            table=table.name,
            constraint=self.key.name,
        )

    def referenced(self, row: Sequence[Any], context: Context) -> SqlError:
        """23503: a parent row goes, or changes, that a child row refers to."""
        child, parent = self.child.table, self.parent.table
        names = ", ".join(parent.columns[at].name for at in self.key.referenced)
        values = ", ".join(value_text(parent.columns[at], row[at], context) for at in self.key.referenced)
        return SqlError(
            Code.foreign_key_violation,
            f'update or delete on table "{parent.name}" violates foreign key constraint "{self.key.name}" on table '
            f'"{child.name}"',
            detail=f'Key ({names})=({values}) is still referenced from table "{child.name}".',
            schema=child.schema,
            table=child.name,
            constraint=self.key.name,
        )


def _lookup(key: ForeignKey, child: TableAccess) -> TableAccess | IndexAccess | None:
    """The child's primary key or the index that begins with the foreign key's columns, in whatever order."""
    count, wanted = len(key.columns), set(key.columns)
    if set(child.key_columns[:count]) == wanted:
        return child
    for access in child.readable:
        if set(access.columns[:count]) == wanted:
            return access
    return None


def _converter(source: Column, target: Column) -> Converter | None:
    """A child's value as the parent's type; None where their keys are the same as they are."""
    if source.type_oid == target.type_oid or key_kind(source) is key_kind(target):
        return None
    expr = coerce(Slot(slot=0, type=type_by_oid(source.type_oid)), type_by_oid(target.type_oid))
    return None if expr is None else compile_expr(expr)


def _assigner(source: Column, target: Column) -> Converter | None:
    """A parent's value as the child's column takes it."""
    if source.type_oid == target.type_oid and source.typmod == target.typmod:
        return None
    slot = Slot(slot=0, type=type_by_oid(source.type_oid), typmod=source.typmod)
    return compile_expr(assign(slot, type_by_oid(target.type_oid), target.typmod, target.name, None))
