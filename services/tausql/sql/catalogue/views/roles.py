"""Schemas, roles, who is a member of what, the database: what is shared by all that is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tausql.sql.catalogue.access_lists import acl_items, item_text
from tausql.sql.catalogue.facts import DATABASE_NAME, DATABASE_OID, PG_CLASS, PG_NAMESPACE, SYSTEM_ACL, Facts
from tausql.sql.catalogue.objects import ADMIN_OID, BUILT_IN, SUPERUSER_OID, Role, Schema
from tausql.sql.catalogue.shapes import Row, Shape, shapes
from tausql.sql.catalogue.views.relation import Build

_UTF8: Final = 6


def _namespaces(facts: Facts, to: Shape) -> Iterator[Row]:
    for schema in facts.objects.schemas.values():
        yield [schema.oid, schema.name, schema.owner, acl_items(facts, schema.acl)]


def roles(facts: Facts) -> list[Role]:
    return sorted(facts.objects.roles.values(), key=lambda role: role.oid)


def _roles(facts: Facts, to: Shape) -> Iterator[Row]:
    for role in roles(facts):
        yield to.row(
            rolname=role.name, rolsuper=role.superuser, rolinherit=role.inherit, rolcreaterole=role.create_role,
            rolcreatedb=role.create_db, rolcanlogin=role.login, rolreplication=False, rolbypassrls=role.superuser,
            rolconnlimit=role.connection_limit, rolpassword="********", oid=role.oid,
        )  # fmt: skip


def _authids(facts: Facts, to: Shape) -> Iterator[Row]:
    for role in roles(facts):
        yield to.row(
            oid=role.oid, rolname=role.name, rolsuper=role.superuser, rolinherit=role.inherit,
            rolcreaterole=role.create_role, rolcreatedb=role.create_db, rolcanlogin=role.login,
            rolbypassrls=role.superuser, rolconnlimit=role.connection_limit,
        )  # fmt: skip


def _users(facts: Facts, to: Shape) -> Iterator[Row]:
    for role in roles(facts):
        if role.login:
            yield to.row(
                usename=role.name, usesysid=role.oid, usecreatedb=role.create_db, usesuper=role.superuser,
                userepl=False, usebypassrls=role.superuser, passwd="********" if to.name == "pg_user" else None,
            )  # fmt: skip


def _groups(facts: Facts, to: Shape) -> Iterator[Row]:
    for role in roles(facts):
        if not role.login:
            members = [
                one.oid for one in roles(facts) if any(membership.role == role.oid for membership in one.member_of)
            ]
            yield [role.name, role.oid, members]


def _memberships(facts: Facts, to: Shape) -> Iterator[Row]:
    oid = 0
    for role in roles(facts):
        for one in role.member_of:
            oid += 1
            yield to.row(
                oid=oid, roleid=one.role, member=role.oid, grantor=one.grantor, admin_option=one.admin_option,
                inherit_option=one.inherit, set_option=one.set_option,
            )  # fmt: skip


def _default_acls(facts: Facts, to: Shape) -> Iterator[Row]:
    for one in facts.objects.default_acls:
        items = [item_text(facts, grant) for grant in one.acl]
        yield [one.oid, one.role, facts.schema_oid(one.schema) if one.schema else 0, one.kind, items]


def _databases(facts: Facts, to: Shape) -> Iterator[Row]:
    yield to.row(
        oid=DATABASE_OID, datname=DATABASE_NAME, datdba=ADMIN_OID, encoding=_UTF8, datlocprovider="c",
        datallowconn=True, datconnlimit=-1, dattablespace=1663, datcollate="C", datctype="C",
    )  # fmt: skip


def _tablespaces(facts: Facts, to: Shape) -> Iterator[Row]:
    yield to.row(oid=1663, spcname="pg_default", spcowner=SUPERUSER_OID)
    yield to.row(oid=1664, spcname="pg_global", spcowner=SUPERUSER_OID)


def _initial_privileges(facts: Facts, to: Shape) -> Iterator[Row]:
    """What the system's own objects had from the start: a dump leaves it out."""
    for relation in shapes().values():
        yield [relation.oid, PG_CLASS, 0, "i", list(SYSTEM_ACL)]
    for schema in BUILT_IN:
        if isinstance(schema, Schema):
            yield [schema.oid, PG_NAMESPACE, 0, "i", acl_items(facts, schema.acl)]


RELATIONS: Final[Mapping[str, Build]] = MappingProxyType(
    {
        "pg_init_privs": _initial_privileges,
        "pg_namespace": _namespaces, "pg_roles": _roles, "pg_authid": _authids, "pg_user": _users,
        "pg_shadow": _users, "pg_group": _groups, "pg_auth_members": _memberships, "pg_default_acl": _default_acls,
        "pg_database": _databases, "pg_tablespace": _tablespaces,
    }
)  # fmt: skip
