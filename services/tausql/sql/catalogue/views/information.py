"""information_schema: what the SQL standard wants to know of a schema. As in PostgreSQL, a role sees in it what it has
some right to; the rest is not there.

So rows are kept for each user that asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tausql.sql.catalogue.access_lists import PRIVILEGES
from tausql.sql.catalogue.deparsing import argument_default_shown, default_shown, expression_shown
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.catalogue.facts import DATABASE_NAME, Facts, has_default
from tausql.sql.catalogue.objects import PUBLIC_OID, SUPERUSER_OID, Acl, Role, Sequence, View, ViewColumn
from tausql.sql.catalogue.shapes import Row, Shape, shapes
from tausql.sql.catalogue.temporary import is_temporary
from tausql.sql.catalogue.view_layout import view_shown
from tausql.sql.catalogue.views.information_constraints import CONSTRAINT_RELATIONS
from tausql.sql.catalogue.views.information_routines import ROUTINE_RELATIONS
from tausql.sql.catalogue.views.information_types import type_columns
from tausql.sql.catalogue.views.relation import Build, SessionBuild
from tausql.sql.catalogue.views.visible import sees, yes_or_no
from tausql.sql.privileges import effective_acl, roles_of
from tausql.sql.types.enums import is_enum_oid
from tausql.sql.types.registry import type_by_oid

_EVERYBODY: Final = "PUBLIC"


def _role(facts: Facts, context: Any) -> Role | None:
    return facts.objects.roles.get(context.session.user)


def _tables(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    def row(schema: str, name: str, kind: str, writable: bool) -> Row:
        return to.row(
            table_catalog=DATABASE_NAME, table_schema=schema, table_name=name, table_type=kind,
            is_insertable_into=yes_or_no(writable), is_typed="NO",
        )  # fmt: skip

    for table in facts.tables:
        if sees(facts, context, table):
            yield row(table.schema, table.name, "LOCAL TEMPORARY" if is_temporary(table.oid) else "BASE TABLE", True)
    for view in facts.views:
        if sees(facts, context, view):
            yield row(view.schema, view.name, "VIEW", False)
    for relation in shapes().values():
        yield row(relation.schema, relation.name, "VIEW" if relation.is_view else "BASE TABLE", False)


def _columns(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for table in facts.tables:
        if sees(facts, context, table):
            for column in table.live_columns:
                yield _table_column(facts, to, table, column)
    for view in facts.views:
        if sees(facts, context, view):
            for number, shown in enumerate(view.columns, 1):
                yield _view_column(facts, to, view, shown, number)
    for relation in shapes().values():
        for number, ((name, type), not_null) in enumerate(zip(relation.columns, relation.not_null, strict=True), 1):
            yield to.row(
                **_place(relation.schema, relation.name, name, number), is_nullable=yes_or_no(not not_null),
                **type_columns(facts, type.oid, -1), is_updatable="NO",
            )  # fmt: skip


def _place(schema: str, table: str, column: str, number: int) -> dict[str, Any]:
    return {
        "table_catalog": DATABASE_NAME, "table_schema": schema, "table_name": table, "column_name": column,
        "ordinal_position": number, "dtd_identifier": str(number), "is_self_referencing": "NO", "is_identity": "NO",
        "identity_cycle": "NO", "is_generated": "NEVER",
    }  # fmt: skip


def _table_column(facts: Facts, to: Shape, table: Table, column: Column) -> Row:
    values = _place(table.schema, table.name, column.name, column.position + 1)
    enum = facts.domains.get(column.domain) if is_enum_oid(column.type_oid) else None
    if enum is None:
        values.update(type_columns(facts, column.type_oid, column.typmod))
    else:
        values.update(
            data_type="USER-DEFINED", udt_catalog=DATABASE_NAME, udt_schema=enum.schema, udt_name=enum.name
        )  # fmt: skip
    if has_default(column) and column.default is not None:
        values["column_default"] = with_enum_names(
            default_shown(table, column.default, column), facts.objects, ("public",)
        )  # fmt: skip
    if column.generated is not None:
        values.update(
            is_generated="ALWAYS",
            generation_expression=with_enum_names(
                expression_shown(table, column.generated, False), facts.objects, ("public",)
            ),
        )  # fmt: skip
    domain = facts.domains.get(column.domain)
    if domain is not None and enum is None:
        values.update(domain_catalog=DATABASE_NAME, domain_schema=domain.schema, domain_name=domain.name)
    sequence = facts.objects.by_oid.get(column.sequence)
    if column.identity and isinstance(sequence, Sequence):
        values.update(
            is_identity="YES", identity_generation="ALWAYS" if column.identity == "a" else "BY DEFAULT",
            identity_start=str(sequence.start), identity_increment=str(sequence.increment),
            identity_maximum=str(sequence.maximum), identity_minimum=str(sequence.minimum),
            identity_cycle=yes_or_no(sequence.cycle),
        )  # fmt: skip
    values["is_nullable"] = yes_or_no(not column.not_null)
    values["is_updatable"] = "YES"
    return to.row(**values)


def _view_column(facts: Facts, to: Shape, view: View, shown: ViewColumn, number: int) -> Row:
    values = _place(view.schema, view.name, shown.name, number)
    values.update(type_columns(facts, shown.type_oid, shown.typmod))
    return to.row(**{**values, "is_nullable": "YES", "is_updatable": "NO", "column_default": shown.default})


def _schemata(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    role = _role(facts, context)
    mine = roles_of(facts.objects, role) if role is not None else frozenset()
    for schema in facts.objects.schemas.values():
        granted = any(grant.grantee in mine for grant in effective_acl(schema.acl, "n", schema.owner))
        if role is None or role.superuser or schema.owner in mine or granted or schema.owner == SUPERUSER_OID:
            yield to.row(
                catalog_name=DATABASE_NAME, schema_name=schema.name, schema_owner=facts.role_name(schema.owner)
            )


def _views(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for view in facts.views:
        if sees(facts, context, view):
            option = dict(view.options).get("check_option", "none")
            yield to.row(
                table_catalog=DATABASE_NAME, table_schema=view.schema, table_name=view.name,
                view_definition=with_enum_names(view_shown(view.query, ("public",)), facts.objects, ("public",)),
                check_option=option.upper(), is_updatable="NO",
                is_insertable_into="NO", is_trigger_updatable="NO", is_trigger_deletable="NO",
                is_trigger_insertable_into="NO",
            )  # fmt: skip
    for relation in shapes().values():
        if relation.is_view:
            yield to.row(
                table_catalog=DATABASE_NAME, table_schema=relation.schema, table_name=relation.name,
                check_option="NONE", is_updatable="NO", is_insertable_into="NO", is_trigger_updatable="NO",
                is_trigger_deletable="NO", is_trigger_insertable_into="NO",
            )  # fmt: skip


def _sequences(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for one in facts.sequences:
        if sees(facts, context, one) and not one.identity:
            type = type_by_oid(one.type_oid)
            yield to.row(
                sequence_catalog=DATABASE_NAME, sequence_schema=one.schema, sequence_name=one.name,
                data_type=type.sql_name, numeric_precision={"int2": 16, "int4": 32}.get(type.name, 64),
                numeric_precision_radix=2, numeric_scale=0, start_value=str(one.start),
                minimum_value=str(one.minimum), maximum_value=str(one.maximum), increment=str(one.increment),
                cycle_option=yes_or_no(one.cycle),
            )  # fmt: skip


def _domains(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for domain in (one for one in facts.domains.values() if not one.is_enum):
        default = domain.default
        yield to.row(
            domain_catalog=DATABASE_NAME, domain_schema=domain.schema, domain_name=domain.name,
            domain_default=argument_default_shown(default, domain.base_oid) if default is not None else None,
            dtd_identifier="1", **type_columns(facts, domain.base_oid, domain.typmod),
        )  # fmt: skip


# --- privileges ------------------------------------------------------------------------------------------------------


def _grants(facts: Facts, acl: Acl, kind: str, owner: int) -> Iterator[tuple[str, str, str, bool]]:
    """(grantor, grantee, privilege, whether it may be granted on); what an owner has it may grant."""
    for grant in effective_acl(acl, kind, owner):
        for letter in grant.privileges:
            grantable = letter in grant.grantable or grant.grantee == owner
            grantee = _EVERYBODY if grant.grantee == PUBLIC_OID else facts.role_name(grant.grantee)
            yield facts.role_name(grant.grantor), grantee, PRIVILEGES[letter], grantable


def _concerns(facts: Facts, context: Any, grantor: str, grantee: str) -> bool:
    """Shown are grants to and by roles the session has."""
    role = _role(facts, context)
    if role is None or role.superuser or grantee == _EVERYBODY:
        return True
    mine = roles_of(facts.objects, role)
    names = {facts.role_name(oid) for oid in mine}
    return grantor in names or grantee in names


def _table_grants(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    items: tuple[Table | View, ...] = (*facts.tables, *facts.views)
    for item in items:
        for grantor, grantee, privilege, grantable in _grants(facts, item.acl, "r", item.owner):
            if privilege == "MAINTAIN" or not _concerns(facts, context, grantor, grantee):
                continue
            if to.name == "role_table_grants" and grantee == _EVERYBODY:
                continue
            yield to.row(
                grantor=grantor, grantee=grantee, table_catalog=DATABASE_NAME, table_schema=item.schema,
                table_name=item.name, privilege_type=privilege, is_grantable=yes_or_no(grantable),
                with_hierarchy=yes_or_no(privilege == "SELECT"),
            )  # fmt: skip


def _column_grants(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    items: tuple[Table | View, ...] = (*facts.tables, *facts.views)
    for item in items:
        columns: Iterable[Column | ViewColumn] = item.live_columns if isinstance(item, Table) else item.columns
        whole = [one for one in _grants(facts, item.acl, "r", item.owner)
                 if one[2] in ("SELECT", "INSERT", "UPDATE", "REFERENCES")]  # fmt: skip
        for column in columns:
            own = list(_grants(facts, column.acl, "r", item.owner)) if column.acl is not None else []
            for grantor, grantee, privilege, grantable in dict.fromkeys(whole + own):
                if _concerns(facts, context, grantor, grantee):
                    yield to.row(
                        grantor=grantor, grantee=grantee, table_catalog=DATABASE_NAME, table_schema=item.schema,
                        table_name=item.name, column_name=column.name, privilege_type=privilege,
                        is_grantable=yes_or_no(grantable),
                    )  # fmt: skip


def _usage_grants(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    for one in facts.sequences:
        for grantor, grantee, privilege, grantable in _grants(facts, one.acl, "S", one.owner):
            if privilege == "USAGE" and _concerns(facts, context, grantor, grantee):
                yield [grantor, grantee, DATABASE_NAME, one.schema, one.name, "SEQUENCE", "USAGE",
                       yes_or_no(grantable)]  # fmt: skip


def _enabled_roles(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    role = _role(facts, context)
    if role is not None:
        yield from ([facts.role_name(oid)] for oid in sorted(roles_of(facts.objects, role)))


def _applicable_roles(facts: Facts, to: Shape, context: Any) -> Iterator[Row]:
    role = _role(facts, context)
    mine = roles_of(facts.objects, role) if role is not None else frozenset()
    for one in sorted(facts.objects.roles.values(), key=lambda each: each.oid):
        for membership in one.member_of:
            if one.oid in mine:
                yield [one.name, facts.role_name(membership.role), yes_or_no(membership.admin_option)]


# --- small ones ------------------------------------------------------------------------------------------------------


def _catalogue_name(facts: Facts, to: Shape) -> Iterator[Row]:
    yield [DATABASE_NAME]


def _character_sets(facts: Facts, to: Shape) -> Iterator[Row]:
    yield [None, None, "UTF8", "UCS", "UTF8", DATABASE_NAME, "pg_catalog", "default"]


def _collations(facts: Facts, to: Shape) -> Iterator[Row]:
    for name in ("default", "C", "POSIX"):
        yield [DATABASE_NAME, "pg_catalog", name, "NO PAD"]


def _view_tables(facts: Facts, to: Shape) -> Iterator[Row]:
    """view_table_usage and view_column_usage."""
    for view in facts.views:
        for oid, number in sorted(set(view.depends)):
            used = facts.relation(oid)
            if not isinstance(used, (Table, View)):
                continue
            row = [DATABASE_NAME, view.schema, view.name, DATABASE_NAME, used.schema, used.name]
            if to.name == "view_column_usage":
                if number:
                    yield [*row, used.columns[number - 1].name]
            elif number == 0 or (oid, 0) not in view.depends:
                yield row


def _column_types(facts: Facts, to: Shape) -> Iterator[Row]:
    """column_domain_usage and column_udt_usage."""
    for table in facts.tables:
        for column in table.live_columns:
            domain = facts.domains.get(column.domain)
            place = [DATABASE_NAME, table.schema, table.name, column.name]
            if to.name == "column_udt_usage":
                yield [DATABASE_NAME, "pg_catalog", type_by_oid(column.type_oid).name, *place]
            elif domain is not None:
                yield [DATABASE_NAME, domain.schema, domain.name, *place]


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "information_schema_catalog_name": _catalogue_name, "character_sets": _character_sets,
        "collations": _collations, "view_table_usage": _view_tables, "view_column_usage": _view_tables,
        "column_domain_usage": _column_types, "column_udt_usage": _column_types,
    }
)  # fmt: skip
SESSION_RELATIONS: Final[Mapping[str, SessionBuild]] = MappingProxyType(
    {
        "tables": _tables, "columns": _columns, "schemata": _schemata, "views": _views, "sequences": _sequences,
        "domains": _domains, "table_privileges": _table_grants, "role_table_grants": _table_grants,
        "column_privileges": _column_grants, "role_column_grants": _column_grants, "usage_privileges": _usage_grants,
        "role_usage_grants": _usage_grants, "enabled_roles": _enabled_roles, "applicable_roles": _applicable_roles,
        "administrable_role_authorizations": _applicable_roles, **CONSTRAINT_RELATIONS, **ROUTINE_RELATIONS,
    }
)  # fmt: skip
