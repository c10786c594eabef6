"""What a name in a DDL statement means: where a new object goes, and which one an old name finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Index, Table
from tausql.sql.catalogue.objects import Domain, Schema, Sequence, View
from tausql.sql.catalogue.temporary import named_path
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.reading import QualifiedName
from tausql.sql.privileges import has_privilege, has_role, must_be_owner, permission_denied

SYSTEM_SCHEMAS = frozenset(("pg_catalog", "information_schema", "sys"))

T = TypeVar("T")
Relation = Table | View | Sequence | tuple[Table, Index]


def creation_schema(change: SchemaChange, schema: str | None) -> Schema:
    """Where a new object goes: the schema named, or the first of the search path that exists.

    Raises 3F000 where there is none, 42501 where the user may not create in it."""
    schemas = change.snapshot.objects.schemas
    if schema is not None:
        found = schemas.get(schema)
        if found is None:
            raise SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
    else:
        path = named_path(change.search_path, change.context.session.settings.get("search_path", ""))
        found = next((schemas[name] for name in path if name in schemas), None)
        if found is None:
            raise SqlError(Code.invalid_schema_name, "no schema has been selected to create in")
    check_schema(change, found, "C")
    return found


def check_schema(change: SchemaChange, schema: Schema, letter: str) -> None:
    """Raises 42501 where the user lacks the privilege on a schema."""
    if not has_privilege(change.snapshot.objects, change.user, schema.acl, "n", schema.owner, letter):
        raise permission_denied("schema", schema.name)


def check_owner(change: SchemaChange, owner: int, what: str, name: str) -> None:
    """Raises 42501 unless the user owns the object, or its schema's owner is asked for elsewhere."""
    if not has_role(change.snapshot.objects, change.user, owner):
        raise must_be_owner(what, name)


def find(change: SchemaChange, known: Mapping[tuple[str, str], T], schema: str | None, name: str) -> T | None:
    """The object of one kind a name means: in `schema`, or the first of the search path that has it."""
    for candidate in (schema,) if schema is not None else change.search_path:
        found = known.get((candidate, name))
        if found is not None:
            return found
    return None


def existing_type(change: SchemaChange, name: QualifiedName) -> Domain:
    """The domain or enum type of a name. Raises 3F000, 42704."""
    found = find(change, change.snapshot.objects.domains, name.schema, name.name)
    if found is None:
        if name.schema is not None and name.schema not in change.snapshot.objects.schemas:
            raise SqlError(Code.invalid_schema_name, f'schema "{name.schema}" does not exist')
        raise SqlError(Code.undefined_object, f'type "{name}" does not exist')
    return found


def find_relation(change: SchemaChange, schema: str | None, name: str) -> Relation | None:
    """The table, view, sequence or index a name means, whichever schema of the path has one of that name first."""
    snapshot = change.snapshot
    objects = snapshot.objects
    for candidate in (schema,) if schema is not None else change.search_path:
        key = candidate, name
        found: Relation | None = (
            snapshot.tables.get(key)
            or objects.views.get(key)
            or objects.sequences.get(key)
            or snapshot.indexes.get(key)
        )
        if found is not None:
            return found
    return None


def column_position(relation: Table | View, name: str) -> int | None:
    """Where a column is, from 0; None where there is none of that name."""
    if isinstance(relation, Table):
        column = relation.column(name)
        return None if column is None else column.position
    return next((at for at, column in enumerate(relation.columns) if column.name == name), None)


def kind_of(relation: Relation) -> str:
    """As error texts call it."""
    match relation:
        case Table():
            return "table"
        case View():
            return "view"
        case Sequence():
            return "sequence"
        case _:
            return "index"


def wrong_kind(name: str, wanted: str, relation: Relation) -> SqlError:
    """42809 of DROP and ALTER for a name that means another kind of relation."""
    kind = kind_of(relation)
    article = "an" if wanted[0] in "aeiou" else "a"
    command = "DROP " + kind.upper()
    return SqlError(
        Code.wrong_object_type, f'"{name}" is not {article} {wanted}', hint=f"Use {command} to remove {_a(kind)}."
    )


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def shown(change: SchemaChange, schema: str, name: str) -> str:
    """A name as messages write it: with its schema where the search path does not find it."""
    return quoted(name) if schema in change.search_path else qualified(schema, name)


def qualified(schema: str, name: str) -> str:
    """A name as SQL text, quoted where needed."""
    return f"{quoted(schema)}.{quoted(name)}"


def quoted(name: str) -> str:
    plain = name and (name[0].isalpha() or name[0] == "_") and name.isascii() and name == name.lower()
    if plain and all(letter.isalnum() or letter in "_$" for letter in name) and name.upper() not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


_RESERVED = frozenset(
    "ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC BOTH CASE CAST CHECK COLLATE COLUMN CONSTRAINT CREATE"
    " CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEFAULT DEFERRABLE DESC"
    " DISTINCT DO ELSE END EXCEPT FALSE FETCH FOR FOREIGN FROM GRANT GROUP HAVING IN INITIALLY INTERSECT INTO LATERAL"
    " LEADING LIMIT LOCALTIME LOCALTIMESTAMP NOT NULL OFFSET ON ONLY OR ORDER PLACING PRIMARY REFERENCES RETURNING"
    " SELECT SESSION_USER SOME SYMMETRIC SYSTEM_USER TABLE THEN TO TRAILING TRUE UNION UNIQUE USER USING VARIADIC WHEN"
    " WHERE WINDOW WITH AUTHORIZATION BINARY COLLATION CONCURRENTLY CROSS CURRENT_SCHEMA FREEZE FULL ILIKE INNER IS"
    " ISNULL JOIN LEFT LIKE NATURAL NOTNULL OUTER OVERLAPS RIGHT SIMILAR TABLESAMPLE VERBOSE BETWEEN VALUES".split()
)
