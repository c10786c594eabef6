"""Users' functions in generated columns and indexes: the body is written where the call stood.

A row's generated values and index entries are also made by jobs, by restores and by replicas of the schema, long after
the statement that wrote the call down: were the function looked up each time, replacing it would leave entries that
nobody finds any more. So the table keeps what the function said when it was named, and the function's number, which
keeps the function from being dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.functions import CALL_DEPTH_MAX, body_queries, inputs_of, is_scalar, single_expression
from tausql.sql.binding.labels import fold
from tausql.sql.catalogue.objects import Function
from tausql.sql.ddl.change import SchemaChange
from tausql.sql.ddl.stored_texts import call_parts, find_functions, mark_enums
from tausql.sql.expressions import bind, volatility
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.functions.catalogue import is_function
from tausql.sql.functions.function import Function as Declared
from tausql.sql.functions.resolution import call_text, choose_among
from tausql.sql.privileges import has_privilege
from tausql.sql.stored_expressions import RowScope
from tausql.sql.types import Type, type_by_oid
from tausql.sql.types.builtin import RECORD

NODES_MAX = 10_000  # of one expression, once all bodies are in place
_PLAIN = (exp.Column, exp.Literal, exp.Null, exp.Boolean, exp.Cast, exp.Anonymous)  # need no parentheses


def with_bodies(change: SchemaChange, node: exp.Expr, scope: RowScope) -> tuple[exp.Expr, tuple[int, ...]]:
    """The expression without users' functions, and which those were; whether it is immutable is then plain to see.
    Raises 42883, 42501, 54001, and 0A000 for a function that is more than one expression."""
    if not change.snapshot.objects.functions:
        return node, ()
    writer = _Writer(change, scope)
    return writer.written(node, change.search_path, 0), tuple(sorted(writer.used))


@dataclass(slots=True)
class _Writer:
    change: SchemaChange
    scope: RowScope
    used: set[int] = field(default_factory=set)

    def written(self, node: exp.Expr, path: tuple[str, ...], depth: int) -> exp.Expr:
        """`node` with every call of a user's function replaced, those in arguments first."""
        if depth > CALL_DEPTH_MAX:
            raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
        holder = exp.Paren(this=node.copy())
        mark_enums(holder, self.change.snapshot, path)
        calls = list(holder.find_all(exp.Anonymous))
        for call in reversed(calls):  # found from the outside in
            candidates = self._candidates(call, path)
            if candidates:
                whole = call.parent if isinstance(call.parent, exp.Dot) and call.parent.expression is call else call
                whole.replace(exp.Paren(this=self._body(call, candidates, path, depth)))
        if sum(1 for _ in holder.walk()) > NODES_MAX:
            raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
        written: exp.Expr = holder.this
        return written

    def _candidates(self, call: exp.Anonymous, path: tuple[str, ...]) -> tuple[Function, ...]:
        schema, name = call_parts(call)
        if schema is None and is_function(name):
            return ()
        return find_functions(self.change.snapshot, schema, name, path)

    def _body(self, call: exp.Anonymous, candidates: Sequence[Function], path: tuple[str, ...], depth: int) -> exp.Expr:
        if any(isinstance(one, exp.Kwarg | exp.PropertyEQ | exp.Variadic) for one in call.expressions):
            raise not_supported(f"named or VARIADIC arguments not supported in {self.scope.clause.kind}")
        function, arguments = self._chosen(call, candidates)
        self._check(function)
        if not depth:  # what it calls may go, as its body is here already
            self.used.add(function.oid)
        item = self._single(function)
        given = [one if isinstance(one, _PLAIN) else exp.Paren(this=one) for one in arguments]
        names = [argument.name for argument in inputs_of(function)]
        holder = exp.Paren(this=item.copy())
        for column in list(holder.find_all(exp.Column)):
            at = _place(column, function.name, names)
            if at is None:
                raise SqlError(Code.undefined_column, f'column "{fold(column.this)}" does not exist')
            column.replace(given[at].copy())
        inner = () if function.sql_standard else self.change.search_path
        body = self.written(holder.this, inner, depth + 1)
        result = type_by_oid(function.returns_oid)
        bound = bind(body, self.scope)
        if function.volatility == "i" and volatility(bound) != "i":
            raise not_supported(
                f"function {function.name} calls what is not IMMUTABLE: not supported in {self.scope.clause.kind}"
            )
        if bound.type is not result:
            body = _cast(exp.Paren(this=body), result)
        if function.strict and given:
            tests: list[exp.Expr] = [exp.Is(this=one.copy(), expression=exp.Null()) for one in given]
            body = exp.Case(ifs=[exp.If(this=_any_of(tests), true=exp.Null())], default=exp.Paren(this=body))
        return body

    def _chosen(self, call: exp.Anonymous, candidates: Sequence[Function]) -> tuple[Function, list[exp.Expr]]:
        """Which function, and what its inputs are, of their types. Raises 42883, 42725."""
        nodes: list[exp.Expr] = [one.copy() for one in call.expressions]
        types = [bind(node, self.scope).type for node in nodes]
        shapes: list[tuple[Declared, tuple[Type, ...]]] = []
        found: dict[int, Function] = {}
        for function in candidates:
            inputs = inputs_of(function)
            if len(inputs) < len(nodes) or any(one.default is None for one in inputs[len(nodes) :]):
                continue
            if any(self._is_special(one.type_oid) or one.mode == "v" for one in inputs):
                raise not_supported(f"function {function.name} not supported in {self.scope.clause.kind}")
            wanted = tuple(type_by_oid(one.type_oid) for one in inputs[: len(nodes)])
            declared = Declared(function.name, wanted, RECORD, _never)
            shapes.append((declared, wanted))
            found[id(declared)] = function
        chosen = choose_among(call_text(".".join(filter(None, call_parts(call))), types), shapes, types)
        function = found[id(chosen.function)]
        inputs = inputs_of(function)
        nodes += [parse_expression(one.default or "NULL") for one in inputs[len(nodes) :]]
        wanted = tuple(type_by_oid(one.type_oid) for one in inputs)
        for at, want in enumerate(wanted):
            if at >= len(types) or types[at] is not want:
                nodes[at] = _cast(exp.Paren(this=nodes[at]), want)
        return function, nodes

    def _is_special(self, oid: int) -> bool:
        """A domain, an enum, a relation's rows."""
        snapshot = self.change.snapshot
        return oid in snapshot.by_oid or oid in snapshot.objects.by_oid

    def _check(self, function: Function) -> None:
        change = self.change
        if not has_privilege(change.snapshot.objects, change.user, function.acl, "f", function.owner, "X"):
            raise SqlError(Code.insufficient_privilege, f"permission denied for function {function.name}")
        if function.returns_set:
            self.scope.check_set_returning(function.name)
        if not is_scalar(change.snapshot, function) or self._is_special(function.returns_oid):
            raise not_supported(f"function {function.name} not supported in {self.scope.clause.kind}")

    def _single(self, function: Function) -> exp.Expr:
        """The expression that a function is. Raises 0A000 for a query."""
        for query in body_queries(function):
            if query.find(exp.Table) is not None:
                raise not_supported(f"function {function.name} reads tables: not supported in {self.scope.clause.kind}")
        item = single_expression(function)
        if item is None:
            raise not_supported(
                f"function {function.name} is more than one expression: not supported in {self.scope.clause.kind}"
            )
        return item


def _never(*_values: object) -> None:
    raise SqlError(Code.internal_error, "a function of SQL was called as a built-in one")


def _place(column: exp.Column, function: str, names: Sequence[str]) -> int | None:
    """Which input a name in a body means: name, function.name, $number."""
    name, qualifier = fold(column.this), column.args.get("table")
    if qualifier is not None and fold(qualifier) != function:
        return None
    if name.startswith("$") and name[1:].isdigit():
        if int(name[1:]) > len(names):
            raise SqlError(Code.undefined_parameter, f"there is no parameter {name}")
        return int(name[1:]) - 1
    return names.index(name) if name and name in names else None


def _cast(node: exp.Expr, type_: Type) -> exp.Expr:
    cast = parse_expression(f"CAST(NULL AS {type_.sql_name})")
    cast.set("this", node)
    return cast


def _any_of(tests: list[exp.Expr]) -> exp.Expr:
    found = tests[0]
    for test in tests[1:]:
        found = exp.Or(this=found, expression=test)
    return found
