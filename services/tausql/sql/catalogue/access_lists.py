"""Access lists as `aclitem[]` shows them, and what a kind of object grants where nobody has granted anything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.objects import PUBLIC_OID, Acl, Grant
from tausql.sql.catalogue.quoting import quoted

# Letters in PostgreSQL's order, with the words of has_*_privilege and of information_schema.
PRIVILEGES: Final = {
    "a": "INSERT", "r": "SELECT", "w": "UPDATE", "d": "DELETE", "D": "TRUNCATE", "x": "REFERENCES", "t": "TRIGGER",
    "X": "EXECUTE", "U": "USAGE", "C": "CREATE", "T": "TEMPORARY", "c": "CONNECT", "s": "SET", "A": "ALTER SYSTEM",
    "m": "MAINTAIN",
}  # fmt: skip
_ORDER: Final = "".join(PRIVILEGES)
# acldefault(): kind -> (all that the owner has, what everybody has)
_DEFAULTS: Final = {
    "r": ("arwdDxt", ""), "s": ("rwU", ""), "f": ("X", "X"), "T": ("U", "U"), "n": ("UC", ""), "d": ("CTc", "Tc"),
    "l": ("U", "U"), "t": ("C", ""), "c": ("", ""), "L": ("rw", ""), "F": ("U", ""), "S": ("U", ""), "p": ("sA", ""),
}  # fmt: skip


def acl_items(facts: Facts, acl: Acl) -> list[str] | None:
    """`grantee=privileges/grantor` each, `*` behind a privilege that may be granted on; NULL where none is kept."""
    if acl is None:
        return None
    return [item_text(facts, grant) for grant in acl]


def item_text(facts: Facts, grant: Grant) -> str:
    letters = "".join(
        letter + ("*" if letter in grant.grantable else "") for letter in _ORDER if letter in grant.privileges
    )
    grantee = "" if grant.grantee == PUBLIC_OID else _role_text(facts, grant.grantee)
    return f"{grantee}={letters}/{_role_text(facts, grant.grantor)}"


def _role_text(facts: Facts, oid: int) -> str:
    role = facts.objects.roles_by_oid.get(oid)
    return str(oid) if role is None else quoted(role.name)


def default_acl(kind: str, owner: int) -> tuple[Grant, ...]:
    """acldefault(): the access list of an object of this kind that has none. Raises XX000 for no kind."""
    if kind not in _DEFAULTS:
        raise SqlError(Code.internal_error, f"unrecognized object type abbreviation: {kind}")
    own, everybody = _DEFAULTS[kind]
    found: list[Grant] = []
    if everybody:
        found.append(Grant(PUBLIC_OID, owner, everybody))
    if own:
        found.append(Grant(owner, owner, own))
    return tuple(found)


def parsed_items(facts: Facts, items: Sequence[str]) -> list[Grant]:
    """`acl_items` read back."""
    found: list[Grant] = []
    for item in items:
        who, _, rest = item.rpartition("=")
        letters, _, grantor = rest.partition("/")
        granted = "".join(letter for letter in letters if letter != "*")
        grantable = "".join(letter for letter, star in pairwise(letters) if star == "*")
        found.append(Grant(_role(facts, who), _role(facts, grantor), granted, grantable))
    return found


def _role(facts: Facts, name: str) -> int:
    if not name:
        return PUBLIC_OID
    role = facts.objects.roles.get(name.strip('"').replace('""', '"'))
    return role.oid if role is not None else PUBLIC_OID
