"""CREATE, ALTER and DROP SCHEMA, with the tables, views, sequences and grants that CREATE SCHEMA may bring along."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import DefaultAcl, Role, Schema, Sequence, Statistics, View
from tausql.sql.catalogue.system import NameRow
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.names import SYSTEM_SCHEMAS, check_owner
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.roles import new_owner, role_name
from tausql.sql.lexer import Token
from tausql.sql.statements import parse_statements

SCHEMAS_MAX = 10  # public and those of users
_ELEMENTS = frozenset(("CREATE", "GRANT"))


@dataclass(slots=True)
class _Definition:
    name: str
    owner: Role
    exists_ok: bool
    elements: list[str]


def _read(change: SchemaChange) -> _Definition:
    words = change.words()
    words.expect("CREATE", "SCHEMA")
    exists_ok = words.take("IF", "NOT", "EXISTS")
    name = ""
    owner = change.user
    if not words.next_is("AUTHORIZATION"):
        name = words.name()
    if words.take("AUTHORIZATION"):
        role = role_name(change, words)
        name = name or role
        owner = new_owner(change, role)
    elements = _elements(words)
    if elements and exists_ok:
        raise SqlError(Code.feature_not_supported, "CREATE SCHEMA IF NOT EXISTS cannot include schema elements")
    return _Definition(name, owner, exists_ok, elements)


def _elements(words: Words) -> list[str]:
    """The statements that follow, as written. Each begins with CREATE or GRANT outside of parentheses."""
    if not words.ended and words.peek() not in _ELEMENTS:
        raise words.error()
    starts: list[int] = []
    depth = 0
    for at in range(words.at, len(words.tokens)):
        token: Token = words.tokens[at]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        # CREATE is also a privilege: GRANT CREATE ON ..., GRANT USAGE, CREATE ON ...
        if depth == 0 and token.word in _ELEMENTS and (at == words.at or _begins(token, words.tokens[at - 1].word)):
            starts.append(at)
    ends = [*starts[1:], len(words.tokens)]
    return [words.between(first, end) for first, end in zip(starts, ends, strict=False)]


def _begins(token: Token, before: str) -> bool:
    """Not WITH GRANT OPTION, nor CREATE as a privilege."""
    return before != "WITH" if token.word == "GRANT" else before not in ("GRANT", ",")


async def create_schema(change: SchemaChange) -> DdlResult:
    """Raises 42P06, 42939 for pg_..., 54000 beyond ten."""
    definition = _read(change)
    name = definition.name
    objects = change.snapshot.objects
    if not change.user.superuser and not _may_create_schemas(change):
        raise SqlError(Code.insufficient_privilege, "permission denied for database postgres")
    _check_name(name)
    if name in objects.schemas:
        taken = f'schema "{name}" already exists'
        if not definition.exists_ok:
            raise SqlError(Code.duplicate_schema, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_schema)
        return change.result("CREATE SCHEMA")
    own = [known for known in objects.schemas if known not in SYSTEM_SCHEMAS]
    if len(own) >= SCHEMAS_MAX:
        raise SqlError(Code.program_limit_exceeded, f"more than {SCHEMAS_MAX} schemas not allowed")
    oid = await change.writer.take_oids(1)
    acl = initial_acl(change, "", "n", definition.owner.oid)
    change.writer.add_object(Schema(oid, name, definition.owner.oid, acl))
    jobs = False
    for element in _ordered(definition.elements):
        jobs = await _nested(change, name, element) or jobs
    return change.result("CREATE SCHEMA", jobs_entered=jobs)


def _may_create_schemas(change: SchemaChange) -> bool:
    """CREATE on the database: admin has it; nothing can grant it to others but membership in admin."""
    from tausql.sql.catalogue.objects import ADMIN_OID
    from tausql.sql.privileges import has_role

    return has_role(change.snapshot.objects, change.user, ADMIN_OID)


def _check_name(name: str) -> None:
    if name.startswith("pg_"):
        raise SqlError(
            Code.reserved_name,
            f'unacceptable schema name "{name}"',
            detail='The prefix "pg_" is reserved for system schemas.',
        )


def _ordered(elements: list[str]) -> list[str]:
    """PostgreSQL's order: sequences, tables, views, indexes, grants; as written within each."""
    ranks = {"SEQUENCE": 0, "TABLE": 1, "VIEW": 2, "RECURSIVE": 2, "OR": 2}

    def rank(element: str) -> int:
        words = element.upper().split(None, 2)
        return 4 if words[0] == "GRANT" else ranks.get(words[1] if len(words) > 1 else "", 3)

    return sorted(elements, key=rank)


async def _nested(change: SchemaChange, schema: str, text: str) -> bool:
    """One element, run in the new schema. Raises 42P15 for one that names another schema."""
    from tausql.sql.ddl.execute import HANDLERS

    (statement,) = parse_statements(text)
    statement.refuse()
    handler = HANDLERS.get(statement.kind)
    if handler is None or statement.kind not in ("create_table", "create_view", "create_sequence", "grant"):
        raise not_supported(f"{statement.tag} not supported within CREATE SCHEMA")
    _check_element(statement.text, statement.options["tokens"], schema)
    after = change.writer.changed_snapshot()
    inner = SchemaChange(statement, change.transaction, after, change.context, change.system)
    inner.writer = change.writer
    inner.notices = change.notices
    inner.search_path = (schema, *change.search_path)
    result = await handler(inner)
    return result.jobs_entered


def _check_element(text: str, tokens: list[Token], schema: str) -> None:
    words = Words(text, tokens)
    if not words.take("CREATE"):
        return
    while words.take_one("OR", "REPLACE", "RECURSIVE"):
        pass
    words.take_one("TABLE", "VIEW", "SEQUENCE")
    words.take("IF", "NOT", "EXISTS")
    name = words.qualified_name()
    if name.schema is not None and name.schema != schema:
        raise SqlError(
            Code.invalid_schema_definition,
            f"CREATE specifies a schema ({name.schema}) different from the one being created ({schema})",
        )


def existing_schema(change: SchemaChange, name: str) -> Schema:
    schema = change.snapshot.objects.schemas.get(name)
    if schema is None:
        raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
    return schema


async def alter_schema(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER", "SCHEMA")
    schema = existing_schema(change, words.name())
    check_owner(change, schema.owner, "schema", schema.name)
    if words.take("OWNER", "TO"):
        owner = new_owner(change, role_name(change, words))
        words.expect_end()
        change.writer.replace_object(msgspec.structs.replace(schema, owner=owner.oid))
        return change.result("ALTER SCHEMA")
    words.expect("RENAME", "TO")
    name = words.name()
    words.expect_end()
    if name in change.snapshot.objects.schemas:
        raise SqlError(Code.duplicate_schema, f'schema "{name}" already exists')
    _check_name(name)
    if schema.name == "public" or schema.name in SYSTEM_SCHEMAS:
        raise not_supported(f"ALTER SCHEMA {schema.name} RENAME not supported")
    await _rename(change, schema, name)
    return change.result("ALTER SCHEMA")


async def _rename(change: SchemaChange, schema: Schema, name: str) -> None:
    """The schema's name is written in everything it holds, and in the texts that mention it."""
    from tausql.sql.ddl.stored_texts import rename_in_texts, sequence_renamed

    old = schema.name
    snapshot, writer = change.snapshot, change.writer
    writer.replace_object(msgspec.structs.replace(schema, name=name))
    names: dict[str, NameRow] = {}
    for table in snapshot.by_oid.values():
        if table.schema == old:
            names[table.name] = NameRow(table.oid, "table")
            if table.primary_key:
                names[table.primary_key_name] = NameRow(table.oid + 1, "index")
            names |= {index.name: NameRow(index.oid, "index") for index in table.indexes}
            writer.replace_table(msgspec.structs.replace(table, schema=name))
    for item in snapshot.objects.by_oid.values():
        if isinstance(item, View | Sequence) and item.schema == old:
            names[item.name] = NameRow(item.oid, "view" if isinstance(item, View) else "sequence")
        if not isinstance(item, Schema | Role) and item.schema == old:
            writer.replace_object(msgspec.structs.replace(item, schema=name))
    await writer.claim_names(name, names)
    for one in names:
        writer.release_name(old, one)
    rename_in_texts(change, old, name)
    for sequence in snapshot.objects.sequences.values():
        if sequence.schema == old:
            sequence_renamed(change, (old, sequence.name), (name, sequence.name))


async def drop_schema(change: SchemaChange) -> DdlResult:
    """Raises 3F000, 2BP01 for one that holds anything, unless CASCADE was said."""
    from tausql.sql.ddl.dependencies import Item, drop

    words = change.words()
    words.expect("DROP", "SCHEMA")
    missing_ok = words.take("IF", "EXISTS")
    names = [words.name()]
    while words.take(","):
        names.append(words.name())
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    items: list[Item] = []
    for name in names:
        schema = change.snapshot.objects.schemas.get(name)
        if schema is None:
            if not missing_ok:
                raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
            change.notice(f'schema "{name}" does not exist, skipping')
            continue
        if name in SYSTEM_SCHEMAS:
            raise SqlError(Code.dependent_objects_still_exist,
                           f"cannot drop schema {name} because it is required by the database system")  # fmt: skip
        check_owner(change, schema.owner, "schema", name)
        if name == "public":
            raise not_supported("DROP SCHEMA public not supported")
        items.append(Item("schema", schema.oid))
    jobs = await drop(change, items, cascade)
    return change.result("DROP SCHEMA", jobs_entered=jobs)


def held_by(change: SchemaChange, schema: Schema) -> list[int]:
    """Oids of everything in a schema."""
    snapshot = change.snapshot
    found = [table.oid for table in snapshot.by_oid.values() if table.schema == schema.name]
    for item in snapshot.objects.by_oid.values():
        if isinstance(item, Schema | Role):
            continue
        if item.schema == schema.name and not isinstance(item, DefaultAcl | Statistics):
            found.append(item.oid)
    return sorted(found)


__all__ = ["HANDLERS", "Table", "existing_schema", "held_by"]
HANDLERS = {"create_schema": create_schema, "alter_schema": alter_schema, "drop_schema": drop_schema}
