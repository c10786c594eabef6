"""What a schema holds besides tables: schemas themselves, roles, views, sequences, functions, domains, statistics.

Each kind is one frozen struct, kept whole as one row of the system table `objects` under its oid and told apart by its
tag. Texts (a view's query, a function's body, a CHECK) are SQL with every name written out, so that they mean the same
under any search path; `depends` names what they rely on, for DROP ... RESTRICT and CASCADE.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

SUPERUSER_OID = 10  # owns what the system brings; nobody logs in as it
ADMIN_OID = 15579  # the role `admin`, as on Aurora DSQL
PUBLIC_OID = 0  # as a grantee: everybody
PUBLIC_SCHEMA_OID = 2200


class Grant(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of an access list, as `aclitem` shows it. Letters: r SELECT, w UPDATE, a INSERT, d DELETE, D TRUNCATE,
    x REFERENCES, t TRIGGER, m MAINTAIN, U USAGE, C CREATE, X EXECUTE, c CONNECT, T TEMPORARY."""

    grantee: int  # role oid, 0 = PUBLIC
    grantor: int
    privileges: str
    grantable: str = ""  # those of `privileges` WITH GRANT OPTION


Acl = tuple[Grant, ...] | None  # None: the kind's defaults (all to the owner; functions and types: use by PUBLIC)
Dependency = tuple[int, int]  # (oid, column's attnum or 0)


class Schema(msgspec.Struct, frozen=True, tag="schema", gc=False):
    oid: int
    name: str
    owner: int = ADMIN_OID
    acl: Acl = None
    version: int = 0


class Membership(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The role that has it is a member of `role`."""

    role: int
    grantor: int
    admin_option: bool = False
    inherit: bool = True
    set_option: bool = True


class Role(msgspec.Struct, frozen=True, tag="role", gc=False):
    oid: int
    name: str
    login: bool = False
    inherit: bool = True
    create_role: bool = False
    create_db: bool = False
    superuser: bool = False
    connection_limit: int = -1
    member_of: tuple[Membership, ...] = ()
    iam: tuple[tuple[str, int, int], ...] = ()  # (ARN, grantor, oid): who may connect as this role
    version: int = 0


class ViewColumn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    type_oid: int
    typmod: int = -1
    default: str | None = None
    acl: Acl = None


class View(msgspec.Struct, frozen=True, tag="view", gc=False):
    oid: int
    schema: str
    name: str
    columns: tuple[ViewColumn, ...]
    query: str  # SQL of a SELECT, names qualified
    owner: int = ADMIN_OID
    acl: Acl = None
    options: tuple[tuple[str, str], ...] = ()  # check_option, security_barrier, security_invoker
    depends: tuple[Dependency, ...] = ()
    recursive: bool = False
    version: int = 0


class Sequence(msgspec.Struct, frozen=True, tag="sequence", gc=False):
    """The definition; how far it has come is a row of the system table `sequences`, outside of transactions."""

    oid: int
    schema: str
    name: str
    type_oid: int = 20
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = (1 << 63) - 1
    cache: int = 1
    cycle: bool = False
    owner: int = ADMIN_OID
    acl: Acl = None
    owned_by: Dependency | None = None  # (table, attnum): goes with that column
    identity: bool = False  # belongs to an identity column: DROP SEQUENCE is refused
    version: int = 0


class Argument(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    type_oid: int
    mode: str = "i"  # i in, o out, b in and out, v variadic, t column of RETURNS TABLE
    default: str | None = None
    typmod: int = -1


class Function(msgspec.Struct, frozen=True, tag="function", gc=False):
    oid: int
    schema: str
    name: str
    arguments: tuple[Argument, ...]
    returns_oid: int  # 2278 = void, 2249 = record; a relation's oid = rows of its type
    returns_set: bool
    body: str  # SQL statements
    sql_standard: bool = False  # BEGIN ATOMIC ... END or RETURN: bound at creation
    volatility: str = "v"  # i immutable, s stable, v volatile
    strict: bool = False
    security_definer: bool = False
    leakproof: bool = False
    parallel: str = "u"
    cost: float = 100.0
    rows: float = 0.0
    owner: int = ADMIN_OID
    acl: Acl = None
    depends: tuple[Dependency, ...] = ()
    version: int = 0


class Label(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One value of an enum type. `order` is what is stored for it, and never changes."""

    text: str
    order: float
    oid: int


class Domain(msgspec.Struct, frozen=True, tag="domain", gc=False):
    oid: int
    schema: str
    name: str
    base_oid: int
    typmod: int = -1
    not_null: bool = False
    default: str | None = None
    checks: tuple[tuple[str, str, int], ...] = ()  # (name, SQL text about VALUE, constraint oid)
    owner: int = ADMIN_OID
    acl: Acl = None
    version: int = 0
    labels: tuple[Label, ...] = ()  # of an enum type, in order: its base type, and its oid, is its own
    is_enum: bool = False


class Statistics(msgspec.Struct, frozen=True, tag="statistics", gc=False):
    """CREATE STATISTICS: accepted and kept; the planner makes of it what it can."""

    oid: int
    schema: str
    name: str
    table: int
    columns: tuple[int, ...]  # positions
    expressions: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ("ndistinct", "dependencies", "mcv")
    owner: int = ADMIN_OID
    version: int = 0


class DefaultAcl(msgspec.Struct, frozen=True, tag="default_acl", gc=False):
    """ALTER DEFAULT PRIVILEGES: the access list of what `role` will create."""

    oid: int
    role: int
    schema: str  # "" = in all schemas
    kind: str  # r tables, S sequences, f functions, T types, n schemas
    acl: tuple[Grant, ...]
    version: int = 0


CatalogueObject = Schema | Role | View | Sequence | Function | Domain | Statistics | DefaultAcl

CommentKey = tuple[int, int, int]  # (oid of the catalogue: 1259, 2615..., oid of the object, attnum or 0)


class Objects(msgspec.Struct, frozen=True):
    """All of one snapshot, by what they are looked up by. A system's own schemas and roles are among them."""

    by_oid: Mapping[int, CatalogueObject]
    schemas: Mapping[str, Schema]
    roles: Mapping[str, Role]
    roles_by_oid: Mapping[int, Role]
    views: Mapping[tuple[str, str], View]
    sequences: Mapping[tuple[str, str], Sequence]
    functions: Mapping[tuple[str, str], tuple[Function, ...]]
    domains: Mapping[tuple[str, str], Domain]
    statistics: Mapping[tuple[str, str], Statistics]
    default_acls: tuple[DefaultAcl, ...]
    comments: Mapping[CommentKey, str]


# There without a row; a row of the same oid stands in their place (ALTER SCHEMA public OWNER, GRANT ON SCHEMA ...).
BUILT_IN: tuple[CatalogueObject, ...] = (
    Schema(PUBLIC_SCHEMA_OID, "public", ADMIN_OID, (Grant(ADMIN_OID, ADMIN_OID, "UC"), Grant(0, ADMIN_OID, "U"))),
    Schema(11, "pg_catalog", SUPERUSER_OID, (Grant(SUPERUSER_OID, SUPERUSER_OID, "UC"), Grant(0, SUPERUSER_OID, "U"))),
    Schema(
        13000, "information_schema", SUPERUSER_OID,
        (Grant(SUPERUSER_OID, SUPERUSER_OID, "UC"), Grant(0, SUPERUSER_OID, "U")),
    ),
    Schema(13001, "sys", SUPERUSER_OID, (Grant(SUPERUSER_OID, SUPERUSER_OID, "UC"), Grant(0, SUPERUSER_OID, "U"))),
    Role(SUPERUSER_OID, "postgres", superuser=True),
    Role(ADMIN_OID, "admin", login=True, create_role=True),
)  # fmt: skip


def objects_of(rows: Mapping[int, CatalogueObject] = {}, comments: Mapping[CommentKey, str] = {}) -> Objects:
    """The stored objects and those the system brings, ready to be looked up."""
    by_oid: dict[int, CatalogueObject] = {item.oid: item for item in BUILT_IN} | dict(rows)
    schemas: dict[str, Schema] = {}
    roles: dict[str, Role] = {}
    views: dict[tuple[str, str], View] = {}
    sequences: dict[tuple[str, str], Sequence] = {}
    functions: dict[tuple[str, str], tuple[Function, ...]] = {}
    domains: dict[tuple[str, str], Domain] = {}
    statistics: dict[tuple[str, str], Statistics] = {}
    default_acls: list[DefaultAcl] = []
    for item in by_oid.values():
        match item:
            case Schema():
                schemas[item.name] = item
            case Role():
                roles[item.name] = item
            case View():
                views[item.schema, item.name] = item
            case Sequence():
                sequences[item.schema, item.name] = item
            case Function():
                key = item.schema, item.name
                functions[key] = (*functions.get(key, ()), item)
            case Domain():
                domains[item.schema, item.name] = item
            case Statistics():
                statistics[item.schema, item.name] = item
            case DefaultAcl():
                default_acls.append(item)
    return Objects(
        by_oid=by_oid,
        schemas=schemas,
        roles=roles,
        roles_by_oid={role.oid: role for role in roles.values()},
        views=views,
        sequences=sequences,
        functions=functions,
        domains=domains,
        statistics=statistics,
        default_acls=tuple(default_acls),
        comments=comments,
    )


NO_OBJECTS = objects_of()
