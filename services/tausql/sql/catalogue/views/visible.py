"""What information_schema shows to whom: objects that the asking role owns or has some privilege on."""

from __future__ import annotations

from typing import Any

from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.facts import Facts
from tausql.sql.catalogue.objects import Sequence, View
from tausql.sql.privileges import column_held, has_role, held


def sees(facts: Facts, context: Any, item: Table | View | Sequence) -> bool:
    role = facts.objects.roles.get(context.session.user)
    if role is None:
        return True
    objects = facts.objects
    if has_role(objects, role, item.owner):
        return True
    if held(objects, role, item.acl, "S" if isinstance(item, Sequence) else "r", item.owner):
        return True
    columns = getattr(item, "columns", ())
    return any(column_held(objects, role, column.acl) for column in columns)


def yes_or_no(value: bool) -> str:
    return "YES" if value else "NO"
