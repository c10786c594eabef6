"""Calls of users' functions: a function in LANGUAGE sql is its query, bound where it is called.

There is no interpreter for them. A body without FROM is put in the place of the call; any other becomes a subquery that
takes the arguments from the row around it, as a correlated subquery takes its columns: so the planner sees through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.binder import SYSTEM_SCHEMAS, Binder, BlockScope
from tausql.sql.binding.bound import BoundQuery, BoundSelect, OutputColumn, SubqueryBinding
from tausql.sql.binding.conversion import convert_columns, settled
from tausql.sql.binding.labels import fold
from tausql.sql.binding.names import NameScope, Namespace, OuterLink
from tausql.sql.binding.recursive_calls import RecursiveFunction
from tausql.sql.catalogue.descriptors import Snapshot, Table
from tausql.sql.catalogue.objects import Argument, Domain, Function, View
from tausql.sql.domains import checked_value
from tausql.sql.expressions.coercion import cast_to, must_coerce, settle
from tausql.sql.expressions.nodes import (
    ArrayLiteral,
    Case,
    Const,
    Expr,
    FunctionCall,
    IsNull,
    Or,
    OuterSlot,
    Param,
    Slot,
    Subquery,
)
from tausql.sql.expressions.parsing import parse_expression
from tausql.sql.functions.function import Function as Declared
from tausql.sql.functions.resolution import call_text, choose_among
from tausql.sql.permissions import Need
from tausql.sql.statements import parse_statements
from tausql.sql.types import type_by_oid
from tausql.sql.types.builtin import BOOL, RECORD, VOID
from tausql.sql.types.registry import element_of
from tausql.sql.types.type import Type

CALL_DEPTH_MAX = 40
_NO_RECURSION = "A function of SQL that calls itself must be one expression: any other is put in the place of its call."
_INPUT = ("i", "b", "v")
_OUTPUT = ("o", "b", "t")


def inputs_of(function: Function) -> list[Argument]:
    return [argument for argument in function.arguments if argument.mode in _INPUT]


def outputs_of(function: Function) -> list[Argument]:
    """Its OUT parameters, or the columns of RETURNS TABLE; none for a function with one unnamed result."""
    return [argument for argument in function.arguments if argument.mode in _OUTPUT]


def plain_type(snapshot: Snapshot, oid: int) -> Type:
    """A type, a domain's base type; RECORD for a relation's rows."""
    item = snapshot.objects.by_oid.get(oid)
    if isinstance(item, Domain):
        return type_by_oid(item.base_oid)
    if isinstance(item, View) or oid in snapshot.by_oid:
        return RECORD
    return type_by_oid(oid)


def is_scalar(snapshot: Snapshot, function: Function) -> bool:
    """Whether it gives one value of a plain type."""
    plain = plain_type(snapshot, function.returns_oid) not in (RECORD, VOID)
    return plain and not function.returns_set and not outputs_of(function)


@dataclass(slots=True)
class Call:
    """A function and its arguments, one for each input, of its type."""

    function: Function
    arguments: list[Expr]


class ArgumentLink(OuterLink):
    """From a function's body to its arguments: by name, by function.name, or by $number."""

    def __init__(self, snapshot: Snapshot, function: Function, values: Sequence[Expr]) -> None:
        super().__init__(NameScope(Namespace(), None))
        self.function = function
        self.names = [argument.name for argument in inputs_of(function)]
        self.types = [plain_type(snapshot, argument.type_oid) for argument in inputs_of(function)]
        self.correlations = list(values)

    def at(self, parts: tuple[str, ...]) -> int | None:
        name = parts[-1]
        if len(parts) > 2 or (len(parts) == 2 and parts[0] != self.function.name):
            return None
        if name.startswith("$") and name[1:].isdigit():
            number = int(name[1:])
            if number > len(self.names):
                raise SqlError(Code.undefined_parameter, f"there is no parameter {name}")
            return number - 1
        return self.names.index(name) if name and name in self.names else None

    def lookup(self, parts: tuple[str, ...]) -> OuterSlot | None:
        at = self.at(parts)
        if at is None:
            return None
        return OuterSlot(level=1, slot=at, type=self.types[at], typmod=-1, name=parts[-1])


class InlineScope(BlockScope):
    """The scope of a body that takes the place of its call: names mean the arguments."""

    __slots__ = ("arguments",)

    def __init__(self, scope: BlockScope, link: ArgumentLink) -> None:
        super().__init__(scope.binder, Namespace(), None, {})
        self.clause = scope.clause
        self.arguments = link

    def resolve_column(self, parts: tuple[str, ...]) -> Expr:
        at = self.arguments.at(parts)
        if at is None:
            return super().resolve_column(parts)
        return self.arguments.correlations[at]


# --- which function ----------------------------------------------------------------------------------------------


def call_by_name(scope: BlockScope, schema: str | None, name: str, nodes: Sequence[exp.Expr]) -> Expr | None:
    """A call as a value; None where there is no function of that name."""
    candidates = find_candidates(scope.binder, schema, name)
    if schema is not None and schema in scope.binder.snapshot.objects.schemas and schema not in SYSTEM_SCHEMAS:
        name = f"{schema}.{name}"  # where there is none, the error is about it
    elif not candidates:
        return None
    return call_in_expression(scope, matched(scope, candidates, name, nodes))


def find_candidates(binder: Binder, schema: str | None, name: str) -> list[Function]:
    known = binder.snapshot.objects.functions
    if not known:
        return []
    path = (schema,) if schema is not None else binder.search_path
    return [function for candidate in path for function in known.get((candidate, name), ())]


def matched(scope: BlockScope, candidates: Sequence[Function], name: str, nodes: Sequence[exp.Expr]) -> Call:
    """The function a call means, with its arguments. Raises 42883, 42725."""
    binder = scope.binder
    positional: list[Expr] = []
    named: dict[str, Expr] = {}
    variadic = False
    for node in nodes:
        if isinstance(node, exp.Kwarg | exp.PropertyEQ):
            named[fold(node.this)] = scope.expression(node.expression)
        elif named:
            raise SqlError(Code.syntax_error, "positional argument cannot follow named argument")
        elif isinstance(node, exp.Variadic):
            variadic = True
            positional.append(scope.expression(node.this))
        else:
            positional.append(scope.expression(node))
    shapes: list[tuple[Declared, tuple[Type, ...]]] = []
    found: dict[int, tuple[Function, list[int]]] = {}
    for function in candidates:
        places = _places(function, len(positional), list(named), variadic)
        if places is None:
            continue
        types = tuple(_type_at(binder.snapshot, function, at, len(positional), variadic) for at in places)
        declared = Declared(name, types, RECORD, _never)
        shapes.append((declared, types))
        found[id(declared)] = (function, places)
    values = [*positional, *named.values()]
    what = call_text(name, [value.type for value in values])
    if named:
        shown = [value.type.display() for value in positional]
        shown += [f"{key} => {value.type.display()}" for key, value in named.items()]
        what = f"{name}({', '.join(shown)})"
    chosen = choose_among(what, shapes, [value.type for value in values])
    function, places = found[id(chosen.function)]
    coerced = [
        must_coerce(value, wanted, binder.params) for value, wanted in zip(values, chosen.arg_types, strict=True)
    ]
    return Call(function, _arranged(scope, function, places, coerced, variadic))


def _never(*_values: object) -> None:
    raise SqlError(Code.internal_error, "a function of SQL was called as a built-in one")


def _places(function: Function, count: int, named: list[str], variadic: bool) -> list[int] | None:
    """The input each value of a call goes to (a variadic one several times); None where the call does not fit."""
    inputs = inputs_of(function)
    spread = bool(inputs) and inputs[-1].mode == "v" and not variadic
    if variadic and (not inputs or inputs[-1].mode != "v"):
        return None
    if count > len(inputs) and not spread:
        return None
    places = [min(at, len(inputs) - 1) for at in range(count)]
    for name in named:
        at = next((at for at, argument in enumerate(inputs) if argument.name == name), None)
        if at is None or at in places:
            return None
        places.append(at)
    for at, argument in enumerate(inputs):
        if at not in places and argument.default is None:
            return None
    return places


def _type_at(snapshot: Snapshot, function: Function, at: int, count: int, variadic: bool) -> Type:
    inputs = inputs_of(function)
    declared = plain_type(snapshot, inputs[at].type_oid)
    if inputs[at].mode == "v" and not variadic:
        element = element_of(declared)
        assert element is not None
        return element
    return declared


def _arranged(
    scope: BlockScope, function: Function, places: list[int], values: list[Expr], variadic: bool
) -> list[Expr]:
    """One value for each input: defaults filled in, variadic ones gathered, domains checked."""
    binder = scope.binder
    arranged: list[Expr] = []
    for at, argument in enumerate(inputs_of(function)):
        own = [value for place, value in zip(places, values, strict=True) if place == at]
        declared = plain_type(binder.snapshot, argument.type_oid)
        if own and argument.mode == "v" and not variadic:
            value: Expr = ArrayLiteral(items=tuple(own), type=declared)
        elif own:
            value = own[0]
        else:
            assert argument.default is not None
            value = cast_to(scope.expression(parse_expression(argument.default)), declared, -1, binder.params)
        domain = binder.domain_of(argument.type_oid)
        arranged.append(checked_value(domain, value) if domain is not None else value)
    return arranged


# --- its body ----------------------------------------------------------------------------------------------------


def body_queries(function: Function) -> list[exp.Expr]:
    """The statements of a body, parameters as names. Raises 0A000 for those that are no queries."""
    nodes: list[exp.Expr] = []
    for statement in parse_statements(function.body):
        statement.refuse()
        if statement.kind != "query" or statement.node is None:
            raise not_supported(f"calling a function that runs {statement.kind.split('_')[0].upper()} not supported")
        node = statement.node.copy()  # parsed statements are shared
        for parameter in list(node.find_all(exp.Parameter)):
            name = exp.to_identifier(f"${parameter.name}", quoted=True)
            parameter.replace(exp.Column(this=name))
        nodes.append(node)
    return nodes


def single_expression(function: Function) -> exp.Expr | None:
    """The body of a function that is SELECT expression; None for any other."""
    queries = body_queries(function)  # those before the last are computed for nothing
    node = queries[-1] if queries else None
    if not isinstance(node, exp.Select) or len(node.expressions) != 1:
        return None
    if any(value for key, value in node.args.items() if key not in ("expressions", "kind", "hint")):
        return None
    item = node.expressions[0]
    if item.find(exp.Subquery, exp.Star, exp.Window, exp.Select) is not None:
        return None
    found: exp.Expr = item.this if isinstance(item, exp.Alias) else item
    return found


def need_function(binder: Binder, function: Function) -> None:
    binder.relies[function.oid] = function.version
    binder.need(Need(function.oid, "X", (), binder.call_role), function.schema)


def bind_body(binder: Binder, function: Function, link: ArgumentLink) -> BoundQuery:
    """The query a call stands for, its columns of the types the function is declared with."""
    if binder.call_depth >= CALL_DEPTH_MAX:
        raise SqlError(
            Code.statement_too_complex,
            "stack depth limit exceeded",
            hint=_NO_RECURSION,
        )
    queries = body_queries(function)
    outside = binder.search_path, binder.as_role, binder.named, binder.root, binder.call_role
    binder.search_path = () if function.sql_standard else binder.session_path
    if function.security_definer:
        binder.call_role = function.owner
    binder.as_role = binder.call_role
    binder.named, binder.root = None, queries[-1] if queries else None
    binder.call_depth += 1
    binder.calling.append(function.oid)
    try:
        if not queries:
            raise not_supported("calling a function without a query not supported")
        node = queries[-1]
        if not function.returns_set and node.args.get("limit") is None and node.args.get("from_") is not None:
            node = node.limit(1) if isinstance(node, exp.Select) else node
        return settled(binder.query(binder, node, link, {}), binder.params)
    finally:
        binder.search_path, binder.as_role, binder.named, binder.root, binder.call_role = outside
        binder.call_depth -= 1
        binder.calling.pop()


def result_columns(binder: Binder, function: Function, bound: BoundQuery) -> list[OutputColumn]:
    """What a call in FROM gives. The body's columns are converted by the caller."""
    outputs = outputs_of(function)
    snapshot = binder.snapshot
    if outputs:
        return [
            OutputColumn(argument.name or f"column{at + 1}", plain_type(snapshot, argument.type_oid))
            for at, argument in enumerate(outputs)
        ]
    relation = snapshot.by_oid.get(function.returns_oid) or snapshot.objects.by_oid.get(function.returns_oid)
    if isinstance(relation, Table):
        binder.tables[relation.oid] = relation
        return [OutputColumn(c.name, type_by_oid(c.type_oid), c.typmod) for c in relation.live_columns]
    if isinstance(relation, View):
        binder.relies[relation.oid] = relation.version
        return [OutputColumn(c.name, type_by_oid(c.type_oid), c.typmod) for c in relation.columns]
    if function.returns_oid == RECORD.oid:
        return [OutputColumn(c.name, c.type, c.typmod) for c in bound.columns]
    return [OutputColumn(function.name, plain_type(snapshot, function.returns_oid))]


def call_in_expression(scope: BlockScope, call: Call) -> Expr:
    """A call as a value. Raises 0A000 for one that gives rows, or several columns."""
    binder, function = scope.binder, call.function
    need_function(binder, function)
    if function.returns_set:
        raise not_supported(f"function {function.name} returns a set: calling it outside of FROM not supported")
    if function.oid in binder.calling:
        return _recursive(scope, function, call.arguments)
    link = ArgumentLink(binder.snapshot, function, call.arguments)
    value = _inlined(scope, function, link)
    if value is None and binder.calling and is_scalar(binder.snapshot, function) and single_expression(function):
        return _recursive(scope, function, call.arguments)  # a subquery would be read even where CASE needs it not
    if value is None:
        bound = bind_body(binder, function, link)
        if len(bound.columns) != 1:
            raise not_supported(f"function {function.name} returns a record: calling it outside of FROM not supported")
        index = len(binder.subqueries)
        binding = SubqueryBinding(index, "scalar", bound, link.correlations)
        binder.subqueries.append(binding)
        column = bound.columns[0]
        value = Subquery(kind="scalar", index=index, plan=binding, type=column.type, typmod=column.typmod)
    return _result(binder, function, call.arguments, value)


def _result(binder: Binder, function: Function, arguments: Sequence[Expr], value: Expr) -> Expr:
    """The value of a body as the function is declared to give it."""
    outputs = outputs_of(function)
    result = plain_type(binder.snapshot, outputs[0].type_oid if outputs else function.returns_oid)
    if result is VOID:
        return Const(value=None, type=VOID)
    if value.type is not result:
        value = cast_to(value, result, -1, binder.params)
    domain = binder.domain_of(function.returns_oid)
    if domain is not None:
        value = checked_value(domain, value)
    return _null_on_null(function, arguments, value)


def _recursive(scope: BlockScope, function: Function, arguments: list[Expr]) -> Expr:
    """A call within the function's own body, or of one that leads to it. Raises 54001 where the body is more than one
    expression."""
    binder = scope.binder
    if not is_scalar(binder.snapshot, function) or single_expression(function) is None:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded", hint=_NO_RECURSION)
    types = tuple(plain_type(binder.snapshot, argument.type_oid) for argument in inputs_of(function))
    run = binder.recursive.get(function.oid)
    if run is None:
        run = binder.recursive[function.oid] = RecursiveFunction(function.name)
        own: list[Expr] = [Slot(slot=at, type=type_, typmod=-1, name="") for at, type_ in enumerate(types)]
        value = _inlined(scope, function, ArgumentLink(binder.snapshot, function, own))
        assert value is not None
        run.body = _result(binder, function, own, value)
    result = plain_type(binder.snapshot, function.returns_oid)
    volatility = "v" if function.volatility == "v" else "s"  # never computed while the statement is bound
    declared = Declared(function.name, types, result, run, volatility=volatility, strict=False, needs_context=True)
    return FunctionCall(function=declared, args=tuple(arguments), type=result)


def call_in_from(scope: BlockScope, call: Call) -> tuple[BoundQuery, list[OutputColumn], ArgumentLink]:
    """A call as a relation: its query, its columns, and what it takes from the row around it."""
    binder, function = scope.binder, call.function
    need_function(binder, function)
    link = ArgumentLink(binder.snapshot, function, call.arguments)
    bound = bind_body(binder, function, link)
    columns = result_columns(binder, function, bound)
    if len(columns) != len(bound.columns):
        shown = "record" if len(columns) > 1 else columns[0].type.sql_name
        raise SqlError(Code.invalid_function_definition, f"return type mismatch in function declared to return {shown}")
    convert_columns(bound, [column.type for column in columns], binder.params)
    if function.strict and call.arguments:
        _only_without_nulls(bound, link)
    return bound, columns, link


def _only_without_nulls(bound: BoundQuery, link: ArgumentLink) -> None:
    """A STRICT function gives no rows for a NULL argument."""
    if not isinstance(bound, BoundSelect) or bound.grouping is not None:
        raise not_supported("a STRICT function in FROM that aggregates not supported")
    for at, type_ in enumerate(link.types):
        bound.where.append(IsNull(arg=OuterSlot(level=1, slot=at, type=type_, typmod=-1, name=""), negated=True))


def _inlined(scope: BlockScope, function: Function, link: ArgumentLink) -> Expr | None:
    """A body that is SELECT expression, with the arguments in place: no argument may then be computed twice."""
    item = single_expression(function)
    if item is None:
        return None
    used = [fold(column.this) for column in item.find_all(exp.Column)]
    for at, argument in enumerate(link.correlations):
        times = used.count(f"${at + 1}") + (used.count(link.names[at]) if link.names[at] else 0)
        if times > 1 and not isinstance(argument, Slot | OuterSlot | Const | Param):
            return None
    binder = scope.binder
    if binder.call_depth >= CALL_DEPTH_MAX:
        raise SqlError(Code.statement_too_complex, "stack depth limit exceeded")
    outside = binder.search_path
    binder.search_path = () if function.sql_standard else binder.session_path
    binder.call_depth += 1
    binder.calling.append(function.oid)
    try:
        inner = InlineScope(scope, link)
        return settle(inner.expression(item), binder.params)
    finally:
        binder.search_path = outside
        binder.call_depth -= 1
        binder.calling.pop()


def _null_on_null(function: Function, arguments: Sequence[Expr], value: Expr) -> Expr:
    """STRICT: NULL for any NULL argument."""
    tests = [IsNull(arg=argument, type=BOOL) for argument in arguments if not isinstance(argument, Const)]
    if any(isinstance(argument, Const) and argument.value is None for argument in arguments) and function.strict:
        return Const(value=None, type=value.type)
    if not function.strict or not tests:
        return value
    condition: Expr = tests[0] if len(tests) == 1 else Or(args=tuple(tests), type=BOOL)
    return Case(whens=((condition, Const(value=None, type=value.type)),), default=value, type=value.type)
