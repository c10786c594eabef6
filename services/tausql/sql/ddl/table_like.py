"""LIKE in CREATE TABLE: another relation's columns, and of its other properties those that INCLUDING names."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Index, IndexState, Table
from tausql.sql.catalogue.objects import Sequence, Statistics, View
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.columns import ColumnDefinition
from tausql.sql.ddl.constraints import CheckDefinition
from tausql.sql.ddl.names import find_relation
from tausql.sql.ddl.naming import Names, expression_label, unlike
from tausql.sql.ddl.reading import Words
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.privileges import has_privilege, permission_denied
from tausql.sql.types import type_by_oid

OPTIONS = (
    "COMMENTS",
    "COMPRESSION",
    "CONSTRAINTS",
    "DEFAULTS",
    "GENERATED",
    "IDENTITY",
    "INDEXES",
    "STATISTICS",
    "STORAGE",
)
CLASS_OID = 1259  # of pg_class: where comments on tables and their columns are kept
CONSTRAINT_CLASS_OID = 2606


@dataclass(slots=True)
class Copied:
    """What one LIKE brings: columns and checks at once; indexes and comments when the table is known."""

    source: Table | View
    options: frozenset[str]
    columns: list[ColumnDefinition] = field(default_factory=list)
    checks: list[CheckDefinition] = field(default_factory=list)
    indexes: list[Index | None] = field(default_factory=list)  # None = the primary key
    statistics: list[Statistics] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)  # oid of an index there -> of the one like it here

    def _mapped(self, table: Table, positions: tuple[int, ...]) -> tuple[int, ...]:
        """Positions in the source -> in the new table, by name."""
        assert isinstance(self.source, Table)
        found: list[int] = []
        for at in positions:
            column = table.column(self.source.columns[at].name) if at >= 0 else None
            found.append(column.position if column is not None else -1)
        return tuple(found)

    def with_primary(self, table: Table, name: str, oid: int) -> Table:
        assert isinstance(self.source, Table)
        key = self._mapped(table, self.source.primary_key)
        columns = tuple(
            msgspec.structs.replace(column, not_null=True) if column.position in key else column
            for column in table.columns
        )
        return msgspec.structs.replace(
            table,
            columns=columns,
            primary_key=key,
            primary_key_name=name,
            primary_key_oid=oid,
            primary_key_include=self._mapped(table, self.source.primary_key_include),
        )

    def index_for(self, index: Index | None, table: Table, oid: int, names: Names) -> Index | None:
        """The new table's own index like that one. None: it is the primary key's turn."""
        if index is None:
            return None
        self.made[index.oid] = oid
        label = "key" if index.constraint else "idx"
        texts = iter(index.expressions)
        shown: list[str] = []
        for at in self._mapped(table, index.columns):
            shown.append(unlike(shown, table.columns[at].name if at >= 0 else expression_label(next(texts))))
        return msgspec.structs.replace(
            index,
            oid=oid,
            name=names.of_index("_".join(shown), label),
            columns=self._mapped(table, index.columns),
            include=self._mapped(table, index.include),
            state=IndexState.ready,
            constraint_oid=0,
            covering=bool(index.include),
        )

    def check_room(self, table: Table) -> None:
        """Raises 42703 for an index over a column that is not there, which cannot be: LIKE brings them all."""
        for index in table.indexes:
            if any(at >= len(table.columns) for at in index.columns):
                raise SqlError(Code.undefined_column, "an index names a column that does not exist")

    def enter(self, change: SchemaChange, table: Table, oid: int) -> None:
        """INCLUDING STATISTICS and COMMENTS, once the table is there. `oid`: the first of as many as there are
        statistics."""
        known = set(change.snapshot.objects.statistics)
        for number, one in enumerate(self.statistics):
            columns = self._mapped(table, one.columns)
            parts = [table.columns[at].name for at in columns] + ["expr"] * len(one.expressions)
            name, tries = limits.object_name(table.name, "_".join(parts), "stat"), 0
            while (table.schema, name) in known:
                tries += 1
                name = limits.object_name(table.name, "_".join(parts), f"stat{tries}")
            known.add((table.schema, name))
            change.writer.add_object(
                msgspec.structs.replace(
                    one,
                    oid=oid + number,
                    schema=table.schema,
                    name=name,
                    table=table.oid,
                    columns=columns,
                    owner=table.owner,
                    version=0,
                )
            )
        if "COMMENTS" in self.options:
            self._copy_comments(change, table)

    def _copy_comments(self, change: SchemaChange, table: Table) -> None:
        """Those of columns, checks and indexes."""
        comments = change.snapshot.objects.comments
        if isinstance(self.source, Table):
            checks = {check.name: check.oid for check in table.checks}
            pairs = [(CONSTRAINT_CLASS_OID, one.oid, checks.get(one.name)) for one in self.source.checks]
            pairs += [(CLASS_OID, old, new) for old, new in self.made.items()]
            for catalogue, old, new in pairs:
                text = comments.get((catalogue, old, 0))
                if text is not None and new is not None:
                    change.writer.set_comment((catalogue, new, 0), text)
        names = [column.name for column in self.source.columns]
        for at, name in enumerate(names):
            text = comments.get((CLASS_OID, self.source.oid, at + 1))
            target = table.column(name)
            if text is not None and target is not None:
                change.writer.set_comment((CLASS_OID, table.oid, target.position + 1), text)


def read_like(change: SchemaChange, words: Words) -> Copied:
    """The name behind LIKE and its INCLUDING and EXCLUDING options."""
    place = words.qualified_name()
    options: set[str] = set()
    while word := words.take_one("INCLUDING", "EXCLUDING"):
        which = words.take_one("ALL", *OPTIONS)
        if not which:
            raise words.error()
        chosen = set(OPTIONS) if which == "ALL" else {which}
        options = options | chosen if word == "INCLUDING" else options - chosen
    relation = find_relation(change, place.schema, place.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{place}" does not exist', position=place.position)
    if not isinstance(relation, Table | View):
        raise SqlError(
            Code.wrong_object_type,
            f'relation "{place.name}" is invalid in LIKE clause',
            detail="This operation is not supported for "
            + ("sequences." if isinstance(relation, Sequence) else "indexes."),
        )
    if not has_privilege(change.snapshot.objects, change.user, relation.acl, "r", relation.owner, "r"):
        raise permission_denied("table" if isinstance(relation, Table) else "view", relation.name)
    copied = Copied(relation, frozenset(options))
    if isinstance(relation, View):
        copied.columns = [
            ColumnDefinition(column.name, type_by_oid(column.type_oid), column.typmod) for column in relation.columns
        ]
        return copied
    copied.columns = [
        _column(change, relation, at, options) for at, one in enumerate(relation.columns) if not one.dropped
    ]
    if "CONSTRAINTS" in options:
        copied.checks = [
            CheckDefinition(check.name, parse_expression(check.expression), check.no_inherit)
            for check in relation.checks
        ]
    if "STATISTICS" in options:
        copied.statistics = [one for one in change.snapshot.objects.statistics.values() if one.table == relation.oid]
    if "INDEXES" in options:
        copied.indexes = [None] if relation.primary_key else []
        copied.indexes += relation.indexes
    return copied


def _column(change: SchemaChange, table: Table, at: int, options: set[str]) -> ColumnDefinition:
    column = table.columns[at]
    objects = change.snapshot.objects
    domain = next((one for one in objects.domains.values() if one.oid == column.domain), None)
    made = ColumnDefinition(column.name, type_by_oid(column.type_oid), column.typmod, domain, column.not_null or None)
    if column.generated is not None:
        if "GENERATED" in options:
            made.generated = parse_expression(column.generated)
    elif "DEFAULTS" in options:
        made.default = column.default
    if "IDENTITY" in options and column.identity:
        made.identity = column.identity
        made.not_null = True
        sequence = objects.by_oid.get(column.sequence)
        if isinstance(sequence, Sequence):
            made.copied_options = {
                "increment": sequence.increment, "minimum": sequence.minimum, "maximum": sequence.maximum,
                "start": sequence.start, "cache": sequence.cache, "cycle": sequence.cycle,
            }  # fmt: skip
    if "STORAGE" in options:
        made.storage = column.storage
    return made
