"""Temporary tables (an extension): part of the schema that one session sees, and nobody else.

Rows of the catalogue would make each of them a commit that all processors have to look at, and somebody would have to
clean up after a session that is gone. So their descriptors stay with the session, which lays them over the snapshot
that everybody shares; their oids lie where no relation of the cluster's will ever be, and tell whoever holds a number
whose it is. The schema is called `pg_temp` in every session: no two of them meet in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from tausql.protocol.errors import SqlError, not_supported
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import Grant, Schema, objects_of
from tausql.sql.catalogue.objects import Sequence as SequenceObject

TEMPORARY_SCHEMA: Final = "pg_temp"
FIRST_TEMPORARY_OID: Final = 0xF000_0000  # and up to the end of what an oid can be
_SCHEMA = Schema(FIRST_TEMPORARY_OID, TEMPORARY_SCHEMA, acl=(Grant(0, 10, "UC"),))

KEEP, DELETE, DROP = "", "delete", "drop"


class TemporaryCatalogue(msgspec.Struct, frozen=True):
    """What a session has made, at one moment. `on_commit`: DELETE or DROP, of tables that do not KEEP their rows."""

    tables: Mapping[int, Table] = {}
    sequences: Mapping[int, SequenceObject] = {}
    on_commit: Mapping[int, str] = {}

    def names(self) -> set[str]:
        """All that are taken in `pg_temp`."""
        found = {table.name for table in self.tables.values()}
        found |= {table.primary_key_name for table in self.tables.values() if table.primary_key}
        found |= {index.name for table in self.tables.values() for index in table.indexes}
        return found | {sequence.name for sequence in self.sequences.values()}


NO_TEMPORARIES: Final = TemporaryCatalogue()


class Temporaries(Protocol):
    """A session's temporary tables, as one statement changes them. All is undone with its transaction."""

    @property
    def catalogue(self) -> TemporaryCatalogue: ...

    def take_oids(self, count: int) -> int:
        """`count` oids in a row that nobody has; the first of them."""
        ...

    def put(self, item: Table | SequenceObject) -> None: ...

    def remove(self, oid: int) -> None: ...

    def on_commit(self, oid: int, what: str) -> None:
        """DELETE or DROP, at the end of every transaction that commits."""
        ...

    def clear(self, prefix: bytes) -> None:
        """Remove every key that begins with `prefix`."""
        ...


def is_temporary(oid: int) -> bool:
    return oid >= FIRST_TEMPORARY_OID


def named_path(path: Sequence[str], setting: str) -> Sequence[str]:
    """The search path without `pg_temp`, unless the setting itself names it: new objects go nowhere else unasked."""
    return [name for name in path if name != TEMPORARY_SCHEMA] if TEMPORARY_SCHEMA not in setting else path


def laid_over(snapshot: Snapshot, own: TemporaryCatalogue) -> Snapshot:
    """The schema as the session sees it."""
    by_oid = {**snapshot.by_oid, **own.tables}
    objects = objects_of(
        {**snapshot.objects.by_oid, **own.sequences, _SCHEMA.oid: _SCHEMA}, comments=snapshot.objects.comments
    )
    return snapshot.holding(by_oid, objects)


def not_of_temporary(what: str) -> SqlError:
    return not_supported(f"{what} of temporary tables are not supported")
