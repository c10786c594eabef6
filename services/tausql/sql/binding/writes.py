"""INSERT, UPDATE and DELETE: the rows they make, and what RETURNING shows of them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder, BlockScope, Env, table_relation
from tausql.sql.binding.bound import (
    BoundDelete,
    BoundInsert,
    BoundUpdate,
    Conflict,
    Join,
    JoinTree,
    QuerySource,
    Relation,
    RelationColumn,
    TableSource,
    Target,
)
from tausql.sql.binding.conversion import convert_columns, settled
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import NameScope, Namespace, OuterLink, slot_of
from tausql.sql.binding.queries import bind_with
from tausql.sql.binding.selection import TargetList
from tausql.sql.binding.sources import FromClause, conjuncts
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.expressions import as_boolean, assign, settle
from tausql.sql.expressions.nodes import Const, Expr, Slot
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.types import type_by_oid

NO_CTES: Env = {}


def target_relation(binder: Binder, node: exp.Expr) -> tuple[Table, str]:
    """(table, alias) of the relation a statement writes."""
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise not_supported("this is not supported as the target of a statement")
    name = fold(node.this)
    table = binder.target_table(fold(node.args.get("db")) or None, name)
    alias = node.args.get("alias")
    return table, fold(alias.this) if alias is not None else name


def column_named(table: Table, name: str) -> Column:
    column = table.column(name)
    if column is None:
        raise SqlError(Code.undefined_column, f'column "{name}" of relation "{table.name}" does not exist')
    return column


def default_of(binder: Binder, column: Column) -> Expr:
    """A column's default, or NULL, as an assignable expression."""
    type = type_by_oid(column.type_oid)
    if column.default is None:
        return Const(value=None, type=type, typmod=column.typmod)
    scope = BlockScope(binder, Namespace(), None, NO_CTES).in_clause("DEFAULT expressions")
    return assign(scope.expression(parse_expression(column.default)), type, column.typmod, column.name, binder.params)


def assigned(binder: Binder, expr: Expr, column: Column) -> Expr:
    return assign(expr, type_by_oid(column.type_oid), column.typmod, column.name, binder.params)


def table_of(relation: Relation) -> Table:
    assert isinstance(relation.source, TableSource)
    return relation.source.table


def checks_of(binder: Binder, relation: Relation) -> list[tuple[str, Expr]]:
    """The CHECK constraints over the row's columns by position."""
    table = table_of(relation)
    names = Namespace()
    names.add(table_relation(table, table.name, 0))
    checks: list[tuple[str, Expr]] = []
    for check in table.checks:
        scope = BlockScope(binder, names, None, NO_CTES).in_clause("check constraints")
        condition = scope.expression(parse_expression(check.expression))
        checks.append((check.name, as_boolean(condition, "CHECK", binder.params)))
    return checks


def bind_returning(binder: Binder, node: exp.Expr, names: Namespace, env: Env) -> list[Target] | None:
    returning = node.args.get("returning")
    if returning is None:
        return None
    scope = BlockScope(binder, names, None, env).in_clause("RETURNING")
    return [settled_target(binder, target) for target in TargetList(scope, names).bind(returning.expressions)]


def settled_target(binder: Binder, target: Target) -> Target:
    if target.expr.type.name == "unknown":
        target.expr = settle(target.expr, binder.params)
        target.column.type = target.expr.type
    return target


def with_env(binder: Binder, node: exp.Expr) -> Env:
    clause = node.args.get("with_")
    return bind_with(binder, clause, None, NO_CTES) if clause is not None else NO_CTES


# INSERT


def bind_insert(binder: Binder, node: exp.Expr) -> BoundInsert:
    env = with_env(binder, node)
    into = node.this
    names = [fold(column) for column in into.expressions] if isinstance(into, exp.Schema) else None
    table, alias = target_relation(binder, into.this if isinstance(into, exp.Schema) else into)
    relation = table_relation(table, alias, 0)
    columns = _insert_columns(table, names)
    bound = BoundInsert(relation, [], None, [], None, None)
    source = node.args.get("expression")
    if source is None:
        bound.rows = [[default_of(binder, column) for column in table.columns]]
    elif isinstance(source, exp.Values) and not any(
        source.args.get(key) for key in ("order", "limit", "offset", "with_")
    ):
        bound.rows = _insert_values(binder, source, table, columns, names is not None, env)
    else:
        _insert_query(binder, source, bound, columns, names is not None, env)
    visible = Namespace()
    visible.add(relation)
    bound.conflict = _bind_conflict(binder, node.args.get("conflict"), relation, env)
    bound.returning = bind_returning(binder, node, visible, env)
    return bound


def _insert_columns(table: Table, names: list[str] | None) -> list[Column]:
    if names is None:
        return list(table.live_columns)
    columns = [column_named(table, name) for name in names]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise SqlError(Code.duplicate_column, f'column "{name}" specified more than once')
    return columns


def _check_width(width: int, columns: Sequence[Column], named: bool) -> None:
    if width > len(columns):
        raise SqlError(Code.syntax_error, "INSERT has more expressions than target columns")
    if width < len(columns) and named:
        raise SqlError(Code.syntax_error, "INSERT has more target columns than expressions")


def _insert_values(
    binder: Binder, source: exp.Expr, table: Table, columns: list[Column], named: bool, env: Env
) -> list[list[Expr]]:
    scope = BlockScope(binder, Namespace(), None, env).in_clause("VALUES")
    rows: list[list[Expr]] = []
    defaults: dict[int, Expr] = {}
    width = -1
    for item in source.expressions:
        cells = (
            item.expressions if isinstance(item, exp.Tuple) else [item.this if isinstance(item, exp.Paren) else item]
        )
        if width not in (-1, len(cells)):
            raise SqlError(Code.syntax_error, "VALUES lists must all be the same length")
        width = len(cells)
        _check_width(width, columns, named)
        row: list[Expr | None] = [None] * len(table.columns)
        for column, cell in zip(columns, cells, strict=False):
            if not _is_default(cell):
                row[column.position] = assigned(binder, scope.expression(cell), column)
        for at, column in enumerate(table.columns):
            if row[at] is None:
                if at not in defaults:
                    defaults[at] = default_of(binder, column)
                row[at] = defaults[at]
        rows.append([expr for expr in row if expr is not None])
    return rows


def _is_default(cell: exp.Expr) -> bool:
    """DEFAULT arrives as a Var in VALUES and as a column name in SET."""
    if isinstance(cell, exp.Var):
        return cell.name.upper() == "DEFAULT"
    if isinstance(cell, exp.Column) and not cell.args.get("table") and isinstance(cell.this, exp.Identifier):
        return cell.name.lower() == "default" and not cell.this.args.get("quoted")
    return False


def _insert_query(
    binder: Binder, source: exp.Expr, bound: BoundInsert, columns: list[Column], named: bool, env: Env
) -> None:
    table = table_of(bound.relation)
    query = binder.query(binder, source, None, env)
    _check_width(len(query.columns), columns, named)
    bound.query = query
    made: list[Expr | None] = [None] * len(table.columns)
    wanted = [
        type_by_oid(column.type_oid) if output.type.name == "unknown" else None
        for column, output in zip(columns, query.columns, strict=False)
    ]
    if any(type is not None for type in wanted):
        convert_columns(query, wanted, binder.params)
    for at, (column, output) in enumerate(zip(columns, query.columns, strict=False)):
        made[column.position] = assigned(
            binder, Slot(slot=at, type=output.type, typmod=output.typmod, name=output.name), column
        )
    bound.from_query = [
        expr if expr is not None else default_of(binder, column)
        for expr, column in zip(made, table.columns, strict=True)
    ]


def _bind_conflict(binder: Binder, node: exp.Expr | None, relation: Relation, env: Env) -> Conflict | None:
    if node is None:
        return None
    table = table_of(relation)
    action = node.args["action"].name.upper()
    conflict = Conflict(_arbiters(table, node), action == "DO UPDATE")
    if not conflict.update:
        return conflict
    if conflict.arbiters is None:
        raise SqlError(
            Code.syntax_error,
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            hint="For example, ON CONFLICT (column_name).",
        )
    excluded = table_relation(table, "excluded", relation.width)
    names = Namespace()
    names.add(relation)
    names.add(excluded)
    scope = BlockScope(binder, names, None, env).in_clause("UPDATE")
    settings, extra = _assignments(binder, node.expressions, table, scope, names, None)
    if extra:
        raise not_supported("a subquery of several columns in ON CONFLICT DO UPDATE is not supported")
    conflict.assignments = settings
    where = node.args.get("where")
    if where is not None:
        scope = scope.in_clause("WHERE")
        conflict.where = conjuncts(as_boolean(scope.expression(where.this), "WHERE", binder.params))
    return conflict


def _arbiters(table: Table, node: exp.Expr) -> tuple[int, ...] | None:
    constraint = node.args.get("constraint")
    if constraint is not None:
        name = fold(constraint)
        if table.primary_key and name == table.primary_key_name:
            return (0,)
        for index in table.indexes:
            if index.name == name and index.unique:
                return (index.oid,)
        raise SqlError(Code.undefined_object, f'constraint "{name}" for table "{table.name}" does not exist')
    keys = node.args.get("conflict_keys")
    if not keys:
        return None
    wanted: set[int] = set()
    for key in keys:
        column = key.this if isinstance(key, exp.Ordered) else key
        while isinstance(column, (exp.Paren, exp.Column)):
            column = column.this
        if not isinstance(column, exp.Identifier):
            raise _no_arbiter()
        found_column = table.column(fold(column))
        if found_column is None:
            raise SqlError(Code.undefined_column, f'column "{fold(column)}" does not exist')
        wanted.add(found_column.position)
    found: list[int] = []
    if table.primary_key and wanted == set(table.primary_key):
        found.append(0)
    found.extend(index.oid for index in table.indexes if index.unique and set(index.columns) == wanted)
    if not found:
        raise _no_arbiter()
    return tuple(found)


def _no_arbiter() -> SqlError:
    return SqlError(
        Code.invalid_column_reference,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    )


# UPDATE and DELETE


def bind_update(binder: Binder, node: exp.Expr) -> BoundUpdate:
    env = with_env(binder, node)
    table, alias = target_relation(binder, node.this)
    from_clause = FromClause(binder, None, env)
    relation = table_relation(table, alias, 0)
    from_clause.base = relation.width
    tree, names = _joined(binder, relation, _from_items(node.args.get("from_")), from_clause)
    scope = BlockScope(binder, names, None, env).in_clause("UPDATE")
    assignments, extra = _assignments(binder, node.expressions, table, scope, names, from_clause)
    for source in extra:
        tree = Join("left", tree, source, [])
    return BoundUpdate(
        relation,
        tree,
        _bind_where(binder, node, names, env),
        assignments,
        bind_returning(binder, node, names, env),
    )


def bind_delete(binder: Binder, node: exp.Expr) -> BoundDelete:
    env = with_env(binder, node)
    target = node.this
    table, alias = target_relation(binder, target)
    from_clause = FromClause(binder, None, env)
    relation = table_relation(table, alias, 0)
    from_clause.base = relation.width
    using = node.args.get("using") or []
    tree, names = _joined(binder, relation, list(using), from_clause)
    where = _bind_where(binder, node, names, env)
    return BoundDelete(relation, tree, where, bind_returning(binder, node, names, env))


def _from_items(node: exp.Expr | None) -> list[exp.Expr]:
    return [node.this] if node is not None else []


def _joined(
    binder: Binder, relation: Relation, items: list[exp.Expr], from_clause: FromClause
) -> tuple[JoinTree, Namespace]:
    names = Namespace()
    names.add(relation)
    tree: JoinTree = relation
    for item in items:
        right, right_names = from_clause.item(item, Namespace())
        names.check_aliases(right_names)
        names.extend(right_names)
        tree = Join("inner", tree, right, [])
    return tree, names


def _bind_where(binder: Binder, node: exp.Expr, names: Namespace, env: Env) -> list[Expr]:
    where = node.args.get("where")
    if where is None:
        return []
    scope = BlockScope(binder, names, None, env).in_clause("WHERE")
    return conjuncts(as_boolean(scope.expression(where.this), "WHERE", binder.params))


def _assignments(
    binder: Binder,
    items: list[exp.Expr],
    table: Table,
    scope: BlockScope,
    names: Namespace,
    from_clause: FromClause | None,
) -> tuple[dict[int, Expr], list[Relation]]:
    """SET a = x, (b, c) = (y, z), (d, e) = (SELECT ...): by position; relations for the last form."""
    made: dict[int, Expr] = {}
    extra: list[Relation] = []

    def put(target: exp.Expr, value: exp.Expr) -> None:
        column = _set_column(table, target, made)
        made[column.position] = (
            default_of(binder, column) if _is_default(value) else assigned(binder, scope.expression(value), column)
        )

    for item in items:
        if not isinstance(item, exp.EQ):
            raise not_supported(f"SET {item.sql(dialect='postgres')[:60]} not supported")
        targets, value = item.this, item.expression
        if not isinstance(targets, (exp.Tuple, exp.Paren)):
            put(targets, value)
            continue
        columns = targets.expressions if isinstance(targets, exp.Tuple) else [targets.this]
        if isinstance(value, exp.Subquery):
            relation = _subquery_relation(binder, value, names, from_clause)
            if len(relation.columns) != len(columns):
                raise SqlError(Code.syntax_error, "number of columns does not match number of values")
            for target, source in zip(columns, relation.columns, strict=True):
                column = _set_column(table, target, made)
                made[column.position] = assigned(binder, slot_of(source), column)
            extra.append(relation)
            continue
        values = _row_values(value)
        if len(values) != len(columns):
            raise SqlError(Code.syntax_error, "number of columns does not match number of values")
        for target, part in zip(columns, values, strict=True):
            put(target, part)
    return made, extra


def _row_values(value: exp.Expr) -> list[exp.Expr]:
    if isinstance(value, exp.Paren):
        return [value.this]
    if isinstance(value, exp.Tuple) or (isinstance(value, exp.Anonymous) and value.name.lower().endswith("row")):
        return list(value.expressions)
    raise not_supported("source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")


def _set_column(table: Table, target: exp.Expr, made: dict[int, Expr]) -> Column:
    identifier = target.this if isinstance(target, exp.Column) else target
    if isinstance(target, exp.Column) and target.args.get("table"):
        identifier = target.args["table"]
        raise SqlError(
            Code.undefined_column,
            f'column "{fold(identifier)}" of relation "{table.name}" does not exist',
            hint="SET target columns cannot be qualified with the relation name."
            if fold(identifier) == table.name
            else None,
        )
    if not isinstance(identifier, exp.Identifier):
        raise not_supported(f"SET {target.sql(dialect='postgres')[:60]} not supported")
    column = column_named(table, fold(identifier))
    if column.position in made:
        raise SqlError(Code.syntax_error, f'multiple assignments to same column "{column.name}"')
    return column


def _subquery_relation(binder: Binder, node: exp.Expr, names: Namespace, from_clause: FromClause | None) -> Relation:
    if from_clause is None:
        raise not_supported("a subquery of several columns in ON CONFLICT DO UPDATE is not supported")
    link = OuterLink(NameScope(names, None))
    bound = settled(binder.query(binder, node.this, link, from_clause.env), binder.params)
    columns = [
        RelationColumn(column.name, column.type, column.typmod, from_clause.base + at)
        for at, column in enumerate(bound.columns)
    ]
    relation = Relation(
        "", QuerySource(bound, link.correlations, single_row=True), columns, from_clause.base, len(columns)
    )
    from_clause.base += len(columns)
    return relation
