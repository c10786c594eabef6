"""CREATE TYPE .. AS ENUM, ALTER TYPE and DROP TYPE (extensions).

An enum type is kept as a domain is: an object that columns point at, with owner, privileges and comments. What is its
own are its labels, each with the number that is stored for it. A new one gets a number between those of its
neighbours, as in PostgreSQL, so that nothing stored has to move; how often that can be done between the same two is
limited by the precision of numbers, some fifty times.
"""

from __future__ import annotations

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.objects import Domain, Label
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.dependencies import drop_statement
from tausql.sql.ddl.names import check_owner, creation_schema, existing_type, find, quoted
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.roles import new_owner, role_name
from tausql.sql.types.enums import enum_oid

LABELS_MAX = 1_000
LABEL_BYTES_MAX = 63


async def create_type(change: SchemaChange) -> DdlResult:
    """Raises 42710 for a name that is taken, 42602 for a label that is too long, 23505 for one that is there twice."""
    words = change.words()
    words.expect("CREATE", "TYPE")
    name = words.qualified_name()
    words.expect("AS", "ENUM", "(")
    texts: list[str] = []
    if not words.take(")"):
        while True:
            texts.append(_label(words))
            if not words.take(","):
                break
        words.expect(")")
    words.expect_end()
    schema = creation_schema(change, name.schema)
    _check_free(change, schema.name, name.name)
    if len(texts) > LABELS_MAX:
        raise _too_many()
    for at, text in enumerate(texts):
        if text in texts[:at]:
            raise SqlError(
                Code.unique_violation,
                'duplicate key value violates unique constraint "pg_enum_typid_label_index"',
                detail=f"Key (enumtypid, enumlabel)=({name.name}, {text}) already exists.",
            )
    first = await change.writer.take_oids(1 + len(texts))
    oid = enum_oid(first)
    labels = tuple(Label(text, at + 1.0, first + 1 + at) for at, text in enumerate(texts))
    change.writer.add_object(
        Domain(
            oid, schema.name, name.name, oid, owner=change.user.oid,
            acl=initial_acl(change, schema.name, "T", change.user.oid), labels=labels, is_enum=True,
        )
    )  # fmt: skip
    return change.result("CREATE TYPE")


def _label(words: Words) -> str:
    text = words.string()
    if len(text.encode()) > LABEL_BYTES_MAX:
        raise SqlError(
            Code.invalid_name, f'invalid enum label "{text}"', detail=f"Labels must be {LABEL_BYTES_MAX} bytes or less."
        )
    return text


def _too_many() -> SqlError:
    return SqlError(Code.program_limit_exceeded, f"an enum type can have at most {LABELS_MAX} values")


def _check_free(change: SchemaChange, schema: str, name: str) -> None:
    objects = change.snapshot.objects
    taken = (schema, name) in objects.domains or (schema, name) in change.snapshot.tables
    if taken or (schema, name) in objects.views:
        raise SqlError(Code.duplicate_object, f'type "{name}" already exists')


def find_type(change: SchemaChange, schema: str | None, name: str) -> Domain | None:
    return find(change, change.snapshot.objects.domains, schema, name)


async def alter_type(change: SchemaChange) -> DdlResult:
    """ADD VALUE, RENAME VALUE, RENAME TO, SET SCHEMA, OWNER TO."""
    words = change.words()
    words.expect("ALTER", "TYPE")
    type_ = existing_type(change, words.qualified_name())
    check_owner(change, type_.owner, "type", type_.name)
    if words.take("ADD", "VALUE"):
        changed = await _with_value(change, words, type_)
    elif words.take("RENAME", "VALUE"):
        changed = _with_renamed(words, type_)
    elif words.take("RENAME", "TO"):
        changed = _moved(change, type_, type_.schema, words.name())
    elif words.take("SET", "SCHEMA"):
        changed = _moved(change, type_, creation_schema(change, words.name()).name, type_.name)
    elif words.take("OWNER", "TO"):
        changed = msgspec.structs.replace(type_, owner=new_owner(change, role_name(change, words)).oid)
    else:
        raise not_supported("unsupported ALTER TYPE statement")
    words.expect_end()
    if changed is not type_:
        change.writer.replace_object(changed)
    return change.result("ALTER TYPE")


def _check_enum(type_: Domain) -> None:
    if not type_.is_enum:
        raise SqlError(Code.wrong_object_type, f"{quoted(type_.name)} is not an enum")


async def _with_value(change: SchemaChange, words: Words, type_: Domain) -> Domain:
    _check_enum(type_)
    exists_ok = words.take("IF", "NOT", "EXISTS")
    text = _label(words)
    side = words.take_one("BEFORE", "AFTER")
    neighbour = _label(words) if side else ""
    labels = type_.labels
    if any(label.text == text for label in labels):
        taken = f'enum label "{text}" already exists'
        if not exists_ok:
            raise SqlError(Code.duplicate_object, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_object)
        return type_
    if len(labels) >= LABELS_MAX:
        raise _too_many()
    at = len(labels)
    if side:
        at = _place(labels, neighbour) + (side == "AFTER")
    label = Label(text, _between(labels, at), await change.writer.take_oids(1))
    return msgspec.structs.replace(type_, labels=(*labels[:at], label, *labels[at:]))


def _place(labels: tuple[Label, ...], text: str) -> int:
    for at, label in enumerate(labels):
        if label.text == text:
            return at
    raise SqlError(Code.invalid_parameter_value, f'"{text}" is not an existing enum label')


def _between(labels: tuple[Label, ...], at: int) -> float:
    """A number for a label that comes to stand at that place. Raises 54000 where there is none left."""
    if not labels:
        return 1.0
    if at == 0:
        return labels[0].order - 1
    if at == len(labels):
        return labels[-1].order + 1
    low, high = labels[at - 1].order, labels[at].order
    found = (low + high) / 2
    if not low < found < high:
        raise SqlError(
            Code.program_limit_exceeded,
            f'there is no room for another value between "{labels[at - 1].text}" and "{labels[at].text}"',
            hint="Create a new type with the values in order, and change the column's type by way of a new column.",
        )
    return found


def _with_renamed(words: Words, type_: Domain) -> Domain:
    _check_enum(type_)
    old = _label(words)
    words.expect("TO")
    new = _label(words)
    at = _place(type_.labels, old)
    if any(label.text == new for label in type_.labels):
        raise SqlError(Code.duplicate_object, f'enum label "{new}" already exists')
    changed = msgspec.structs.replace(type_.labels[at], text=new)
    return msgspec.structs.replace(type_, labels=(*type_.labels[:at], changed, *type_.labels[at + 1 :]))


def _moved(change: SchemaChange, type_: Domain, schema: str, name: str) -> Domain:
    if (schema, name) == (type_.schema, type_.name):
        return type_
    _check_free(change, schema, name)
    return msgspec.structs.replace(type_, schema=schema, name=name)


async def drop_type(change: SchemaChange) -> DdlResult:
    return await drop_statement(change, "domain", lambda schema, name: find_type(change, schema, name))


HANDLERS = {"create_type": create_type, "alter_type": alter_type, "drop_type": drop_type}
