"""SELECT f(...) of a function whose body is one INSERT, UPDATE or DELETE.

Such a call cannot be part of a row's computation: a write happens once, and its place in a query would decide how
often. Where the call is all there is to the statement, it is the same as the write in a WITH in front of its result.
"""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import not_supported
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.functions import find_candidates, inputs_of, need_function
from tausql.sql.binding.labels import fold, label_of
from tausql.sql.catalogue.objects import Function
from tausql.sql.expressions.parsing import function_name, parse_expression
from tausql.sql.functions.catalogue import is_function
from tausql.sql.statements import parse_statements

_NAME = "written"


def as_writing_call(binder: Binder, node: exp.Expr) -> exp.Expr:
    """The statement with such a call written out; any other statement as it is. Raises 0A000 for arguments that are no
    constants."""
    if not binder.snapshot.objects.functions or not isinstance(node, exp.Select):
        return node
    call = _only_call(node)
    if call is None:
        return node
    function = _function(binder, call)
    body = _writing_body(function) if function is not None else None
    if function is None or body is None or function.security_definer:
        return node
    arguments = _arguments(function, call)
    if arguments is None:
        return node
    need_function(binder, function)
    _substitute(binder, function, body, arguments)
    return _written_out(node, body, function)


def _only_call(node: exp.Select) -> exp.Expr | None:
    """The call of SELECT f(...) and SELECT * FROM f(...)."""
    given = {key for key, value in node.args.items() if value and key not in ("kind", "hint")}
    if len(node.expressions) != 1:
        return None
    item = node.expressions[0]
    if given == {"expressions"}:
        call = item.this if isinstance(item, exp.Alias) else item
        return call if _is_call(call) else None
    if given == {"expressions", "from_"} and isinstance(item, exp.Star):
        source = node.args["from_"].this
        if isinstance(source, exp.Table) and _is_call(source.this) and not source.args.get("joins"):
            called: exp.Expr = source.this
            return called
    return None


def _is_call(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) or (isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous))


def _function(binder: Binder, call: exp.Expr) -> Function | None:
    """The one function of that name; several are told apart where calls are bound, and none of them may write."""
    name = function_name(call) or ""
    schema, _, own = name.rpartition(".")
    table = call.parent
    if isinstance(table, exp.Table) and table.args.get("db") is not None:
        schema = fold(table.args["db"])
    if not schema and is_function(own):
        return None
    candidates = find_candidates(binder, schema or None, own)
    return candidates[0] if len(candidates) == 1 else None


def _writing_body(function: Function) -> exp.Expr | None:
    statements = parse_statements(function.body)
    if len(statements) != 1 or statements[0].kind not in ("insert", "update", "delete"):
        return None
    node = statements[0].node
    return node.copy() if node is not None else None


def _arguments(function: Function, call: exp.Expr) -> list[exp.Expr] | None:
    """One constant for each input; None where the call does not fit it, as the ordinary way will say."""
    given = call.expression.expressions if isinstance(call, exp.Dot) else call.expressions
    inputs = inputs_of(function)
    if len(given) > len(inputs) or any(one.mode == "v" for one in inputs):
        return None
    values: list[exp.Expr] = []
    for at, argument in enumerate(inputs):
        if at < len(given):
            value = given[at]
        elif argument.default is not None:
            value = parse_expression(argument.default)
        else:
            return None
        if value.find(exp.Column, exp.Select, exp.Kwarg, exp.PropertyEQ) is not None:
            raise not_supported(f"function {function.name} writes: calling it with other than constants not supported")
        values.append(exp.Paren(this=value.copy()))
    return values


def _substitute(binder: Binder, function: Function, body: exp.Expr, values: list[exp.Expr]) -> None:
    """Writes the arguments in the place of their names, in place. A column of a table of the body comes first."""
    columns: set[str] = set()
    for table in body.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            known = binder.find_table(fold(table.args.get("db")) or None, fold(table.this))
            columns |= {column.name for column in known.live_columns} if known is not None else set()
    for parameter in list(body.find_all(exp.Parameter)):  # before there are any of the caller's among them
        at = int(parameter.name) - 1
        if at < len(values):
            parameter.replace(values[at].copy())
    targets = {id(item.this) for item in body.args.get("expressions") or [] if isinstance(item, exp.EQ)}
    names = {argument.name: at for at, argument in enumerate(inputs_of(function)) if argument.name}
    for column in list(body.find_all(exp.Column)):
        name, of = fold(column.this), fold(column.args.get("table"))
        if name in names and id(column) not in targets and (of == function.name or (not of and name not in columns)):
            column.replace(values[names[name]].copy())


def _written_out(node: exp.Select, body: exp.Expr, function: Function) -> exp.Expr:
    item = node.expressions[0]
    cte = exp.CTE(this=body, alias=exp.TableAlias(this=exp.to_identifier(_NAME, quoted=True)))
    made = exp.Select(with_=exp.With(expressions=[cte]))
    if body.args.get("returning") is None:
        nothing = exp.Cast(this=exp.Null(), to=exp.DataType.build("void", dialect="postgres", udt=True))
        made.set("expressions", [exp.Alias(this=nothing, alias=exp.to_identifier(label_of(item), quoted=True))])
        return made
    made.set("from_", exp.From(this=exp.Table(this=exp.to_identifier(_NAME, quoted=True))))
    returned = body.args["returning"].expressions
    if len(returned) != 1 or isinstance(returned[0], exp.Star):
        made.set("expressions", [exp.Star()])
        return made
    label = fold(item.args["alias"]) if isinstance(item, exp.Alias) else function.name
    first = returned[0]
    name = fold(first.args["alias"]) if isinstance(first, exp.Alias) else label_of(first)
    source = exp.column(exp.to_identifier(name, quoted=True))
    made.set("expressions", [exp.Alias(this=source, alias=exp.to_identifier(label, quoted=True))])
    return made
