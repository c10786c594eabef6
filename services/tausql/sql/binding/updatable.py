"""What INSERT, UPDATE and DELETE write to: a table, or a view over one table that a row of it can be found through.

A write through a view is a write to its table in which the view's names stand for the table's columns, the view's WHERE
for a condition, and its check option for one more CHECK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import Binder, BlockScope, table_relation
from tausql.sql.binding.bound import Relation, RelationColumn
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import Namespace, VisibleColumn
from tausql.sql.binding.sources import conjuncts
from tausql.sql.binding.views import VIEW_DEPTH_MAX, need_view, view_query
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.objects import View
from tausql.sql.expressions import as_boolean
from tausql.sql.expressions.nodes import Expr, Slot

INSERT, UPDATE, DELETE = "insert into", "update", "delete from"
_LETTERS = {INSERT: "a", UPDATE: "w", DELETE: "d"}
_HINTS = {
    INSERT: "To enable inserting into the view, provide an INSTEAD OF INSERT trigger or an unconditional ON INSERT DO "
    "INSTEAD rule.",
    UPDATE: "To enable updating the view, provide an INSTEAD OF UPDATE trigger or an unconditional ON UPDATE DO "
    "INSTEAD rule.",
    DELETE: "To enable deleting from the view, provide an INSTEAD OF DELETE trigger or an unconditional ON DELETE DO "
    "INSTEAD rule.",
}


@dataclass(slots=True)
class WriteTarget:
    """`relation`: the table's, its slots from 0. `columns`: what the statement may name, in order, each with its
    position in the table, None for one that is computed. `checks`: (view, condition) of check options."""

    table: Table
    relation: Relation
    names: Namespace
    columns: list[tuple[str, int | None]]
    view: View | None = None
    conditions: list[tuple[str, Expr]] = field(default_factory=list)  # (view, part of its WHERE), innermost first
    checks: list[tuple[str, Expr]] = field(default_factory=list)
    defaults: dict[int, str] = field(default_factory=dict)  # a view's own, by the table's position

    @property
    def where(self) -> list[Expr]:
        return [condition for _, condition in self.conditions]

    def column(self, name: str, verb: str) -> Column:
        """The table's column a name means. Raises 42703, and 0A000 for a computed column of a view."""
        for known, position in self.columns:
            if known == name:
                if position is None:
                    assert self.view is not None
                    doing = "insert into" if verb == INSERT else "update"
                    raise SqlError(
                        Code.feature_not_supported,
                        f'cannot {doing} column "{name}" of view "{self.view.name}"',
                        detail="View columns that are not columns of their base relation are not updatable.",
                    )
                return self.table.columns[position]
        of = self.table.name if self.view is None else self.view.name
        raise SqlError(Code.undefined_column, f'column "{name}" of relation "{of}" does not exist')

    def need(self, binder: Binder, verb: str, columns: Sequence[Column], reads: bool) -> None:
        """Privileges: to write these columns and, if it `reads`, to read."""
        if self.view is None:
            attnums = [column.position + 1 for column in columns] if verb != DELETE else None
            binder.need_table(self.table, _LETTERS[verb], attnums)
            if reads:
                binder.need_table(self.table, "r")
            return
        need_view(binder, self.view, _LETTERS[verb])
        if reads:
            need_view(binder, self.view, "r")


def write_target(binder: Binder, node: exp.Expr, verb: str) -> WriteTarget:
    """The table or view a statement names. Raises 42P01, and 55000 for a view that cannot be written to."""
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
        raise not_supported("this is not supported as the target of a statement")
    name = fold(node.this)
    schema = fold(node.args.get("db")) or None
    alias_node = node.args.get("alias")
    alias = fold(alias_node.this) if alias_node is not None else name
    table = binder.find_table(schema, name)
    if table is None:
        view = binder.find_view(schema, name)
        if view is not None:
            return through_view(binder, view, alias, verb)
        table = binder.target_table(schema, name)
    return _table_target(table, alias)


def _table_target(table: Table, alias: str) -> WriteTarget:
    relation = table_relation(table, alias, 0)
    names = Namespace()
    names.add(relation)
    return WriteTarget(table, relation, names, [(column.name, column.position) for column in table.live_columns])


def through_view(binder: Binder, view: View, alias: str, verb: str) -> WriteTarget:
    """The table below a view."""
    node = view_query(view)
    problem = not_updatable(node)
    if problem is not None:
        doing = {INSERT: "insert into", UPDATE: "update", DELETE: "delete from"}[verb]
        raise SqlError(
            Code.object_not_in_prerequisite_state, f'cannot {doing} view "{view.name}"', detail=problem,
            hint=_HINTS[verb],
        )  # fmt: skip
    if binder.view_depth >= VIEW_DEPTH_MAX:
        raise SqlError(Code.statement_too_complex, f'views are nested too deeply at "{view.name}"')
    binder.relies[view.oid] = view.version
    outside = binder.search_path, binder.as_role, binder.named
    binder.search_path = ()
    binder.named = frozenset("*")
    if ("security_invoker", "true") not in view.options:
        binder.as_role = view.owner
    binder.view_depth += 1
    try:
        below = write_target(binder, node.args["from_"].this, verb)
        target = _seen_through(binder, view, node, below, alias)
        below.need(binder, verb, [], True)
    finally:
        binder.search_path, binder.as_role, binder.named = outside
        binder.view_depth -= 1
    return target


def _seen_through(binder: Binder, view: View, node: exp.Expr, below: WriteTarget, alias: str) -> WriteTarget:
    """The target below under the view's names, with its condition and its check option."""
    scope = BlockScope(binder, below.names, None, {}).in_clause("SELECT")
    exprs = [scope.expression(item.this if isinstance(item, exp.Alias) else item) for item in node.expressions]
    names = Namespace()
    relation = Relation(alias, below.relation.source, [], below.relation.base, below.relation.width)
    columns: list[tuple[str, int | None]] = []
    defaults = dict(below.defaults)
    for at, (column, expr) in enumerate(zip(view.columns, exprs, strict=True)):
        position = expr.slot - below.relation.base if isinstance(expr, Slot) else None
        columns.append((column.name, position))
        if isinstance(expr, Slot):
            made = RelationColumn(column.name, expr.type, expr.typmod, expr.slot, view.oid, at + 1)
            relation.columns.append(made)
            names.columns.append(VisibleColumn(column.name, expr, made))
        else:
            names.columns.append(VisibleColumn(column.name, expr, None))
        if position is not None and column.default is not None:
            defaults[position] = column.default
    names.relations.append(relation)
    conditions = list(below.conditions)
    clause = node.args.get("where")
    if clause is not None:
        condition = as_boolean(scope.in_clause("WHERE").expression(clause.this), "WHERE", binder.params)
        conditions += [(view.name, part) for part in conjuncts(condition)]
    option = dict(view.options).get("check_option")
    checks = list(below.checks)
    if option is not None:
        first = len(below.conditions) if option == "local" else 0
        checks += [one for one in conditions[first:] if one not in checks]
    return WriteTarget(below.table, below.relation, names, columns, view, conditions, checks, defaults)


def not_updatable(node: exp.Expr) -> str | None:
    """Why no row can be written through a query, as PostgreSQL's DETAIL says it; None: it can."""
    if node.args.get("with_") is not None:
        return "Views containing WITH are not automatically updatable."
    if isinstance(node, exp.SetOperation):
        return "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable."
    if not isinstance(node, exp.Select):
        return "Views that do not select from a single table or view are not automatically updatable."
    for key, words in (
        ("distinct", "DISTINCT"),
        ("group", "GROUP BY"),
        ("having", "HAVING"),
        ("limit", "LIMIT or OFFSET"),
        ("offset", "LIMIT or OFFSET"),
    ):
        if node.args.get(key) is not None:
            return f"Views containing {words} are not automatically updatable."
    problem = _bad_targets(node)
    if problem is not None:
        return problem
    source = node.args.get("from_")
    table = source.this if source is not None else None
    single = isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier) and not table.args.get("joins")
    if not single or node.args.get("joins"):
        return "Views that do not select from a single table or view are not automatically updatable."
    return None


def _bad_targets(node: exp.Select) -> str | None:
    from tausql.sql.expressions.parsing import function_name
    from tausql.sql.functions.catalogue import is_aggregate, is_set_returning

    for item in node.expressions:
        if item.find(exp.Window) is not None:
            return "Views that return window functions are not automatically updatable."
        for call in item.find_all(exp.Anonymous, exp.Func):
            name = function_name(call) or ""
            if is_aggregate(name):
                return "Views that return aggregate functions are not automatically updatable."
            if is_set_returning(name):
                return "Views that return set-returning functions are not automatically updatable."
    return None


__all__ = ["DELETE", "INSERT", "UPDATE", "WriteTarget", "not_updatable", "write_target"]
