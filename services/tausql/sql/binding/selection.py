"""The select list of one block with GROUP BY, HAVING, DISTINCT and ORDER BY, which depend on it and on each other."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.binder import Binder, BlockScope, Env
from tausql.sql.binding.bound import WINDOW_SLOT, Grouping, OutputColumn, Relation, Target
from tausql.sql.binding.grouping import GroupRewriter, KeySet, crossed, cube_sets, has_aggregate, rollup_sets
from tausql.sql.binding.labels import fold, label_of
from tausql.sql.binding.names import Namespace, OuterLink, slot_of
from tausql.sql.binding.ordering import ordinal
from tausql.sql.binding.sources import conjuncts
from tausql.sql.binding.window_clause import WindowClause
from tausql.sql.expressions import as_boolean, settle
from tausql.sql.expressions.nodes import AggregateCall, Expr, Slot
from tausql.sql.expressions.window_nodes import WindowCall, has_window
from tausql.sql.types.ordering import is_orderable
from tausql.sql.types.type import Type

TARGETS_MAX = 1664


class TargetList:
    """Binds select lists and RETURNING lists."""

    __slots__ = ("columns", "names", "scope")

    def __init__(self, scope: BlockScope, names: Namespace) -> None:
        self.scope = scope
        self.names = names
        self.columns = {column.slot: column for relation in names.all_relations() for column in relation.columns}

    def bind(self, items: list[exp.Expr]) -> list[Target]:
        targets: list[Target] = []
        for item in items:
            if isinstance(item, exp.Star):
                targets.extend(self._all())
                self._note_star(item, None)
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                targets.extend(self._all_of(item))
                self._note_star(item, fold(item.args["table"]))
            elif isinstance(item, exp.Alias):
                targets.append(self._target(item.this, fold(item.args["alias"])))
            else:
                targets.append(self._target(item, label_of(item)))
        if len(targets) > TARGETS_MAX:
            raise SqlError(Code.too_many_columns, f"target lists can have at most {TARGETS_MAX} entries")
        return targets

    def _note_star(self, item: exp.Expr, of: str | None) -> None:
        """What a view is to keep instead of *: (relation or "", column)."""
        stars = self.scope.binder.stars
        if stars is None:
            return
        if of is not None:
            relation = self.names.relation(of)
            stars.append((item, [(of, column.name) for column in relation.columns] if relation is not None else []))
            return
        owners = {id(column): relation.alias for relation in self.names.relations for column in relation.columns}
        names = [(owners.get(id(visible.column), ""), visible.name) for visible in self.names.columns]
        stars.append((item, names))

    def _target(self, node: exp.Expr, name: str) -> Target:
        return self.made(self.scope.expression(node), name)

    def made(self, expr: Expr, name: str) -> Target:
        source = self.columns.get(expr.slot) if isinstance(expr, Slot) else None
        if source is None:
            typmod = -1 if isinstance(expr, AggregateCall) else expr.typmod  # max(numeric(12,2)) is numeric
            return Target(expr, OutputColumn(name, expr.type, typmod))
        return Target(expr, OutputColumn(name, expr.type, expr.typmod, source.table_oid, source.attnum))

    def _all(self) -> list[Target]:
        if not self.names.all_relations():
            raise SqlError(Code.syntax_error, "SELECT * with no tables specified is not valid")
        return [self.made(visible.expr, visible.name) for visible in self.names.columns]

    def _all_of(self, item: exp.Expr) -> list[Target]:
        name = fold(item.args["table"])
        relation: Relation | None = self.names.relation(name)
        if relation is None:
            joined = self.names.joins.get(name)
            if joined is not None:
                return [self.made(visible.expr, visible.name) for visible in joined]
            raise SqlError(Code.undefined_table, f'missing FROM-clause entry for table "{name}"')
        return [self.made(slot_of(column), column.name) for column in relation.columns]


class SelectBlock:
    """Everything of a SELECT that comes after FROM and WHERE. After `bind` the attributes hold the bound parts."""

    def __init__(self, binder: Binder, node: exp.Expr, names: Namespace, link: OuterLink | None, env: Env) -> None:
        self.binder = binder
        self.node = node
        self.names = names
        self.scope = BlockScope(binder, names, link, env)
        self.scope.windows = WindowClause(list(node.args.get("windows") or []))
        self.windows: list[WindowCall] = []
        self.targets: list[Target] = []
        self.hidden: list[Expr] = []
        self.having: list[Expr] = []
        self.order: list[tuple[int, exp.Expr]] = []
        self.grouping: Grouping | None = None
        self.sets: list[KeySet] | None = None
        self.distinct = False
        self.distinct_on: list[int] | None = None

    def bind(self) -> None:
        lists = TargetList(self.scope.in_clause("SELECT", aggregates=True, sets=True, windows=True), self.names)
        self.targets = lists.bind(self.node.expressions)
        keys = self._group_keys()
        having = self.node.args.get("having")
        if having is not None:
            scope = self.scope.in_clause("HAVING", aggregates=True)
            self.having = conjuncts(as_boolean(scope.expression(having.this), "HAVING", self.binder.params))
        distinct = self.node.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            self.distinct = on is None
            if on is not None:
                self._bind_distinct_on(on)
        self._bind_order()
        assert self.scope.windows is not None
        unused = self.scope.windows.bind_all(self.scope.in_clause("SELECT", aggregates=True))
        everything = [*(target.expr for target in self.targets), *self.hidden, *self.having]
        everything += [expr for window in unused for expr in window.children()]
        if keys is not None or having is not None or has_aggregate(everything):
            self._group(keys or [])
        self._take_windows()
        if self.distinct:
            self._check_distinct()

    def at(self, position: int) -> Type:
        """The type of a target or hidden expression."""
        count = len(self.targets)
        return self.targets[position].expr.type if position < count else self.hidden[position - count].type

    def _group_keys(self) -> list[Expr] | None:
        """The keys of GROUP BY; `self.sets` where it has grouping sets."""
        group = self.node.args.get("group")
        if group is None:
            return None
        if group.args.get("totals") or any(group.args.get(key) for key in ("rollup", "cube", "grouping_sets")):
            raise SqlError(Code.syntax_error, "syntax error in GROUP BY")
        keys: list[Expr] = []
        parts = [self._item_sets(item, keys) for item in group.expressions]
        if any(isinstance(item, (exp.Rollup, exp.Cube, exp.GroupingSets)) for item in group.expressions):
            self.sets = crossed(parts)
            if group.args.get("all") is False:  # GROUP BY DISTINCT
                self.sets = list({frozenset(own): own for own in self.sets}.values())
        return keys

    def _item_sets(self, item: exp.Expr, keys: list[Expr]) -> list[KeySet]:
        """The grouping sets one item of GROUP BY, or of GROUPING SETS, stands for."""
        if isinstance(item, exp.Rollup):
            return rollup_sets([self._key_set(part, keys) for part in item.expressions])
        if isinstance(item, exp.Cube):
            return cube_sets([self._key_set(part, keys) for part in item.expressions])
        if isinstance(item, exp.GroupingSets):
            return [own for part in item.expressions for own in self._item_sets(part, keys)]
        return [self._key_set(item, keys)]

    def _key_set(self, item: exp.Expr, keys: list[Expr]) -> KeySet:
        if isinstance(item, exp.Tuple):
            found = [at for part in item.expressions for at in self._key_set(part, keys)]
            return tuple(dict.fromkeys(found))
        return (self._group_item(item, keys),)

    def _group_item(self, item: exp.Expr, keys: list[Expr]) -> int:
        """The position of one key, which is new or known."""
        while isinstance(item, exp.Paren):
            item = item.this
        position = ordinal(item, len(self.targets), "GROUP BY")
        if position is None:
            position = self._by_alias(item, prefer_input=True)
        if position is not None:
            expr = self.targets[position].expr
            if has_aggregate([expr]):
                raise SqlError(Code.grouping_error, "aggregate functions are not allowed in GROUP BY")
            if has_window([expr]):
                raise SqlError(Code.windowing_error, "window functions are not allowed in GROUP BY")
        else:
            expr = self.scope.in_clause("GROUP BY", sets=True).expression(item)
        if expr.type.name == "unknown":
            expr = settle(expr, self.binder.params)
        if expr not in keys:
            keys.append(expr)
        return keys.index(expr)

    def _by_alias(self, node: exp.Expr, prefer_input: bool) -> int | None:
        """The target an unqualified name means by its output name. GROUP BY prefers input columns, ORDER BY outputs."""
        if not isinstance(node, exp.Column) or node.args.get("table"):
            return None
        name = fold(node.this)
        found = [at for at, target in enumerate(self.targets) if target.column.name == name]
        if not found or (prefer_input and any(visible.name == name for visible in self.names.columns)):
            return None
        first = self.targets[found[0]].expr
        if any(self.targets[at].expr != first for at in found[1:]):
            clause = "GROUP BY" if prefer_input else "ORDER BY"
            raise SqlError(Code.ambiguous_column, f'{clause} "{name}" is ambiguous')
        return found[0]

    def _bind_order(self) -> None:
        order = self.node.args.get("order")
        for ordered in order.expressions if order is not None else []:
            position = self._position(ordered.this, "ORDER BY")
            if position >= len(self.targets) and self.distinct:
                raise SqlError(
                    Code.invalid_column_reference,
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                )
            self._settle(position)
            self.order.append((position, ordered))
        if self.distinct_on is not None and self.order:
            leading = [position for position, _ in self.order[: len(set(self.distinct_on))]]
            if not set(leading) <= set(self.distinct_on):
                raise SqlError(
                    Code.invalid_column_reference,
                    "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                )

    def _settle(self, position: int) -> None:
        """What is sorted by has a type: an untyped literal is text."""
        if self.at(position).name != "unknown":
            return
        count = len(self.targets)
        if position < count:
            target = self.targets[position]
            target.expr = settle(target.expr, self.binder.params)
            target.column.type = target.expr.type
        else:
            self.hidden[position - count] = settle(self.hidden[position - count], self.binder.params)

    def _bind_distinct_on(self, on: exp.Expr) -> None:
        items = on.expressions if isinstance(on, exp.Tuple) else [on]
        self.distinct_on = [self._position(item, "SELECT DISTINCT ON") for item in items]

    def _position(self, node: exp.Expr, clause: str) -> int:
        """Where ORDER BY or DISTINCT ON finds its value: among the targets, or as a hidden expression behind them."""
        while isinstance(node, exp.Paren):
            node = node.this
        position = ordinal(node, len(self.targets), clause)
        if position is None:
            position = self._by_alias(node, prefer_input=False)
        if position is not None:
            return position
        expr = self.scope.in_clause(clause, aggregates=True, sets=True, windows=True).expression(node)
        for at, target in enumerate(self.targets):
            if target.expr == expr:
                return at
        for at, hidden in enumerate(self.hidden):
            if hidden == expr:
                return len(self.targets) + at
        self.hidden.append(expr)
        return len(self.targets) + len(self.hidden) - 1

    def _group(self, keys: list[Expr]) -> None:
        rewriter = GroupRewriter(keys, self.sets, self.names.all_relations(), self.binder.subqueries)
        targets = [rewriter.rewrite(target.expr) for target in self.targets]
        hidden = [rewriter.rewrite(expr) for expr in self.hidden]
        having = [rewriter.rewrite(expr) for expr in self.having]
        for target, expr in zip(self.targets, targets, strict=True):
            target.expr = rewriter.finish(expr)
        self.hidden = [rewriter.finish(expr) for expr in hidden]
        self.having = [rewriter.finish(expr) for expr in having]
        self.grouping = rewriter.grouping()

    def _take_windows(self) -> None:
        """Window functions run over what is left after HAVING: their calls give way to slots behind its rows."""
        if not has_window([*(target.expr for target in self.targets), *self.hidden]):
            return

        def taken(node: Expr) -> Expr:
            if not isinstance(node, WindowCall):
                return node
            if node not in self.windows:
                self.windows.append(node)
            at = WINDOW_SLOT + self.windows.index(node)
            return Slot(slot=at, type=node.type, typmod=node.typmod, name=node.function.name)

        for target in self.targets:
            target.expr = target.expr.replace(taken)
        self.hidden = [expr.replace(taken) for expr in self.hidden]

    def _check_distinct(self) -> None:
        for target in self.targets:
            if not is_orderable(target.expr.type) and target.expr.type.name != "unknown":
                raise SqlError(
                    Code.undefined_function,
                    f"could not identify an equality operator for type {target.expr.type.sql_name}",
                )
