"""Who may do what with which object: PostgreSQL's access lists, read the way PostgreSQL reads them.

A list that is not there (None) is not an empty one: it means the kind's defaults, all to the owner and, for functions
and types, their use by everybody. A role has what is granted to it, to PUBLIC, and to every role it inherits from.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.objects import PUBLIC_OID, SUPERUSER_OID, Acl, Grant, Objects, Role

# By kind of object: r tables and views, S sequences, n schemas, f functions, T types, d databases.
ALL_PRIVILEGES: Final = MappingProxyType({"r": "arwdDxt", "S": "rwU", "n": "UC", "f": "X", "T": "U", "d": "CTc"})
_PUBLIC_DEFAULTS: Final = MappingProxyType({"f": "X", "T": "U", "d": "Tc"})
COLUMN_PRIVILEGES: Final = "arwx"

NAMES: Final = MappingProxyType(
    {
        "SELECT": "r", "UPDATE": "w", "INSERT": "a", "DELETE": "d", "TRUNCATE": "D", "REFERENCES": "x", "TRIGGER": "t",
        "MAINTAIN": "m", "USAGE": "U", "CREATE": "C", "EXECUTE": "X", "CONNECT": "c", "TEMPORARY": "T", "TEMP": "T",
    }
)  # fmt: skip


def default_acl(kind: str, owner: int) -> tuple[Grant, ...]:
    """What a missing access list stands for."""
    grants = (Grant(owner, owner, ALL_PRIVILEGES[kind]),)
    public = _PUBLIC_DEFAULTS.get(kind)
    return grants if public is None else (Grant(PUBLIC_OID, owner, public), *grants)


def effective_acl(acl: Acl, kind: str, owner: int) -> tuple[Grant, ...]:
    return default_acl(kind, owner) if acl is None else acl


def roles_of(objects: Objects, role: Role) -> frozenset[int]:
    """Oids of the roles whose privileges `role` has: itself and what it inherits from, directly or not."""
    found = {role.oid}
    pending = [role]
    while pending:
        for membership in pending.pop().member_of:
            if membership.inherit and membership.role not in found:
                found.add(membership.role)
                other = objects.roles_by_oid.get(membership.role)
                if other is not None:
                    pending.append(other)
    return frozenset(found)


def is_member(objects: Objects, role: Role, of: int) -> bool:
    """Whether `role` is a member of `of`, with or without inheriting from it. A superuser is one of every role."""
    if role.superuser or role.oid == of:
        return True
    found = {role.oid}
    pending = [role]
    while pending:
        for membership in pending.pop().member_of:
            if membership.role == of:
                return True
            if membership.role not in found:
                found.add(membership.role)
                other = objects.roles_by_oid.get(membership.role)
                if other is not None:
                    pending.append(other)
    return False


def has_role(objects: Objects, role: Role, wanted: int) -> bool:
    """Whether `role` acts with the privileges of `wanted`: is it, inherits from it, or is a superuser."""
    return role.oid == wanted or role.superuser or wanted in roles_of(objects, role)


def held(objects: Objects, role: Role, acl: Acl, kind: str, owner: int, grantable: bool = False) -> str:
    """The letters of the privileges `role` has. `grantable`: only those it may grant on."""
    if role.superuser or (has_role(objects, role, owner) and grantable):
        return ALL_PRIVILEGES[kind]
    mine = roles_of(objects, role)
    letters: set[str] = set()
    for grant in effective_acl(acl, kind, owner):
        if grant.grantee in mine or (grant.grantee == PUBLIC_OID and not grantable):
            letters.update(grant.grantable if grantable else grant.privileges)
    return "".join(sorted(letters))


def has_privilege(
    objects: Objects, role: Role, acl: Acl, kind: str, owner: int, letter: str, grantable: bool = False
) -> bool:
    """Whether `role` has the privilege `letter`. The system's own relations (owned by the superuser) are readable."""
    if acl is None and owner == role.oid:
        return True
    if owner == SUPERUSER_OID and acl is None and letter in "rUX" and not grantable:
        return True
    return letter in held(objects, role, acl, kind, owner, grantable)


def column_held(objects: Objects, role: Role, acl: Acl, grantable: bool = False) -> str:
    """The letters of the privileges a column's own list gives `role`, beyond those on its table."""
    if acl is None:
        return ""
    mine = roles_of(objects, role)
    letters: set[str] = set()
    for grant in acl:
        if grant.grantee in mine or (grant.grantee == PUBLIC_OID and not grantable):
            letters.update(grant.grantable if grantable else grant.privileges)
    return "".join(sorted(letters))


def permission_denied(what: str, name: str) -> SqlError:
    """42501; `what` as in `permission denied for table x`."""
    return SqlError(Code.insufficient_privilege, f"permission denied for {what} {name}")


def must_be_owner(what: str, name: str) -> SqlError:
    return SqlError(Code.insufficient_privilege, f"must be owner of {what} {name}")
