"""INSERT, UPDATE and DELETE: the rows they make, and what RETURNING shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.arbiters import arbiters
from tausql.sql.binding.binder import Binder, BlockScope, Env, table_relation
from tausql.sql.binding.bound import (
    BoundDelete,
    BoundInsert,
    BoundUpdate,
    Conflict,
    Join,
    JoinTree,
    Relation,
    RelationColumn,
    TableSource,
    Target,
)
from tausql.sql.binding.conversion import convert_columns
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import Namespace
from tausql.sql.binding.queries import bind_with
from tausql.sql.binding.selection import TargetList
from tausql.sql.binding.sources import FromClause, conjuncts
from tausql.sql.binding.updatable import DELETE, INSERT, UPDATE, WriteTarget, write_target
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.domains import checked_value
from tausql.sql.expressions import as_boolean, assign, settle
from tausql.sql.expressions.binder import Binder as Binding
from tausql.sql.expressions.containers import array_assignment, jsonb_assignment, subscripts_of
from tausql.sql.expressions.nodes import Const, Expr, FunctionCall, Slot, Subquery
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.expressions.predicates import query_of
from tausql.sql.functions.sequence_functions import NEXT_IDENTITY
from tausql.sql.types import type_by_oid
from tausql.sql.types.builtin import INT8, JSONB, REGCLASS, UNKNOWN

NO_CTES: Env = {}


def default_of(binder: Binder, column: Column) -> Expr:
    """A column's default, or NULL, as an assignable expression."""
    type = type_by_oid(column.type_oid)
    if column.sequence:
        return assigned(binder, next_value(column.sequence), column)
    domain = binder.domain_of(column.domain) if column.domain else None
    default = binder.view_defaults.get(column.position, column.default)
    if default is None and domain is not None:
        default = domain.default
    if default is None:
        null = Const(value=None, type=type, typmod=column.typmod)
        return null if domain is None else checked_value(domain, null)
    scope = BlockScope(binder, Namespace(), None, NO_CTES).in_clause("DEFAULT expressions")
    return assigned(binder, scope.expression(parse_expression(default)), column)


def next_value(sequence: int) -> Expr:
    """nextval of an identity column's sequence. The column's default, not the user's call: USAGE is not asked for."""
    return FunctionCall(function=NEXT_IDENTITY, args=(Const(value=sequence, type=REGCLASS),), type=INT8)


def assigned(binder: Binder, expr: Expr, column: Column) -> Expr:
    value = assign(expr, type_by_oid(column.type_oid), column.typmod, column.name, binder.params)
    domain = binder.domain_of(column.domain) if column.domain else None
    return value if domain is None else checked_value(domain, value)


def check_insertable(column: Column, overriding: str = "") -> None:
    """Raises 428C9 for a value given to a generated column. `overriding`: system or user, as OVERRIDING ... VALUE."""
    if column.identity == "a" and not overriding:
        raise SqlError(
            Code.generated_always,
            f'cannot insert a non-DEFAULT value into column "{column.name}"',
            detail=f'Column "{column.name}" is an identity column defined as GENERATED ALWAYS.',
            hint="Use OVERRIDING SYSTEM VALUE to override.",
        )
    if column.generated is not None:
        raise SqlError(
            Code.generated_always,
            f'cannot insert a non-DEFAULT value into column "{column.name}"',
            detail=f'Column "{column.name}" is a generated column.',
        )


def check_updatable(column: Column) -> None:
    """Raises 428C9 for SET column = value of a generated column."""
    if column.identity == "a":
        raise SqlError(
            Code.generated_always,
            f'column "{column.name}" can only be updated to DEFAULT',
            detail=f'Column "{column.name}" is an identity column defined as GENERATED ALWAYS.',
        )
    if column.generated is not None:
        raise SqlError(
            Code.generated_always,
            f'column "{column.name}" can only be updated to DEFAULT',
            detail=f'Column "{column.name}" is a generated column.',
        )


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
    return bind_with(binder, clause, None, binder.around) if clause is not None else binder.around


# INSERT


def bind_insert(binder: Binder, node: exp.Expr, overriding: str = "") -> BoundInsert:
    """`overriding`: `system` or `user` of OVERRIDING ... VALUE."""
    env = with_env(binder, node)
    into = node.this
    names = [fold(column) for column in into.expressions] if isinstance(into, exp.Schema) else None
    target = write_target(binder, into.this if isinstance(into, exp.Schema) else into, INSERT)
    table, relation = target.table, target.relation
    columns = _insert_columns(target, names)
    binder.view_checks = target.checks
    binder.view_defaults = target.defaults
    conflict = node.args.get("conflict")
    target.need(binder, INSERT, columns, node.args.get("returning") is not None or conflict is not None)
    if conflict is not None and conflict.args["action"].name.upper() == "DO UPDATE":
        target.need(binder, UPDATE, [], True)
    bound = BoundInsert(relation, [], None, [], None, None)
    source = node.args.get("expression")
    if source is None:
        bound.rows = [[default_of(binder, column) for column in table.columns]]
    elif isinstance(source, exp.Values) and not any(
        source.args.get(key) for key in ("order", "limit", "offset", "with_")
    ):
        bound.rows = _insert_values(binder, source, table, columns, names is not None, env, overriding)
    else:
        _insert_query(binder, source, bound, columns, names is not None, env, overriding)
    bound.conflict = _bind_conflict(binder, conflict, target, env)
    bound.returning = bind_returning(binder, node, target.names, env)
    return bound


def _insert_columns(target: WriteTarget, names: list[str] | None) -> list[Column]:
    if names is None:
        if target.view is None:
            return list(target.table.live_columns)
        plain = takewhile(lambda column: column[1] is not None, target.columns)
        return [target.column(name, INSERT) for name, _ in plain]
    columns = [target.column(name, INSERT) for name in names]
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
    binder: Binder, source: exp.Expr, table: Table, columns: list[Column], named: bool, env: Env, overriding: str
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
                check_insertable(column, overriding)
                value = assigned(binder, scope.expression(cell), column)
                if not (column.identity and overriding == "user"):
                    row[column.position] = value
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
    binder: Binder, source: exp.Expr, bound: BoundInsert, columns: list[Column], named: bool, env: Env, overriding: str
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
        check_insertable(column, overriding)
        value = assigned(binder, Slot(slot=at, type=output.type, typmod=output.typmod, name=output.name), column)
        if not (column.identity and overriding == "user"):
            made[column.position] = value
    bound.from_query = [
        expr if expr is not None else default_of(binder, column)
        for expr, column in zip(made, table.columns, strict=True)
    ]


def _bind_conflict(binder: Binder, node: exp.Expr | None, target: WriteTarget, env: Env) -> Conflict | None:
    if node is None:
        return None
    table, relation = target.table, target.relation
    action = node.args["action"].name.upper()
    conflict = Conflict(arbiters(table, node), action == "DO UPDATE")
    if not conflict.update:
        return conflict
    if conflict.arbiters is None:
        raise SqlError(
            Code.syntax_error,
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            hint="For example, ON CONFLICT (column_name).",
        )
    excluded = table_relation(table, "excluded", relation.width)
    if target.view is not None:
        excluded.columns = [
            RelationColumn(name, type_by_oid(table.columns[at].type_oid), table.columns[at].typmod, relation.width + at)
            for name, at in target.columns
            if at is not None
        ]
    names = Namespace()
    names.extend(target.names)
    names.add(excluded)
    scope = BlockScope(binder, names, None, env).in_clause("UPDATE")
    conflict.assignments = _assignments(binder, node.expressions, target, scope)
    where = node.args.get("where")
    if where is not None:
        scope = scope.in_clause("WHERE")
        conflict.where = conjuncts(as_boolean(scope.expression(where.this), "WHERE", binder.params))
    return conflict


# UPDATE and DELETE


def bind_update(binder: Binder, node: exp.Expr) -> BoundUpdate:
    env = with_env(binder, node)
    target = write_target(binder, node.this, UPDATE)
    relation = target.relation
    binder.view_checks, binder.view_defaults = target.checks, target.defaults
    from_clause = FromClause(binder, None, env)
    from_clause.base = relation.width
    tree, names = _joined(target, _from_items(node.args.get("from_")), from_clause)
    scope = BlockScope(binder, names, None, env).in_clause("UPDATE")
    assignments = _assignments(binder, node.expressions, target, scope)
    changed = [target.table.columns[at] for at in assignments]
    target.need(binder, UPDATE, changed, _reads(node) or any(not isinstance(e, Const) for e in assignments.values()))
    return BoundUpdate(
        relation,
        tree,
        [*target.where, *_bind_where(binder, node, names, env)],
        assignments,
        bind_returning(binder, node, names, env),
    )


def bind_delete(binder: Binder, node: exp.Expr) -> BoundDelete:
    env = with_env(binder, node)
    target = write_target(binder, node.this, DELETE)
    target.need(binder, DELETE, [], _reads(node))
    relation = target.relation
    from_clause = FromClause(binder, None, env)
    from_clause.base = relation.width
    using = node.args.get("using") or []
    tree, names = _joined(target, list(using), from_clause)
    where = [*target.where, *_bind_where(binder, node, names, env)]
    return BoundDelete(relation, tree, where, bind_returning(binder, node, names, env))


def _from_items(node: exp.Expr | None) -> list[exp.Expr]:
    return [node.this] if node is not None else []


def _reads(node: exp.Expr) -> bool:
    """Whether a statement that writes reads too: then it takes the privilege to."""
    return any(node.args.get(key) for key in ("where", "returning", "from_", "using"))


def _joined(
    target: WriteTarget, items: list[exp.Expr], from_clause: FromClause
) -> tuple[JoinTree, Namespace]:
    names = Namespace()
    names.extend(target.names)
    tree: JoinTree = target.relation
    before = Namespace(hidden=target.names.relations)
    for item in items:
        right, right_names = from_clause.item(item, before)
        before = before.beside(right_names)
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
    into: WriteTarget,
    scope: BlockScope,
) -> dict[int, Expr]:
    """SET a = x, (b, c) = (y, z), (d, e) = (SELECT ...): by position."""
    made: dict[int, Expr] = {}

    def put(target: exp.Expr, value: exp.Expr) -> None:
        if isinstance(target, exp.Bracket):
            column, changed = _subscripted(binder, target, value, into, made, scope)
            made[column.position] = changed
            return
        column = _set_column(into, target, made)
        default = _is_default(value)
        if not default or into.view is not None:
            check_updatable(column)
        if default and into.view is not None and column.position not in into.defaults:
            made[column.position] = assigned(binder, Const(value=None, type=UNKNOWN), column)  # not the table's default
        elif default:
            made[column.position] = default_of(binder, column)
        else:
            made[column.position] = assigned(binder, scope.expression(value), column)

    for item in items:
        if not isinstance(item, exp.EQ):
            raise not_supported(f"SET {item.sql(dialect='postgres')[:60]} not supported")
        targets, value = item.this, item.expression
        if not isinstance(targets, (exp.Tuple, exp.Paren)):
            put(targets, value)
            continue
        columns = targets.expressions if isinstance(targets, exp.Tuple) else [targets.this]
        if isinstance(value, exp.Subquery):
            found = scope.bind_subquery(query_of(value), "row")
            if len(found.columns) != len(columns):
                raise SqlError(Code.syntax_error, "number of columns does not match number of values")
            for at, (target, (type, typmod)) in enumerate(zip(columns, found.columns, strict=True)):
                column = _set_column(into, target, made)
                check_updatable(column)
                source = Subquery(
                    kind="scalar", index=found.index, column=at, plan=found.plan, type=type, typmod=typmod
                )
                made[column.position] = assigned(binder, source, column)
            continue
        values = _row_values(value)
        if len(values) != len(columns):
            raise SqlError(Code.syntax_error, "number of columns does not match number of values")
        for target, part in zip(columns, values, strict=True):
            put(target, part)
    return made


def _subscripted(
    binder: Binder,
    target: exp.Bracket,
    value: exp.Expr,
    into: WriteTarget,
    made: dict[int, Expr],
    scope: BlockScope,
) -> tuple[Column, Expr]:
    """SET doc['a'][0] = value, on top of what the statement has set in the column already."""
    inner, indexes = subscripts_of(target)
    column = _set_column(into, inner, {})
    check_updatable(column)
    type = type_by_oid(column.type_oid)
    if type.is_array:
        before = made.get(column.position) or scope.resolve_column((into.relation.alias, column.name))
        item = scope.expression(value)
        return column, array_assignment(Binding(scope), before, indexes, item, type, column.name)
    if type is not JSONB:
        shown = type.display(column.typmod)
        raise SqlError(
            Code.datatype_mismatch, f"cannot subscript type {shown} because it does not support subscripting"
        )
    current = made.get(column.position) or scope.resolve_column((into.relation.alias, column.name))
    changed = jsonb_assignment(Binding(scope), current, indexes, assigned(binder, scope.expression(value), column))
    return column, changed


def _row_values(value: exp.Expr) -> list[exp.Expr]:
    if isinstance(value, exp.Paren):
        return [value.this]
    if isinstance(value, exp.Tuple) or (isinstance(value, exp.Anonymous) and value.name.lower().endswith("row")):
        return list(value.expressions)
    raise not_supported("source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")


def _set_column(into: WriteTarget, target: exp.Expr, made: dict[int, Expr]) -> Column:
    table = into.table
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
    column = into.column(fold(identifier), UPDATE)
    if column.position in made:
        raise SqlError(Code.syntax_error, f'multiple assignments to same column "{column.name}"')
    return column
