"""COMMENT ON: a text beside an object, kept apart from it so that no plan grows old by it."""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import CommentKey, View
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.names import Relation, check_owner, column_position, existing_type, find, find_relation, kind_of
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.ddl.roles import existing_role

# Oids of the catalogues that pg_description names.
PG_CLASS, PG_NAMESPACE, PG_PROC, PG_TYPE = 1259, 2615, 1255, 1247
PG_CONSTRAINT, PG_AUTHID, PG_STATISTIC_EXT = 2606, 1260, 3381


async def comment(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("COMMENT", "ON")
    kind = words.take_one(*_READERS)
    if not kind or (kind == "TYPE" and not change.statement.dialect.extensions):
        refused = kind or words.peek()
        if refused in _REFUSED:
            raise not_supported(f"COMMENT ON {refused} not supported")
        raise words.error()
    key = _READERS[kind](change, words)
    words.expect("IS")
    text = None if words.take("NULL") else words.string()
    words.expect_end()
    change.writer.set_comment(key, text)
    return change.result("COMMENT")


_REFUSED = frozenset(
    "DATABASE TYPE TRIGGER RULE POLICY AGGREGATE OPERATOR CAST COLLATION CONVERSION EXTENSION EVENT FOREIGN LANGUAGE"
    " LARGE MATERIALIZED PROCEDURE PUBLICATION SERVER SUBSCRIPTION TABLESPACE TEXT TRANSFORM ACCESS".split()
)


def _relation(change: SchemaChange, name: QualifiedName) -> Relation:
    relation = find_relation(change, name.schema, name.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{name}" does not exist')
    return relation


def _owned(change: SchemaChange, relation: Relation) -> int:
    """The oid of a relation the user owns."""
    if isinstance(relation, tuple):
        table, index = relation
        check_owner(change, table.owner, "index", index.name)
        return index.oid
    check_owner(change, relation.owner, kind_of(relation), relation.name)
    return relation.oid


def _of_kind(kind: str) -> Callable[[SchemaChange, Words], CommentKey]:
    def read(change: SchemaChange, words: Words) -> CommentKey:
        name = words.qualified_name()
        relation = _relation(change, name)
        if kind_of(relation) != kind:
            article = "an" if kind == "index" else "a"
            raise SqlError(Code.wrong_object_type, f'"{name.name}" is not {article} {kind}')
        return PG_CLASS, _owned(change, relation), 0

    return read


def _column(change: SchemaChange, words: Words) -> CommentKey:
    parts = [words.name()]
    while words.take("."):
        parts.append(words.name())
    if len(parts) < 2:
        raise SqlError(Code.syntax_error, "column name must be qualified")
    name = QualifiedName(parts[-3] if len(parts) > 2 else None, parts[-2], 0)
    relation = _relation(change, name)
    if not isinstance(relation, Table | View):
        plural = "sequences" if isinstance(relation, SequenceObject) else "indexes"
        raise SqlError(
            Code.wrong_object_type,
            f'cannot set comment on relation "{name.name}"',
            detail=f"This operation is not supported for {plural}.",
        )
    oid = _owned(change, relation)
    at = column_position(relation, parts[-1])
    if at is not None:
        return PG_CLASS, oid, at + 1
    raise SqlError(Code.undefined_column, f'column "{parts[-1]}" of relation "{relation.name}" does not exist')


def _schema(change: SchemaChange, words: Words) -> CommentKey:
    from tausql.sql.ddl.schemas import existing_schema

    schema = existing_schema(change, words.name())
    check_owner(change, schema.owner, "schema", schema.name)
    return PG_NAMESPACE, schema.oid, 0


def _role(change: SchemaChange, words: Words) -> CommentKey:
    role = existing_role(change, words.name())
    if not (change.user.superuser or change.user.create_role):
        raise SqlError(
            Code.insufficient_privilege,
            "permission denied",
            detail=f'The current user must have the ADMIN option on role "{role.name}".',
        )
    return PG_AUTHID, role.oid, 0


def _function(change: SchemaChange, words: Words) -> CommentKey:
    from tausql.sql.ddl.functions import named_function

    function = named_function(change, words, "FUNCTION")
    check_owner(change, function.owner, "function", function.name)
    return PG_PROC, function.oid, 0


def _constraint(change: SchemaChange, words: Words) -> CommentKey:
    name = words.name()
    words.expect("ON")
    if words.take("DOMAIN"):
        return _domain_constraint(change, words, name)
    place = words.qualified_name()
    relation = _relation(change, place)
    if not isinstance(relation, Table):
        raise SqlError(Code.wrong_object_type, f'"{place.name}" is not a table')
    _owned(change, relation)
    for check in relation.checks:
        if check.name == name:
            return PG_CONSTRAINT, check.oid, 0
    for key in relation.foreign_keys:
        if key.name == name:
            return PG_CONSTRAINT, key.oid, 0
    for index in relation.indexes:
        if index.constraint and index.name == name:
            return PG_CONSTRAINT, index.constraint_oid, 0
    if relation.primary_key and relation.primary_key_name == name:
        return PG_CONSTRAINT, relation.primary_key_oid, 0
    raise SqlError(Code.undefined_object, f'constraint "{name}" for table "{relation.name}" does not exist')


def _domain_constraint(change: SchemaChange, words: Words, name: str) -> CommentKey:
    from tausql.sql.ddl.domains import existing_domain

    domain = existing_domain(change, words.qualified_name())
    for known, _, oid in domain.checks:
        if known == name:
            return PG_CONSTRAINT, oid, 0
    raise SqlError(Code.undefined_object, f'constraint "{name}" for domain {domain.name} does not exist')


def _type(change: SchemaChange, words: Words) -> CommentKey:
    found = existing_type(change, words.qualified_name())
    check_owner(change, found.owner, "type", found.name)
    return PG_TYPE, found.oid, 0


def _domain(change: SchemaChange, words: Words) -> CommentKey:
    from tausql.sql.ddl.domains import existing_domain

    domain = existing_domain(change, words.qualified_name())
    check_owner(change, domain.owner, "type", domain.name)
    return PG_TYPE, domain.oid, 0


def _statistics(change: SchemaChange, words: Words) -> CommentKey:
    name = words.qualified_name()
    found = find(change, change.snapshot.objects.statistics, name.schema, name.name)
    if found is None:
        raise SqlError(Code.undefined_object, f'statistics object "{name}" does not exist')
    check_owner(change, found.owner, "statistics object", found.name)
    return PG_STATISTIC_EXT, found.oid, 0


_READERS: dict[str, Callable[[SchemaChange, Words], CommentKey]] = {
    "TABLE": _of_kind("table"),
    "VIEW": _of_kind("view"),
    "SEQUENCE": _of_kind("sequence"),
    "INDEX": _of_kind("index"),
    "COLUMN": _column,
    "SCHEMA": _schema,
    "ROLE": _role,
    "FUNCTION": _function,
    "ROUTINE": _function,
    "CONSTRAINT": _constraint,
    "DOMAIN": _domain,
    "TYPE": _type,
    "STATISTICS": _statistics,
}

HANDLERS = {"comment": comment}
