"""GRANT and REVOKE, on objects and of roles."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import (
    PUBLIC_OID,
    Acl,
    Domain,
    Function,
    Grant,
    Schema,
    View,
)
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.ddl.access_lists import granted, revoked, start
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.names import column_position, find, find_relation
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.roles import existing_role, grant_roles, revoke_roles, role_name
from tausql.sql.privileges import (
    ALL_PRIVILEGES,
    COLUMN_PRIVILEGES,
    NAMES,
    column_held,
    has_role,
    held,
    permission_denied,
)

Target = Table | View | SequenceObject | Schema | Function | Domain
KINDS = {
    "TABLE": "r", "TABLES": "r", "SEQUENCE": "S", "SEQUENCES": "S", "SCHEMA": "n", "SCHEMAS": "n", "FUNCTION": "f",
    "FUNCTIONS": "f", "ROUTINE": "f", "ROUTINES": "f", "PROCEDURE": "f", "PROCEDURES": "f", "DOMAIN": "T", "TYPE": "T",
    "TYPES": "T",
}  # fmt: skip
_LABELS = {"r": "table", "S": "sequence", "n": "schema", "f": "function", "T": "type"}
_WORDS = {
    "r": "SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER MAINTAIN".split(),
    "S": "SELECT UPDATE USAGE".split(),
    "n": "USAGE CREATE".split(),
    "f": ["EXECUTE"],
    "T": ["USAGE"],
}


@dataclass(slots=True)
class Privileges:
    """What is granted: letters on the whole, and by column. `everything`: ALL."""

    everything: bool = False
    words: list[str] = field(default_factory=list)
    columns: list[tuple[str, list[str]]] = field(default_factory=list)  # (word, or ALL; columns)


@dataclass(slots=True)
class Order:
    """One GRANT or REVOKE on objects."""

    grant: bool
    privileges: Privileges
    grantees: list[int]
    option: bool = False  # WITH GRANT OPTION, GRANT OPTION FOR
    cascade: bool = False


async def grant(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("GRANT")
    return _run(change, words, True)


async def revoke(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("REVOKE")
    return _run(change, words, False)


def _run(change: SchemaChange, words: Words, is_grant: bool) -> DdlResult:
    option = not is_grant and words.take("GRANT", "OPTION", "FOR")
    if not option and _is_membership(words):
        return _membership(change, words, is_grant)
    privileges = read_privileges(words)
    words.expect("ON")
    kind, targets = _read_targets(change, words)
    words.expect("TO" if is_grant else "FROM")
    grantees = read_grantees(change, words)
    order = Order(is_grant, privileges, grantees, option)
    if is_grant and words.take("WITH", "GRANT", "OPTION"):
        order.option = True
        if PUBLIC_OID in grantees:
            raise SqlError(Code.invalid_grant_operation, "grant options can only be granted to roles")
    if words.take("GRANTED", "BY") and existing_role(change, role_name(change, words)).oid != change.user.oid:
        raise not_supported("grantor must be current user")
    if not is_grant:
        order.cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    words.expect_end()
    for target in targets:
        _apply(change, order, kind, target)
    return change.result("GRANT" if is_grant else "REVOKE")


def _is_membership(words: Words) -> bool:
    """Whether ON never comes: GRANT role TO role."""
    depth = 0
    for token in words.tokens[words.at :]:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.word == "ON":
            return False
        if depth == 0 and token.word in ("TO", "FROM"):
            return True
    return True


def read_privileges(words: Words) -> Privileges:
    found = Privileges()
    if words.take("ALL"):
        words.take("PRIVILEGES")
        if words.next_is("("):
            found.columns.append(("ALL", words.names()))
        else:
            found.everything = True
        return found
    while True:
        word = words.name()
        if words.next_is("("):
            found.columns.append((_known(word), words.names()))
        else:
            found.words.append(_known(word))
        if not words.take(","):
            return found


def _known(word: str) -> str:
    if word.upper() not in NAMES:
        raise SqlError(Code.syntax_error, f'unrecognized privilege type "{word}"')
    return word.upper()


def _read_targets(change: SchemaChange, words: Words) -> tuple[str, list[Target]]:
    if words.take("ALL"):
        kind = KINDS.get(words.peek())
        if kind is None or not words.peek().endswith("S") or words.peek() in ("TYPES", "SCHEMAS"):
            raise words.error()
        words.at += 1
        words.expect("IN", "SCHEMA")
        names = [words.name()]
        while words.take(","):
            names.append(words.name())
        return kind, [target for name in names for target in _all_of(change, kind, name)]
    for word, node in (("DATABASE", "GRANT ON DATABASE"), ("LANGUAGE", "GRANT ON LANGUAGE"),
                       ("TABLESPACE", "GRANT ON TABLESPACE"), ("FOREIGN", "GRANT ON FOREIGN"),
                       ("PARAMETER", "GRANT ON PARAMETER"), ("LARGE", "GRANT ON LARGE OBJECT")):  # fmt: skip
        if words.next_is(word):
            raise not_supported(f"{node} not supported")
    given = words.peek() if words.peek() in KINDS and words.peek(1) not in (",", "TO", "FROM", ".") else ""
    if given:
        words.at += 1
    kind = KINDS[given] if given else "r"
    found = [_target(change, words, kind, given)]
    while words.take(","):
        found.append(_target(change, words, kind, given))
    if not given and found and all(isinstance(one, SequenceObject) for one in found):
        return "r", found
    return kind, found


def _all_of(change: SchemaChange, kind: str, name: str) -> list[Target]:
    snapshot = change.snapshot
    if name not in snapshot.objects.schemas:
        raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
    found: list[Target] = []
    if kind == "r":
        found += [table for table in snapshot.by_oid.values() if table.schema == name]
    for item in snapshot.objects.by_oid.values():
        if not isinstance(item, View | SequenceObject | Function) or item.schema != name:
            continue
        if {View: "r", SequenceObject: "S", Function: "f"}[type(item)] == kind:
            found.append(item)
    return found


def _target(change: SchemaChange, words: Words, kind: str, given: str) -> Target:
    if kind == "n":
        from tausql.sql.ddl.schemas import existing_schema

        return existing_schema(change, words.name())
    if kind == "f":
        from tausql.sql.ddl.functions import named_function

        return named_function(change, words, given or "FUNCTION")
    name = words.qualified_name()
    if kind == "T":
        domain = find(change, change.snapshot.objects.domains, name.schema, name.name)
        if domain is None:
            raise SqlError(Code.undefined_object, f'type "{name}" does not exist')
        return domain
    if name.schema is not None and name.schema not in change.snapshot.objects.schemas:
        raise SqlError(Code.invalid_schema_name, f'schema "{name.schema}" does not exist')
    relation = find_relation(change, name.schema, name.name)
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{name}" does not exist')
    if isinstance(relation, tuple):
        raise SqlError(Code.wrong_object_type, f'"{name.name}" is an index')
    if kind == "S" and not isinstance(relation, SequenceObject):
        raise SqlError(Code.wrong_object_type, f'"{name.name}" is not a sequence')
    return relation


def read_grantees(change: SchemaChange, words: Words) -> list[int]:
    found: list[int] = []
    while True:
        words.take("GROUP")
        if words.take("PUBLIC"):
            found.append(PUBLIC_OID)
        else:
            found.append(existing_role(change, role_name(change, words)).oid)
        if not words.take(","):
            return found


# --- on objects --------------------------------------------------------------------------------------------------


def letters_of(privileges: list[str], kind: str) -> str:
    """Raises 0LP01 for a privilege the kind does not have."""
    for word in privileges:
        if word not in _WORDS[kind] or word == "MAINTAIN":
            what = "relation" if kind == "r" and word == "EXECUTE" else _LABELS[kind]
            raise SqlError(Code.invalid_grant_operation, f"invalid privilege type {word} for {what}")
    return "".join(NAMES[word] for word in privileges)


def _apply(change: SchemaChange, order: Order, kind: str, target: Target) -> None:
    own = "S" if isinstance(target, SequenceObject) else kind
    privileges = order.privileges
    if privileges.everything:
        letters = ALL_PRIVILEGES[own]
    elif own == "S" and kind == "r":  # GRANT SELECT ON a_sequence, as of a table
        letters = "".join(letter for letter in letters_of(privileges.words, "r") if letter in ALL_PRIVILEGES["S"])
    else:
        letters = letters_of(privileges.words, own)
    if letters:
        allowed, grantor = _grantor(change, target.acl, own, target.owner, letters, target.name, privileges.everything,
                                    order.grant)  # fmt: skip
        acl = changed(start(target.acl, own, target.owner), order, grantor, allowed, target.owner)
        target = msgspec.structs.replace(target, acl=acl)
        if order.grant is False and isinstance(target, Table | View):
            target = _columns_revoked(target, order, grantor, allowed)
    for word, names in privileges.columns:
        if not isinstance(target, Table | View):
            raise SqlError(Code.invalid_grant_operation, "column privileges are only valid for relations")
        target = _on_columns(change, order, target, word, names)
    if isinstance(target, Table):
        change.writer.replace_table(target)
    else:
        change.writer.replace_object(target)


def changed(acl: tuple[Grant, ...], order: Order, grantor: int, letters: str, owner: int) -> tuple[Grant, ...]:
    for grantee in order.grantees:
        if not letters:
            break
        if order.grant:
            acl = granted(acl, grantee, grantor, letters, order.option)
        else:
            acl = revoked(acl, grantee, grantor, letters, order.option, order.cascade, owner)
    return acl


def _grantor(
    change: SchemaChange, acl: Acl, kind: str, owner: int, letters: str, name: str, everything: bool, is_grant: bool
) -> tuple[str, int]:
    """(the privileges the user may grant, in whose name). A WARNING says what is left out. Raises 42501."""
    objects, user = change.snapshot.objects, change.user
    if has_role(objects, user, owner):
        return letters, owner
    may = held(objects, user, acl, kind, owner, grantable=True)
    allowed = "".join(letter for letter in letters if letter in may)
    if not allowed and not held(objects, user, acl, kind, owner):
        raise permission_denied(_LABELS[kind], name)
    if len(allowed) < len(letters):
        verb = "granted" if is_grant else "revoked"
        text = f'not all privileges were {verb} for "{name}"' if allowed else f'no privileges were {verb} for "{name}"'
        if not (everything and allowed):
            change.notices.append(SqlError(_NOT_ALL[is_grant], text, severity="WARNING"))
    grantor = user.oid
    for one in acl or ():
        if one.grantee != PUBLIC_OID and set(allowed) & set(one.grantable) and has_role(objects, user, one.grantee):
            grantor = one.grantee
            if one.grantee == user.oid:
                break
    return allowed, grantor


_NOT_ALL = {True: Code.warning_privilege_not_granted, False: Code.warning_privilege_not_revoked}


def _on_columns(change: SchemaChange, order: Order, target: Table | View, word: str, names: list[str]) -> Table | View:
    if word != "ALL" and NAMES[word] not in COLUMN_PRIVILEGES:
        raise SqlError(Code.invalid_grant_operation, f"invalid privilege type {word} for column")
    letters = COLUMN_PRIVILEGES if word == "ALL" else NAMES[word]
    objects, user = change.snapshot.objects, change.user
    may = ALL_PRIVILEGES["r"]
    grantor = target.owner
    if not has_role(objects, user, target.owner):
        may = held(objects, user, target.acl, "r", target.owner, grantable=True)
        grantor = user.oid
    for name in names:
        at = column_position(target, name)
        if at is None:
            raise SqlError(Code.undefined_column, f'column "{name}" of relation "{target.name}" does not exist')
        acl = target.columns[at].acl
        own = may + column_held(objects, user, acl, grantable=True)
        allowed = "".join(letter for letter in letters if letter in own)
        if not allowed:
            raise permission_denied("table", target.name)
        target = _with_column_acl(target, at, changed(acl or (), order, grantor, allowed, target.owner))
    return target


def _with_column_acl(target: Table | View, at: int, acl: tuple[Grant, ...]) -> Table | View:
    if isinstance(target, Table):
        columns = list(target.columns)
        columns[at] = msgspec.structs.replace(columns[at], acl=acl or None)
        return msgspec.structs.replace(target, columns=tuple(columns))
    shown = list(target.columns)
    shown[at] = msgspec.structs.replace(shown[at], acl=acl or None)
    return msgspec.structs.replace(target, columns=tuple(shown))


def _columns_revoked(target: Table | View, order: Order, grantor: int, letters: str) -> Table | View:
    """REVOKE on a table takes the same privileges on its columns."""
    of_columns = "".join(letter for letter in letters if letter in COLUMN_PRIVILEGES)
    for at in range(len(target.columns)):
        acl = target.columns[at].acl
        if of_columns and acl:
            target = _with_column_acl(target, at, changed(acl, order, grantor, of_columns, target.owner))
    return target


# --- of roles ----------------------------------------------------------------------------------------------------


def _membership(change: SchemaChange, words: Words, is_grant: bool) -> DdlResult:
    option = ""
    if not is_grant and words.peek(1) == "OPTION" and words.peek(2) == "FOR":
        option = words.take_one("ADMIN", "INHERIT", "SET").lower()
        words.expect("OPTION", "FOR")
    roles = [role_name(change, words)]
    while words.take(","):
        roles.append(role_name(change, words))
    words.expect("TO" if is_grant else "FROM")
    members = [role_name(change, words)]
    while words.take(","):
        members.append(role_name(change, words))
    options: dict[str, bool] = {}
    if is_grant and words.take("WITH"):
        while True:
            name = words.take_one("ADMIN", "INHERIT", "SET")
            if not name:
                raise words.error()
            value = words.take_one("OPTION", "TRUE", "FALSE")
            if not value:
                raise words.error()
            options[name.lower()] = value != "FALSE"
            if not words.take(","):
                break
    if words.take("GRANTED", "BY"):
        existing_role(change, role_name(change, words))
    if not is_grant:
        words.take_one("CASCADE", "RESTRICT")
    words.expect_end()
    if is_grant:
        return grant_roles(change, roles, members, options)
    return revoke_roles(change, roles, members, option)


HANDLERS = {"grant": grant, "revoke": revoke}
