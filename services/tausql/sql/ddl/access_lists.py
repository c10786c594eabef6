"""Access lists as values: what GRANT adds, what REVOKE takes, and what goes with it."""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.objects import PUBLIC_OID, Acl, Grant
from tausql.sql.privileges import effective_acl

_ORDER = "arwdDxtmXUCTcsA"


def ordered(letters: str) -> str:
    """Letters as aclitem shows them."""
    return "".join(letter for letter in _ORDER if letter in letters)


def granted(acl: tuple[Grant, ...], grantee: int, grantor: int, letters: str, option: bool) -> tuple[Grant, ...]:
    """The list with these privileges added."""
    found: list[Grant] = []
    done = False
    for grant in acl:
        if (grant.grantee, grant.grantor) == (grantee, grantor):
            more = ordered(grant.grantable + letters) if option else grant.grantable
            grant = Grant(grantee, grantor, ordered(grant.privileges + letters), more)
            done = True
        found.append(grant)
    if not done:
        found.append(Grant(grantee, grantor, ordered(letters), ordered(letters) if option else ""))
    return tuple(found)


def revoked(
    acl: tuple[Grant, ...], grantee: int, grantor: int, letters: str, only_option: bool, cascade: bool, owner: int
) -> tuple[Grant, ...]:
    """The list without these privileges. Raises 2BP01 where others were granted on by right of them."""
    lost = ""
    found: list[Grant] = []
    for grant in acl:
        if (grant.grantee, grant.grantor) == (grantee, grantor):
            lost += "".join(letter for letter in letters if letter in grant.grantable)
            left = grant.privileges if only_option else _without(grant.privileges, letters)
            grant = Grant(grantee, grantor, left, _without(grant.grantable, letters))
        if grant.privileges:
            found.append(grant)
    result = tuple(found)
    if lost and grantee not in (owner, PUBLIC_OID):
        result = _without_dependent(result, grantee, lost, cascade, owner)
    return result


def _without(letters: str, gone: str) -> str:
    return "".join(letter for letter in letters if letter not in gone)


def _without_dependent(acl: tuple[Grant, ...], role: int, lost: str, cascade: bool, owner: int) -> tuple[Grant, ...]:
    """What `role` granted by right of a grant option that is gone (and nobody else gave it) goes too."""
    still = "".join(grant.grantable for grant in acl if grant.grantee == role)
    gone = _without(lost, still)
    for grant in acl:
        dependent = "".join(letter for letter in grant.privileges if letter in gone)
        if grant.grantor == role and dependent:
            if not cascade:
                raise SqlError(
                    Code.dependent_objects_still_exist,
                    "dependent privileges exist",
                    hint="Use CASCADE to revoke them too.",
                )
            return _without_dependent(
                revoked(acl, grant.grantee, role, dependent, False, True, owner), role, lost, cascade, owner
            )
    return acl


def combined(schema_wide: tuple[Grant, ...], everywhere: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Two lists as one."""
    result = everywhere
    for grant in schema_wide:
        plain = _without(grant.privileges, grant.grantable)
        if plain:
            result = granted(result, grant.grantee, grant.grantor, plain, False)
        if grant.grantable:
            result = granted(result, grant.grantee, grant.grantor, grant.grantable, True)
    return result


def owner_changed(acl: Acl, old: int, new: int) -> Acl:
    """ALTER ... OWNER TO: what the old owner had and gave is the new one's."""
    if acl is None:
        return None
    result: tuple[Grant, ...] = ()
    for grant in acl:
        grantee = new if grant.grantee == old else grant.grantee
        grantor = new if grant.grantor == old else grant.grantor
        result = combined((msgspec.structs.replace(grant, grantee=grantee, grantor=grantor),), result)
    return result


def start(acl: Acl, kind: str, owner: int) -> tuple[Grant, ...]:
    """The list that a first GRANT or REVOKE changes."""
    return effective_acl(acl, kind, owner)
