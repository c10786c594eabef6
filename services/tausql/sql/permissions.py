"""What a plan needs privileges for, and whether a role has them.

A plan is shared by every session, whoever its user is, so it does not know whether it may be run: it lists what it
needs. That is looked at once a plan and user. What a view reads is read with the rights of the view's owner.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue import objects as o
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import SUPERUSER_OID, Function, Role, Schema, View
from tausql.sql.privileges import column_held, has_privilege, held, permission_denied, roles_of


class Need(msgspec.Struct, frozen=True, gc=False):
    """All of `letters` on one object; on a table or a view, on each of `columns` (attnums) is enough. `role`: whose
    rights count, 0 = the user's."""

    oid: int
    letters: str
    columns: tuple[int, ...] = ()
    role: int = 0


Versions = tuple[tuple[int, int], ...]


def permit(needs: Sequence[Need], snapshot: Snapshot, user: str) -> Versions:
    """The roles and schemas that the answer relies on, with their versions. Raises 42501, 42704."""
    objects = snapshot.objects
    role = objects.roles.get(user)
    if role is None:
        raise SqlError(Code.undefined_object, f'role "{user}" does not exist')
    relied: dict[int, int] = {}
    for need in needs:
        whose = role if not need.role else objects.roles_by_oid.get(need.role)
        if whose is None:
            raise SqlError(Code.undefined_object, f"role with OID {need.role} does not exist")
        if not _owns(snapshot, need, whose):
            _check(snapshot, need, whose)
            schema = objects.by_oid.get(need.oid)
            if isinstance(schema, Schema) and schema.version:
                relied[schema.oid] = schema.version
            for oid in roles_of(objects, whose):
                other = objects.roles_by_oid.get(oid)
                if other is not None and other.version:
                    relied[oid] = other.version
    return tuple(relied.items())


def _owns(snapshot: Snapshot, need: Need, role: Role) -> bool:
    """The owner's rights that nobody has taken from him: the common case."""
    table = snapshot.by_oid.get(need.oid)
    if table is not None:
        return table.owner == role.oid and table.acl is None
    item = snapshot.objects.by_oid.get(need.oid)
    return isinstance(item, View | Function | Schema | o.Sequence) and item.owner == role.oid and item.acl is None


def _check(snapshot: Snapshot, need: Need, role: Role) -> None:
    objects = snapshot.objects
    found = snapshot.by_oid.get(need.oid) or objects.by_oid.get(need.oid)
    match found:
        case Table() | View():
            _check_relation(snapshot, need, role, found)
        case Function():
            if not has_privilege(objects, role, found.acl, "f", found.owner, "X"):
                raise permission_denied("function", found.name)
        case o.Sequence():
            if not has_privilege(objects, role, found.acl, "S", found.owner, "r"):
                raise permission_denied("sequence", found.name)
        case Schema():
            if found.owner != SUPERUSER_OID and not has_privilege(objects, role, found.acl, "n", found.owner, "U"):
                raise permission_denied("schema", found.name)
        case _:
            raise SqlError(Code.undefined_object, f"there is no object with OID {need.oid}")


def _check_relation(snapshot: Snapshot, need: Need, role: Role, relation: Table | View) -> None:
    objects = snapshot.objects
    letters = held(objects, role, relation.acl, "r", relation.owner)
    for letter in need.letters:
        if letter in letters:
            continue
        acls = [column.acl for column in relation.columns]
        if need.columns:
            enough = all(letter in column_held(objects, role, acls[attnum - 1]) for attnum in need.columns)
        else:  # no column at all is read, as by count(*): a right on any will do
            enough = letter in "ra" and any(letter in column_held(objects, role, acl) for acl in acls)
        if not enough:
            raise permission_denied("view" if isinstance(relation, View) else "table", relation.name)
