"""A table as keys and rows: how its rows are encoded, keyed and indexed.

Made once per Table of a catalogue snapshot and shared by every plan, by the backfill of new indexes and by COPY. The
obvious shape, encoding straight from the descriptors each time, costs more than the rest of an INSERT: kinds and
encoders are looked up here once and are closures afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import (
    PREFIX_BYTES,
    KeyEncoder,
    KeyKind,
    covering_value,
    key_encoder,
    prefix_end,
    relation_prefix,
)
from tausql.protocol.rows import RowCodec
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import Column, Index, IndexState, Snapshot, Table
from tausql.sql.expressions.context import Context
from tausql.sql.expressions.nodes import Expr
from tausql.sql.stored_expressions import (
    Compiled,
    columns_used,
    compiled_generated,
    compiled_index_expression,
    compiled_predicate,
)
from tausql.sql.stored_kinds import column_kind, key_kind, kind_of_type
from tausql.sql.types.arrays import array_from_stored, array_to_stored
from tausql.sql.types.jsons import Jsonb, jsonb_text, parse_json

Row = list[Any]

ACCESSES_MAX: Final = 10_000
KEY_BYTES_MAX: Final = 1 << 10
COLUMN_BYTES_MAX: Final = 1 << 20
ROW_BYTES_MAX: Final = 2 << 20


def _jsonb_to_text(datum: Jsonb) -> str:
    return jsonb_text(datum.value)


def _jsonb_from_text(text: str) -> Jsonb:
    return Jsonb(parse_json(text))


def row_codec(columns: Sequence[Column]) -> RowCodec:
    kinds = [column_kind(column) for column in columns]
    return RowCodec(kinds, _jsonb_to_text, _jsonb_from_text, array_to_stored, array_from_stored)


class IndexAccess:
    """One index: rows to entries. An index over plain columns, the common one, evaluates no expressions.

    columns: positions, -1 = the next of `functions`. covering: positions of the columns whose values are in the
    entries, too; `included` encodes them. plain: neither expression nor predicate, so its columns are key columns in
    the sense of FOR KEY SHARE."""

    __slots__ = (
        "columns",
        "condition",
        "context",
        "covering",
        "encode",
        "expressions",
        "functions",
        "included",
        "index",
        "nulls_distinct",
        "plain",
        "predicate",
        "prefix",
        "ready",
        "relies_on",
        "types",
        "unique",
    )

    def __init__(self, cluster: int, table: Table, index: Index) -> None:
        self.index = index
        self.columns = index.columns
        self.covering = index.include if index.covering else ()
        self.included = row_codec([table.columns[at] for at in self.covering])
        self.unique = index.unique
        self.nulls_distinct = not index.nulls_not_distinct
        self.ready = index.state == IndexState.ready
        self.prefix = relation_prefix(cluster, index.storage or index.oid)
        self.plain = not index.expressions and index.predicate is None
        self.functions: tuple[Compiled, ...] = ()
        self.expressions: tuple[Expr, ...] = ()  # of the same, over slots by position
        self.predicate: Expr | None = None
        self.condition: Compiled | None = None
        self.context: Any = None  # of indexes that evaluate nothing
        relies_on = {at for at in index.columns if at >= 0}
        types = [table.columns[at].type_oid for at in index.columns]
        if not self.plain:
            self.context = Context()
            self._compile(table, types, relies_on)
        self.types = tuple(types)
        self.relies_on = frozenset(relies_on)
        self.encode: KeyEncoder = key_encoder(self.prefix, [kind_of_type(oid) for oid in types], index.nulls_first)

    def _compile(self, table: Table, types: list[int], relies_on: set[int]) -> None:
        made: list[Compiled] = []
        exprs: list[Expr] = []
        for text in self.index.expressions:
            expr, function = compiled_index_expression(table.name, table.columns, text)
            exprs.append(expr)
            relies_on |= columns_used(expr)
            types[[at for at, position in enumerate(self.columns) if position < 0][len(made)]] = expr.type.oid
            made.append(function)
        self.functions = tuple(made)
        self.expressions = tuple(exprs)
        if self.index.predicate is not None:
            expr, condition = compiled_predicate(table.name, table.columns, self.index.predicate)
            relies_on |= columns_used(expr)
            self.predicate = expr
            self.condition = condition

    def values(self, row: Sequence[Any]) -> list[Any]:
        """What a row is indexed by. Expressions may raise."""
        if not self.functions:
            return [row[at] for at in self.columns]
        functions = iter(self.functions)
        return [row[at] if at >= 0 else next(functions)(row, self.context) for at in self.columns]

    def entry(self, row: Sequence[Any], row_key: bytes) -> bytes | None:
        """The key of a row's entry; None: it has none, the index's predicate is not true for it."""
        if self.condition is not None and self.condition(row, self.context) is not True:
            return None
        values = self.values(row)
        if self.unique and (not self.nulls_distinct or None not in values):
            return self.encode(values)
        return self.encode(values) + row_key[PREFIX_BYTES:]

    def entry_value(self, row: Sequence[Any], row_key: bytes) -> bytes:
        """What is stored under an entry's key."""
        if not self.covering:
            return row_key
        return covering_value(row_key, self.included.encode([row[at] for at in self.covering]))

    def unique_entry(self, row: Sequence[Any]) -> bytes | None:
        """The one key a row needs for itself in a unique index; None where nothing can collide with it."""
        if self.condition is not None and self.condition(row, self.context) is not True:
            return None
        values = self.values(row)
        return None if self.nulls_distinct and None in values else self.encode(values)


class TableAccess:
    """Rows and entries of one table.

    `key_of(row)` is the row's key (tables with a primary key only); `encode` and `decode` turn rows (datums by column
    position) into stored bytes and back."""

    __slots__ = (
        "codec",
        "decode",
        "encode",
        "encode_key",
        "generated",
        "has_primary_key",
        "indexes",
        "key_columns",
        "key_of",
        "oid",
        "prefix",
        "readable",
        "table",
        "unique_indexes",
        "width",
    )

    def __init__(self, cluster: int, table: Table) -> None:
        self.table = table
        self.oid = table.oid
        self.width = len(table.columns)
        self.prefix = relation_prefix(cluster, table.storage or table.oid)
        self.codec = row_codec(table.columns)
        self.encode: Callable[[Sequence[Any]], bytes] = self.codec.encode
        self.decode: Callable[[bytes], Row] = self.codec.decode
        self.key_columns = table.primary_key
        self.has_primary_key = bool(table.primary_key)
        kinds = [key_kind(table.columns[at]) for at in table.primary_key] or [KeyKind.uuid]
        self.encode_key: KeyEncoder = key_encoder(self.prefix, kinds)
        self.key_of = self._key_function()
        self.generated = compiled_generated(table.name, table.columns)
        self.indexes = tuple(IndexAccess(cluster, table, index) for index in table.indexes)
        self.unique_indexes = tuple(access for access in self.indexes if access.unique)
        self.readable = tuple(access for access in self.indexes if access.ready and access.plain)

    def _key_function(self) -> Callable[[Sequence[Any]], bytes]:
        encode, columns = self.encode_key, self.key_columns
        if len(columns) == 1:
            (only,) = columns
            return lambda row: encode((row[only],))
        return lambda row: encode([row[at] for at in columns])

    def hidden_key(self, random_bytes: bytes) -> bytes:
        """The key of a new row of a table without a primary key; 16 random bytes."""
        return self.encode_key((random_bytes,))

    def row_range(self) -> tuple[bytes, bytes]:
        """All its rows: keys of [low, high)."""
        return self.prefix, prefix_end(self.prefix)

    def index_access(self, index: Index) -> IndexAccess:
        return next(access for access in self.indexes if access.index.oid == index.oid)

    def index_prefix(self, index: Index) -> bytes:
        return self.index_access(index).prefix

    def index_entry(self, index: Index, row: Sequence[Any], row_key: bytes) -> tuple[bytes, bytes] | None:
        """The entry of a row (datums by position) in one index: (key, value); None: a partial index leaves it out."""
        access = self.index_access(index)
        key = access.entry(row, row_key)
        return None if key is None else (key, access.entry_value(row, row_key))

    def value_of(self, row: Sequence[Any]) -> bytes:
        """The row as stored. Raises 54000 for a row or a column that is too large."""
        value = self.encode(row)
        if len(value) > COLUMN_BYTES_MAX:
            check_sizes(row, value)
        return value

    def insert(self, transaction: Transaction, row: Sequence[Any], row_key: bytes) -> None:
        """A new row and its entries in every index, whatever its state. Uniqueness is the caller's duty."""
        if len(row_key) > KEY_BYTES_MAX:
            check_key([row[at] for at in self.key_columns])
        transaction.insert_row(self.oid, row_key, self.value_of(row))
        for access in self.indexes:
            self.put_entry(transaction, access, row, row_key)

    def put_entry(self, transaction: Transaction, access: IndexAccess, row: Sequence[Any], row_key: bytes) -> None:
        """The entry of a row in one index. Raises 54000 for a key that is too large."""
        entry = access.entry(row, row_key)
        if entry is None:
            return
        if len(entry) > KEY_BYTES_MAX:
            check_key(access.values(row))
        transaction.put_entry(self.oid, entry, access.entry_value(row, row_key), access.unique)

    def remove_entries(
        self, transaction: Transaction, row: Sequence[Any], row_key: bytes, foreign: frozenset[bytes]
    ) -> None:
        """The entries of a row that goes. `foreign`: keys of unique entries that name another row: those stay."""
        for access in self.indexes:
            key = access.entry(row, row_key)
            if key is not None and not (access.unique and key in foreign):
                transaction.delete_entry(self.oid, key, access.unique)

    def delete(
        self, transaction: Transaction, row: Sequence[Any], row_key: bytes, foreign: frozenset[bytes] = frozenset()
    ) -> None:
        self.remove_entries(transaction, row, row_key, foreign)
        transaction.delete_row(self.oid, row_key)

    def changed_indexes(self, old: Sequence[Any], new: Sequence[Any]) -> list[IndexAccess]:
        """The indexes whose entry for this row changes."""
        return [access for access in self.indexes if any(differs(old[at], new[at]) for at in access.relies_on)]

    def covered_anew(self, old: Sequence[Any], new: Sequence[Any], moved: Sequence[IndexAccess]) -> list[IndexAccess]:
        """The indexes, other than those whose entry moves, whose entry for this row has another value now."""
        return [
            access for access in self.indexes
            if access.covering and access not in moved and any(differs(old[at], new[at]) for at in access.covering)
        ]  # fmt: skip

    def unfinished_unique_keys(self, row: Sequence[Any], row_key: bytes) -> list[bytes]:
        """Keys of entries in unique indexes that may name another row: those of indexes that were never valid."""
        keys = [access.entry(row, row_key) for access in self.unique_indexes if not access.ready]
        return [key for key in keys if key is not None]


def check_key(values: Sequence[Any]) -> None:
    """The columns of a key together: at most 1 KiB."""
    size = sum(len(value.encode()) if isinstance(value, str) else 16 for value in values)
    if size > KEY_BYTES_MAX:
        raise SqlError(Code.program_limit_exceeded, "key size too large")


def check_sizes(row: Sequence[Any], value: bytes) -> None:
    """A column at most 1 MiB, a row at most 2 MiB."""
    for datum in row:
        text = jsonb_text(datum.value) if isinstance(datum, Jsonb) else datum
        size = len(text.encode()) if isinstance(text, str) else len(text) if isinstance(text, bytes) else 0
        if size > COLUMN_BYTES_MAX:
            raise SqlError(Code.program_limit_exceeded, "maximum column size exceeded")
    if len(value) > ROW_BYTES_MAX:
        raise SqlError(Code.program_limit_exceeded, "maximum row size exceeded")


def differs(left: Any, right: Any) -> bool:
    """Whether a column's value changed. NaN equals itself here; 1.0 and 1.00 have one key, but are told apart: then
    the entry is deleted and put again, which is right too."""
    if left is right:
        return False
    return bool(left != right) or type(left) is not type(right)


class AccessCache:
    """TableAccess objects by table; a schema change makes a new Table, hence a new entry."""

    __slots__ = ("_accesses",)

    def __init__(self) -> None:
        self._accesses: dict[tuple[int, int, int], TableAccess] = {}

    def of(self, snapshot: Snapshot, table: Table) -> TableAccess:
        key = (snapshot.cluster, table.oid, table.version)
        access = self._accesses.get(key)
        if access is None or access.table is not table:
            if len(self._accesses) >= ACCESSES_MAX:
                self._accesses.clear()
            access = self._accesses[key] = TableAccess(snapshot.cluster, table)
        return access


def table_access(cluster: int, table: Table) -> TableAccess:
    """For those who need one once; plans share them through `AccessCache`."""
    return TableAccess(cluster, table)
