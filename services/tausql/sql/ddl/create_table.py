"""CREATE TABLE: a relation's row, its names, and the indexes its constraints ask for (built at once: it is empty)."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.catalogue.descriptors import Check, Column, Index, Snapshot, Table
from tausql.sql.catalogue.system import NameRow
from tausql.sql.ddl import limits
from tausql.sql.ddl.change import DdlResult, SchemaChange
from tausql.sql.ddl.columns import ColumnDefinition, column_definition, identifier
from tausql.sql.ddl.rendering import expression_text
from tausql.sql.expressions.parsing import parse_expression


@dataclass(slots=True)
class TableDefinition:
    """CREATE TABLE as written, checked but not yet numbered."""

    schema: str
    name: str
    columns: list[ColumnDefinition] = field(default_factory=list)
    primary_key: list[str] = field(default_factory=list)
    primary_key_name: str = ""
    uniques: list[tuple[str, list[str]]] = field(default_factory=list)  # (name or "", columns)
    checks: list[tuple[str, str]] = field(default_factory=list)


def target(node: exp.Expr, search_path: tuple[str, ...], snapshot: Snapshot) -> tuple[str, str]:
    """(schema, name) of what is to be created. Raises 3F000 for an unknown schema, 42501 for a system one."""
    if node.args.get("catalog") is not None:
        raise not_supported("cross-database references are not implemented")
    database = node.args.get("db")
    schema = identifier(database) if database is not None else next((s for s in search_path if s == "public"), "public")
    if schema not in snapshot.schemas:
        raise SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
    if schema != "public":
        raise SqlError(Code.insufficient_privilege, f"permission denied for schema {schema}")
    return schema, identifier(node.this)


def table_definition(node: exp.Create, search_path: tuple[str, ...], snapshot: Snapshot) -> TableDefinition:
    """What a parsed CREATE TABLE asks for. Raises for everything not supported."""
    _refuse_properties(node)
    if node.args.get("expression") is not None:
        raise not_supported("unsupported statement: CreateTableAs")
    if not isinstance(node.this, exp.Schema):
        raise SqlError(Code.syntax_error, "CREATE TABLE needs a list of columns")
    schema, name = target(node.this.this, search_path, snapshot)
    definition = TableDefinition(schema, name)
    for item in node.this.expressions:
        if isinstance(item, exp.ColumnDef):
            _add_column(definition, column_definition(item))
        elif isinstance(item, exp.Identifier):
            raise SqlError(Code.syntax_error, f'column "{identifier(item)}" has no type')
        else:
            _add_constraint(definition, item)
    if len(definition.columns) > limits.COLUMNS_MAX:
        raise SqlError(Code.too_many_columns, f"tables can have at most {limits.COLUMNS_MAX} columns")
    return definition


def _refuse_properties(node: exp.Create) -> None:
    properties = node.args.get("properties")
    for item in properties.expressions if properties is not None else ():
        if isinstance(item, exp.TemporaryProperty):
            raise not_supported("TEMPORARY or TEMP table not supported for CREATE TABLE")
        if isinstance(item, exp.UnloggedProperty):
            raise not_supported("UNLOGGED table not supported for CREATE TABLE")
        if isinstance(item, exp.PartitionedByProperty):
            raise not_supported("PARTITION BY clause not supported for CREATE TABLE")
        raise not_supported(f"{item.sql('postgres')} not supported for CREATE TABLE")


def _add_column(definition: TableDefinition, column: ColumnDefinition) -> None:
    if any(other.name == column.name for other in definition.columns):
        raise SqlError(Code.duplicate_column, f'column "{column.name}" specified more than once')
    definition.columns.append(column)
    if column.primary_key is not None:
        _set_primary_key(definition, column.primary_key, [column.name])
    definition.uniques += [(name, [column.name]) for name in column.uniques]
    definition.checks += column.checks


def _add_constraint(definition: TableDefinition, item: exp.Expr) -> None:
    name = ""
    parts = [item]
    if isinstance(item, exp.Constraint):
        name, parts = identifier(item.this), item.expressions
    for part in parts:
        if isinstance(part, exp.PrimaryKey):
            _set_primary_key(definition, name, [identifier(_column_of(node)) for node in part.expressions])
        elif isinstance(part, exp.UniqueColumnConstraint):
            if part.args.get("nulls"):
                raise not_supported("UNIQUE NULLS NOT DISTINCT is not supported yet")
            definition.uniques.append((name, [identifier(_column_of(node)) for node in part.this.expressions]))
        elif isinstance(part, exp.CheckColumnConstraint):
            definition.checks.append((name, expression_text(part.this)))
        elif isinstance(part, exp.ForeignKey | exp.Reference):
            raise not_supported("FOREIGN KEY constraints are not supported yet")
        elif isinstance(part, exp.LikeProperty):
            raise not_supported("LIKE clause is not supported yet for CREATE TABLE")
        else:
            raise not_supported(f"{part.sql('postgres')} not supported for CREATE TABLE")


def _column_of(node: exp.Expr) -> exp.Expr:
    while not isinstance(node, exp.Identifier):
        node = node.this
    return node


def _set_primary_key(definition: TableDefinition, name: str, columns: list[str]) -> None:
    if definition.primary_key:
        raise SqlError(
            Code.invalid_table_definition, f'multiple primary keys for table "{definition.name}" are not allowed'
        )
    definition.primary_key = columns
    definition.primary_key_name = name


def _key_positions(definition: TableDefinition, names: list[str]) -> tuple[int, ...]:
    """Positions of key columns. Raises 42703, 42701, 54011 and 0A000."""
    order = {column.name: position for position, column in enumerate(definition.columns)}
    for name in names:
        if name not in order:
            raise SqlError(Code.undefined_column, f'column "{name}" named in key does not exist')
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SqlError(Code.duplicate_column, f'column "{twice}" appears twice in primary key constraint')
    limits.check_key_columns([definition.columns[order[name]].type for name in names])
    return tuple(order[name] for name in names)


def _only_column(expression: str) -> str:
    """The one column an expression is about, which PostgreSQL names a check after; empty where there are several."""
    names = {identifier(column.this) for column in parse_expression(expression).find_all(exp.Column)}
    return names.pop() if len(names) == 1 else ""


def _constraint_names(definition: TableDefinition) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Names of the primary key, the unique and the check constraints; PostgreSQL's where none was given."""
    given = [name for name, *_ in (*definition.uniques, *definition.checks) if name]
    taken = {*given, definition.primary_key_name}

    def free(columns: str, label: str) -> str:
        name, number = limits.object_name(definition.name, columns, label), 0
        while name in taken:
            number += 1
            name = limits.object_name(definition.name, columns, f"{label}{number}")
        taken.add(name)
        return name

    primary = definition.primary_key_name or (free("", "pkey") if definition.primary_key else "")
    uniques = [name or free("_".join(columns), "key") for name, columns in definition.uniques]
    checks = [(name or free(_only_column(text), "check"), text) for name, text in definition.checks]
    return primary, uniques, checks


async def create_table(change: SchemaChange) -> DdlResult:
    """Enter a new table into the catalogue. Raises 42P07 where the name is taken, unless IF NOT EXISTS was said."""
    node, snapshot = change.statement.node, change.snapshot
    if not isinstance(node, exp.Create):
        raise not_supported("this form of CREATE TABLE is not supported yet")
    definition = table_definition(node, change.search_path, snapshot)
    primary_name, unique_names, checks = _constraint_names(definition)
    primary = _key_positions(definition, definition.primary_key)
    unique_positions = [_key_positions(definition, columns) for _, columns in definition.uniques]
    limits.check_index_count(len(unique_positions) + 1)
    if snapshot.find(definition.schema, definition.name, ()) is not None:
        taken = f'relation "{definition.name}" already exists'
        if not node.args.get("exists"):
            raise SqlError(Code.duplicate_table, taken)
        change.notice(f"{taken}, skipping", Code.duplicate_table)
        return change.result("CREATE TABLE")
    if len(snapshot.tables) >= limits.TABLES_MAX:
        raise SqlError(Code.program_limit_exceeded, f"creating more than {limits.TABLES_MAX} tables not allowed")
    writer = change.writer
    oid = await writer.take_oids(2 + len(unique_names))  # the table, its primary key, its unique indexes
    names = {definition.name: NameRow(oid, "table")}
    if primary_name:
        names[primary_name] = NameRow(oid + 1, "index")
    names |= {name: NameRow(oid + 2 + i, "index") for i, name in enumerate(unique_names)}
    await writer.claim_names(definition.schema, names)
    writer.add_table(
        Table(
            oid=oid,
            schema=definition.schema,
            name=definition.name,
            columns=tuple(
                Column(
                    name=column.name,
                    type_oid=column.type.oid,
                    typmod=column.typmod,
                    not_null=column.not_null or column.name in definition.primary_key,
                    position=position,
                    default=column.default,
                )
                for position, column in enumerate(definition.columns)
            ),
            primary_key=primary,
            primary_key_name=primary_name,
            indexes=tuple(
                Index(oid=oid + 2 + i, name=name, columns=positions, unique=True, constraint=True)
                for i, (name, positions) in enumerate(zip(unique_names, unique_positions, strict=True))
            ),
            checks=tuple(Check(name, text) for name, text in checks),
        )
    )
    return change.result("CREATE TABLE")


HANDLERS = {"create_table": create_table}
