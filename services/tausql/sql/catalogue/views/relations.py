"""pg_class and what hangs on it: columns, defaults, indexes, sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from tausql.sql.catalogue.access_lists import acl_items
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.facts import (
    BTREE,
    HEAP,
    LEGACY_OIDS,
    SYSTEM_ACL,
    Facts,
    IndexEntry,
    default_oid,
    has_default,
    type_row,
)
from tausql.sql.catalogue.objects import SUPERUSER_OID, View
from tausql.sql.catalogue.shapes import Row, Shape, builtin_rows, shape, shapes
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.catalogue.views.relation import Build
from tausql.sql.expressions.parsing import function_name, parse_expression
from tausql.sql.stored_expressions import INDEX_EXPRESSION, RowScope, bound_expression
from tausql.sql.types import builtin as b
from tausql.sql.types.registry import type_by_oid

_COMPRESSED: Final = frozenset(("json", "jsonb", "text", "varchar", "bpchar"))
SEQUENCE_COLUMNS: Final = (("last_value", b.INT8), ("log_cnt", b.INT8), ("is_called", b.BOOL))


def persistence(oid: int) -> str:
    """As pg_class has it."""
    return "t" if is_temporary(oid) else "p"


def _classes(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        space = facts.schema_oid(table.schema)
        entries = facts.indexes[table.oid]
        known = facts.snapshot.statistics.get(table.oid)
        tuples = known.rows if known is not None else -1.0
        yield to.row(
            oid=table.oid, relname=table.name, relnamespace=space, relowner=table.owner, relam=HEAP,
            relfilenode=table.oid, reltuples=tuples, relhasindex=bool(entries), relkind="r",
            relpersistence=persistence(table.oid),
            reltype=table.oid, relnatts=len(table.columns), relchecks=len(table.checks),
            relhastriggers=bool(table.foreign_keys or table.referenced_by), relispopulated=True, relreplident="d",
            relacl=acl_items(facts, table.acl),
        )  # fmt: skip
        for entry in entries:
            yield to.row(
                oid=entry.oid, relname=entry.name, relnamespace=space, relowner=table.owner, relam=BTREE,
                relfilenode=entry.oid, reltuples=max(tuples, 0.0), relpersistence=persistence(table.oid), relkind="i",
                relnatts=len(entry.columns) + len(entry.include), relispopulated=True, relreplident="n",
            )  # fmt: skip
    for view in facts.views:
        yield to.row(
            oid=view.oid, relname=view.name, relnamespace=facts.schema_oid(view.schema), relowner=view.owner,
            reltype=view.oid, reltuples=-1.0,
            relpersistence="p", relkind="v", relnatts=len(view.columns), relhasrules=True, relispopulated=True,
            relreplident="n", relacl=acl_items(facts, view.acl),
            reloptions=[f"{name}={value}" for name, value in view.options] or None,
        )  # fmt: skip
    for sequence in facts.sequences:
        yield to.row(
            oid=sequence.oid, relname=sequence.name, relnamespace=facts.schema_oid(sequence.schema),
            relowner=sequence.owner, relfilenode=sequence.oid, relpages=1, reltuples=1.0,
            relpersistence=persistence(sequence.oid), relkind="S", relnatts=3, relispopulated=True, relreplident="n",
            relacl=acl_items(facts, sequence.acl),
        )  # fmt: skip
    readable = list(SYSTEM_ACL)
    for relation in shapes().values():
        yield to.row(
            oid=relation.oid, relname=relation.name, relnamespace=facts.schema_oid(relation.schema),
            relowner=SUPERUSER_OID, relam=0 if relation.is_view else HEAP, relfilenode=relation.oid, reltuples=-1.0,
            relpersistence="p", relkind="v" if relation.is_view else "r", relnatts=len(relation.columns),
            relispopulated=True, relreplident="n", relacl=readable,
        )  # fmt: skip


def _attributes(facts: Facts, to: Shape) -> Iterator[Row]:
    making = _Attributes(facts, to)
    for table in facts.tables:
        for column in table.columns:
            yield making.of_table(table, column)
        for entry in facts.indexes[table.oid]:
            yield from making.of_index(entry)
    for view in facts.views:
        for number, shown in enumerate(view.columns, 1):
            yield making.row(
                view.oid, shown.name, number, shown.type_oid, shown.typmod, atthasdef=shown.default is not None,
                attacl=acl_items(facts, shown.acl),
            )  # fmt: skip
    for sequence in facts.sequences:
        for number, (name, type) in enumerate(SEQUENCE_COLUMNS, 1):
            yield making.row(sequence.oid, name, number, type.oid, attnotnull=True)
    for relation in shapes().values():
        for number, ((name, type), not_null) in enumerate(zip(relation.columns, relation.not_null, strict=True), 1):
            yield making.row(relation.oid, name, number, type.oid, attnotnull=not_null)


class _Attributes:
    """Rows of pg_attribute: what a type says of every column of it is looked up once."""

    def __init__(self, facts: Facts, to: Shape) -> None:
        self.facts = facts
        self.to = to
        self.types: dict[int, dict[str, object]] = {}

    def row(self, relation: int, name: str, number: int, type_oid: int, typmod: int = -1, **more: object) -> Row:
        values = self.types.get(type_oid)
        if values is None:
            values = self.types[type_oid] = self.of_type(type_oid)
        own = {
            "attrelid": relation, "attname": name, "attnum": number, "atttypid": type_oid, "atttypmod": typmod,
            "attcacheoff": -1, "attislocal": True, "attstattarget": -1,
        }  # fmt: skip
        return self.to.row(**{**values, **own, **more})

    def of_type(self, oid: int) -> dict[str, object]:
        domain = self.facts.domains.get(oid)
        if domain is not None:
            oid = domain.base_oid
        row = type_row(oid)
        type = type_by_oid(oid)
        if row is None:
            return {"attlen": type.length, "attalign": "i", "attstorage": "p"}
        at = _types().place
        return {
            "attlen": row[at("typlen")],
            "attbyval": row[at("typbyval")],
            "attalign": row[at("typalign")],
            "attstorage": row[at("typstorage")],
            "attcollation": row[at("typcollation")],
            "attndims": 1 if type.is_array and type.name.startswith("_") else 0,
        }

    def of_table(self, table: Table, column: Column) -> Row:
        if column.dropped:
            name = f"........pg.dropped.{column.position + 1}........"
            return self.row(table.oid, name, column.position + 1, column.type_oid, attisdropped=True, atttypid=0)
        more: dict[str, object] = {}
        if column.storage:
            more["attstorage"] = column.storage
        if is_compressed(table, column):
            more["attcompression"] = "l"
        if column.acl is not None:
            more["attacl"] = acl_items(self.facts, column.acl)
        return self.row(
            table.oid, column.name, column.position + 1, column.domain or column.type_oid, column.typmod,
            attnotnull=column.not_null, atthasdef=has_default(column), attidentity=column.identity,
            attgenerated="s" if column.generated is not None else "", **more,
        )  # fmt: skip

    def of_index(self, entry: IndexEntry) -> Iterator[Row]:
        expressions = iter(index_expression_types(entry))
        texts = iter(entry.expressions)
        taken = {entry.table.columns[position].name for position in entry.columns if position >= 0}
        for number, position in enumerate((*entry.columns, *entry.include), 1):
            if position >= 0:
                column = entry.table.columns[position]
                yield self.row(entry.oid, column.name, number, column.type_oid, column.typmod)
            else:
                name = expression_name(next(texts), taken)
                yield self.row(entry.oid, name, number, next(expressions))


def expression_name(text: str, taken: set[str]) -> str:
    """What PostgreSQL calls the column of an index that is an expression: by its function, else `expr`, numbered."""
    wanted = function_name(parse_expression(text)) or "expr"
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}{number}"
    taken.add(name)
    return name


def _types() -> Shape:
    return shape("pg_type")


def is_compressed(table: Table, column: Column) -> bool:
    """Long values outside of keys are compressed unless the column's storage says otherwise."""
    if column.storage in ("p", "e") or type_by_oid(column.type_oid).name not in _COMPRESSED:
        return False
    keys = (table.primary_key, *(index.columns for index in table.indexes))
    return not any(column.position in key for key in keys)


def index_expression_types(entry: IndexEntry) -> list[int]:
    """Oids of the types of an index's expressions."""
    scope = RowScope(entry.table.name, entry.table.columns, INDEX_EXPRESSION)
    return [bound_expression(parse_expression(text), scope).type.oid for text in entry.expressions]


def _defaults(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        for column in table.live_columns:
            if has_default(column):
                yield to.row(
                    oid=default_oid(table.oid, column), adrelid=table.oid, adnum=column.position + 1,
                    adbin=column.default or column.generated,
                )  # fmt: skip
    for view in facts.views:
        for number, shown in enumerate(view.columns, 1):
            if shown.default is not None:
                yield to.row(oid=view_default_oid(view, number), adrelid=view.oid, adnum=number, adbin=shown.default)


def view_default_oid(view: View, number: int) -> int:
    return LEGACY_OIDS + (view.oid << 8) % LEGACY_OIDS + number


def _indexes(facts: Facts, to: Shape) -> Iterator[Row]:
    for table in facts.tables:
        for entry in facts.indexes[table.oid]:
            keys = (*entry.columns, *entry.include)
            types = iter(index_expression_types(entry)) if entry.expressions else iter(())
            kinds = [next(types) if at < 0 else table.columns[at].type_oid for at in entry.columns]
            firsts = entry.nulls_first or (False,) * len(entry.columns)
            yield to.row(
                indexrelid=entry.oid, indrelid=table.oid, indnatts=len(keys), indnkeyatts=len(entry.columns),
                indisunique=entry.unique, indnullsnotdistinct=entry.nulls_not_distinct, indisprimary=entry.primary,
                indimmediate=True, indisvalid=entry.valid, indisready=True, indislive=True,
                indkey=[position + 1 for position in keys], indcollation=[_collation(kind) for kind in kinds],
                indclass=[operator_class(kind) for kind in kinds], indoption=[2 if first else 0 for first in firsts],
                indexprs=", ".join(entry.expressions) or None, indpred=entry.predicate,
            )  # fmt: skip


def _collation(type_oid: int) -> int:
    row = type_row(type_oid)
    collation = row[shape("pg_type").place("typcollation")] if row is not None else 0
    return collation if isinstance(collation, int) else 0


def operator_class(type_oid: int) -> int:
    """The default B-tree operator class of a type; varchar sorts as text."""
    known = _operator_classes()
    return known.get(25 if type_oid == 1043 else type_oid, 0)


@lru_cache(maxsize=1)
def _operator_classes() -> Mapping[int, int]:
    at = shape("pg_opclass").place
    return MappingProxyType(
        {row[at("opcintype")]: row[0] for row in builtin_rows("pg_opclass") if row[at("opcdefault")]}
    )


def _sequences(facts: Facts, to: Shape) -> Iterator[Row]:
    for one in facts.sequences:
        yield to.row(
            seqrelid=one.oid, seqtypid=one.type_oid, seqstart=one.start, seqincrement=one.increment,
            seqmax=one.maximum, seqmin=one.minimum, seqcache=one.cache, seqcycle=one.cycle,
        )  # fmt: skip


def _rules(facts: Facts, to: Shape) -> Iterator[Row]:
    """A view is its rule: clients find what a view depends on through it."""
    for view in facts.views:
        yield to.row(
            oid=rule_oid(view), rulename="_RETURN", ev_class=view.oid, ev_type="1", ev_enabled="O", is_instead=True,
            ev_qual="<>", ev_action=view.query,
        )  # fmt: skip


def rule_oid(view: View) -> int:
    return LEGACY_OIDS + view.oid


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "pg_class": _classes, "pg_attribute": _attributes, "pg_attrdef": _defaults, "pg_index": _indexes,
        "pg_sequence": _sequences, "pg_rewrite": _rules,
    }
)  # fmt: skip
