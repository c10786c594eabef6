"""ALTER DEFAULT PRIVILEGES, and the access list that a new object gets by them."""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.objects import Acl, DefaultAcl, Role
from tausql.sql.ddl.access_lists import combined
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.grants import KINDS, Order, changed, letters_of, read_grantees, read_privileges
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.roles import existing_role, role_name
from tausql.sql.privileges import ALL_PRIVILEGES, default_acl, has_role


async def alter_default_privileges(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER", "DEFAULT", "PRIVILEGES")
    roles: list[Role] = []
    schemas: list[str] = []
    while True:
        if words.take("FOR"):
            if not words.take_one("ROLE", "USER"):
                raise words.error()
            roles.append(existing_role(change, role_name(change, words)))
            while words.take(","):
                roles.append(existing_role(change, role_name(change, words)))
        elif words.take("IN", "SCHEMA"):
            schemas.append(words.name())
            while words.take(","):
                schemas.append(words.name())
        else:
            break
    order, kind = _read_default_order(change, words)
    for name in schemas:
        if name not in change.snapshot.objects.schemas:
            raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
    if kind == "n" and schemas:
        raise SqlError(Code.invalid_grant_operation, "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS")
    for role in roles or [change.user]:
        if not has_role(change.snapshot.objects, change.user, role.oid):
            raise SqlError(Code.insufficient_privilege, "permission denied to change default privileges")
        for schema in schemas or [""]:
            await _change_default(change, role, schema, kind, order)
    return change.result("ALTER DEFAULT PRIVILEGES")


def _read_default_order(change: SchemaChange, words: Words) -> tuple[Order, str]:
    verb = words.take_one("GRANT", "REVOKE")
    if not verb:
        raise words.error()
    is_grant = verb == "GRANT"
    option = not is_grant and words.take("GRANT", "OPTION", "FOR")
    privileges = read_privileges(words)
    words.expect("ON")
    kind = KINDS.get(words.peek())
    if kind is None or words.peek() not in ("TABLES", "SEQUENCES", "FUNCTIONS", "ROUTINES", "TYPES", "SCHEMAS"):
        raise words.error()
    words.at += 1
    if privileges.columns:
        raise SqlError(Code.invalid_grant_operation, "default privileges cannot be set for columns")
    words.expect("TO" if is_grant else "FROM")
    order = Order(is_grant, privileges, read_grantees(change, words), option)
    if is_grant and words.take("WITH", "GRANT", "OPTION"):
        order.option = True
    if not is_grant:
        order.cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    return order, kind


async def _change_default(change: SchemaChange, role: Role, schema: str, kind: str, order: Order) -> None:
    known = find_default(change, role.oid, schema, kind)
    base = default_acl(kind, role.oid) if not schema else ()
    letters = ALL_PRIVILEGES[kind] if order.privileges.everything else letters_of(order.privileges.words, kind)
    acl = changed(known.acl if known is not None else base, order, role.oid, letters, role.oid)
    if set(acl) == set(base):
        if known is not None:
            change.writer.remove_object(known)
        return
    if known is not None:
        change.writer.replace_object(msgspec.structs.replace(known, acl=acl))
        return
    oid = await change.writer.take_oids(1)
    change.writer.add_object(DefaultAcl(oid, role.oid, schema, kind, acl))


def find_default(change: SchemaChange, role: int, schema: str, kind: str) -> DefaultAcl | None:
    for item in change.snapshot.objects.default_acls:
        if (item.role, item.schema, item.kind) == (role, schema, kind):
            return item
    return None


def initial_acl(change: SchemaChange, schema: str, kind: str, owner: int) -> Acl:
    """The access list of what `owner` creates now, by his default privileges; None: the kind's own defaults."""
    everywhere = find_default(change, owner, "", kind)
    within = find_default(change, owner, schema, kind) if schema else None
    if everywhere is None and within is None:
        return None
    base = everywhere.acl if everywhere is not None else default_acl(kind, owner)
    acl = combined(within.acl if within is not None else (), base)
    return None if set(acl) == set(default_acl(kind, owner)) else acl


HANDLERS = {"alter_default_privileges": alter_default_privileges}
