"""has_..._privilege, pg_has_role, aclexplode: what `sql.privileges` knows, asked in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.access_lists import PRIVILEGES, default_acl, item_text, parsed_items
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.facts import DATABASE_NAME, DATABASE_OID, Facts, IndexEntry
from tausql.sql.catalogue.objects import PUBLIC_OID, SUPERUSER_OID, Acl, Domain, Role, Schema, Sequence, View
from tausql.sql.catalogue.objects import Function as SqlFunction
from tausql.sql.catalogue.shapes import Shape, builtin_by_oid
from tausql.sql.functions.catalogue_names import facts
from tausql.sql.functions.function import STABLE, Function, declare
from tausql.sql.functions.record_sets import record_set
from tausql.sql.privileges import NAMES, column_held, has_privilege, has_role, is_member

_EVERYBODY: Final = Role(PUBLIC_OID, "public")


def _role(known: Facts, who: Any) -> Role:
    """A role by name or oid; `public` is everybody."""
    if isinstance(who, str):
        role = known.objects.roles.get(who)
        if role is not None:
            return role
        if who == "public":
            return _EVERYBODY
        raise SqlError(Code.undefined_object, f'role "{who}" does not exist')
    return known.objects.roles_by_oid.get(who) or _EVERYBODY


def _letters(text: str, allowed: str) -> list[tuple[str, bool]]:
    """(letter, with grant option) of each privilege in a list; 22023 for what is none of this kind."""
    found: list[tuple[str, bool]] = []
    for word in text.split(","):
        upper = " ".join(word.upper().split())
        name = upper.removesuffix(" WITH GRANT OPTION")
        letter = NAMES.get(name)
        if letter is None or letter not in allowed:
            raise SqlError(Code.invalid_parameter_value, f'unrecognized privilege type: "{word.strip()}"')
        found.append((letter, name != upper))
    return found


class _Kind:
    """One has_X_privilege: how its objects are named, and where their owner and access list are."""

    def __init__(
        self, letter: str, allowed: str, resolve: Callable[[Any, str], int],
        owned: Callable[[Facts, int], tuple[int, Acl] | None],
    ) -> None:  # fmt: skip
        self.letter = letter
        self.allowed = allowed
        self.resolve = resolve
        self.owned = owned

    def ask(self, context: Any, *arguments: Any) -> bool | None:
        """(object, privilege) or (role, object, privilege)."""
        known = facts(context)
        *who, what, privilege = arguments
        role = _role(known, who[0] if who else context.session.user)
        oid = self.resolve(context, what) if isinstance(what, str) else what
        letters = _letters(privilege, self.allowed)
        found = self.owned(known, oid)
        if found is None:
            return None
        owner, acl = found
        return any(
            has_privilege(known.objects, role, acl, self.letter, owner, letter, grantable)
            for letter, grantable in letters
        )


def _owned_relation(known: Facts, oid: int) -> tuple[int, Acl] | None:
    found = known.relation(oid)
    if isinstance(found, (Table, View, Sequence)):
        return found.owner, found.acl
    if isinstance(found, IndexEntry):
        return found.table.owner, None
    return (SUPERUSER_OID, None) if isinstance(found, Shape) else None


def _owned_object(known: Facts, oid: int) -> tuple[int, Acl] | None:
    found = known.objects.by_oid.get(oid)
    if isinstance(found, (Schema, SqlFunction, Domain)):
        return found.owner, found.acl
    if oid in builtin_by_oid("pg_proc") or oid in builtin_by_oid("pg_type"):
        return SUPERUSER_OID, None
    return None


def _owned_database(known: Facts, oid: int) -> tuple[int, Acl] | None:
    return (SUPERUSER_OID, None) if oid == DATABASE_OID else None


def _database(context: Any, name: str) -> int:
    if name != DATABASE_NAME:
        raise SqlError(Code.invalid_catalog_name, f'database "{name}" does not exist')
    return DATABASE_OID


def _reg(kind: str) -> Callable[[Any, str], int]:
    return lambda context, text: context.format.resolve_reg(kind, text)


_KINDS: Final = {
    "table": _Kind("r", "arwdDxtm", _reg("class"), _owned_relation),
    "sequence": _Kind("S", "rwU", _reg("class"), _owned_relation),
    "schema": _Kind("n", "UC", _reg("namespace"), _owned_object),
    "function": _Kind("f", "X", _reg("procedure"), _owned_object),
    "type": _Kind("T", "U", _reg("type"), _owned_object),
    "database": _Kind("d", "CTc", _database, _owned_database),
}


def _column(context: Any, *arguments: Any) -> bool | None:
    """has_column_privilege([role,] table, column, privilege)."""
    known = facts(context)
    *who, what, column, privilege = arguments
    role = _role(known, who[0] if who else context.session.user)
    oid = context.format.resolve_reg("class", what) if isinstance(what, str) else what
    whole = _KINDS["table"].ask(context, role.oid or "public", oid, privilege)
    if whole is not False:
        return whole
    found = known.relation(oid)
    letters = _letters(privilege, "arwx")
    for number, shown in enumerate(getattr(found, "columns", ()), 1):
        if column in (getattr(shown, "name", None), number):
            held = column_held(known.objects, role, getattr(shown, "acl", None))
            return any(letter in held for letter, _ in letters)
    if isinstance(column, str):
        raise SqlError(Code.undefined_column, f'column "{column}" of relation "{what}" does not exist')
    return None


def _any_column(context: Any, *arguments: Any) -> bool | None:
    whole = _KINDS["table"].ask(context, *arguments)
    if whole is not False:
        return whole
    known = facts(context)
    *who, what, privilege = arguments
    role = _role(known, who[0] if who else context.session.user)
    oid = context.format.resolve_reg("class", what) if isinstance(what, str) else what
    letters = _letters(privilege, "arwx")
    held = "".join(
        column_held(known.objects, role, getattr(column, "acl", None))
        for column in getattr(known.relation(oid), "columns", ())
    )
    return any(letter in held for letter, _ in letters)


def _has_role(context: Any, *arguments: Any) -> bool:
    """pg_has_role([user,] role, MEMBER | USAGE | SET)."""
    known = facts(context)
    *who, what, privilege = arguments
    role = _role(known, who[0] if who else context.session.user)
    wanted = _role(known, what).oid
    kinds = [" ".join(word.upper().split()) for word in privilege.split(",")]
    for kind in kinds:
        if kind.partition(" ")[0] not in ("MEMBER", "USAGE", "SET"):
            raise SqlError(Code.invalid_parameter_value, f'unrecognized privilege type: "{privilege}"')
    check = [has_role if kind.startswith("USAGE") else is_member for kind in kinds]
    return any(one(known.objects, role, wanted) for one in check)


def _explode(context: Any, items: list[str]) -> Iterator[tuple[int, int, str, bool]]:
    for grant in parsed_items(facts(context), items):
        for letter in grant.privileges:
            yield grant.grantor, grant.grantee, PRIVILEGES[letter], letter in grant.grantable


def _default_items(context: Any, kind: str, owner: int) -> list[str]:
    return [item_text(facts(context), grant) for grant in default_acl(kind, owner)]


def functions() -> Iterator[Function]:
    def seeing(signature: str, impl: Callable[..., Any]) -> Function:
        return declare(signature, impl, volatility=STABLE, reads_schema=True)

    for name, kind in _KINDS.items():
        for what in ("text", "oid"):
            yield seeing(f"has_{name}_privilege({what}, text) bool", kind.ask)
            for who in ("name", "oid"):
                yield seeing(f"has_{name}_privilege({who}, {what}, text) bool", kind.ask)
    for what in ("text", "oid"):
        yield seeing(f"has_any_column_privilege({what}, text) bool", _any_column)
        for who in ("name", "oid"):
            yield seeing(f"has_any_column_privilege({who}, {what}, text) bool", _any_column)
        for column in ("text", "int2"):
            yield seeing(f"has_column_privilege({what}, {column}, text) bool", _column)
            for who in ("name", "oid"):
                yield seeing(f"has_column_privilege({who}, {what}, {column}, text) bool", _column)
    for what in ("name", "oid"):
        yield seeing(f"pg_has_role({what}, text) bool", _has_role)
        for who in ("name", "oid"):
            yield seeing(f"pg_has_role({who}, {what}, text) bool", _has_role)
    yield seeing("acldefault(char, oid) _aclitem", _default_items)
    yield record_set(
        "aclexplode(_aclitem) record",
        _explode,
        "grantor oid,grantee oid,privilege_type text,is_grantable bool",
        reads_schema=True,
    )
    for what in ("tablespace", "language", "server", "foreign_data_wrapper"):
        yield declare(f"has_{what}_privilege(text, text) bool", lambda *arguments: True, volatility=STABLE)
