"""SELECT, VALUES, set operations and WITH: a query's tree to a bound query."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder, BlockScope, CteBinding, Env
from tausql.sql.binding.bound import (
    BoundQuery,
    BoundSelect,
    BoundSetOperation,
    BoundValues,
    Cte,
    JoinTree,
    OutputColumn,
    QuerySource,
    Relation,
    RelationColumn,
    Target,
)
from tausql.sql.binding.conversion import convert_columns, settled
from tausql.sql.binding.labels import fold
from tausql.sql.binding.locking import bind_locks, refuse_locks
from tausql.sql.binding.names import Namespace, OuterLink, slot_of
from tausql.sql.binding.ordering import bind_limits, has_ties, sort_positions, sort_spec
from tausql.sql.binding.recursion import check_recursive, in_order, refers_to
from tausql.sql.binding.search_cycle import clauses_of, rewritten
from tausql.sql.binding.selection import SelectBlock
from tausql.sql.binding.slots import query_uses_outer
from tausql.sql.binding.sources import FromClause, conjuncts
from tausql.sql.expressions import as_boolean, common_type
from tausql.sql.expressions.nodes import Expr, Slot
from tausql.sql.types.type import Type


def bind_query(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    """Binds any query expression. `link`: the query around it, None at the top."""
    with_clause = node.args.get("with_")
    if with_clause is not None:
        env = bind_with(binder, with_clause, link, env)
    if isinstance(node, exp.Subquery):
        return _parenthesised(binder, node, link, env)
    if isinstance(node, exp.SetOperation):
        return _set_operation(binder, node, link, env)
    if isinstance(node, exp.Values):
        return _values(binder, node, link, env)
    if isinstance(node, exp.Select):
        return _select(binder, node, link, env)
    raise not_supported(f"{node.sql(dialect='postgres')[:100]} not supported as a query")


def bind_with(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> Env:
    """The environment with the WITH queries added, in order; each sees those before it."""
    scope: dict[str, CteBinding] = dict(env)
    recursive = bool(node.args.get("recursive"))
    every = clauses_of(node)
    met: set[str] = set()
    for item in node.expressions:
        name = fold(item.args["alias"].this)
        if name in met:
            raise SqlError(Code.duplicate_alias, f'WITH query name "{name}" specified more than once')
        met.add(name)
    for item in in_order(node.expressions) if recursive else node.expressions:
        name = fold(item.args["alias"].this)
        names = [fold(column) for column in item.args["alias"].args.get("columns") or []]
        query = item.this
        if isinstance(query, (exp.Insert, exp.Update, exp.Delete)):
            cte = _written(binder, node, query, scope, name, names, recursive)
            scope[name] = CteBinding(cte, None)
            continue
        used = len(link.correlations) if link is not None else 0
        if recursive and refers_to(query, name):
            clauses = every.get(name)
            if clauses is not None:
                check_recursive(query, name)
                first = settled(bind_query(binder, query.this, link, scope), binder.params)
                own = [column.name for column in _named_columns(first.columns, names, name)]
                query = rewritten(query, name, own, clauses)
                names = [*own, *clauses.columns]
            cte = _recursive(binder, query, link, scope, name, names)
        else:
            bound = settled(bind_query(binder, query, link, scope), binder.params)
            cte = Cte(len(binder.ctes), name, bound, _named_columns(bound.columns, names, name))
            binder.ctes.append(cte)
        correlated = link is not None and (len(link.correlations) > used or _uses_outer(cte))
        scope[name] = CteBinding(cte, link if correlated else None)
    return scope


def _written(
    binder: Binder, clause: exp.Expr, query: exp.Expr, env: Env, name: str, names: list[str], recursive: bool
) -> Cte:
    """INSERT, UPDATE or DELETE in WITH: at the top of a statement only."""
    root = binder.root
    if binder.write is None or root is None or root.args.get("with_") is not clause:
        raise not_supported("WITH clause containing a data-modifying statement must be at the top level")
    if recursive and refers_to(query, name):
        raise SqlError(Code.invalid_recursion, f'recursive query "{name}" must not contain data-modifying statements')
    outside, binder.around = binder.around, env
    part = binder.write(binder, query)
    binder.around = outside
    returned = [target.column for target in part.body.returning or ()]
    rows = BoundValues(returned, [], None, None, [])
    cte = Cte(len(binder.ctes), name, rows, _named_columns(returned, names, name), part=part)
    binder.ctes.append(cte)
    return cte


def _uses_outer(cte: Cte) -> bool:
    return query_uses_outer(cte.query)


def _named_columns(columns: list[OutputColumn], names: list[str], cte: str) -> list[OutputColumn]:
    if len(names) > len(columns):
        raise SqlError(
            Code.invalid_column_reference,
            f'WITH query "{cte}" has {len(columns)} columns available but {len(names)} columns specified',
        )
    named = [
        OutputColumn(column.name, column.type, column.typmod, column.table_oid, column.attnum) for column in columns
    ]
    for column, name in zip(named, names, strict=False):
        column.name = name
    return named


def _recursive(
    binder: Binder, query: exp.Expr, link: OuterLink | None, env: dict[str, CteBinding], name: str, names: list[str]
) -> Cte:
    check_recursive(query, name)
    first = settled(bind_query(binder, query.this, link, env), binder.params)
    cte = Cte(
        len(binder.ctes),
        name,
        first,
        _named_columns(first.columns, names, name),
        distinct=bool(query.args.get("distinct")),
    )
    binder.ctes.append(cte)
    inner = {**env, name: CteBinding(cte, None)}
    again = bind_query(binder, query.expression, link, inner)
    if isinstance(again, BoundSelect) and again.grouping is not None and again.grouping.aggregates:
        raise SqlError(
            Code.invalid_recursion, "aggregate functions are not allowed in a recursive query's recursive term"
        )
    if len(again.columns) != len(first.columns):
        raise _column_counts("UNION")
    for at, (left, right) in enumerate(zip(first.columns, again.columns, strict=True)):
        if right.type.name != "unknown" and left.type is not right.type:
            merged = common_type([_typed(left), _typed(right)], "UNION", binder.params)
            if merged is not left.type:
                raise SqlError(
                    Code.datatype_mismatch,
                    f'recursive query "{name}" column {at + 1} has type {left.type.sql_name} in non-recursive term but '
                    f"type {merged.sql_name} overall",
                    hint="Cast the output of the non-recursive term to the correct type.",
                )
    convert_columns(again, [column.type for column in first.columns], binder.params)
    cte.recursive = again
    return cte


def _typed(column: OutputColumn) -> Expr:
    return Slot(slot=0, type=column.type, typmod=column.typmod, name=column.name)


def _parenthesised(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    for key, words in (("order", "ORDER BY"), ("limit", "LIMIT"), ("offset", "OFFSET")):
        if node.args.get(key) and node.this.args.get(key):
            raise SqlError(Code.syntax_error, f"multiple {words} clauses not allowed")
    inner = bind_query(binder, node.this, link, env)
    if not any(node.args.get(key) for key in ("order", "limit", "offset")):
        return inner
    return _wrapped(binder, inner, node, link, env)


def _wrapped(binder: Binder, inner: BoundQuery, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    """`SELECT * FROM (inner) ORDER BY ... LIMIT ...`."""
    settled(inner, binder.params)
    columns = [
        RelationColumn(column.name, column.type, column.typmod, at, column.table_oid, column.attnum)
        for at, column in enumerate(inner.columns)
    ]
    relation = Relation("", QuerySource(inner), columns, 0, len(columns))
    targets = [
        Target(slot_of(column), OutputColumn(column.name, column.type, column.typmod, column.table_oid, column.attnum))
        for column in columns
    ]
    outputs = [target.column for target in targets]
    order = sort_positions(node.args.get("order"), outputs, "SELECT")
    limit, offset = bind_limits(binder, node, link, env)
    return BoundSelect(
        outputs, order, limit, offset, tree=relation, where=[], grouping=None, having=[], targets=targets, hidden=[],
        distinct=False, distinct_on=None, locks=[], ties=has_ties(node),
    )  # fmt: skip


def _values(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    refuse_locks(node, "cannot be applied to VALUES")
    scope = BlockScope(binder, Namespace(), link, env).in_clause("VALUES")
    rows: list[list[Expr]] = []
    for item in node.expressions:
        cells = (
            item.expressions if isinstance(item, exp.Tuple) else [item.this if isinstance(item, exp.Paren) else item]
        )
        for cell in cells:
            if isinstance(cell, exp.Var) and cell.name.upper() == "DEFAULT":
                raise SqlError(Code.syntax_error, "DEFAULT is not allowed in this context")
        rows.append([scope.expression(cell) for cell in cells])
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise SqlError(Code.syntax_error, "VALUES lists must all be the same length")
    columns: list[OutputColumn] = []
    query = BoundValues(columns, [], None, None, rows)
    wanted: list[Type | None] = []
    for at in range(width):
        cells = [row[at] for row in rows]
        type = cells[0].type if len(cells) == 1 else common_type(cells, "VALUES", binder.params)
        typmods = {cell.typmod for cell in cells}
        columns.append(OutputColumn(f"column{at + 1}", type, typmods.pop() if len(typmods) == 1 else -1))
        wanted.append(type if type.name != "unknown" else None)
    if len(rows) > 1:
        convert_columns(query, wanted, binder.params)
    query.order = sort_positions(node.args.get("order"), columns, "VALUES")
    query.limit, query.offset = bind_limits(binder, node, link, env)
    query.ties = has_ties(node)
    return query


NOT_WITH_SETS: Final = "is not allowed with UNION/INTERSECT/EXCEPT"
_OPERATIONS = {exp.Union: "union", exp.Intersect: "intersect", exp.Except: "except"}


def _set_operation(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    """Left-deep chains are unrolled, so that hundreds of UNIONs are no recursion."""
    chain: list[exp.Expr] = []
    first: Any = node
    while isinstance(first, exp.SetOperation) and (first is node or not first.args.get("with_")):
        if first is not node and any(first.args.get(key) for key in ("order", "limit", "offset")):
            break
        chain.append(first)
        first = first.this
    if not isinstance(first, exp.Subquery):
        _check_bare(first, type(chain[-1]).__name__.upper())
    for step, following in zip(chain[1:], chain, strict=False):
        _check_bare(step.expression, type(following).__name__.upper())
    for part in (first, *chain, *(step.expression for step in chain)):
        refuse_locks(part.this if isinstance(part, exp.Subquery) else part, NOT_WITH_SETS)
    query = bind_query(binder, first, link, env)
    for step in reversed(chain):
        query = _combine(binder, step, query, bind_query(binder, step.expression, link, env))
    query.order = sort_positions(node.args.get("order"), query.columns, "UNION/INTERSECT/EXCEPT")
    query.limit, query.offset = bind_limits(binder, node, link, env)
    query.ties = has_ties(node)
    return query


def _check_bare(query: exp.Expr, operation: str) -> None:
    """ORDER BY and LIMIT end a query: what comes before a UNION has them in parentheses only."""
    if not isinstance(query, exp.Subquery) and any(query.args.get(key) for key in ("order", "limit", "offset")):
        raise SqlError(Code.syntax_error, f'syntax error at or near "{operation}"')


def _combine(binder: Binder, node: exp.Expr, left: BoundQuery, right: BoundQuery) -> BoundSetOperation:
    operation = next(name for kind, name in _OPERATIONS.items() if isinstance(node, kind))
    if len(left.columns) != len(right.columns):
        raise _column_counts(operation.upper())
    types: list[Type | None] = []
    columns: list[OutputColumn] = []
    for at, (a, b) in enumerate(zip(left.columns, right.columns, strict=True)):
        type = a.type
        if a.type is not b.type or type.name == "unknown":
            type = common_type([_sample(left, at), _sample(right, at)], operation.upper(), binder.params)
        types.append(type)
        columns.append(OutputColumn(a.name, type, a.typmod if a.typmod == b.typmod and a.type is b.type else -1))
    convert_columns(left, types, binder.params)
    convert_columns(right, types, binder.params)
    return BoundSetOperation(columns, [], None, None, operation, not node.args.get("distinct"), left, right)


def _sample(query: BoundQuery, at: int) -> Expr:
    """An expression of the column's type; the column's own where there is one, so that its parameters get the type."""
    if isinstance(query, BoundSelect):
        return query.targets[at].expr
    if isinstance(query, BoundValues) and len(query.rows) == 1:
        return query.rows[0][at]
    return _typed(query.columns[at])


def _column_counts(operation: str) -> SqlError:
    return SqlError(Code.syntax_error, f"each {operation} query must have the same number of columns")


def _select(binder: Binder, node: exp.Expr, link: OuterLink | None, env: Env) -> BoundQuery:
    if node.args.get("qualify"):
        raise SqlError(Code.syntax_error, 'syntax error at or near "QUALIFY"')
    from_clause = FromClause(binder, link, env)
    tree: JoinTree | None = None
    names = Namespace()
    source = node.args.get("from_")
    if source is not None:
        tree, names = from_clause.items(source.this, list(node.args.get("joins") or []), Namespace())
    where: list[Expr] = []
    clause = node.args.get("where")
    if clause is not None:
        scope = BlockScope(binder, names, link, env).in_clause("WHERE")
        where = conjuncts(as_boolean(scope.expression(clause.this), "WHERE", binder.params))
    block = SelectBlock(binder, node, names, link, env)
    block.bind()
    limit, offset = bind_limits(binder, node, link, env)
    query = BoundSelect(
        columns=[target.column for target in block.targets],
        order=[sort_spec(position, block.at(position), ordered) for position, ordered in block.order],
        limit=limit,
        offset=offset,
        tree=tree,
        where=where,
        grouping=block.grouping,
        having=block.having,
        targets=block.targets,
        hidden=block.hidden,
        distinct=block.distinct,
        distinct_on=block.distinct_on,
        locks=[],
        windows=block.windows,
        ties=has_ties(node),
    )
    bind_locks(binder, node, query, names)
    return query
