"""From rows to a `Snapshot` and back: the catalogue is read and changed in ordinary transactions.

A change costs a few row writes and two schema versions (the relation's own and the global one); there is no catalogue
server to ask and none to invalidate. Who planned with an older version is told by storage or by the adjudicator.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.protocol.storage import Scan
from tausql.sql.access import Transaction
from tausql.sql.catalogue.descriptors import GLOBAL_RELATION, Index, Snapshot, Table
from tausql.sql.catalogue.objects import CatalogueObject, CommentKey, Function, Sequence, Statistics, View, objects_of
from tausql.sql.catalogue.system import (
    COMMENTS,
    COUNTERS,
    FIRST_USER_OID,
    NAMES,
    OBJECTS,
    RELATIONS,
    CounterRow,
    NameRow,
    decode_comment,
    decode_counter,
    decode_object,
    decode_table,
    encode_row,
    encode_table,
    system_keys,
    system_range,
)
from tausql.sql.catalogue.temporary import TEMPORARY_SCHEMA, is_temporary, not_of_temporary


async def load(transaction: Transaction, cluster: int, versions: Mapping[int, int]) -> Snapshot:
    """The catalogue at the transaction's snapshot. `versions`: the newest schema version of each relation there, by
    oid (0 = the global one); a relation that never changed since has version 0."""
    tables: dict[tuple[str, str], Table] = {}
    by_oid: dict[int, Table] = {}
    indexes: dict[tuple[str, str], tuple[Table, Index]] = {}
    objects: dict[int, CatalogueObject] = {}
    comments: dict[CommentKey, str] = {}
    for value in await _rows(transaction, cluster, RELATIONS):
        table = decode_table(value)
        table = msgspec.structs.replace(table, version=versions.get(table.oid, 0))
        tables[table.schema, table.name] = table
        by_oid[table.oid] = table
        for index in table.indexes:
            indexes[table.schema, index.name] = (table, index)
    for value in await _rows(transaction, cluster, OBJECTS):
        item = decode_object(value)
        objects[item.oid] = msgspec.structs.replace(item, version=versions.get(item.oid, 0))
    for value in await _rows(transaction, cluster, COMMENTS):
        catalogue, oid, attnum, text = decode_comment(value)
        comments[catalogue, oid, attnum] = text
    found = objects_of(objects, comments)
    return Snapshot(
        cluster=cluster,
        version=versions.get(GLOBAL_RELATION, 0),
        schemas=tuple(found.schemas),
        tables=tables,
        by_oid=by_oid,
        indexes=indexes,
        objects=found,
    )


async def _rows(transaction: Transaction, cluster: int, relation: int) -> list[bytes]:
    """All rows of one system table."""
    low, high = system_range(cluster, relation)
    scanner = transaction.scan(relation, Scan(low, high))
    values: list[bytes] = []
    while page := await scanner.next_page():
        values += [value for _, value in page]
    return values


class CatalogueWriter:
    """One schema change within a transaction. Every method that writes also marks what it changes."""

    def __init__(self, transaction: Transaction, snapshot: Snapshot) -> None:
        self._transaction = transaction
        self._snapshot = snapshot
        self._keys = system_keys(snapshot.cluster)
        self._next_oid = 0  # a statement does not see its own write of the counter
        self._claimed: dict[tuple[str, str], bool] = {}  # names taken (True) and released by this change
        self._tables: dict[int, Table | None] = {}  # what this change writes, None: removes
        self._objects: dict[int, CatalogueObject | None] = {}

    async def take_oids(self, count: int, schema: str = "") -> int:
        """`count` fresh oids in a row, for objects of that schema; the first of them."""
        if schema == TEMPORARY_SCHEMA:
            return self._transaction.temporary().take_oids(count)
        key = self._keys.counter(("oid",))
        first, there = self._next_oid, True
        if not first:
            (value,) = await self._transaction.get(COUNTERS, [key])
            first, there = (decode_counter(value).next, True) if value is not None else (FIRST_USER_OID, False)
        self._next_oid = first + count
        row = encode_row(CounterRow(self._next_oid))
        if there:
            self._transaction.update_row(COUNTERS, key, row, False)
        else:
            self._transaction.insert_row(COUNTERS, key, row)
        return first

    async def claim_names(self, schema: str, names: Mapping[str, NameRow]) -> None:
        """Enter names into the one namespace of all that pg_class shows. Raises 42P07 where one is taken."""
        if schema == TEMPORARY_SCHEMA:
            self._claim_temporary(names)
            return
        keys = [self._keys.name((schema, name)) for name in names]
        for key, (name, row), taken in zip(keys, names.items(), await self._transaction.get(NAMES, keys), strict=True):
            if self._claimed.get((schema, name), taken is not None):
                raise SqlError(Code.duplicate_table, f'relation "{name}" already exists')
            self._claimed[schema, name] = True
            self._transaction.insert_row(NAMES, key, encode_row(row))

    def _claim_temporary(self, names: Mapping[str, NameRow]) -> None:
        known = self._transaction.temporary().catalogue.names()
        for name in names:
            if self._claimed.get((TEMPORARY_SCHEMA, name), name in known):
                raise SqlError(Code.duplicate_table, f'relation "{name}" already exists')
            self._claimed[TEMPORARY_SCHEMA, name] = True

    def release_name(self, schema: str, name: str) -> None:
        self._claimed[schema, name] = False
        if schema == TEMPORARY_SCHEMA:
            return
        self._transaction.delete_row(NAMES, self._keys.name((schema, name)))

    def add_table(self, table: Table) -> None:
        self._tables[table.oid] = table
        if is_temporary(table.oid):
            self._transaction.temporary().put(table)
            return
        self._transaction.insert_row(RELATIONS, self._keys.relation((table.oid,)), encode_table(table))
        self._changed(table.oid)

    def replace_table(self, table: Table) -> None:
        self._tables[table.oid] = table
        if is_temporary(table.oid):
            self._transaction.temporary().put(table)
            return
        self._transaction.update_row(RELATIONS, self._keys.relation((table.oid,)), encode_table(table), False)
        self._changed(table.oid)

    def remove_table(self, table: Table) -> None:
        self._tables[table.oid] = None
        if is_temporary(table.oid):
            self._transaction.temporary().remove(table.oid)
            return
        self._transaction.delete_row(RELATIONS, self._keys.relation((table.oid,)))
        self.release_name(table.schema, table.name)
        if table.primary_key:
            self.release_name(table.schema, table.primary_key_name)
        for index in table.indexes:
            self.release_name(table.schema, index.name)
        self._changed(table.oid)

    def add_object(self, item: CatalogueObject) -> None:
        """A view's or a sequence's name is claimed apart (`claim_names`)."""
        self._objects[item.oid] = item
        if self._is_temporary(item):
            return
        self._transaction.insert_row(OBJECTS, self._keys.object((item.oid,)), encode_row(item))
        self._changed(item.oid)

    def replace_object(self, item: CatalogueObject) -> None:
        """Also for what the system brings (`objects.BUILT_IN`), which has no row before its first change."""
        self._objects[item.oid] = item
        if self._is_temporary(item):
            return
        self._transaction.update_row(OBJECTS, self._keys.object((item.oid,)), encode_row(item), False)
        self._changed(item.oid)

    def remove_object(self, item: CatalogueObject) -> None:
        """Its comment goes too; a view's or a sequence's name is released apart."""
        self._objects[item.oid] = None
        if is_temporary(item.oid):
            self._transaction.temporary().remove(item.oid)
            return
        self._transaction.delete_row(OBJECTS, self._keys.object((item.oid,)))
        for key in self._snapshot.objects.comments:
            if key[1] == item.oid:
                self._transaction.delete_row(COMMENTS, self._keys.comment(key))
        self._changed(item.oid)

    def set_comment(self, key: CommentKey, text: str | None) -> None:
        """COMMENT ON ... IS; None removes it. Plans do not rely on comments: only the global version changes."""
        if is_temporary(key[1]):
            raise not_of_temporary("comments")
        if text:
            self._transaction.update_row(COMMENTS, self._keys.comment(key), encode_row((*key, text)), False)
        elif key in self._snapshot.objects.comments:
            self._transaction.delete_row(COMMENTS, self._keys.comment(key))
        self._transaction.change_schema(GLOBAL_RELATION)

    def _is_temporary(self, item: CatalogueObject) -> bool:
        """A sequence of a temporary table's, put where it belongs. Raises 0A000 for what else would be temporary."""
        depends = item.depends if isinstance(item, View | Function) else ()
        if isinstance(item, Statistics):
            depends = ((item.table, 0),)
        if any(is_temporary(oid) for oid, _ in depends):
            raise not_of_temporary("views, functions and statistics")
        if not is_temporary(item.oid) and getattr(item, "schema", "") != TEMPORARY_SCHEMA:
            return False
        if not isinstance(item, Sequence) or not is_temporary(item.oid):
            raise not_supported("only tables can be temporary")
        self._transaction.temporary().put(item)
        return True

    def changed_object(self, oid: int) -> CatalogueObject | None:
        """An object as this change has written it; None: as it was, or removed."""
        return self._objects.get(oid)

    def changed_snapshot(self) -> Snapshot:
        """The schema with what this change has written so far: a statement does not read its own writes."""
        old = self._snapshot
        by_oid = {**old.by_oid, **{oid: table for oid, table in self._tables.items() if table is not None}}
        for oid, table in self._tables.items():
            if table is None:
                by_oid.pop(oid, None)
        items = {**old.objects.by_oid}
        for oid, item in self._objects.items():
            if item is None:
                items.pop(oid, None)
            else:
                items[oid] = item
        return old.holding(by_oid, objects_of(items, old.objects.comments))

    def _changed(self, oid: int) -> None:
        self._transaction.change_schema(oid)
        self._transaction.change_schema(GLOBAL_RELATION)
