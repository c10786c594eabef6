"""FOR UPDATE and FOR KEY SHARE: which rows of which tables a locking clause means.

A clause reaches through derived tables and views to the tables below: their rows are locked as the query inside returns
them. What has no row to lock (a group, a set, a value) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import (
    BoundQuery,
    BoundSelect,
    BoundSetOperation,
    BoundValues,
    CteSource,
    FunctionSource,
    Join,
    JoinTree,
    QuerySource,
    Relation,
    RowLock,
    TableSource,
)
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import Namespace
from tausql.sql.expressions.nodes import SetReturningCall, walk


def bind_locks(binder: Binder, node: exp.Expr, query: BoundSelect, names: Namespace) -> None:
    """Adds what the block's locking clauses lock."""
    for lock in node.args.get("locks") or []:
        update, key = bool(lock.args.get("update")), bool(lock.args.get("key"))
        if update == key:  # FOR NO KEY UPDATE, FOR SHARE
            raise not_supported("locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported")
        words = "FOR UPDATE" if update else "FOR KEY SHARE"
        _check(query, words)
        tree = query.tree
        if lock.expressions:
            for table in lock.expressions:
                _lock_relation(binder, query, _named(table, names, words), update, True)
        elif tree is not None:
            for relation in _leaves(tree):
                _lock_relation(binder, query, relation, update, False)
        binder.locks = True


def refuse_locks(node: exp.Expr, what: str) -> None:
    """A locking clause where none may be."""
    for lock in node.args.get("locks") or []:
        update, key = bool(lock.args.get("update")), bool(lock.args.get("key"))
        words = {(True, False): "FOR UPDATE", (False, True): "FOR KEY SHARE"}.get((update, key))
        if words is None:
            raise not_supported("locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported")
        raise not_supported(f"{words} {what}")


def _named(table: exp.Expr, names: Namespace, words: str) -> Relation:
    if table.args.get("db"):
        raise SqlError(Code.syntax_error, f"{words} must specify unqualified relation names")
    name = fold(table.this)
    relation = names.relation(name)
    if relation is None:
        if name in names.joins:
            raise not_supported(f"{words} cannot be applied to a join")
        raise SqlError(Code.undefined_table, f'relation "{name}" in {words} clause not found in FROM clause')
    return relation


def _lock_relation(binder: Binder, query: BoundSelect, relation: Relation, update: bool, named: bool) -> None:
    source = relation.source
    words = "FOR UPDATE" if update else "FOR KEY SHARE"
    if isinstance(source, TableSource):
        assert query.tree is not None
        if any(nullable is relation for nullable in _nullable(query.tree)):
            raise not_supported(f"{words} cannot be applied to the nullable side of an outer join")
        binder.need_table(source.table, "w")
        query.locks.append(RowLock(update, [relation]))
    elif isinstance(source, QuerySource):
        _lock_query(binder, source.query, update)
    elif named:
        kinds = {FunctionSource: "a function", CteSource: "a WITH query"}
        what = kinds.get(type(source))
        if what is not None:
            raise not_supported(f"{words} cannot be applied to {what}")


def _lock_query(binder: Binder, query: BoundQuery, update: bool) -> None:
    if isinstance(query, BoundValues):
        return
    words = "FOR UPDATE" if update else "FOR KEY SHARE"
    if isinstance(query, BoundSetOperation):
        raise not_supported(f"{words} is not allowed with UNION/INTERSECT/EXCEPT")
    assert isinstance(query, BoundSelect)
    _check(query, words)
    if query.tree is not None:
        for relation in _leaves(query.tree):
            _lock_relation(binder, query, relation, update, False)


def _check(query: BoundSelect, words: str) -> None:
    grouping = query.grouping
    sets = any(isinstance(part, SetReturningCall) for target in query.targets for part in walk(target.expr))
    for refused, what in (
        (query.distinct or query.distinct_on is not None, "DISTINCT clause"),
        (grouping is not None and bool(grouping.keys or grouping.sets), "GROUP BY clause"),
        (bool(query.having), "HAVING clause"),
        (grouping is not None, "aggregate functions"),
        (bool(query.windows), "window functions"),
        (sets, "set-returning functions in the target list"),
    ):
        if refused:
            raise not_supported(f"{words} is not allowed with {what}")


def _leaves(tree: JoinTree) -> Iterator[Relation]:
    if isinstance(tree, Join):
        yield from _leaves(tree.left)
        yield from _leaves(tree.right)
    else:
        yield tree


def _nullable(tree: JoinTree) -> Iterator[Relation]:
    """Relations that an outer join may leave without a row."""
    if not isinstance(tree, Join):
        return
    if tree.kind == "full":
        yield from _leaves(tree)
        return
    yield from _nullable(tree.left)
    yield from _leaves(tree.right) if tree.kind == "left" else _nullable(tree.right)
