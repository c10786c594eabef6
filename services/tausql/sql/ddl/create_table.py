"""CREATE TABLE: a relation's row, its names, and the indexes its constraints ask for (built at once: it is empty)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Check, Column, ForeignKey, Index, Table
from tausql.sql.catalogue.objects import Sequence as SequenceObject
from tausql.sql.catalogue.system import NameRow
from tausql.sql.catalogue.temporary import KEEP, TEMPORARY_SCHEMA
from tausql.sql.ddl import limits, sequences
from tausql.sql.ddl.bodies_in_place import with_bodies
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import ColumnDefinition, checked_default, no_further_types, read_column
from tausql.sql.ddl.constraints import (
    TABLE_CONSTRAINTS,
    CheckDefinition,
    Constraint,
    ForeignKeyDefinition,
    UniqueDefinition,
    read_table_constraint,
)
from tausql.sql.ddl.default_privileges import initial_acl
from tausql.sql.ddl.enum_literals import LabelsMet, pinned
from tausql.sql.ddl.extended_columns import read_further
from tausql.sql.ddl.foreign_keys import check_permanence, referenced_table, resolved
from tausql.sql.ddl.names import creation_schema, find_relation
from tausql.sql.ddl.naming import Names, only_column
from tausql.sql.ddl.reading import QualifiedName, Words
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.ddl.stored_texts import mark_enums
from tausql.sql.ddl.table_like import Copied, read_like
from tausql.sql.ddl.temporary_tables import read_on_commit, take_temporary, temporary_place
from tausql.sql.ddl.user_calls import DefinitionScope, kept_text
from tausql.sql.expressions import volatility
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.stored_expressions import CHECK, GENERATED, RowScope, bound_condition, bound_value
from tausql.sql.types import type_by_oid

COMMAND = "CREATE TABLE"


@dataclass(slots=True)
class TableDefinition:
    """CREATE TABLE as written, read but not yet looked at as a whole."""

    place: QualifiedName
    if_not_exists: bool = False
    columns: list[ColumnDefinition] = field(default_factory=list)
    primary: UniqueDefinition | None = None
    uniques: list[UniqueDefinition] = field(default_factory=list)
    checks: list[CheckDefinition] = field(default_factory=list)
    foreign_keys: list[ForeignKeyDefinition] = field(default_factory=list)
    copied: list[Copied] = field(default_factory=list)  # LIKE ... INCLUDING
    on_commit: str = KEEP  # of a temporary table


def read_table(change: SchemaChange, words: Words) -> TableDefinition:
    """From CREATE TABLE on. Raises 42601, and 0A000 for clauses Aurora DSQL does not take."""
    words.expect("CREATE")
    temporary = take_temporary(words)
    words.expect("TABLE")
    if_not_exists = words.take("IF", "NOT", "EXISTS")
    definition = TableDefinition(words.qualified_name(), if_not_exists)
    if temporary:
        definition.place = temporary_place(definition.place)
    if words.next_is("PARTITION", "OF"):
        raise not_supported("PARTITION OF clause not supported for CREATE TABLE")
    if words.next_is("OF"):
        raise not_supported("OF clause not supported for CREATE TABLE")
    words.expect("(")
    if not words.take(")"):
        while True:
            _read_item(change, words, definition)
            if not words.take(","):
                break
        words.expect(")")
    definition.on_commit = read_on_commit(words, definition.place.schema == TEMPORARY_SCHEMA)
    _refuse_tail(words)
    return definition


def _refuse_tail(words: Words) -> None:
    for clause in ("INHERITS", "TABLESPACE", "WITH", "WITHOUT", "USING"):
        if words.next_is(clause):
            raise not_supported(f"{clause} clause not supported for CREATE TABLE")
    for pair in (("PARTITION", "BY"), ("ON", "COMMIT")):
        if words.next_is(*pair):
            raise not_supported(f"{' '.join(pair)} clause not supported for CREATE TABLE")
    words.expect_end()


def _read_item(change: SchemaChange, words: Words, definition: TableDefinition) -> None:
    if words.take("LIKE"):
        copied = read_like(change, words)
        definition.columns += copied.columns
        definition.checks += copied.checks
        definition.copied.append(copied)
    elif words.peek() in TABLE_CONSTRAINTS:
        _add_constraint(definition, read_table_constraint(words, COMMAND))
    else:
        further = read_further if change.statement.dialect.extensions else no_further_types
        column = read_column(words, change.snapshot, change.search_path, COMMAND, further, table=definition.place.name)
        definition.columns.append(column)
        for constraint in column.constraints:
            _add_constraint(definition, constraint)


def _add_constraint(
    definition: TableDefinition, constraint: CheckDefinition | UniqueDefinition | ForeignKeyDefinition
) -> None:
    if isinstance(constraint, CheckDefinition):
        definition.checks.append(constraint)
    elif isinstance(constraint, ForeignKeyDefinition):
        definition.foreign_keys.append(constraint)
    elif not constraint.primary:
        definition.uniques.append(constraint)
    elif definition.primary is not None:
        raise SqlError(
            Code.invalid_table_definition, f'multiple primary keys for table "{definition.place.name}" are not allowed'
        )
    else:
        definition.primary = constraint


def positions_of(columns: Sequence[Column], names: Sequence[str], what: str) -> tuple[int, ...]:
    """Positions of the columns a key names. Raises 42703 and 42701."""
    order = {column.name: column.position for column in columns if not column.dropped}
    for at, name in enumerate(names):
        if name not in order:
            raise SqlError(Code.undefined_column, f'column "{name}" named in key does not exist')
        if name in names[:at]:
            raise SqlError(Code.duplicate_column, f'column "{name}" appears twice in {what} constraint')
    return tuple(order[name] for name in names)


def key_positions(columns: Sequence[Column], unique: UniqueDefinition) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(key, INCLUDE) of UNIQUE or PRIMARY KEY."""
    what = "primary key" if unique.primary else "unique"
    key = positions_of(columns, unique.columns, what)
    limits.check_key_columns([type_by_oid(columns[at].type_oid) for at in key])
    return key, positions_of(columns, unique.include, what)


def made_columns(
    change: SchemaChange, name: str, definitions: Sequence[ColumnDefinition], primary: UniqueDefinition | None
) -> list[Column]:
    """The columns of a new table, generated values checked. Raises 42701, 54011, 42P17, 42601."""
    if len(definitions) > limits.COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"tables can have at most {limits.COLUMNS_MAX} columns")
    key = set(primary.columns) if primary is not None else set()
    columns: list[Column] = []
    for position, definition in enumerate(definitions):
        if any(other.name == definition.name for other in columns):
            raise SqlError(Code.duplicate_column, f'column "{definition.name}" specified more than once')
        column = definition.column(position)
        if column.name in key:
            if definition.not_null is False:
                raise SqlError(
                    Code.syntax_error,
                    f'conflicting NULL/NOT NULL declarations for column "{column.name}" of table "{name}"',
                )
            column = msgspec.structs.replace(column, not_null=True)
        columns.append(column)
    marked = [
        msgspec.structs.replace(column, generated="" if definition.generated is not None else None)
        for column, definition in zip(columns, definitions, strict=True)
    ]
    for at, definition in enumerate(definitions):
        if definition.generated is not None:
            text, bodies = generated_text(change, name, marked, columns[at], definition)
            columns[at] = msgspec.structs.replace(columns[at], generated=text, bodies=bodies)
    return columns


def generated_text(
    change: SchemaChange, name: str, columns: Sequence[Column], column: Column, definition: ColumnDefinition
) -> tuple[str, tuple[int, ...]]:
    """A generated value as it is kept, and the users' functions whose bodies stand in it."""
    assert definition.generated is not None
    node = definition.generated
    mark_enums(node, change.snapshot, change.search_path)
    scope = RowScope(name, columns, GENERATED)
    if change.snapshot.objects.domains:
        scope.params.labels = LabelsMet(change.snapshot.objects)
    node, bodies = with_bodies(change, node, scope)
    expr = bound_value(node, scope, column)
    if volatility(expr) != "i":
        raise SqlError(Code.invalid_object_definition, "generation expression is not immutable")
    return expression_text(pinned(node, scope.params.labels)), bodies


def check_text(change: SchemaChange, name: str, columns: Sequence[Column], check: CheckDefinition) -> str:
    """The text of a CHECK once it is known to be one."""
    scope = DefinitionScope(change, name, columns, CHECK)
    bound_condition(check.node, scope, "CHECK")
    return kept_text(change, check.node, scope)


def _distinct_uniques(definition: TableDefinition) -> list[UniqueDefinition]:
    """Without those that say again what the primary key or another one says."""
    kept: list[UniqueDefinition] = []
    primary = definition.primary
    for unique in definition.uniques:
        if primary is not None and unique.columns == primary.columns and unique.include == primary.include:
            if not primary.name:
                primary.name = unique.name
                continue
            if not unique.name:
                continue
        same = next(
            (
                other
                for other in kept
                if other.columns == unique.columns
                and other.include == unique.include
                and other.nulls_not_distinct == unique.nulls_not_distinct
                and not (other.name and unique.name)
            ),
            None,
        )
        if same is None:
            kept.append(unique)
        elif not same.name:
            same.name = unique.name
    return kept


def _exists(change: SchemaChange, definition: TableDefinition, schema: str) -> bool:
    """Raises 42P07 where the name is taken, unless IF NOT EXISTS was said."""
    if find_relation(change, schema, definition.place.name) is None:
        return False
    taken = f'relation "{definition.place.name}" already exists'
    if not definition.if_not_exists:
        raise SqlError(Code.duplicate_table, taken)
    change.notice(f"{taken}, skipping", Code.duplicate_table)
    return True


async def create_table(change: SchemaChange) -> DdlResult:
    """Enter a new table into the catalogue. Raises 42P07 where the name is taken, unless IF NOT EXISTS was said."""
    definition = read_table(change, change.words())
    schema = creation_schema(change, definition.place.schema).name
    if _exists(change, definition, schema):
        return change.result(COMMAND)
    if len(change.snapshot.tables) >= limits.TABLES_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {limits.TABLES_MAX} tables not allowed")
    await Creation(change, definition, schema).enter()
    return change.result(COMMAND)


class Creation:
    """One table being made: oids are taken in one block, names found in PostgreSQL's order."""

    def __init__(self, change: SchemaChange, definition: TableDefinition, schema: str) -> None:
        self._change = change
        self._definition = definition
        self._schema = schema
        self._name = definition.place.name
        constraints: list[Constraint] = [*definition.uniques, *definition.checks, *definition.foreign_keys]
        given = [part.name for part in constraints if part.name]
        if definition.primary is not None and definition.primary.name:
            given.append(definition.primary.name)
        self._names = Names(change.snapshot, schema, self._name, [self._name, *given])
        self._claims: dict[str, NameRow] = {}
        self._next = 0

    def _oid(self) -> int:
        self._next += 1
        return self._next - 1

    async def enter(self) -> None:
        change, definition = self._change, self._definition
        uniques = _distinct_uniques(definition)
        limits.check_index_count(len(uniques) + 1)
        for column in definition.columns:
            if column.default is not None:
                node = parse_expression(column.default)
                column.default = checked_default(change, node, column.name, column.type, column.typmod)
        columns = made_columns(change, self._name, definition.columns, definition.primary)
        identities = sum(1 for column in columns if column.identity)
        indexes = sum(len(copied.indexes) + len(copied.statistics) for copied in definition.copied)
        count = 3 + 2 * len(uniques) + len(definition.checks) + len(definition.foreign_keys) + identities + 2 * indexes
        oid = self._next = await change.writer.take_oids(count, self._schema)
        self._next += 2  # the table's and its primary key's
        self._claims[self._name] = NameRow(oid, "table")
        table = Table(
            oid=oid, schema=self._schema, name=self._name, columns=tuple(columns), primary_key=(),
            primary_key_name="", owner=change.user.oid, acl=initial_acl(change, self._schema, "r", change.user.oid),
        )  # fmt: skip
        table = self._with_primary(table)
        table = msgspec.structs.replace(table, indexes=tuple(self._unique(table, unique) for unique in uniques))
        table = self._with_copied_indexes(table)
        table = msgspec.structs.replace(table, checks=self._checks(table))
        table, parents = self._with_foreign_keys(table)
        table, made = self._with_sequences(table)
        for copied in definition.copied:
            copied.check_room(table)
        await change.writer.claim_names(self._schema, self._claims)
        change.writer.add_table(table)
        if definition.on_commit:
            change.transaction.temporary().on_commit(table.oid, definition.on_commit)
        for parent in parents:
            change.writer.replace_table(parent)
        for sequence in made:
            sequences.enter(change, sequence)
        for copied in definition.copied:
            copied.enter(change, table, self._next)
            self._next += len(copied.statistics)

    def _claim_index(self, name: str, oid: int) -> None:
        if name in self._claims:
            raise SqlError(Code.duplicate_table, f'relation "{name}" already exists')
        self._claims[name] = NameRow(oid, "index")

    def _with_primary(self, table: Table) -> Table:
        primary = self._definition.primary
        if primary is None:
            return table
        key, include = key_positions(table.columns, primary)
        name = primary.name or self._names.of_index("", "pkey")
        self._claim_index(name, table.oid + 1)
        return msgspec.structs.replace(
            table, primary_key=key, primary_key_name=name, primary_key_include=include, primary_key_oid=self._oid()
        )

    def _unique(self, table: Table, unique: UniqueDefinition) -> Index:
        key, include = key_positions(table.columns, unique)
        name = unique.name or self._names.of_index("_".join(unique.columns + unique.include), "key")
        oid = self._oid()
        self._claim_index(name, oid)
        return Index(
            oid=oid, name=name, columns=key, unique=True, constraint=True, include=include,
            nulls_not_distinct=unique.nulls_not_distinct, constraint_oid=self._oid(), covering=bool(include),
        )  # fmt: skip

    def _with_copied_indexes(self, table: Table) -> Table:
        """LIKE ... INCLUDING INDEXES."""
        for copied in self._definition.copied:
            for index in copied.indexes:
                made = copied.index_for(index, table, self._oid(), self._names)
                if made is None:
                    if table.primary_key:
                        raise SqlError(
                            Code.invalid_table_definition,
                            f'multiple primary keys for table "{self._name}" are not allowed',
                        )
                    table = copied.with_primary(table, self._names.of_index("", "pkey"), self._oid())
                    self._claim_index(table.primary_key_name, table.oid + 1)
                    continue
                if made.constraint:
                    made = msgspec.structs.replace(made, constraint_oid=self._oid())
                self._claim_index(made.name, made.oid)
                table = msgspec.structs.replace(table, indexes=(*table.indexes, made))
        limits.check_index_count(len(table.indexes) + 1)
        return table

    def _checks(self, table: Table) -> tuple[Check, ...]:
        made: list[Check] = []
        for check in self._definition.checks:
            text = check_text(self._change, self._name, table.columns, check)
            if check.name and any(other.name == check.name for other in made):
                raise SqlError(Code.duplicate_object, f'check constraint "{check.name}" already exists')
            name = check.name or self._names.of_constraint(only_column(check.node), "check")
            made.append(Check(name, text, self._oid(), not check.not_valid or True, check.no_inherit))
        return tuple(made)

    def _with_foreign_keys(self, table: Table) -> tuple[Table, list[Table]]:
        """The table with its foreign keys, and the tables they point at."""
        made: list[ForeignKey] = []
        parents: dict[int, Table] = {}
        pointing = False
        for definition in self._definition.foreign_keys:
            parent = referenced_table(self._change, definition, table)
            check_permanence(table, parent)
            name = definition.name or self._names.of_constraint("_".join(definition.columns), "fkey")
            if definition.name and name in {*(key.name for key in made), *(check.name for check in table.checks)}:
                raise SqlError(Code.duplicate_object, f'constraint "{name}" for relation "{self._name}" already exists')
            definition.not_valid = False  # there are no rows to be checked later
            made.append(resolved(definition, name, self._oid(), table, parent))
            if parent.oid == table.oid:
                pointing = True
            elif table.oid not in parent.referenced_by:
                parents[parent.oid] = msgspec.structs.replace(parent, referenced_by=(*parent.referenced_by, table.oid))
        referenced_by = (table.oid,) if pointing else ()
        return msgspec.structs.replace(table, foreign_keys=tuple(made), referenced_by=referenced_by), list(
            parents.values()
        )

    def _with_sequences(self, table: Table) -> tuple[Table, list[SequenceObject]]:
        """The table with the sequences of its identity columns."""
        made: list[SequenceObject] = []
        columns = list(table.columns)
        for at, definition in enumerate(self._definition.columns):
            if not definition.identity:
                continue
            options = definition.sequence_options
            given = dict(definition.copied_options)
            if options is not None:
                given = {"type_oid": definition.type.oid, **sequences.read_options(options)}
                options.expect_end()
            sequences.check_count(self._change, len(made) + 1)
            sequence = sequences.identity_sequence(
                self._change, self._oid(), self._schema, self._name, table.oid, definition.name, at + 1, given,
                table.owner, frozenset(self._claims),
            )  # fmt: skip
            self._claims[sequence.name] = NameRow(sequence.oid, "sequence")
            columns[at] = msgspec.structs.replace(columns[at], sequence=sequence.oid)
            made.append(sequence)
        return msgspec.structs.replace(table, columns=tuple(columns)), made


HANDLERS = {"create_table": create_table}
