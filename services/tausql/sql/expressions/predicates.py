"""Operators and predicates: comparison, arithmetic, LIKE, regular expressions, IS, IN, BETWEEN, ANY and ALL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.expressions.calls import call_named
from tausql.sql.expressions.coercion import as_boolean, coerce, common_type, must_coerce, settle
from tausql.sql.expressions.nodes import (
    And,
    AnyArray,
    BooleanTest,
    Const,
    Expr,
    InList,
    IsNull,
    Not,
    Or,
    Param,
    RowCompare,
    RowExpr,
    Slot,
    Subquery,
)
from tausql.sql.expressions.operators import coerced_pair, negation, operator_call, row_comparison
from tausql.sql.expressions.scope import BoundSubquery
from tausql.sql.expressions.special_forms import is_json, is_normalized, is_unknown, normal_form
from tausql.sql.functions.function import Function
from tausql.sql.functions.resolution import resolve_operator
from tausql.sql.types import builtin as b
from tausql.sql.types.casts import IMPLICIT
from tausql.sql.types.registry import array_of, element_of

if TYPE_CHECKING:
    from tausql.sql.expressions.binder import Binder

_OPERATORS: Final[Mapping[type[exp.Expr], str]] = MappingProxyType(
    {
        exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.Pow: "^", exp.DPipe: "||",
        exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
        exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "#", exp.BitwiseLeftShift: "<<",
        exp.BitwiseRightShift: ">>", exp.Like: "~~", exp.ILike: "~~*", exp.RegexpLike: "~", exp.RegexpILike: "~*",
        exp.ArrayContainsAll: "@>", exp.ArrayContainedBy: "<@", exp.ArrayOverlaps: "&&", exp.StartsWith: "^@",
        exp.JSONExtract: "->", exp.JSONExtractScalar: "->>", exp.JSONBExtract: "#>", exp.JSONBExtractScalar: "#>>",
        exp.JSONBContains: "?", exp.JSONBContainsTopKey: "?", exp.JSONBContainsAnyTopKeys: "?|",
        exp.JSONBContainsAllTopKeys: "?&", exp.JSONBDeleteAtPath: "#-",
    }
)  # fmt: skip
_NEGATED: Final = MappingProxyType({"~~": "!~~", "~~*": "!~~*", "~": "!~", "~*": "!~*"})


def _operator(binder: Binder, node: exp.Binary) -> Expr:
    name = _OPERATORS[type(node)]
    if node.args.get("negate"):
        name = _NEGATED[name]
    return _binary(binder, name, node.this, node.expression)


def _binary(binder: Binder, name: str, left: exp.Expr, right: exp.Expr) -> Expr:
    quantified = _quantified(right)
    if quantified is not None:
        return _any(binder, name, left, *quantified)
    bound_left = binder.bind(left)
    if isinstance(bound_left, RowExpr) and isinstance(right, exp.Subquery) and _is_row(left):
        bound_right: Expr = _row_of_subquery(binder, right, len(bound_left.items))
    else:
        bound_right = binder.bind(right)
    return operator_call(name, bound_left, bound_right, binder.scope.params)


def _is_row(node: exp.Expr) -> bool:
    """(a, b) or ROW(a, b), rather than the name of a relation."""
    return isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and str(node.this).lower().endswith("row"))


def _row_of_subquery(binder: Binder, node: exp.Expr, width: int) -> RowExpr:
    """(a, b) = (SELECT x, y ...): the one row's columns, NULLs where there is no row."""
    bound = binder.scope.bind_subquery(query_of(node), "row")
    if len(bound.columns) != width:
        raise SqlError(Code.syntax_error, f"subquery has too {'many' if len(bound.columns) > width else 'few'} columns")
    return RowExpr(
        items=tuple(
            Subquery(kind="scalar", index=bound.index, column=at, plan=bound.plan, type=type, typmod=typmod)
            for at, (type, typmod) in enumerate(bound.columns)
        )
    )


def _prefix(name: str) -> Any:
    def handle(binder: Binder, node: exp.Expr) -> Expr:
        operand = binder.bind(node.this)
        if name == "-" and isinstance(operand, Const) and _is_number(node.this):
            folded = _negative_literal(operand)
            if folded is not None:
                return folded
        return operator_call(name, None, operand, binder.scope.params)

    return handle


def _is_number(node: exp.Expr) -> bool:
    """A number, perhaps negative or in parentheses."""
    while isinstance(node, exp.Paren | exp.Neg):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string


def _negative_literal(operand: Const) -> Const | None:
    """-5 is a constant; so is -2147483648, an integer although 2147483648 is a bigint."""
    if operand.value is None or operand.type not in (b.INT4, b.INT8, b.NUMERIC):
        return None
    value = operand.value
    if operand.type is b.INT8 and value == 2**31:
        return Const(value=-(2**31), type=b.INT4)
    if operand.type is b.INT4 and value == -(2**31):
        return Const(value=2**31, type=b.INT8)
    if operand.type is b.NUMERIC and value == 2**63:
        return Const(value=-(2**63), type=b.INT8)
    if operand.type is b.NUMERIC:
        # Decimal's own minus would round to 28 digits.
        return Const(value=value.copy_negate() if value else value, type=b.NUMERIC)
    return Const(value=-value, type=operand.type)


# --- negation ---


def negated(binder: Binder, node: exp.Expr) -> Expr | None:
    """NOT node where that is a form of its own (NOT LIKE, NOT IN, IS NOT ...); None otherwise."""
    if isinstance(node, exp.Is):
        return _is(binder, node, True)
    if isinstance(node, exp.In):
        return _in(binder, node, True)
    if isinstance(node, exp.Between):
        inner = _between(binder, node)
        return Not(arg=inner)
    if isinstance(node, exp.RegexpLike | exp.RegexpILike):
        return _binary(binder, _NEGATED[_OPERATORS[type(node)]], node.this, node.expression)
    if isinstance(node, exp.Like | exp.ILike) and not node.args.get("negate"):
        return _binary(binder, _NEGATED[_OPERATORS[type(node)]], node.this, node.expression)
    if isinstance(node, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE):
        bound = as_boolean(binder.bind(node), "NOT", binder.scope.params)
        return negation(bound, binder.scope.params)
    return None


# --- LIKE ... ESCAPE, SIMILAR TO ---


def _escape(binder: Binder, node: exp.Escape) -> Expr:
    """x [NOT] [I]LIKE pattern ESCAPE e; x SIMILAR TO pattern ESCAPE e."""
    inner, negative = node.this, False
    if isinstance(inner, exp.Not):
        inner, negative = inner.this, True
    pattern = [binder.bind(inner.expression), binder.bind(node.expression)]
    params = binder.scope.params
    if isinstance(inner, exp.SimilarTo):
        rewritten = call_named(binder, "similar_to_escape", pattern)
        name = "!~" if negative else "~"
    elif isinstance(inner, exp.Like | exp.ILike):
        rewritten = call_named(binder, "like_escape", pattern)
        name = _OPERATORS[type(inner)]
        if negative != bool(inner.args.get("negate")):
            name = _NEGATED[name]
    else:
        raise not_supported("ESCAPE is supported behind LIKE, ILIKE and SIMILAR TO only")
    return operator_call(name, binder.bind(inner.this), rewritten, params)


def _is(binder: Binder, node: exp.Is, outer_not: bool = False) -> Expr:
    params = binder.scope.params
    negative = outer_not != bool(node.args.get("negate"))
    what = node.expression
    if isinstance(what, exp.Boolean):
        arg = as_boolean(binder.bind(node.this), "IS TRUE", params)
        return BooleanTest(arg=arg, value=bool(what.this), negated=negative)
    if isinstance(what, exp.Null):
        arg = settle(binder.bind(node.this), params)
        if isinstance(arg, RowExpr):
            tests = tuple(IsNull(arg=item, negated=negative) for item in arg.items)
            return And(args=tests)
        return IsNull(arg=arg, negated=negative)
    if isinstance(what, exp.JSON):
        return is_json(binder, node, what, negative)
    if is_unknown(what):
        return IsNull(arg=as_boolean(binder.bind(node.this), "IS UNKNOWN", params), negated=negative)
    form = normal_form(what)
    if form is not None:
        return is_normalized(binder, node, form, negative)
    raise not_supported(f"IS {what.sql(dialect='postgres')} is not supported")


def _between(binder: Binder, node: exp.Between) -> Expr:
    params = binder.scope.params
    value = binder.bind(node.this)
    low, high = binder.bind(node.args["low"]), binder.bind(node.args["high"])
    inside = And(args=(operator_call(">=", value, low, params), operator_call("<=", value, high, params)))
    if not node.args.get("symmetric"):
        return inside
    swapped = And(args=(operator_call(">=", value, high, params), operator_call("<=", value, low, params)))
    return Or(args=(inside, swapped))


# --- IN ---


def _in(binder: Binder, node: exp.In, outer_not: bool = False) -> Expr:
    query = node.args.get("query")
    if query is None and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
        query = node.expressions[0]
    if query is not None:
        return _in_subquery(binder, node.this, query, outer_not)
    if node.args.get("field") is not None or node.args.get("unnest") is not None or not node.expressions:
        raise SqlError(Code.syntax_error, 'syntax error at or near ")"')
    params = binder.scope.params
    left = binder.bind(node.this)
    items = [binder.bind(item) for item in node.expressions]
    if isinstance(left, RowExpr):
        return _row_in(left, items, outer_not, binder)
    single = _in_list(left, items, outer_not, binder)
    if single is not None:
        return single
    name = "<>" if outer_not else "="
    parts = tuple(operator_call(name, left, item, params) for item in items)
    return And(args=parts) if outer_not else Or(args=parts)


def _in_list(left: Expr, items: Sequence[Expr], outer_not: bool, binder: Binder) -> Expr | None:
    """One comparison for all items where they have a common type; None when they must be compared one by one."""
    params = binder.scope.params
    try:
        common = common_type([left, *items], "IN", params)
    except SqlError as error:
        if error.code is not Code.datatype_mismatch:
            raise
        return None
    if common.category == "P":
        return None
    if len(items) == 1:
        return operator_call("<>" if outer_not else "=", left, items[0], params)
    found = resolve_operator("=", common, common)
    wanted = found.arg_types[0]
    arg = coerce(left, wanted, -1, IMPLICIT, params)
    # A parameter takes the common type, as in PostgreSQL, which makes an array of it: varchar, not text.
    items = [coerce(item, common, -1, IMPLICIT, params) or item if isinstance(item, Param) else item for item in items]
    coerced = [coerce(item, wanted, -1, IMPLICIT, params) for item in items]
    usable = tuple(item for item in coerced if item is not None)
    if arg is None or len(usable) < len(items):
        return None
    return InList(equality=found.function, arg=arg, items=usable, negated=outer_not)


def _row_in(left: RowExpr, items: Sequence[Expr], outer_not: bool, binder: Binder) -> Expr:
    parts = []
    for item in items:
        if not isinstance(item, RowExpr):
            raise SqlError(Code.syntax_error, "unequal number of entries in row expressions")
        parts.append(row_comparison("=", left.items, item.items, binder.scope.params))
    any_equal: Expr = parts[0] if len(parts) == 1 else Or(args=tuple(parts))
    return Not(arg=any_equal) if outer_not else any_equal


def _in_subquery(binder: Binder, left: exp.Expr, query: exp.Expr, outer_not: bool) -> Expr:
    inner = _subquery_test(binder, "=", binder.bind(left), query, all_rows=False)
    return Not(arg=inner) if outer_not else inner


# --- ANY, ALL ---


def _quantified(node: exp.Expr) -> tuple[exp.Expr, bool] | None:
    """(operand, is ALL) of ANY(...), SOME(...), ALL(...)."""
    if isinstance(node, exp.Any | exp.All):
        return node.this, isinstance(node, exp.All)
    if isinstance(node, exp.Anonymous) and str(node.this).lower() in ("any", "some", "all"):
        if len(node.expressions) != 1:
            raise SqlError(Code.syntax_error, 'syntax error at or near ","')
        return node.expressions[0], str(node.this).lower() == "all"
    return None


def _any(binder: Binder, name: str, left: exp.Expr, operand: exp.Expr, all_rows: bool) -> Expr:
    inner = operand
    while isinstance(inner, exp.Paren):
        inner = inner.this
    bound_left = binder.bind(left)
    if isinstance(inner, exp.Subquery | exp.Query | exp.Values):
        return _subquery_test(binder, name, bound_left, inner, all_rows=all_rows)
    return any_array(name, bound_left, binder.bind(inner), all_rows, binder)


def any_array(name: str, left: Expr, array: Expr, all_rows: bool, binder: Binder) -> Expr:
    """left name ANY|ALL (array)."""
    params = binder.scope.params
    if array.type is b.UNKNOWN:
        wanted = array_of(left.type if left.type is not b.UNKNOWN else b.TEXT)
        if wanted is None:
            raise SqlError(Code.undefined_object, f"could not find array type for data type {left.type.display()}")
        array = must_coerce(array, wanted, params)
    element = element_of(array.type)
    if element is None or not array.type.is_array:
        raise SqlError(Code.wrong_object_type, "op ANY/ALL (array) requires array on right side")
    found = resolve_operator(name, left.type, element)
    if found.result_type is not b.BOOL:
        raise SqlError(Code.wrong_object_type, "op ANY/ALL (array) requires operator to yield boolean")
    left = must_coerce(left, found.arg_types[0], params)
    wanted = array_of(found.arg_types[1])
    coerced = None if wanted is None else coerce(array, wanted, -1, IMPLICIT, params)
    if coerced is None:
        raise SqlError(
            Code.cannot_coerce, f"cannot cast type {array.type.display()} to {found.arg_types[1].display()}[]"
        )
    return AnyArray(operator=found.function, left=left, array=coerced, all=all_rows)


def _subquery_test(binder: Binder, name: str, left: Expr, query: exp.Expr, *, all_rows: bool) -> Expr:
    """left name ANY|ALL (SELECT ...), rows on the left too."""
    params = binder.scope.params
    bound = binder.scope.bind_subquery(query_of(query), "all" if all_rows else "any")
    lefts = left.items if isinstance(left, RowExpr) else (left,)
    if len(lefts) != len(bound.columns):
        many = len(bound.columns) > len(lefts)
        raise SqlError(Code.syntax_error, f"subquery has too {'many' if many else 'few'} columns")
    if len(lefts) > 1 and name not in ("=", "<>"):
        return _ordered_rows(binder, name, lefts, bound, all_rows=all_rows)
    functions: list[Function] = []
    coerced_left: list[Expr] = []
    columns: list[Expr] = []
    for at, (item, (type, typmod)) in enumerate(zip(lefts, bound.columns, strict=True)):
        column = Slot(slot=at, type=type, typmod=typmod, name=f"column{at + 1}")
        function, first, second = coerced_pair(name, item, column, params)
        functions.append(function)
        coerced_left.append(first)
        columns.append(second)
    return Subquery(
        kind="all" if all_rows else "any",
        index=bound.index,
        left=tuple(coerced_left),
        operators=tuple(functions),
        columns=tuple(columns),
        plan=bound.plan,
        type=b.BOOL,
    )


def _ordered_rows(binder: Binder, name: str, lefts: Sequence[Expr], bound: BoundSubquery, *, all_rows: bool) -> Expr:
    """(a, b) < ANY (SELECT ...): rows as a whole are before or behind each other."""
    columns = [
        Slot(slot=at, type=type, typmod=typmod, name=f"column{at + 1}")
        for at, (type, typmod) in enumerate(bound.columns)
    ]
    compared = row_comparison(name, lefts, columns, binder.scope.params)
    assert isinstance(compared, RowCompare)
    return Subquery(
        kind="all" if all_rows else "any",
        index=bound.index,
        left=compared.left,
        operators=compared.strict_operators,
        equalities=compared.equalities,
        or_equal=len(name) == 2,
        columns=compared.right,
        plan=bound.plan,
        type=b.BOOL,
    )


def query_of(node: exp.Expr) -> exp.Expr:
    """The query inside parentheses."""
    while isinstance(node, exp.Paren) or (
        isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query | exp.Values) and node.is_wrapper
    ):
        node = node.this
    return node


def _exists(binder: Binder, node: exp.Exists) -> Expr:
    bound = binder.scope.bind_subquery(query_of(node.this), "exists")
    return Subquery(kind="exists", index=bound.index, plan=bound.plan, type=b.BOOL)


def _qualified(binder: Binder, node: exp.Operator) -> Expr:
    """a OPERATOR(pg_catalog.~) b."""
    schema, _, name = str(node.args["operator"]).strip("() ").rpartition(".")
    if schema.lower() not in ("", "pg_catalog"):
        raise SqlError(Code.invalid_schema_name, f'schema "{schema}" does not exist')
    return _binary(binder, "<>" if name == "!=" else name, node.this, node.expression)


def _similar(binder: Binder, node: exp.SimilarTo) -> Expr:
    pattern = call_named(binder, "similar_to_escape", [binder.bind(node.expression)])
    return operator_call("~", binder.bind(node.this), pattern, binder.scope.params)


HANDLERS: Final[Mapping[type[exp.Expr], Any]] = MappingProxyType(
    {
        **dict.fromkeys(_OPERATORS, _operator),
        exp.Neg: _prefix("-"),
        exp.BitwiseNot: _prefix("~"),
        exp.Sqrt: _prefix("|/"),
        exp.Cbrt: _prefix("||/"),
        exp.Escape: _escape,
        exp.SimilarTo: _similar,
        exp.Operator: _qualified,
        exp.Is: _is,
        exp.Between: _between,
        exp.In: _in,
        exp.Exists: _exists,
    }
)
