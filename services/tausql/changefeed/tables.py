"""The tables of one cluster as the changes that are being delivered were made to them.

Looking a table up in the schema of now would give a row of an hour ago the columns of now. The catalogue lies in the
log like any data, so whoever follows a cluster's log sees each change of schema exactly where it happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tausql.changefeed.values import Labels, Shown, shown
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.keys import PREFIX_BYTES, KeyDecoder, key_decoder, relation_prefix
from tausql.protocol.rows import decode_stored
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import Domain
from tausql.sql.catalogue.system import OBJECTS, RELATIONS, decode_object, decode_table
from tausql.sql.stored_kinds import key_kind


class _Column(NamedTuple):
    name: str
    at: int  # position in the stored row
    shown: Shown


class Relation:
    """One table: how its stored rows and keys become JSON objects."""

    __slots__ = ("_columns", "_decode_key", "_key", "name", "schema")

    def __init__(self, cluster: int, table: Table, labels: Labels) -> None:
        self.schema, self.name = table.schema, table.name
        self._columns = [
            _Column(column.name, column.position, shown(column.type_oid, labels))
            for column in table.columns
            if not column.dropped
        ]
        key = [table.columns[at] for at in table.primary_key]
        self._key = [_Column(column.name, at, shown(column.type_oid, labels)) for at, column in enumerate(key)]
        prefix = relation_prefix(cluster, table.storage or table.oid)
        self._decode_key: KeyDecoder = key_decoder(prefix, [key_kind(column) for column in key])

    def row(self, value: bytes) -> dict[str, Any]:
        """Every column of a row as stored. Columns added since it was written are null."""
        stored = decode_stored(value)
        width = len(stored)
        return {
            column.name: None if column.at >= width or stored[column.at] is None else column.shown(stored[column.at])
            for column in self._columns
        }

    def key(self, key: bytes) -> dict[str, Any]:
        """The primary key's columns; nothing where the table has none."""
        if not self._key:
            return {}
        values = self._decode_key(key)
        return {column.name: column.shown(value) for column, value in zip(self._key, values, strict=True)}


class Tables:
    """The tables of `cluster` by where their rows lie. Begins empty; `apply` with the rows of the catalogue at some tau
    first, then with every later transaction's images in order."""

    __slots__ = ("_by_prefix", "_cluster", "_labels", "_objects", "_prefix_of", "_relations")

    def __init__(self, cluster: int) -> None:
        self._cluster = cluster
        self._relations = relation_prefix(cluster, RELATIONS)
        self._objects = relation_prefix(cluster, OBJECTS)
        self._labels: dict[tuple[int, float], str] = {}
        self._by_prefix: dict[bytes, Relation] = {}
        self._prefix_of: dict[bytes, bytes] = {}  # by the catalogue row's key

    def __len__(self) -> int:
        return len(self._by_prefix)

    def find(self, key: bytes) -> Relation | None:
        """Whose row `key` is; None: an index entry's, the catalogue's, or of a table that is gone."""
        return self._by_prefix.get(key[:PREFIX_BYTES])

    def apply(self, images: Iterable[PostImage]) -> None:
        """Take what is a change of the catalogue among `images`."""
        for key, value in images:
            if key.startswith(self._relations):
                self._relation(key, value)
            elif key.startswith(self._objects) and value is not None:
                item = decode_object(value)
                if isinstance(item, Domain) and item.is_enum:
                    # Labels are renamed and added, never removed; those of a type that is gone do no harm.
                    self._labels.update({(item.oid, label.order): label.text for label in item.labels})

    def _relation(self, key: bytes, value: bytes | None) -> None:
        before = self._prefix_of.pop(key, None)
        if before is not None:
            self._by_prefix.pop(before, None)
        if value is not None:
            table = decode_table(value)
            prefix = relation_prefix(self._cluster, table.storage or table.oid)
            self._prefix_of[key] = prefix
            self._by_prefix[prefix] = Relation(self._cluster, table, self._labels)
