"""Names as oids and oids as names: what regclass, regtype, regproc and their kin read and write.

Both depend on the search path and on the schema, so they can be part of no shared plan; whoever has a session brings
the two together (`processor.reg_names`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.facts import Facts, IndexEntry
from tausql.sql.catalogue.objects import Function, Schema, View
from tausql.sql.catalogue.quoting import qualified, quoted
from tausql.sql.catalogue.shapes import builtin_by_oid, builtin_rows, shape
from tausql.sql.types.enums import is_enum_array_oid
from tausql.sql.types.registry import find_type
from tausql.sql.types.type import Type

Path = Sequence[str]


def resolve(kind: str, text: str, facts: Facts, path: Path) -> int:
    """The oid that `text` names; `kind` without `reg`. Raises 42P01, 42704, 42883, 3F000, 42725."""
    resolver = _RESOLVERS.get(kind)
    if resolver is None:
        raise not_supported(f"reg{kind} is not supported")
    return resolver(text, facts, path)


def shown(kind: str, oid: int, facts: Facts, path: Path) -> str | None:
    """What `oid` is called; None for one that names nothing."""
    namer = _NAMERS.get(kind)
    return namer(oid, facts, path) if namer is not None else None


def name_parts(text: str) -> list[str]:
    """The identifiers of a dotted name, folded as they would be in a statement. Raises 42602 for no name."""
    parts: list[str] = []
    current = ""
    inside = False
    stripped = text.strip()
    at = 0
    while at < len(stripped):
        letter = stripped[at]
        if letter == '"' and inside and stripped[at + 1 : at + 2] == '"':
            current += letter
            at += 1
        elif letter == '"':
            inside = not inside
        elif letter == "." and not inside:
            parts.append(current)
            current = ""
        else:
            current += letter if inside else letter.lower()
        at += 1
    parts.append(current)
    if inside or not all(parts):
        raise SqlError(Code.invalid_name, "invalid name syntax")
    return parts


def _split(text: str) -> tuple[str | None, str]:
    parts = name_parts(text)
    if len(parts) > 3:
        raise SqlError(Code.syntax_error, f"improper relation name (too many dotted names): {text}")
    return (parts[-2] if len(parts) > 1 else None), parts[-1]


# --- relations -------------------------------------------------------------------------------------------------------


def _class(text: str, facts: Facts, path: Path) -> int:
    schema, name = _split(text)
    for candidate in (schema,) if schema is not None else ("pg_catalog", *path):
        oid = facts.relation_oid(candidate, name)
        if oid is not None:
            return oid
    if schema is not None and schema not in facts.objects.schemas:
        raise SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
    full = name if schema is None else f"{schema}.{name}"
    raise SqlError(Code.undefined_table, f'relation "{full}" does not exist')


def _class_name(oid: int, facts: Facts, path: Path) -> str | None:
    found = facts.relation(oid)
    if found is None:
        return None
    schema = found.table.schema if isinstance(found, IndexEntry) else found.schema
    return _placed(schema, found.name, path)


def _placed(schema: str, name: str, path: Path) -> str:
    return quoted(name) if schema == "pg_catalog" or schema in path else qualified(schema, name)


# --- types -----------------------------------------------------------------------------------------------------------


def _type(text: str, facts: Facts, path: Path) -> int:
    """A type's name as a cast writes it; a modifier says nothing here."""
    bare, parenthesis, rest = text.strip().partition("(")
    if parenthesis:
        bare = bare.strip() + rest.partition(")")[2]
    known = find_type(bare if '"' in bare else " ".join(bare.lower().split()))
    if known is not None:
        return known.oid
    schema, name = _split(bare)
    array = name.endswith("[]")
    for candidate in (schema,) if schema is not None else path:
        domain = facts.objects.domains.get((candidate or "", name.removesuffix("[]")))
        if domain is not None and (domain.is_enum or not array):
            return domain.oid + array
    for candidate in (schema,) if schema is not None else path:
        key = candidate or "", name
        relation = facts.snapshot.tables.get(key) or facts.objects.views.get(key)
        if relation is not None:
            return relation.oid
    if schema in (None, "pg_catalog"):
        for row in builtin_rows("pg_type"):
            if row[1] == name:
                oid: int = row[0]
                return oid
    if schema is not None and schema not in facts.objects.schemas:
        raise SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
    raise SqlError(Code.undefined_object, f'type "{text.strip()}" does not exist')


def _type_name(oid: int, facts: Facts, path: Path) -> str | None:
    domain = facts.domains.get(oid)
    if domain is not None:
        return _placed(domain.schema, domain.name, path)
    enum = facts.domains.get(oid - 1) if is_enum_array_oid(oid) else None
    if enum is not None:
        return f"{_placed(enum.schema, enum.name, path)}[]"
    found: Type | None = facts.types.get(oid)
    if found is not None:
        return found.sql_name
    relation = facts.relation(oid)
    if isinstance(relation, (Table, View)):
        return _placed(relation.schema, relation.name, path)
    row = builtin_by_oid("pg_type").get(oid)
    return row[1] if row is not None else None


# --- functions and operators -----------------------------------------------------------------------------------------


def _procedures(facts: Facts, schema: str | None, name: str, path: Path) -> list[tuple[int, list[int]]]:
    """(oid, types of the arguments) of all functions a name may mean, the system's own first."""
    found: list[tuple[int, list[int]]] = []
    at = shape("pg_proc").place("proargtypes")
    if schema in (None, "pg_catalog"):
        found += [(row[0], row[at]) for row in builtin_rows("pg_proc") if row[1] == name]
    for candidate in (schema,) if schema is not None else path:
        for function in facts.objects.functions.get((candidate or "", name), ()):
            found.append((function.oid, [one.type_oid for one in function.arguments if one.mode in "ibv"]))
    return found


def _procedure(text: str, facts: Facts, path: Path) -> int:
    """`name`, where only one function has it, or `name(types)`."""
    bare, parenthesis, rest = text.partition("(")
    schema, name = _split(bare)
    found = _procedures(facts, schema, name, path)
    if parenthesis:
        wanted = [_type(one, facts, path) for one in rest.rstrip().removesuffix(")").split(",") if one.strip()]
        found = [one for one in found if one[1] == wanted]
    if not found:
        raise SqlError(Code.undefined_function, f'function "{text.strip()}" does not exist')
    if len(found) > 1:
        raise SqlError(Code.ambiguous_function, f'more than one function named "{bare.strip()}"')
    return found[0][0]


def _procedure_parts(oid: int, facts: Facts) -> tuple[str, str, list[int]] | None:
    item = facts.objects.by_oid.get(oid)
    if isinstance(item, Function):
        return item.schema, item.name, [one.type_oid for one in item.arguments if one.mode in "ibv"]
    row = builtin_by_oid("pg_proc").get(oid)
    return ("pg_catalog", row[1], row[shape("pg_proc").place("proargtypes")]) if row is not None else None


def _procedure_name(oid: int, facts: Facts, path: Path) -> str | None:
    found = _procedure_parts(oid, facts)
    return _placed(found[0], found[1], path) if found is not None else None


def _signature(oid: int, facts: Facts, path: Path) -> str | None:
    found = _procedure_parts(oid, facts)
    if found is None:
        return None
    return f"{_placed(found[0], found[1], path)}({_type_list(found[2], facts, path)})"


def _type_list(oids: Sequence[int], facts: Facts, path: Path) -> str:
    return ",".join(_type_name(one, facts, path) or "???" if one else "NONE" for one in oids)


def _operator(text: str, facts: Facts, path: Path) -> int:
    bare, parenthesis, rest = text.strip().partition("(")
    name = bare.strip().removeprefix("pg_catalog.")
    to = shape("pg_operator")
    left, right = to.place("oprleft"), to.place("oprright")
    found = [row for row in builtin_rows("pg_operator") if row[1] == name]
    if parenthesis:
        words = [one.strip() for one in rest.rstrip().removesuffix(")").split(",")]
        wanted = [0 if one.lower() == "none" else _type(one, facts, path) for one in words]
        found = [row for row in found if [row[left], row[right]] == wanted]
    if not found:
        raise SqlError(Code.undefined_function, f"operator does not exist: {text.strip()}")
    if len(found) > 1:
        raise SqlError(Code.ambiguous_function, f"more than one operator named {name}")
    oid: int = found[0][0]
    return oid


def _operator_of_types(text: str, facts: Facts, path: Path) -> int:
    if "(" not in text:
        raise SqlError(Code.invalid_text_representation, "expected a left parenthesis")
    return _operator(text, facts, path)


def _operator_name(oid: int, facts: Facts, path: Path) -> str | None:
    """Alone where no other operator is called so."""
    row = builtin_by_oid("pg_operator").get(oid)
    if row is None:
        return None
    alone = sum(other[1] == row[1] for other in builtin_rows("pg_operator")) == 1
    return row[1] if alone else f"pg_catalog.{row[1]}"


def _operator_signature(oid: int, facts: Facts, path: Path) -> str | None:
    row = builtin_by_oid("pg_operator").get(oid)
    if row is None:
        return None
    to = shape("pg_operator")
    return f"{row[1]}({_type_list([row[to.place('oprleft')], row[to.place('oprright')]], facts, path)})"


# --- the rest --------------------------------------------------------------------------------------------------------


def _namespace(text: str, facts: Facts, path: Path) -> int:
    name = name_parts(text)[-1]
    schema = facts.objects.schemas.get(name)
    if schema is None:
        raise SqlError(Code.invalid_schema_name, f'schema "{name}" does not exist')
    return schema.oid


def _namespace_name(oid: int, facts: Facts, path: Path) -> str | None:
    schema = facts.objects.by_oid.get(oid)
    return quoted(schema.name) if isinstance(schema, Schema) else None


def _role(text: str, facts: Facts, path: Path) -> int:
    name = name_parts(text)[-1]
    role = facts.objects.roles.get(name)
    if role is None:
        raise SqlError(Code.undefined_object, f'role "{name}" does not exist')
    return role.oid


def _role_name(oid: int, facts: Facts, path: Path) -> str | None:
    role = facts.objects.roles_by_oid.get(oid)
    return quoted(role.name) if role is not None else None


def _builtin(relation: str, what: str) -> tuple[Callable[..., int], Callable[..., str | None]]:
    """Kinds that only the system brings: (resolver, namer)."""

    def find(text: str, facts: Facts, path: Path) -> int:
        name = name_parts(text)[-1]
        for row in builtin_rows(relation):
            if row[1] == name:
                oid: int = row[0]
                return oid
        raise SqlError(Code.undefined_object, f'{what} "{name}" does not exist')

    def name(oid: int, facts: Facts, path: Path) -> str | None:
        row = builtin_by_oid(relation).get(oid)
        return quoted(row[1]) if row is not None else None

    return find, name


_CONFIG = _builtin("pg_ts_config", "text search configuration")
_DICTIONARY = _builtin("pg_ts_dict", "text search dictionary")
_COLLATION = _builtin("pg_collation", "collation")

_RESOLVERS: Final[Mapping[str, Callable[[str, Facts, Any], int]]] = MappingProxyType(
    {
        "class": _class, "type": _type, "proc": _procedure, "procedure": _procedure, "oper": _operator,
        "operator": _operator_of_types, "namespace": _namespace, "role": _role, "config": _CONFIG[0],
        "dictionary": _DICTIONARY[0], "collation": _COLLATION[0],
    }
)  # fmt: skip
_NAMERS: Final[Mapping[str, Callable[[int, Facts, Any], str | None]]] = MappingProxyType(
    {
        "class": _class_name, "type": _type_name, "proc": _procedure_name, "procedure": _signature,
        "oper": _operator_name, "operator": _operator_signature, "namespace": _namespace_name, "role": _role_name,
        "config": _CONFIG[1], "dictionary": _DICTIONARY[1], "collation": _COLLATION[1],
    }
)  # fmt: skip
