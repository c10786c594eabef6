"""CREATE, ALTER and DROP SEQUENCE, and the sequence behind an identity column.

The definition is an object of the catalogue. How far the sequence has come is a row of its own, changed outside of the
transactions that take values: here it is only made, moved by RESTART, and removed.
"""

from __future__ import annotations

from collections.abc import Sequence as List

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import Dependency, Schema, Sequence
from tausql.sql.catalogue.system import SEQUENCES, NameRow, SequenceRow, decode_sequence, encode_row, system_keys
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.names import check_owner, creation_schema, find, find_relation, wrong_kind
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.sequence_options import Options as Options
from tausql.sql.ddl.sequence_options import invalid
from tausql.sql.ddl.sequence_options import read_options as read_options

SEQUENCES_MAX = 5000
CACHE_MIN = 65536  # or 1
_RANGES = {20: 63, 23: 31, 21: 15}
_TYPE_NAMES = {20: "bigint", 23: "integer", 21: "smallint"}


def applied(sequence: Sequence, options: Options, new: bool) -> Sequence:
    """The definition with options given. Raises 22023 for what does not fit together."""
    type_oid = options.get("type_oid", sequence.type_oid)
    increment = options.get("increment", sequence.increment)
    if increment == 0:
        raise invalid("INCREMENT must not be zero")
    top = (1 << _RANGES[type_oid]) - 1
    bottom = -top - 1
    old_top = (1 << _RANGES[sequence.type_oid]) - 1
    minimum, maximum = sequence.minimum, sequence.maximum
    up = increment > 0
    retyped = "type_oid" in options and not new
    if new or options.get("maximum", 0) is None or (retyped and maximum == old_top):
        maximum = top if up else -1
    if new or options.get("minimum", 0) is None or (retyped and minimum == -old_top - 1):
        minimum = 1 if up else bottom
    if options.get("maximum") is not None:
        maximum = options["maximum"]
    if options.get("minimum") is not None:
        minimum = options["minimum"]
    for label, value in (("MAXVALUE", maximum), ("MINVALUE", minimum)):
        if not bottom <= value <= top:
            raise invalid(f"{label} ({value}) is out of range for sequence data type {_TYPE_NAMES[type_oid]}")
    if minimum >= maximum:
        raise invalid(f"MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})")
    first = minimum if up else maximum
    start: int = options.get("start", first if new else sequence.start)
    _check_within("START", start, minimum, maximum)
    cache = options.get("cache", sequence.cache)
    if cache <= 0:
        raise invalid(f"CACHE ({cache}) must be greater than zero")
    return msgspec.structs.replace(
        sequence, type_oid=type_oid, increment=increment, minimum=minimum, maximum=maximum, start=start, cache=cache,
        cycle=options.get("cycle", sequence.cycle),
    )  # fmt: skip


def _check_within(label: str, value: int, minimum: int, maximum: int) -> None:
    if value < minimum:
        raise invalid(f"{label} value ({value}) cannot be less than MINVALUE ({minimum})")
    if value > maximum:
        raise invalid(f"{label} value ({value}) cannot be greater than MAXVALUE ({maximum})")


def check_cache(options: Options, what: str) -> None:
    """Aurora DSQL wants CACHE said, 1 or large: `what` is `CREATE SEQUENCE` or `identity column`. Raises 0A000."""
    cache = options.get("cache")
    if cache is not None and cache <= 0:
        raise invalid(f"CACHE ({cache}) must be greater than zero")
    if cache is not None and cache != 1 and cache < CACHE_MIN:
        raise invalid(f"CACHE ({cache}) must be greater than or equal to {CACHE_MIN} or equal to 1")
    if cache is None:
        raise not_supported(
            f"{what} is not supported without an explicit cache size. please define CACHE greater than or equal to "
            f"{CACHE_MIN} or equal to 1"
        )


def check_count(change: SchemaChange, more: int = 1) -> None:
    if len(change.snapshot.objects.sequences) + more > SEQUENCES_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {SEQUENCES_MAX} sequences is not allowed")


async def create_sequence(change: SchemaChange) -> DdlResult:
    """Raises 42P07, 0A000 without CACHE, 22023 for options that do not fit."""
    words = change.words()
    words.expect("CREATE")
    words.expect("SEQUENCE")
    exists_ok = words.take("IF", "NOT", "EXISTS")
    name = words.qualified_name()
    options = read_options(words)
    words.expect_end()
    schema = creation_schema(change, name.schema)
    return await add_sequence(change, schema, name.name, options, exists_ok)


async def add_sequence(
    change: SchemaChange, schema: Schema, name: str, options: Options, exists_ok: bool = False
) -> DdlResult:
    if "restart" in options:
        raise SqlError(Code.syntax_error, 'syntax error at or near "RESTART"')
    check_cache(options, "CREATE SEQUENCE")
    if find_relation(change, schema.name, name) is not None:
        taken = f'relation "{name}" already exists'
        if not exists_ok:
            raise SqlError(Code.duplicate_table, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_table)
        return change.result("CREATE SEQUENCE")
    check_count(change)
    fresh = Sequence(0, schema.name, name, owner=change.user.oid)
    sequence = applied(fresh, options, True)
    if options.get("owned_by") is not None:
        sequence = msgspec.structs.replace(sequence, owned_by=_owner(change, sequence, options["owned_by"]))
    oid = await change.writer.take_oids(1)
    acl = initial_acl(change, schema.name, "S", change.user.oid)
    sequence = msgspec.structs.replace(sequence, oid=oid, acl=acl)
    await change.writer.claim_names(schema.name, {name: NameRow(oid, "sequence")})
    enter(change, sequence)
    return change.result("CREATE SEQUENCE")


def enter(change: SchemaChange, sequence: Sequence) -> None:
    """The object and its row; the name is claimed apart."""
    change.writer.add_object(sequence)
    key = system_keys(change.snapshot.cluster).sequence((sequence.oid,))
    change.transaction.insert_row(SEQUENCES, key, encode_row(SequenceRow(sequence.start, False)))


def _owner(change: SchemaChange, sequence: Sequence, parts: List[str]) -> Dependency:
    """OWNED BY: (table's oid, attnum)."""
    *place, column_name = parts
    relation = find_relation(change, place[0] if len(place) == 2 else None, place[-1])
    if relation is None:
        raise SqlError(Code.undefined_table, f'relation "{".".join(place)}" does not exist')
    if not isinstance(relation, Table):
        raise SqlError(Code.wrong_object_type, f'sequence cannot be owned by relation "{place[-1]}"')
    if relation.schema != sequence.schema:
        raise _prerequisite("sequence must be in same schema as table it is linked to")
    if relation.owner != sequence.owner:
        raise _prerequisite("sequence must have same owner as table it is linked to")
    column = relation.column(column_name)
    if column is None:
        raise SqlError(Code.undefined_column, f'column "{column_name}" of relation "{relation.name}" does not exist')
    return relation.oid, column.position + 1


def _prerequisite(text: str) -> SqlError:
    return SqlError(Code.object_not_in_prerequisite_state, text)


def find_sequence(change: SchemaChange, schema: str | None, name: str) -> Sequence | None:
    """Raises 42809 for a relation that is no sequence."""
    relation = find_relation(change, schema, name)
    if relation is None or isinstance(relation, Sequence):
        return relation
    raise wrong_kind(name, "sequence", relation)


async def alter_sequence(change: SchemaChange) -> DdlResult:
    words = change.words()
    words.expect("ALTER", "SEQUENCE")
    exists_ok = words.take("IF", "EXISTS")
    name = words.qualified_name()
    relation = find_relation(change, name.schema, name.name)
    if relation is not None and not isinstance(relation, Sequence):
        raise SqlError(
            Code.wrong_object_type,
            f'cannot open relation "{name.name}"',
            detail="This operation is not supported for tables." if isinstance(relation, Table) else None,
        )
    if relation is None:
        if not exists_ok:
            raise SqlError(Code.undefined_table, f'relation "{name}" does not exist')
        change.notice(f'relation "{name}" does not exist, skipping')
        return change.result("ALTER SEQUENCE")
    check_owner(change, relation.owner, "sequence", relation.name)
    if words.next_is("RENAME") or words.next_is("SET", "SCHEMA") or words.next_is("OWNER"):
        await _move(change, relation, words)
    else:
        options = read_options(words)
        words.expect_end()
        if not options:
            raise words.error()
        if "cache" in options:
            check_cache(options, "ALTER SEQUENCE")
        await alter(change, relation, options)
    return change.result("ALTER SEQUENCE")


async def alter(change: SchemaChange, sequence: Sequence, options: Options) -> Sequence:
    """The options of ALTER SEQUENCE, or of ALTER COLUMN SET of an identity column; the sequence as it is now."""
    altered = applied(sequence, options, False)
    if "owned_by" in options:
        if sequence.identity:
            table = change.snapshot.by_oid[sequence.owned_by[0]] if sequence.owned_by is not None else None
            raise not_supported_ownership(sequence, table)
        parts = options["owned_by"]
        altered = msgspec.structs.replace(altered, owned_by=None if parts is None else _owner(change, altered, parts))
    if "restart" in options:
        value = options["restart"] if options["restart"] is not None else altered.start
        _check_within("RESTART", value, altered.minimum, altered.maximum)
        before = await row_of(change, sequence)
        row = SequenceRow(value, False, before.settings + 1)
    else:
        row = await row_of(change, sequence)
        _check_within("RESTART", row.last, altered.minimum, altered.maximum)
    key = system_keys(change.snapshot.cluster).sequence((sequence.oid,))
    change.transaction.update_row(SEQUENCES, key, encode_row(row), False)
    change.writer.replace_object(altered)
    return altered


def not_supported_ownership(sequence: Sequence, table: Table | None) -> SqlError:
    return SqlError(
        Code.feature_not_supported,
        "cannot change ownership of identity sequence",
        detail=f'Sequence "{sequence.name}" is linked to table "{table.name if table is not None else ""}".',
    )


async def row_of(change: SchemaChange, sequence: Sequence) -> SequenceRow:
    key = system_keys(change.snapshot.cluster).sequence((sequence.oid,))
    (value,) = await change.transaction.get(SEQUENCES, [key])
    return decode_sequence(value) if value is not None else SequenceRow(sequence.start, False)


async def _move(change: SchemaChange, sequence: Sequence, words: Words) -> None:
    """RENAME TO, SET SCHEMA, OWNER TO."""
    schema, name = sequence.schema, sequence.name
    if words.take("RENAME"):
        words.expect("TO")
        name = words.name()
    elif words.take("SET"):
        words.expect("SCHEMA")
        schema = creation_schema(change, words.name()).name
        if sequence.owned_by is not None:
            table = change.snapshot.by_oid.get(sequence.owned_by[0])
            raise SqlError(
                Code.feature_not_supported,
                "cannot move an owned sequence into another schema",
                detail=f'Sequence "{name}" is linked to table "{table.name if table is not None else ""}".',
            )
    else:
        words.expect("OWNER", "TO")
        from tausql.sql.ddl.roles import new_owner, role_name

        owner = new_owner(change, role_name(change, words))
        words.expect_end()
        if sequence.owned_by is not None:
            table = change.snapshot.by_oid.get(sequence.owned_by[0])
            raise SqlError(
                Code.feature_not_supported,
                f'cannot change owner of sequence "{name}"',
                detail=f'Sequence "{name}" is linked to table "{table.name if table is not None else ""}".',
            )
        change.writer.replace_object(msgspec.structs.replace(sequence, owner=owner.oid))
        return
    words.expect_end()
    await change.writer.claim_names(schema, {name: NameRow(sequence.oid, "sequence")})
    change.writer.release_name(sequence.schema, sequence.name)
    change.writer.replace_object(msgspec.structs.replace(sequence, schema=schema, name=name))
    from tausql.sql.ddl.stored_texts import sequence_renamed

    sequence_renamed(change, (sequence.schema, sequence.name), (schema, name))


def remove(change: SchemaChange, sequence: Sequence) -> None:
    """Out of the catalogue: the object, its name, its row. Who depends on it is looked at before."""
    change.writer.remove_object(sequence)
    change.writer.release_name(sequence.schema, sequence.name)
    key = system_keys(change.snapshot.cluster).sequence((sequence.oid,))
    change.transaction.delete_row(SEQUENCES, key)


# --- identity columns --------------------------------------------------------------------------------------------


def identity_sequence(
    change: SchemaChange, oid: int, schema: str, table: str, table_oid: int, column: str, attnum: int,
    options: Options, owner: int, taken: frozenset[str] = frozenset(),
) -> Sequence:  # fmt: skip
    """The sequence of an identity column, to be entered with `enter` and its name claimed by the caller.

    `options`: as read by `read_options` from what stands in the parentheses after AS IDENTITY. `taken`: names the same
    statement claims already. Raises 0A000 without CACHE."""
    check_cache(options, "identity column")
    check_count(change)
    given = options.get("name")
    name = given.name if given is not None else free_name(change, schema, table, column, "seq", taken)
    fresh = Sequence(oid, schema, name, owner=owner, owned_by=(table_oid, attnum), identity=True)
    return applied(fresh, options, True)


def free_name(
    change: SchemaChange, schema: str, table: str, column: str, label: str, taken: frozenset[str] = frozenset()
) -> str:
    """table_column_label, with a number where that is taken."""
    name, number = limits.object_name(table, column, label), 0
    while name in taken or find_relation(change, schema, name) is not None:
        number += 1
        name = limits.object_name(table, column, f"{label}{number}")
    return name


def sequence_of(change: SchemaChange, table: Table, column: str) -> Sequence | None:
    """The sequence of an identity column."""
    found = table.column(column)
    if found is None or not found.sequence:
        return None
    item = change.snapshot.objects.by_oid.get(found.sequence)
    return item if isinstance(item, Sequence) else None


def owned_sequences(change: SchemaChange, table: Table, attnum: int = 0) -> list[Sequence]:
    """Those that go with a table, or with one of its columns."""
    return [
        sequence
        for sequence in change.snapshot.objects.sequences.values()
        if sequence.owned_by is not None and sequence.owned_by[0] == table.oid and attnum in (0, sequence.owned_by[1])
    ]


async def drop_sequence(change: SchemaChange) -> DdlResult:
    from tausql.sql.ddl.dependencies import drop_statement

    return await drop_statement(change, "sequence", lambda schema, name: find_sequence(change, schema, name))


__all__ = ["HANDLERS", "find"]
HANDLERS = {"create_sequence": create_sequence, "alter_sequence": alter_sequence, "drop_sequence": drop_sequence}
