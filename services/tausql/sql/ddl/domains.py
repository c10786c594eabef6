"""CREATE, ALTER and DROP DOMAIN."""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import Domain
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import read_type
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.names import check_owner, creation_schema, existing_type, find
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.ddl.stored_texts import qualified_expression
from tausql.sql.domains import value_column
from tausql.sql.expressions import ParamTypes, assign, bind
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.scope import EmptyScope
from tausql.sql.stored_expressions import CHECK, RowScope, bound_condition
from tausql.sql.types import type_by_oid

_ENDS = ("CONSTRAINT", "CHECK", "NOT", "NULL", "DEFAULT", "COLLATE")


async def create_domain(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("CREATE", "DOMAIN")
    name = words.qualified_name()
    words.take("AS")
    type_, typmod, above = read_type(words, change.snapshot, change.search_path)
    if above is not None:
        raise not_supported("a domain over a domain not supported for CREATE DOMAIN")
    schema = creation_schema(change, name.schema)
    domain = Domain(0, schema.name, name.name, type_.oid, typmod, owner=change.user.oid)
    if (schema.name, name.name) in change.snapshot.objects.domains:
        raise SqlError(Code.duplicate_object, f'type "{name.name}" already exists')
    oid = await change.writer.take_oids(1)
    met: set[str] = set()
    while not words.ended:
        domain = await _constraint(change, words, domain, met)
    acl = initial_acl(change, schema.name, "T", change.user.oid)
    change.writer.add_object(msgspec.structs.replace(domain, oid=oid, acl=acl))
    return change.result("CREATE DOMAIN")


async def _constraint(change: SchemaChange, words: Words, domain: Domain, met: set[str]) -> Domain:
    name = words.name() if words.take("CONSTRAINT") else ""
    if words.take("COLLATE"):
        raise not_supported("COLLATE clause not supported")
    if words.take("DEFAULT"):
        if "default" in met:
            raise SqlError(Code.syntax_error, "multiple default expressions")
        met.add("default")
        return msgspec.structs.replace(domain, default=_default(change, domain, words.until(*_ENDS)))
    if words.take("NOT", "NULL") or words.next_is("NULL"):
        nullable = words.take("NULL")
        if "null" in met and nullable == domain.not_null:
            raise SqlError(Code.syntax_error, "conflicting NULL/NOT NULL constraints")
        met.add("null")
        return msgspec.structs.replace(domain, not_null=not nullable)
    for word in ("UNIQUE", "PRIMARY", "REFERENCES", "EXCLUDE"):
        if words.next_is(word):
            kind = {"UNIQUE": "unique", "PRIMARY": "primary key", "REFERENCES": "foreign key"}.get(word, "exclusion")
            raise SqlError(Code.syntax_error, f"{kind} constraints not possible for domains")
    words.expect("CHECK")
    return await _checked(change, domain, name, words.parenthesised())


async def _checked(change: SchemaChange, domain: Domain, name: str, text: str) -> Domain:
    node = parse_expression(text)
    bound_condition(node, RowScope("", (value_column(domain),), CHECK), "CHECK")
    taken = {known for known, _, _ in domain.checks}
    if name and name in taken:
        raise SqlError(Code.duplicate_object, f'constraint "{name}" for domain "{domain.name}" already exists')
    number = 0
    chosen = name or f"{domain.name}_check"
    while chosen in taken:
        number += 1
        chosen = f"{domain.name}_check{number}"
    oid = await change.writer.take_oids(1)
    check = (chosen, qualified_expression(change, node), oid)
    return msgspec.structs.replace(domain, checks=(*domain.checks, check))


def _default(change: SchemaChange, domain: Domain, text: str) -> str:
    node = parse_expression(text)
    params = ParamTypes()
    type_ = type_by_oid(domain.base_oid)
    assign(bind(node, EmptyScope(params)), type_, domain.typmod, domain.name, params)
    return qualified_expression(change, node)


def existing_domain(change: SchemaChange, name: QualifiedName) -> Domain:
    domain = existing_type(change, name)
    if domain.is_enum:
        raise SqlError(Code.wrong_object_type, f'"{name.name}" is not a domain')
    return domain


async def alter_domain(change: SchemaChange) -> DdlResult:
    """Aurora DSQL takes everything but ADD CONSTRAINT and SET NOT NULL, which would have to look at every row."""
    words = change.words()
    words.expect("ALTER", "DOMAIN")
    domain = existing_domain(change, words.qualified_name())
    check_owner(change, domain.owner, "type", domain.name)
    if words.next_is("ADD"):
        raise not_supported("unsupported ALTER DOMAIN ADD CONSTRAINT statement")
    if words.take("SET", "NOT", "NULL"):
        raise not_supported("unsupported ALTER DOMAIN SET NOT NULL statement")
    if words.take("VALIDATE"):
        raise not_supported("unsupported ALTER DOMAIN VALIDATE CONSTRAINT statement")
    changed = _altered(change, words, domain)
    words.expect_end()
    if changed is not None:
        change.writer.replace_object(changed)
    return change.result("ALTER DOMAIN")


def _altered(change: SchemaChange, words: Words, domain: Domain) -> Domain | None:
    if words.take("SET", "DEFAULT"):
        return msgspec.structs.replace(domain, default=_default(change, domain, words.rest()))
    if words.take("DROP", "DEFAULT"):
        return msgspec.structs.replace(domain, default=None)
    if words.take("DROP", "NOT", "NULL"):
        return msgspec.structs.replace(domain, not_null=False)
    if words.take("DROP", "CONSTRAINT"):
        return _without_check(change, words, domain)
    if words.take("RENAME", "CONSTRAINT"):
        old = words.name()
        words.expect("TO")
        new = words.name()
        if not any(name == old for name, _, _ in domain.checks):
            raise SqlError(Code.undefined_object, f'constraint "{old}" for domain {domain.name} does not exist')
        checks = tuple((new if name == old else name, text, oid) for name, text, oid in domain.checks)
        return msgspec.structs.replace(domain, checks=checks)
    if words.take("RENAME", "TO"):
        return _moved(change, domain, domain.schema, words.name())
    if words.take("SET", "SCHEMA"):
        return _moved(change, domain, creation_schema(change, words.name()).name, domain.name)
    if words.take("OWNER", "TO"):
        from tausql.sql.ddl.roles import new_owner, role_name

        return msgspec.structs.replace(domain, owner=new_owner(change, role_name(change, words)).oid)
    raise words.error()


def _without_check(change: SchemaChange, words: Words, domain: Domain) -> Domain | None:
    missing_ok = words.take("IF", "EXISTS")
    name = words.name()
    words.take_one("CASCADE", "RESTRICT")
    left = tuple(check for check in domain.checks if check[0] != name)
    if len(left) == len(domain.checks):
        missing = f'constraint "{name}" of domain "{domain.name}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_object, missing)
        change.notice(f"{missing}, skipping")
        return None
    return msgspec.structs.replace(domain, checks=left)


def _moved(change: SchemaChange, domain: Domain, schema: str, name: str) -> Domain:
    if (schema, name) in change.snapshot.objects.domains:
        raise SqlError(Code.duplicate_object, f'type "{name}" already exists in schema "{schema}"')
    return msgspec.structs.replace(domain, schema=schema, name=name)


async def drop_domain(change: SchemaChange) -> DdlResult:
    from tausql.sql.ddl.dependencies import drop_statement

    def named(schema: str | None, name: str) -> Domain | None:
        found = find(change, change.snapshot.objects.domains, schema, name)
        if found is not None and found.is_enum:
            raise SqlError(Code.wrong_object_type, f'"{name}" is not a domain')
        return found

    return await drop_statement(change, "domain", named)


HANDLERS = {"create_domain": create_domain, "alter_domain": alter_domain, "drop_domain": drop_domain}
