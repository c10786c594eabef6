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
from tausql.sql.binding.functions import call_in_from, find_candidates, is_scalar, matched
from tausql.sql.binding.join_names import aliased, beside, is_comma, make_nullable
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import NameScope, Namespace, OuterLink, VisibleColumn
from tausql.sql.binding.views import bind_view, need_view
from tausql.sql.expressions import as_boolean
from tausql.sql.expressions.calls import result_shape, shaped
from tausql.sql.expressions.coercion import unify
from tausql.sql.expressions.nodes import And, Coalesce, Expr, FunctionCall, SetReturningCall
from tausql.sql.expressions.parsing import USING_ALIAS, function_name
from tausql.sql.expressions.type_names import type_and_typmod
from tausql.sql.functions import resolve_operator
from tausql.sql.functions.catalogue import is_function
from tausql.sql.functions.json_records import SHAPED
from tausql.sql.types.builtin import INT8, RECORD
from tausql.sql.types.records import Shape, shape_of


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
        return self._joins(tree, names, joins, before)

    def _joins(
        self, tree: JoinTree, names: Namespace, joins: list[exp.Expr], before: Namespace
    ) -> tuple[JoinTree, Namespace]:
        """A comma begins another item, and JOIN binds more tightly: `a, b FULL JOIN c ON ..` says nothing of a."""
        for at, join in enumerate(joins):
            if is_comma(join):
                end = next((later for later in range(at + 1, len(joins)) if is_comma(joins[later])), len(joins))
                right, right_names = self.items(join.this, joins[at + 1 : end], before.beside(names))
                names.check_aliases(right_names)
                both = names.beside(right_names)
                return self._joins(beside(tree, right), both, joins[end:], before)
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
                names = aliased(names, fold(alias.this), [fold(column) for column in alias.args.get("columns") or []])
        else:
            relation = self.relation(node, before)
            tree, names = relation, Namespace()
            names.add(relation)
        return self._joins(tree, names, joins, before)

    def _join(
        self, left: JoinTree, left_names: Namespace, join: exp.Expr, before: Namespace
    ) -> tuple[JoinTree, Namespace]:
        right, right_names = self.item(join.this, before.beside(left_names))
        left_names.check_aliases(right_names)
        side = (join.args.get("side") or "").upper()
        kind = {"": "inner", "LEFT": "left", "RIGHT": "right", "FULL": "full"}.get(side)
        if kind is None or (join.args.get("kind") or "").upper() not in ("", "INNER", "OUTER", "CROSS"):
            raise not_supported(f"{side or join.args.get('kind')} JOIN not supported")
        using = [fold(column) for column in join.args.get("using") or []]
        alias = using.pop()[len(USING_ALIAS) :] if using and using[-1].startswith(USING_ALIAS) else ""
        if (join.args.get("method") or "").upper() == "NATURAL":
            using = [
                visible_column.name
                for visible_column in left_names.columns
                if any(other.name == visible_column.name for other in right_names.columns)
            ]
        names = Namespace()
        names.take_names(left_names)
        names.take_names(right_names)
        condition: list[Expr] = []
        if using:
            names.columns, condition = self._using(using, kind, left_names, right_names)
            if alias:
                named = Namespace(joins={alias: names.columns[: len(using)]})
                names.check_aliases(named)
                names.take_names(named)
        else:
            names.columns = [*left_names.columns, *right_names.columns]
            on = join.args.get("on")
            natural = (join.args.get("method") or "").upper() == "NATURAL"
            if on is None and not natural and (side or (join.args.get("kind") or "").upper() == "INNER"):
                raise SqlError(Code.syntax_error, "syntax error: a JOIN needs an ON or USING clause")
            if on is not None:
                beyond = [*names.hidden, *before.all_relations()]
                seen = Namespace(names.columns, names.relations, names.joins, beyond)
                scope = BlockScope(self.binder, seen, self.link, self.env).in_clause("JOIN conditions")
                condition = conjuncts(as_boolean(scope.expression(on), "JOIN/ON", self.binder.params))
        if kind in ("left", "full"):
            make_nullable(right)
        if kind in ("right", "full"):
            make_nullable(left)
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
            merged.append(self._merged(name, kind, a, b))
        rest = [column for column in (*left.columns, *right.columns) if column.name not in using]
        return merged + rest, condition

    def _merged(self, name: str, kind: str, left: VisibleColumn, right: VisibleColumn) -> VisibleColumn:
        """The one column that USING makes of two, of their common type."""
        both, type, typmod = unify((left.expr, right.expr), "JOIN/USING", self.binder.params)
        if kind == "full":
            return VisibleColumn(name, Coalesce(args=both, type=type, typmod=typmod), None)
        at = 1 if kind == "right" or (kind == "inner" and both[0] is not left.expr and both[1] is right.expr) else 0
        column = (left, right)[at]
        return column if both[at] is column.expr else VisibleColumn(name, both[at], None)

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
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Values):
            return self._derived(node.this, self.link, None, alias, names)
        if isinstance(node, exp.Table):
            if node.args.get("rows_from"):
                items = node.args["rows_from"]
                ordinality = bool(node.args.get("ordinality"))
                return self._functions([item.this for item in items], before, alias, names, ordinality, None, items)
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
            if cte.cte.part is not None and cte.cte.part.body.returning is None:
                raise not_supported(f'WITH query "{name}" does not have a RETURNING clause')
            return self._reading(CteSource(cte.cte), cte.cte.columns, alias or name, names)
        table = self.binder.find_table(schema, name) if schema not in SYSTEM_SCHEMAS else None
        system = self.binder.find_system(schema, name) if table is None or schema is None else None
        if system is not None and (table is None or system.schema == "pg_catalog"):
            columns = [OutputColumn(column, type) for column, type in system.columns]
            return self._reading(SystemSource(system), columns, alias or name, names, system.oid)
        if table is None:
            view = self.binder.find_view(schema, name)
            sequence = self.binder.find_sequence(schema, name) if view is None else None
            if sequence is not None:
                columns = [OutputColumn(column, type) for column, type in sequence.columns]
                return self._reading(SystemSource(sequence), columns, alias or name, names, sequence.oid)
            if view is None:
                raise self.binder.undefined_table(schema, name)
            need_view(self.binder, view, "r")
            query, view_columns = bind_view(self.binder, view)
            relation = self._reading(QuerySource(query), view_columns, alias or name, names)
            relation.row_type = view.oid
            return relation
        self.binder.need_table(table, "r")
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
        items: list[exp.Expr] | None = None,
    ) -> Relation:
        """`table`: the node of a single call; `items`: those of ROWS FROM, each with its own column definitions."""
        scope = BlockScope(self.binder, before, self.link, self.env).in_clause("functions in FROM", sets=True)
        bound: list[Expr] = []
        widths: list[int] = []
        columns: list[OutputColumn] = []
        user = self._user_function(calls, table, scope, alias, names, ordinality)
        if user is not None:
            return user
        sources = items if items is not None else [table] * len(calls)
        told_of = {id(call): _told_columns(source) for call, source in zip(calls, sources, strict=True)}
        for call, origin in ((part, whole) for whole in calls for part in split_unnest([whole])):
            told = told_of[id(origin)]
            system = self._system_function(call, table, scope, alias, names)
            if system is not None:
                return system
            expr = scope.expression(_qualified(call, table))
            label = function_name(call) or "column"
            if told is not None:
                expr = _with_told_columns(expr, told)
            shape = result_shape(expr)
            if shape is None:
                _check_described(expr)
                columns.append(OutputColumn(alias if alias and len(calls) == 1 else label, expr.type, expr.typmod))
            else:
                columns += map(OutputColumn, shape.names, shape.types, shape.typmods)
            bound.append(expr)
            widths.append(0 if shape is None else len(shape.names))
        if ordinality:
            columns.append(OutputColumn("ordinality", INT8))
        source = FunctionSource(bound, ordinality, tuple(widths) if any(widths) else ())
        return self._reading(source, columns, alias or (function_name(calls[0]) or ""), names)

    def _user_function(
        self,
        calls: list[exp.Expr],
        table: exp.Expr | None,
        scope: BlockScope,
        alias: str,
        names: list[str],
        ordinality: bool,
    ) -> Relation | None:
        """A function in LANGUAGE sql: its query, LATERAL to what stands before it."""
        name = function_name(calls[0])
        if not self.binder.snapshot.objects.functions or name is None:
            return None
        schema, _, own = name.rpartition(".")
        if table is not None and table.args.get("db") is not None:
            schema = fold(table.args["db"])
        candidates = find_candidates(self.binder, schema or None, own)
        if not candidates or (not schema and is_function(own)):
            return None
        if not schema and all(is_scalar(self.binder.snapshot, candidate) for candidate in candidates):
            return None  # one row of one value, as of any function
        if len(calls) > 1 or ordinality:
            raise not_supported("ROWS FROM and WITH ORDINALITY of a function in LANGUAGE sql not supported")
        call = calls[0].expression if isinstance(calls[0], exp.Dot) else calls[0]
        bound, columns, link = call_in_from(scope, matched(scope, candidates, own, call.expressions))
        if len(columns) == 1 and alias and not names:
            columns[0].name = alias if columns[0].name == own else columns[0].name
        return self._reading(QuerySource(bound, link.correlations), columns, alias or own, names)

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


def _told_columns(table: exp.Expr | None) -> Shape | None:
    """The column definition list of `json_to_record(...) AS t(a int, b text)`."""
    alias = table.args.get("alias") if table is not None else None
    columns = (alias.args.get("columns") or []) if alias is not None else []
    if not columns or not all(isinstance(column, exp.ColumnDef) for column in columns):
        return None
    return shape_of([(fold(column.this), *type_and_typmod(column.args["kind"])) for column in columns])


def _with_told_columns(expr: Expr, told: Shape) -> Expr:
    """42601 where the function needs no list, or says itself what it gives."""
    function = expr.function if isinstance(expr, (FunctionCall, SetReturningCall)) else None
    if function is not None and function.columns:
        raise SqlError(Code.syntax_error, "a column definition list is redundant for a function with OUT parameters")
    if function is None or (function.name not in SHAPED and expr.type is not RECORD):
        raise SqlError(Code.syntax_error, 'a column definition list is only allowed for functions returning "record"')
    return shaped(expr, told)


def _check_described(expr: Expr) -> None:
    if isinstance(expr, (FunctionCall, SetReturningCall)) and expr.function.name in SHAPED:
        raise SqlError(Code.syntax_error, 'a column definition list is required for functions returning "record"')


def _qualified(call: exp.Expr, table: exp.Expr | None) -> exp.Expr:
    """A call with the schema FROM names, where it is one that functions of the system are told apart by."""
    schema = fold(table.args["db"]) if table is not None and table.args.get("db") is not None else ""
    if schema in ("", "pg_catalog") or not isinstance(call, exp.Anonymous):
        return call
    return exp.Dot(this=exp.Identifier(this=schema, quoted=True), expression=call.copy())


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
