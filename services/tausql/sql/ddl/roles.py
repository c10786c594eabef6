"""CREATE, ALTER and DROP ROLE (USER, GROUP), and membership: GRANT role TO role.

Aurora DSQL's roles have no passwords: who may connect as one is said elsewhere. `admin` creates them, and can make
itself a member of any.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import ADMIN_OID, BUILT_IN, Membership, Role
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.role_dependencies import depending_on_role
from tausql.sql.privileges import has_role, is_member

ROLES_MAX = 10_000
_FLAGS = {
    "SUPERUSER": ("superuser", True), "NOSUPERUSER": ("superuser", False), "CREATEDB": ("create_db", True),
    "NOCREATEDB": ("create_db", False), "CREATEROLE": ("create_role", True), "NOCREATEROLE": ("create_role", False),
    "INHERIT": ("inherit", True), "NOINHERIT": ("inherit", False), "LOGIN": ("login", True),
    "NOLOGIN": ("login", False),
}  # fmt: skip
_REFUSED = ("REPLICATION", "NOREPLICATION", "BYPASSRLS", "NOBYPASSRLS", "PASSWORD", "ENCRYPTED", "UNENCRYPTED", "VALID",
            "CONNECTION", "SYSID")  # fmt: skip


def role_name(change: SchemaChange, words: Words) -> str:
    """A role's name, or one of the words that mean the user."""
    quoted = not words.ended and words.tokens[words.at].kind == "quoted"
    name = words.name()
    if not quoted and name in ("current_user", "current_role", "session_user"):
        return change.context.session.session_user if name == "session_user" else change.user.name
    return name


def existing_role(change: SchemaChange, name: str) -> Role:
    role = change.snapshot.objects.roles.get(name)
    if role is None:
        raise SqlError(Code.undefined_object, f'role "{name}" does not exist')
    return role


def new_owner(change: SchemaChange, name: str) -> Role:
    """The role an object is given to. Raises 42704, and 42501 unless the user could act as that role."""
    role = existing_role(change, name)
    if not is_member(change.snapshot.objects, change.user, role.oid):
        raise SqlError(
            Code.insufficient_privilege,
            f'must be able to SET ROLE "{name}"',
        )
    return role


def _check_new_name(name: str) -> None:
    if name in ("public", "none"):
        raise SqlError(Code.reserved_name, f'role name "{name}" is reserved')
    if name.startswith("pg_"):
        raise SqlError(
            Code.reserved_name,
            f'role name "{name}" is reserved',
            detail='Role names starting with "pg_" are reserved.',
        )


async def create_role(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("CREATE")
    kind = words.take_one("ROLE", "USER", "GROUP")
    name = words.name()
    words.take("WITH")
    fields: dict[str, bool] = {"login": kind == "USER"}
    joins: dict[str, list[str]] = {"in": [], "members": [], "admins": []}
    while not words.ended:
        _read_option(change, words, fields, joins)
    _check_may_create(change)
    _check_new_name(name)
    if name in change.snapshot.objects.roles:
        raise SqlError(Code.duplicate_object, f'role "{name}" already exists')
    for field, option in (("superuser", "SUPERUSER"), ("create_db", "CREATEDB")):
        if fields.get(field):
            raise not_supported(f"{option} not supported for CREATE ROLE")
    if len(change.snapshot.objects.roles) >= ROLES_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {ROLES_MAX} roles not allowed")
    oid = await change.writer.take_oids(1)
    member_of = tuple(
        Membership(existing_role(change, other).oid, change.user.oid, inherit=fields.get("inherit", True))
        for other in joins["in"]
    )
    change.writer.add_object(msgspec.structs.replace(Role(oid, name), **fields, member_of=member_of))
    creator = change.user
    if not creator.superuser:  # who creates a role administers it, and may make himself a member
        _join(change, creator, Membership(oid, 10, True, False, False))
    for field, admin in (("members", False), ("admins", True)):
        for other in joins[field]:
            _join(change, existing_role(change, other), Membership(oid, change.user.oid, admin))
    return change.result("CREATE ROLE")


def _read_option(change: SchemaChange, words: Words, fields: dict[str, bool], joins: dict[str, list[str]]) -> None:
    word = words.peek()
    if word in _FLAGS:
        words.at += 1
        field, value = _FLAGS[word]
        fields[field] = value
    elif word in _REFUSED:
        name = "CONNECTION LIMIT" if word == "CONNECTION" else "VALID UNTIL" if word == "VALID" else word
        if name in ("ENCRYPTED", "UNENCRYPTED"):
            name = "PASSWORD"
        raise not_supported(f"{name} not supported for {change.statement.tag}")
    elif words.take("IN", "ROLE") or words.take("IN", "GROUP"):
        joins["in"] += _names(change, words)
    elif words.take_one("ROLE", "USER"):
        joins["members"] += _names(change, words)
    elif words.take("ADMIN"):
        joins["admins"] += _names(change, words)
    else:
        raise words.error()


def _names(change: SchemaChange, words: Words) -> list[str]:
    found = [role_name(change, words)]
    while words.take(","):
        found.append(role_name(change, words))
    return found


def _check_may_create(change: SchemaChange) -> None:
    user = change.user
    if not (user.superuser or user.create_role):
        raise SqlError(
            Code.insufficient_privilege,
            "permission denied to create role",
            detail="Only roles with the CREATEROLE attribute may create roles.",
        )


def _join(change: SchemaChange, role: Role, membership: Membership) -> None:
    """Makes `role` a member; what was granted before is kept where the new grant says less."""
    role = _as_changed(change, role)
    kept = tuple(one for one in role.member_of if one.role != membership.role)
    change.writer.replace_object(msgspec.structs.replace(role, member_of=(*kept, membership)))


def _as_changed(change: SchemaChange, role: Role) -> Role:
    """A role with what this statement has made of it already."""
    found = change.writer.changed_object(role.oid)
    return found if isinstance(found, Role) else role


async def alter_role(change: SchemaChange) -> DdlResult:
    """RENAME TO, and the attributes that are no password; ALTER GROUP ADD and DROP USER."""
    words = change.words()
    words.expect("ALTER")
    kind = words.take_one("ROLE", "USER", "GROUP")
    name = "all" if words.take("ALL") else role_name(change, words)
    if words.next_is("SET") or words.next_is("RESET") or words.next_is("IN"):
        raise not_supported("unsupported statement: AlterRoleSet")
    role = existing_role(change, name)
    if kind == "GROUP" and words.peek() in ("ADD", "DROP"):
        return _alter_group(change, role, words)
    if role.oid == ADMIN_OID or role.superuser:
        raise not_supported(f"Role {role.name} not supported")
    _check_manages(change, role, "alter")
    if words.take("RENAME", "TO"):
        new = words.name()
        words.expect_end()
        _check_new_name(new)
        if new in change.snapshot.objects.roles:
            raise SqlError(Code.duplicate_object, f'role "{new}" already exists')
        change.writer.replace_object(msgspec.structs.replace(role, name=new))
        return change.result("ALTER ROLE")
    words.take("WITH")
    fields: dict[str, bool] = {}
    while not words.ended:
        _read_option(change, words, fields, {"in": [], "members": [], "admins": []})
    for field, option in (("superuser", "SUPERUSER"), ("create_db", "CREATEDB")):
        if fields.get(field):
            raise not_supported(f"{option} not supported for ALTER ROLE")
    change.writer.replace_object(msgspec.structs.replace(role, **fields))
    return change.result("ALTER ROLE")


def _alter_group(change: SchemaChange, role: Role, words: Words) -> DdlResult:
    add = words.take_one("ADD", "DROP") == "ADD"
    words.expect("USER")
    names = _names(change, words)
    words.expect_end()
    _check_admin_of(change, role, "grant" if add else "revoke")
    for name in names:
        member = existing_role(change, name)
        if add:
            grant_membership(change, role, member, Membership(role.oid, change.user.oid))
        else:
            _leave(change, member, role)
    return change.result("ALTER ROLE")


def _check_manages(change: SchemaChange, role: Role, verb: str) -> None:
    user = change.user
    if user.superuser or (user.create_role and _administers(change, user, role)):
        return
    raise SqlError(
        Code.insufficient_privilege,
        f"permission denied to {verb} role",
        detail=f'Only roles with the CREATEROLE attribute and the ADMIN option on role "{role.name}" may '
        f"{verb} this role.",
    )


def _administers(change: SchemaChange, user: Role, role: Role) -> bool:
    """`admin` administers every role but the system's own; others those they hold with ADMIN OPTION."""
    if user.superuser or has_role(change.snapshot.objects, user, ADMIN_OID):
        return not role.superuser
    return any(membership.role == role.oid and membership.admin_option for membership in user.member_of)


def _check_admin_of(change: SchemaChange, role: Role, verb: str) -> None:
    if not _administers(change, change.user, role):
        raise SqlError(
            Code.insufficient_privilege,
            f'permission denied to {verb} role "{role.name}"',
            detail=f'Only roles with the ADMIN option on role "{role.name}" may {verb} this role.',
        )


async def drop_role(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("DROP")
    words.take_one("ROLE", "USER", "GROUP")
    missing_ok = words.take("IF", "EXISTS")
    names = _names(change, words)
    words.expect_end()
    if not (change.user.superuser or change.user.create_role):
        raise SqlError(
            Code.insufficient_privilege,
            "permission denied to drop role",
            detail="Only roles with the CREATEROLE attribute and the ADMIN option on the target roles may drop roles.",
        )
    for name in names:
        if not missing_ok:
            existing_role(change, name)
    for name in names:
        role = change.snapshot.objects.roles.get(name)
        if role is None:
            if not missing_ok:
                raise SqlError(Code.undefined_object, f'role "{name}" does not exist')
            change.notice(f'role "{name}" does not exist, skipping')
            continue
        if role.oid == change.user.oid:
            raise SqlError(Code.object_in_use, "current user cannot be dropped")
        if any(role.oid == item.oid for item in BUILT_IN):
            raise not_supported(f"Role {name} not supported")
        _check_manages(change, role, "drop")
        lines = depending_on_role(change, role)
        if lines:
            raise SqlError(
                Code.dependent_objects_still_exist,
                f"role {name} cannot be dropped because some objects depend on it",
                detail="\n".join(lines),
            )
        for other in change.snapshot.objects.roles.values():
            if other.oid != role.oid and any(m.role == role.oid for m in other.member_of):
                _leave(change, other, role)
        change.writer.remove_object(role)
    return change.result("DROP ROLE")


# --- membership --------------------------------------------------------------------------------------------------


def grant_roles(change: SchemaChange, roles: list[str], members: list[str], options: dict[str, bool]) -> DdlResult:
    """GRANT role, ... TO role, ... [WITH ADMIN OPTION]. Raises 42704, 42501, 0LP01 for a circle."""
    for name in roles:
        role = existing_role(change, name)
        _check_admin_of(change, role, "grant")
        for other in members:
            member = existing_role(change, other)
            membership = Membership(
                role.oid,
                change.user.oid,
                options.get("admin", False),
                options.get("inherit", member.inherit),
                options.get("set", True),
            )
            grant_membership(change, role, member, membership)
    return change.result("GRANT ROLE")


def grant_membership(change: SchemaChange, role: Role, member: Role, membership: Membership) -> None:
    if role.oid == member.oid or is_member(change.writer.changed_snapshot().objects, role, member.oid):
        raise SqlError(Code.invalid_grant_operation, f'role "{role.name}" is a member of role "{member.name}"')
    before = next((one for one in _as_changed(change, member).member_of if one.role == role.oid), None)
    if before is not None:
        if not membership.admin_option and before.inherit and before.set_option:
            change.notice(
                f'role "{member.name}" has already been granted membership in role "{role.name}" by role '
                f'"{change.user.name}"'
            )
            return
        if before.admin_option:
            membership = msgspec.structs.replace(membership, admin_option=True)
    _join(change, member, membership)


def revoke_roles(change: SchemaChange, roles: list[str], members: list[str], option: str) -> DdlResult:
    """REVOKE [ADMIN | INHERIT | SET OPTION FOR] role, ... FROM role, ..."""
    for name in roles:
        role = existing_role(change, name)
        _check_admin_of(change, role, "revoke")
        for other in members:
            member = existing_role(change, other)
            if option:
                _lose_option(change, member, role, option)
            else:
                _leave(change, member, role)
    return change.result("REVOKE ROLE")


def _lose_option(change: SchemaChange, member: Role, role: Role, option: str) -> None:
    member = _as_changed(change, member)
    field = {"admin": "admin_option", "inherit": "inherit", "set": "set_option"}[option]
    left = tuple(
        msgspec.structs.replace(one, **{field: False}) if one.role == role.oid else one for one in member.member_of
    )
    change.writer.replace_object(msgspec.structs.replace(member, member_of=left))


def _leave(change: SchemaChange, member: Role, role: Role) -> None:
    member = _as_changed(change, member)
    left = tuple(one for one in member.member_of if one.role != role.oid)
    if len(left) == len(member.member_of):
        change.notices.append(
            SqlError(
                Code.warning,
                f'role "{member.name}" has not been granted membership in role "{role.name}" by role '
                f'"{change.user.name}"',
                severity="WARNING",
            )
        )
        return
    change.writer.replace_object(msgspec.structs.replace(member, member_of=left))


_CREATE = {f"create_{kind}": create_role for kind in ("role", "user", "group")}
_ALTER = {f"alter_{kind}": alter_role for kind in ("role", "user", "group")}
_DROP = {f"drop_{kind}": drop_role for kind in ("role", "user", "group")}
HANDLERS = {**_CREATE, **_ALTER, **_DROP}
