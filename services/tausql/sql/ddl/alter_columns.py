"""ALTER TABLE ... ADD, DROP and ALTER COLUMN. All of it is a change of the catalogue: no row is rewritten.

A dropped column keeps its place in the stored rows, so positions never change and older rows stay readable; a column
that was added is NULL in the rows from before.
"""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Column, Index
from tausql.sql.catalogue.system import NameRow
from tausql.sql.ddl import extended_columns, limits, sequences
from tausql.sql.ddl.columns import (
    ColumnDefinition,
    check_storage,
    checked_default,
    identifier,
    read_storage,
    read_type,
    read_value,
    set_identity,
)
from tausql.sql.ddl.dependencies import CASCADE_HINT, Item, everything, remove
from tausql.sql.ddl.names import shown
from tausql.sql.ddl.reading import Words
from tausql.sql.ddl.table_change import TableChange
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.types import type_by_oid

COLUMNS_EVER_MAX = 1600
_SEQUENCE_WORDS = ("AS", "INCREMENT", "MINVALUE", "MAXVALUE", "START", "RESTART", "CACHE", "CYCLE", "NO", "SEQUENCE")


def order_of(words: Words) -> int:
    """When ALTER COLUMN runs among the actions: DROP before what adds, SET DEFAULT and identity after."""
    at = words.at
    words.name()
    drops = words.next_is("DROP")
    words.at = at
    return 0 if drops else 2


# --- ADD and DROP ------------------------------------------------------------------------------------------------


async def add_column(altered: TableChange, words: Words) -> None:
    """A name and a type, with STORAGE; Aurora DSQL takes nothing more."""
    change, table = altered.change, altered.table
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    name = words.name()
    if words.ended:
        raise words.error()
    extensions = change.statement.dialect.extensions
    definition = extended_columns.read_array(words, name) if extensions else None
    if definition is None:
        definition = ColumnDefinition(name, *read_type(words, change.snapshot, change.search_path))
    if words.take("STORAGE"):
        definition.storage = check_storage(definition.type, read_storage(words))
    if words.next_is("COLLATE"):
        raise not_supported("COLLATE clause not supported")
    if not words.ended:
        if not change.statement.dialect.extensions:
            raise not_supported("ALTER TABLE ADD COLUMN with constraint not supported")
        extended_columns.read_filling(change, words, definition)
    if table.column(name) is not None:
        taken = f'column "{name}" of relation "{table.name}" already exists'
        if not if_not_exists:
            raise SqlError(Code.duplicate_column, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_column)
        return
    if len(table.live_columns) >= limits.COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"tables can have at most {limits.COLUMNS_MAX} columns")
    if len(table.columns) >= COLUMNS_EVER_MAX:
        raise SqlError(Code.too_many_columns, f"tables can have at most {COLUMNS_EVER_MAX} columns")
    added = definition.column(len(table.columns))
    altered.set(columns=(*table.columns, added))
    await extended_columns.fill(altered, added)


def _mentions(text: str | None, name: str) -> bool:
    """Whether an expression of the table reads that column."""
    if text is None:
        return False
    columns = parse_expression(text).find_all(exp.Column)
    return any(isinstance(column.this, exp.Identifier) and identifier(column.this) == name for column in columns)


def relies_on(index: Index, column: Column) -> bool:
    """Whether an index goes with a column."""
    if column.position in index.columns or column.position in index.include:
        return True
    return any(_mentions(text, column.name) for text in (*index.expressions, index.predicate))


async def drop_column(altered: TableChange, words: Words) -> None:
    """Takes the column's indexes and constraints with it; what else relies on it goes with CASCADE only."""
    change = altered.change
    missing_ok = words.take("IF", "EXISTS")
    name = words.name()
    cascade = words.take_one("CASCADE", "RESTRICT") == "CASCADE"
    table = altered.table
    column = table.column(name)
    if column is None:
        missing = f'column "{name}" of relation "{table.name}" does not exist'
        if not missing_ok:
            raise SqlError(Code.undefined_column, missing)
        change.notice(f"{missing}, skipping")
        return
    if column.position in table.primary_key:
        raise not_supported(f"cannot drop primary key column {name}")
    generated = [one for one in table.live_columns if one.name != name and _mentions(one.generated, name)]
    on = shown(change, table.schema, table.name)
    if generated and not cascade:
        raise SqlError(
            Code.dependent_objects_still_exist,
            f"cannot drop column {name} of table {on} because other objects depend on it",
            detail="\n".join(
                f"column {one.name} of table {on} depends on column {name} of table {on}" for one in generated
            ),
            hint=CASCADE_HINT,
        )
    for one in generated:
        change.notice(f"drop cascades to column {one.name} of table {on}")
    items = [Item("column", table.oid, one.position + 1) for one in (column, *generated)]
    altered.jobs |= await remove(change, everything(change, items, cascade))
    for one in (column, *generated):
        _take_out(altered, one)


def _take_out(altered: TableChange, column: Column) -> None:
    table = altered.table
    for index in table.indexes:
        if relies_on(index, column):
            altered.remove_index(index)
    altered.set(
        checks=tuple(check for check in table.checks if not _mentions(check.expression, column.name)),
        foreign_keys=tuple(
            key
            for key in table.foreign_keys
            if column.position not in key.columns and not (key.table == table.oid and column.position in key.referenced)
        ),
        primary_key_include=tuple(at for at in table.primary_key_include if at != column.position),
    )
    altered.set_column(
        column.position, dropped=True, default=None, generated=None, identity="", sequence=0, not_null=False, domain=0,
        acl=None,
    )  # fmt: skip


# --- ALTER COLUMN ------------------------------------------------------------------------------------------------


async def alter_column(altered: TableChange, words: Words) -> None:
    column = altered.column(words.name())
    if words.take("SET"):
        await _set(altered, column, words)
    elif words.take("DROP"):
        await _drop(altered, column, words)
    elif words.take("TYPE"):
        _set_type(altered, column, words)
    elif words.take("ADD", "GENERATED"):
        await _add_identity(altered, column, words)
    elif words.next_is("RESTART"):
        await _alter_sequence(altered, column, words)
    elif words.next_is("RESET"):
        raise _unsupported("RESET")
    else:
        raise words.error()


def _set_type(altered: TableChange, column: Column, words: Words) -> None:
    if not altered.change.statement.dialect.extensions:
        raise _unsupported("SET DATA TYPE")
    extended_columns.widen(altered, column, words, type_by_oid(column.type_oid))


def _check_compression(words: Words) -> None:
    """SET COMPRESSION, as pg_dump writes it: there is one, whatever a column says. Raises 0A000 for another one."""
    words.expect("COMPRESSION")
    if not words.take_one("LZ4", "DEFAULT"):
        raise not_supported(f"compression method {words.peek().lower()} not supported")


def _unsupported(action: str) -> SqlError:
    return not_supported(f"unsupported ALTER TABLE ALTER COLUMN ... {action} statement")


async def _set(altered: TableChange, column: Column, words: Words) -> None:
    if words.take("DEFAULT"):
        _refuse_default(altered, column, dropping=False)
        node = read_value(words)
        type_ = type_by_oid(column.type_oid)
        text = checked_default(altered.change, node, column.name, type_, column.typmod)
        altered.set_column(column.position, default=text)
    elif words.take("NOT", "NULL"):
        if not altered.change.statement.dialect.extensions:
            raise _unsupported("SET NOT NULL")
        await extended_columns.check_not_null(altered, column)
        altered.set_column(column.position, not_null=True)
    elif words.take("DATA", "TYPE"):
        _set_type(altered, column, words)
    elif words.take("STORAGE"):
        storage = check_storage(type_by_oid(column.type_oid), read_storage(words))
        altered.set_column(column.position, storage=storage)
    elif words.next_is("GENERATED") or words.peek() in _SEQUENCE_WORDS:
        words.at -= 1
        await _alter_sequence(altered, column, words)
    elif altered.change.statement.dialect.extensions and words.next_is("COMPRESSION"):
        _check_compression(words)
    elif words.next_is("COMPRESSION") or words.next_is("STATISTICS") or words.next_is("EXPRESSION"):
        raise _unsupported(f"SET {words.peek()}")
    elif words.next_is("("):
        raise _unsupported("SET")
    else:
        raise words.error()


def _refuse_default(altered: TableChange, column: Column, dropping: bool) -> None:
    """A default beside an identity or a generated value: 42601."""
    of = f'column "{column.name}" of relation "{altered.table.name}"'
    if column.identity:
        hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead." if dropping else None
        raise SqlError(Code.syntax_error, f"{of} is an identity column", hint=hint)
    if column.generated is not None:
        hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead." if dropping else None
        raise SqlError(Code.syntax_error, f"{of} is a generated column", hint=hint)


async def _drop(altered: TableChange, column: Column, words: Words) -> None:
    change = altered.change
    of = f'column "{column.name}" of relation "{altered.table.name}"'
    if words.take("DEFAULT"):
        _refuse_default(altered, column, dropping=True)
        altered.set_column(column.position, default=None)
    elif words.take("NOT", "NULL"):
        if column.identity:
            raise SqlError(Code.syntax_error, f"{of} is an identity column")
        if column.position in altered.table.primary_key:
            raise SqlError(Code.invalid_table_definition, f'column "{column.name}" is in a primary key')
        altered.set_column(column.position, not_null=False)
    elif words.take("EXPRESSION"):
        missing_ok = words.take("IF", "EXISTS")
        if column.generated is not None:
            altered.set_column(column.position, generated=None)
        elif missing_ok:
            change.notice(f"{of} is not a stored generated column, skipping")
        else:
            raise _prerequisite(f"{of} is not a stored generated column")
    elif words.take("IDENTITY"):
        missing_ok = words.take("IF", "EXISTS")
        if column.identity:
            sequence = sequences.sequence_of(change, altered.table, column.name)
            if sequence is not None:
                sequences.remove(change, sequence)
            altered.set_column(column.position, identity="", sequence=0)
        elif missing_ok:
            change.notice(f"{of} is not an identity column, skipping")
        else:
            raise _prerequisite(f"{of} is not an identity column")
    else:
        raise words.error()


def _prerequisite(text: str) -> SqlError:
    return SqlError(Code.object_not_in_prerequisite_state, text)


async def _add_identity(altered: TableChange, column: Column, words: Words) -> None:
    """GENERATED ALWAYS | BY DEFAULT AS IDENTITY (options)."""
    change, table = altered.change, altered.table
    always = words.take("ALWAYS")
    if not always:
        words.expect("BY", "DEFAULT")
    words.expect("AS", "IDENTITY")
    definition = ColumnDefinition(column.name, type_by_oid(column.type_oid), column.typmod)
    definition.any_integer = change.statement.dialect.extensions
    set_identity(words, definition, always)
    of = f'column "{column.name}" of relation "{table.name}"'
    if not column.not_null:
        raise _prerequisite(f"{of} must be declared NOT NULL before identity can be added")
    if column.identity:
        raise _prerequisite(f"{of} is already an identity column")
    if column.default is not None or column.generated is not None:
        raise _prerequisite(f"{of} already has a default value")
    assert definition.sequence_options is not None
    options = {"type_oid": column.type_oid, **sequences.read_options(definition.sequence_options)}
    definition.sequence_options.expect_end()
    oid = await change.writer.take_oids(1, table.schema)
    sequence = sequences.identity_sequence(
        change, oid, table.schema, table.name, table.oid, column.name, column.position + 1, options, table.owner
    )
    await change.writer.claim_names(table.schema, {sequence.name: NameRow(oid, "sequence")})
    sequences.enter(change, sequence)
    altered.set_column(column.position, identity=definition.identity, sequence=oid)


async def _alter_sequence(altered: TableChange, column: Column, words: Words) -> None:
    """SET GENERATED ..., SET option ..., RESTART: one after the other."""
    change = altered.change
    sequence = sequences.sequence_of(change, altered.table, column.name)
    if not column.identity or sequence is None:
        raise _prerequisite(f'column "{column.name}" of relation "{altered.table.name}" is not an identity column')
    options: sequences.Options = {}
    while not words.ended:
        if words.take("SET", "GENERATED"):
            always = words.take("ALWAYS")
            if not always:
                words.expect("BY", "DEFAULT")
            altered.set_column(column.position, identity="a" if always else "d")
            continue
        if not words.next_is("RESTART"):
            words.expect("SET")
        own = _one_option(words)
        for name, value in sequences.read_options(own).items():
            if name in options:
                raise SqlError(Code.syntax_error, "conflicting or redundant options")
            options[name] = value
        if own.at == words.at:
            raise words.error()
        words.at = own.at
    if "cache" in options:
        sequences.check_cache(options, "identity column")
    if options:
        await sequences.alter(change, sequence, options)


def _one_option(words: Words) -> Words:
    """The words of one option: up to the next SET."""
    end = words.at
    while end < len(words.tokens) and (end == words.at or words.tokens[end].word not in ("SET", "RESTART")):
        end += 1
    return Words(words.text, words.tokens[:end], words.at)
