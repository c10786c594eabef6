"""The FROM clause: tables, derived tables, functions and joins, and the namespace they make."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import SYSTEM_SCHEMAS, Binder, BlockScope, Env, table_relation
from tausql.sql.binding.bound import (
    CteSource,
    FunctionSource,
    Join,
    JoinTree,
    OutputColumn,
    QuerySource,
    Relation,
    RelationColumn,
    Source,
    SystemSource,
)
from tausql.sql.binding.conversion import implicit, settled
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import NameScope, Namespace, OuterLink, VisibleColumn
from tausql.sql.expressions import as_boolean
from tausql.sql.expressions.nodes import And, Coalesce, Expr, FunctionCall
from tausql.sql.expressions.parsing import function_name
from tausql.sql.functions import resolve_operator
from tausql.sql.types.builtin import INT8


class FromClause:
    """Binds FROM items of one block. `base` counts the block's virtual slots."""

    __slots__ = ("base", "binder", "env", "link")

    def __init__(self, binder: Binder, link: OuterLink | None, env: Env) -> None:
        self.binder = binder
        self.link = link
        self.env = env
        self.base = 0

    def items(self, first: exp.Expr, joins: list[exp.Expr], before: Namespace) -> tuple[JoinTree, Namespace]:
        """`first JOIN ... JOIN ...`; `before` is what LATERAL items may use besides."""
        tree, names = self.item(first, before)
        for join in joins:
            tree, names = self._join(tree, names, join, before)
        return tree, names

    def item(self, node: exp.Expr, before: Namespace) -> tuple[JoinTree, Namespace]:
        self.binder.count_relation()
        joins = list(node.args.get("joins") or [])
        tree: JoinTree
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)) and not _is_query(node):
            tree, names = self.items(node.this, [], before)
            alias = node.args.get("alias")
            if alias is not None and alias.name:
                names = _aliased(names, fold(alias.this))
        else:
            relation = self.relation(node, before)
            tree, names = relation, Namespace()
            names.add(relation)
        for join in joins:
            tree, names = self._join(tree, names, join, before)
        return tree, names

    def _join(
        self, left: JoinTree, left_names: Namespace, join: exp.Expr, before: Namespace
    ) -> tuple[JoinTree, Namespace]:
        visible = Namespace([*before.columns, *left_names.columns], [*before.relations, *left_names.relations])
        right, right_names = self.item(join.this, visible)
        left_names.check_aliases(right_names)
        side = (join.args.get("side") or "").upper()
        kind = {"": "inner", "LEFT": "left", "RIGHT": "right", "FULL": "full"}.get(side)
        if kind is None or (join.args.get("kind") or "").upper() not in ("", "INNER", "OUTER", "CROSS"):
            raise not_supported(f"{side or join.args.get('kind')} JOIN not supported")
        using = [fold(column) for column in join.args.get("using") or []]
        if (join.args.get("method") or "").upper() == "NATURAL":
            using = [
                visible_column.name
                for visible_column in left_names.columns
                if any(other.name == visible_column.name for other in right_names.columns)
            ]
        names = Namespace(relations=[*left_names.relations, *right_names.relations])
        condition: list[Expr] = []
        if using:
            names.columns, condition = self._using(using, kind, left_names, right_names)
        else:
            names.columns = [*left_names.columns, *right_names.columns]
            on = join.args.get("on")
            natural = (join.args.get("method") or "").upper() == "NATURAL"
            if on is None and not natural and (side or (join.args.get("kind") or "").upper() == "INNER"):
                raise SqlError(Code.syntax_error, "syntax error: a JOIN needs an ON or USING clause")
            if on is not None:
                scope = BlockScope(self.binder, names, self.link, self.env).in_clause("JOIN conditions")
                condition = conjuncts(as_boolean(scope.expression(on), "JOIN/ON", self.binder.params))
        if kind == "right":
            return Join("left", right, left, condition), names
        return Join(kind, left, right, condition), names

    def _using(
        self, using: list[str], kind: str, left: Namespace, right: Namespace
    ) -> tuple[list[VisibleColumn], list[Expr]]:
        merged: list[VisibleColumn] = []
        condition: list[Expr] = []
        for name in using:
            pair: list[VisibleColumn] = []
            for side, names in (("left", left), ("right", right)):
                found = [column for column in names.columns if column.name == name]
                if not found:
                    raise SqlError(
                        Code.undefined_column,
                        f'column "{name}" specified in USING clause does not exist in {side} table',
                    )
                if len(found) > 1:
                    raise SqlError(
                        Code.ambiguous_column, f'common column name "{name}" appears more than once in {side} table'
                    )
                pair.append(found[0])
            a, b = pair
            condition.append(self.equality(a.expr, b.expr))
            if kind == "full":
                merged.append(VisibleColumn(name, Coalesce(args=(a.expr, b.expr), type=a.expr.type), None))
            else:
                merged.append(b if kind == "right" else a)
        rest = [column for column in (*left.columns, *right.columns) if column.name not in using]
        return merged + rest, condition

    def equality(self, left: Expr, right: Expr) -> Expr:
        resolved = resolve_operator("=", left.type, right.type)
        arguments = tuple(
            implicit(side, type, self.binder.params)
            for side, type in zip((left, right), resolved.arg_types, strict=True)
        )
        return FunctionCall(function=resolved.function, args=arguments, type=resolved.result_type)

    def relation(self, node: exp.Expr, before: Namespace) -> Relation:
        """One relation, with its alias."""
        alias_node = node.args.get("alias")
        alias = fold(alias_node.this) if alias_node is not None and alias_node.this is not None else ""
        names = [fold(column.this if isinstance(column, exp.ColumnDef) else column)
                 for column in (alias_node.args.get("columns") or [])] if alias_node is not None else []  # fmt: skip
        if isinstance(node, exp.Lateral):
            return self._lateral(node, before, alias, names)
        if isinstance(node, (exp.Subquery, exp.Values, exp.Select, exp.SetOperation)):
            inner = node.this if isinstance(node, exp.Subquery) and not _has_own_clauses(node) else node
            return self._derived(inner, self.link, None, alias, names)
        if isinstance(node, exp.Table):
            if node.args.get("rows_from"):
                calls = [call.this for call in node.args["rows_from"]]
                return self._functions(calls, before, alias, names, bool(node.args.get("ordinality")))
            if isinstance(node.this, exp.Func):
                return self._functions([node.this], before, alias, names, bool(node.args.get("ordinality")), node)
            return self._named(node, alias, names)
        if isinstance(node, exp.Unnest):
            return self._functions([node], before, alias, names, bool(node.args.get("offset")))
        raise not_supported(f"FROM {node.sql(dialect='postgres')[:100]} not supported")

    def _named(self, node: exp.Table, alias: str, names: list[str]) -> Relation:
        schema = fold(node.args.get("db")) or None
        name = fold(node.this)
        if node.args.get("sample") is not None:
            raise not_supported("TABLESAMPLE clause not supported")
        cte = self.env.get(name) if schema is None else None
        if cte is not None:
            if cte.correlated_link is not None and cte.correlated_link is not self.link:
                raise not_supported(f'WITH query "{name}" that refers to an outer query not supported in a subquery')
            return self._reading(CteSource(cte.cte), cte.cte.columns, alias or name, names)
        table = self.binder.find_table(schema, name) if schema not in SYSTEM_SCHEMAS else None
        system = self.binder.find_system(schema, name) if table is None or schema is None else None
        if system is not None and (table is None or system.schema == "pg_catalog"):
            columns = [OutputColumn(column, type) for column, type in system.columns]
            return self._reading(SystemSource(system), columns, alias or name, names, system.oid)
        if table is None:
            raise self.binder.undefined_table(schema, name)
        relation = table_relation(table, alias or name, self.base)
        self.base += relation.width
        self._rename(relation, names)
        return relation

    def _lateral(self, node: exp.Lateral, before: Namespace, alias: str, names: list[str]) -> Relation:
        inner = node.this
        if isinstance(inner, exp.Subquery):
            link = OuterLink(NameScope(before, self.link))
            return self._derived(inner.this, link, link, alias, names)
        return self._functions([inner], before, alias, names, bool(node.args.get("ordinality")))

    def _derived(
        self, query: exp.Expr, link: OuterLink | None, lateral: OuterLink | None, alias: str, names: list[str]
    ) -> Relation:
        bound = settled(self.binder.query(self.binder, query, link, self.env), self.binder.params)
        source = QuerySource(bound, lateral.correlations if lateral is not None else [])
        return self._reading(source, bound.columns, alias, names)

    def _functions(
        self,
        calls: list[exp.Expr],
        before: Namespace,
        alias: str,
        names: list[str],
        ordinality: bool,
        table: exp.Expr | None = None,
    ) -> Relation:
        scope = BlockScope(self.binder, before, self.link, self.env).in_clause("functions in FROM", sets=True)
        bound: list[Expr] = []
        columns: list[OutputColumn] = []
        for call in split_unnest(calls):
            system = self._system_function(call, table, scope, alias, names)
            if system is not None:
                return system
            expr = scope.expression(call)
            label = function_name(call) or "column"
            bound.append(expr)
            columns.append(OutputColumn(alias if alias and len(calls) == 1 else label, expr.type, expr.typmod))
        if ordinality:
            columns.append(OutputColumn("ordinality", INT8))
        return self._reading(
            FunctionSource(bound, ordinality), columns, alias or (function_name(calls[0]) or ""), names
        )

    def _system_function(
        self, call: exp.Expr, table: exp.Expr | None, scope: BlockScope, alias: str, names: list[str]
    ) -> Relation | None:
        name = function_name(call)
        if self.binder.system is None or name is None or name in ("unnest", "generate_series"):
            return None
        schema = fold(table.args.get("db")) or None if table is not None else None
        arguments = [scope.expression(argument) for argument in call.expressions]
        found = self.binder.system.function(schema, name, [argument.type for argument in arguments])
        if found is None:
            return None
        self.binder.system_used = True
        columns = [OutputColumn(column, type) for column, type in found.columns]
        return self._reading(SystemSource(found, arguments), columns, alias or name, names)

    def _reading(
        self, source: Source, columns: list[OutputColumn], alias: str, names: list[str], oid: int = 0
    ) -> Relation:
        made = [
            RelationColumn(
                column.name, column.type, column.typmod, self.base + at, oid or column.table_oid,
                at + 1 if oid else column.attnum,
            )
            for at, column in enumerate(columns)
        ]  # fmt: skip
        relation = Relation(alias, source, made, self.base, len(made))
        self.base += relation.width
        self._rename(relation, names)
        return relation

    def _rename(self, relation: Relation, names: list[str]) -> None:
        if len(names) > len(relation.columns):
            raise SqlError(
                Code.invalid_column_reference,
                f'table "{relation.alias}" has {len(relation.columns)} columns available '
                f"but {len(names)} columns specified",
            )
        for column, name in zip(relation.columns, names, strict=False):
            column.name = name


def conjuncts(expr: Expr) -> list[Expr]:
    """The parts of a condition that must all hold."""
    if isinstance(expr, And):
        found: list[Expr] = []
        for part in expr.args:
            found.extend(conjuncts(part))
        return found
    return [expr]


def split_unnest(calls: list[exp.Expr]) -> list[exp.Expr]:
    """unnest(a, b) in FROM is unnest(a) beside unnest(b)."""
    found: list[exp.Expr] = []
    for call in calls:
        if function_name(call) == "unnest" and len(call.expressions) > 1:
            for argument in call.expressions:
                single = call.copy()
                single.set("expressions", [argument.copy()])
                found.append(single)
        else:
            found.append(call)
    return found


def _is_query(node: exp.Expr) -> bool:
    """Whether a parenthesis in FROM is a derived table rather than a parenthesised join."""
    inner = node.this
    while isinstance(inner, exp.Subquery):
        if inner.args.get("joins") or inner.args.get("alias"):
            return False
        inner = inner.this
    return isinstance(inner, exp.Query) and not isinstance(inner, exp.Table)


def _has_own_clauses(node: exp.Expr) -> bool:
    return any(node.args.get(key) for key in ("order", "limit", "offset", "with_"))


def _aliased(names: Namespace, alias: str) -> Namespace:
    """`(a JOIN b ...) AS x`: only the alias is visible."""
    columns = [
        RelationColumn(visible.name, visible.expr.type, visible.expr.typmod, visible.expr.slot)
        for visible in names.columns
        if hasattr(visible.expr, "slot")
    ]
    if len(columns) != len(names.columns):
        raise not_supported("an alias of a parenthesised FULL JOIN with USING is not supported")
    first = names.relations[0]
    relation = Relation(alias, first.source, columns, first.base, 0)
    made = Namespace()
    made.add(relation)
    return made
