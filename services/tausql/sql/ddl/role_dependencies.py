"""What a role owns and what was granted to it: why it cannot be dropped."""

from __future__ import annotations

from tausql.sql.catalogue.objects import Acl, DefaultAcl, Domain, Function, Role, Schema, Statistics, View
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.dependencies import Item, description, kind_of_object


def depending_on_role(change: SchemaChange, role: Role) -> list[str]:
    """What a role owns and what was granted to it, oldest first, as the DETAIL of the refusal lists it."""
    found: list[tuple[int, int, str]] = [(0, at, f"link with {arn}") for at, (arn, _, _) in enumerate(role.iam)]

    def look(owner: int, acl: Acl, item: Item) -> None:
        if owner == role.oid:
            found.append((item.oid, item.attnum, f"owner of {description(change, item)}"))
        elif acl is not None and any(role.oid in (grant.grantee, grant.grantor) for grant in acl):
            found.append((item.oid, item.attnum, f"privileges for {description(change, item)}"))

    for table in change.snapshot.by_oid.values():
        look(table.owner, table.acl, Item("table", table.oid))
        for column in table.live_columns:
            look(0, column.acl, Item("column", table.oid, column.position + 1))
    for item in change.snapshot.objects.by_oid.values():
        if isinstance(item, DefaultAcl):
            text = _default_dependency(change, role, item)
            if text:
                found.append((item.oid, 0, text))
        elif isinstance(item, Schema | View | SequenceObject | Function | Domain):
            look(item.owner, item.acl, Item(kind_of_object(item), item.oid))
        elif isinstance(item, Statistics):
            look(item.owner, None, Item("statistics", item.oid))
    return [text for _, _, text in sorted(found)]


def _default_dependency(change: SchemaChange, role: Role, item: DefaultAcl) -> str:
    owner = change.snapshot.objects.roles_by_oid[item.role].name
    within = f" in schema {item.schema}" if item.schema else ""
    on_new = f"default privileges on new {_KINDS[item.kind]} belonging to role {owner}{within}"
    if item.role == role.oid:
        return f"owner of {on_new}"
    return f"privileges for {on_new}" if any(grant.grantee == role.oid for grant in item.acl) else ""


_KINDS = {"r": "relations", "S": "sequences", "f": "functions", "T": "types", "n": "schemas"}
