"""Expressions kept as SQL, shown as PostgreSQL shows them.

The catalogue keeps what was written; PostgreSQL keeps a tree and prints that: casts by `::`, every operator in
parentheses unless a pretty form is asked for. Tools compare the text of a DEFAULT or a CHECK with what they know, so it
is bound once more and printed from the bound form. What the printer has no form for is shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from tausql.protocol.errors import SqlError
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.quoting import quoted
from tausql.sql.types import builtin as b
from tausql.sql.types.enums import EnumType, pinned_name
from tausql.sql.types.session_format import SessionFormat
from tausql.sql.types.type import Type

_BARE_CALLS: Final = {
    "current_timestamp": "CURRENT_TIMESTAMP", "current_date": "CURRENT_DATE", "current_time": "CURRENT_TIME",
    "localtime": "LOCALTIME", "localtimestamp": "LOCALTIMESTAMP", "current_user": "CURRENT_USER",
    "session_user": "SESSION_USER", "current_role": "CURRENT_ROLE", "current_catalog": "CURRENT_CATALOG",
    "current_schema": "CURRENT_SCHEMA", "user": "USER",
}  # fmt: skip
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_TRIMS: Final = {"btrim": "BOTH", "ltrim": "LEADING", "rtrim": "TRAILING"}
_TRIM_CALL: Final = re.compile(r"\btrim\s*\(", re.IGNORECASE)
_SIMPLE: Final = frozenset(("Slot", "Const", "FunctionCall"))
_ARITHMETIC: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}


class _Unprintable(Exception):
    """No form for some part of the expression."""


def expression_shown(
    table: Table | None, text: str, pretty: bool, index_key: bool = False, value_column: bool = False
) -> str:
    """`index_key`: as an item of an index, where everything but a call stands in parentheses. `value_column`: the only
    column is a domain's VALUE."""
    try:
        expr = _bound(table, text)
        shown = _Printer(pretty, text, value_column).show(expr)
    except (_Unprintable, SqlError):
        return text if not index_key else f"({text})"
    if index_key and not _stands_alone(expr):
        return shown if shown.startswith("(") and not pretty else f"({shown})"
    return shown


def default_shown(table: Table | None, text: str, column: Column, pretty: bool = False) -> str:
    """A DEFAULT or a generated value: what fits it to its column is not shown."""
    if _NUMBER.fullmatch(text):
        return text
    # The binder knows every function, and those that show definitions are among them.
    from tausql.sql.expressions.nodes import Cast, Const, Fit
    from tausql.sql.expressions.parsing import parse_expression
    from tausql.sql.stored_expressions import GENERATED, RowScope, bound_value

    columns = [one for one in table.columns if one.generated is None] if table is not None else []
    try:
        expr = bound_value(parse_expression(text), RowScope(table.name if table else "", columns, GENERATED), column)
        while isinstance(expr, (Cast, Fit)) and not _explicit(text):
            if isinstance(expr, Cast) and isinstance(expr.arg, Const):
                break
            expr = expr.arg
        return _Printer(pretty, text).show(expr)
    except (_Unprintable, SqlError):
        return text


def domain_check_shown(text: str, base_oid: int, pretty: bool) -> str:
    """A CHECK of a domain, about VALUE."""
    value = Table(0, "", "", (Column("value", base_oid, -1, False, 0),), (), "")
    return expression_shown(value, text, pretty, value_column=True)


def argument_default_shown(text: str, type_oid: int) -> str:
    """The DEFAULT of a function's argument."""
    return default_shown(None, text, Column("", type_oid, -1, False, 0))


def _explicit(text: str) -> bool:
    return "::" in text or "cast" in text.lower()


def _bound(table: Table | None, text: str) -> Any:
    from tausql.sql.expressions.parsing import parse_expression
    from tausql.sql.stored_expressions import CHECK, RowScope, bound_expression

    columns: Sequence[Column] = table.columns if table is not None else ()
    return bound_expression(parse_expression(text), RowScope(table.name if table else "", columns, CHECK))


def _stands_alone(expr: Any) -> bool:
    name = type(expr).__name__
    if name == "FunctionCall":
        return bool(expr.function.kind != "o")
    return name in ("Coalesce", "MinMax", "NullIf")


class _Printer:
    """Prints one expression; `pretty` leaves out parentheses that say nothing. `text`: as it was written, for what the
    bound form does not tell."""

    def __init__(self, pretty: bool, text: str, value_column: bool = False) -> None:
        self.pretty = pretty
        self.not_between = "BETWEEN" in text.upper()  # NOT BETWEEN is shown as the two comparisons it stands for
        self.trims = _TRIM_CALL.search(text) is not None
        self.value_column = value_column

    def show(self, expr: Any) -> str:
        method = getattr(self, f"_{type(expr).__name__.lower()}", None)
        if method is None:
            raise _Unprintable
        text: str = method(expr)
        return text

    def part(self, expr: Any, operator: str = "", right: bool = False) -> str:
        """Within another expression: operators get parentheses, which without `pretty` they have anyway."""
        text = self.show(expr)
        if not self.pretty or not _is_operation(expr):
            return text
        inner = expr.function.name if type(expr).__name__ == "FunctionCall" else ""
        if operator in _ARITHMETIC and inner in _ARITHMETIC and len(expr.args) == 2:
            above, below = _ARITHMETIC[operator], _ARITHMETIC[inner]
            if below > above or (below == above and not right):
                return text
        return f"({text})"

    def wrapped(self, text: str) -> str:
        return text if self.pretty else f"({text})"

    def _const(self, expr: Any) -> str:
        if isinstance(expr.type, EnumType) and expr.value is not None:
            return f"''::{pinned_name(expr.type.oid, expr.value)}"  # whoever has a schema knows its label
        return constant_text(expr.value, expr.type)

    def _slot(self, expr: Any) -> str:
        return "VALUE" if self.value_column else quoted(expr.name)

    def _cast(self, expr: Any) -> str:
        if type(expr.arg).__name__ == "Const" and expr.arg.type is b.UNKNOWN:
            return f"'{_escaped(str(expr.arg.value))}'::{expr.type.display(expr.typmod)}"
        inner = self.part(expr.arg)
        simple = self.pretty and type(expr.arg).__name__ in _SIMPLE and not inner.startswith("(")
        if inner.startswith("(") and _is_operation(expr.arg):
            return f"{inner}::{expr.type.display(expr.typmod)}"
        return f"{inner if simple else f'({inner})'}::{expr.type.display(expr.typmod)}"

    def _fit(self, expr: Any) -> str:
        if expr.explicit and type(expr.arg).__name__ == "Cast":
            return self._cast(_Retyped(expr.arg.arg, expr.type, expr.typmod))
        if expr.explicit:
            return self._cast(_Retyped(expr.arg, expr.type, expr.typmod))
        return self.show(expr.arg)

    def _functioncall(self, expr: Any) -> str:
        function, args = expr.function, expr.args
        if function.kind == "o":
            if len(args) == 1:
                return self.wrapped(f"{function.name} {self.part(args[0])}")
            left, right = self.part(args[0], function.name), self.part(args[1], function.name, True)
            return self.wrapped(f"{left} {function.name} {right}")
        if not args and function.name in _BARE_CALLS:
            return _BARE_CALLS[function.name]
        special = self._syntax(function.name, args)
        if special is not None:
            return special
        if function.name.isidentifier():
            return f"{quoted(function.name)}({', '.join(self.show(arg) for arg in args)})"
        raise _Unprintable

    def _syntax(self, name: str, args: Sequence[Any]) -> str | None:
        """Calls that SQL writes with words in between; None for the others."""
        shown = [self.show(arg) for arg in args]
        if name == "extract" and type(args[0]).__name__ == "Const":
            return f"EXTRACT({args[0].value} FROM {shown[1]})"
        if name == "position":
            return f"POSITION(({shown[1]}) IN ({shown[0]}))"
        if name == "substring" and len(args) > 1 and args[1].type is b.INT4:
            return f"SUBSTRING({shown[0]} FROM {shown[1]}" + (f" FOR {shown[2]})" if len(args) > 2 else ")")
        if name in _TRIMS and self.trims:
            what = f"{shown[1]} " if len(args) > 1 else ""
            return f"TRIM({_TRIMS[name]} {what}FROM {shown[0]})"
        return None

    def _joined(self, args: Sequence[Any], word: str, inner: str) -> str:
        shown: list[str] = []
        for arg in args:
            text = self.show(arg)
            shown.append(f"({text})" if self.pretty and type(arg).__name__ == inner else text)
        return self.wrapped(f" {word} ".join(shown))

    def _and(self, expr: Any) -> str:
        return self._joined(expr.args, "AND", "Or")

    def _or(self, expr: Any) -> str:
        return self._joined(expr.args, "OR", "")

    def _not(self, expr: Any) -> str:
        outside = _outside(expr.arg) if self.not_between else None
        if outside is not None:
            low, high = outside
            below = self.wrapped(f"{self.part(low.args[0])} < {self.part(low.args[1])}")
            above = self.wrapped(f"{self.part(high.args[0])} > {self.part(high.args[1])}")
            return self.wrapped(f"{below} OR {above}")
        return self.wrapped(f"NOT {self.part(expr.arg)}")

    def _isnull(self, expr: Any) -> str:
        return self.wrapped(f"{self.part(expr.arg)} IS {'NOT ' if expr.negated else ''}NULL")

    def _booleantest(self, expr: Any) -> str:
        words = ("NOT " if expr.negated else "") + ("TRUE" if expr.value else "FALSE")
        return self.wrapped(f"{self.part(expr.arg)} IS {words}")

    def _distinct(self, expr: Any) -> str:
        words = "IS NOT DISTINCT FROM" if expr.negated else "IS DISTINCT FROM"
        return self.wrapped(f"{self.part(expr.left)} {words} {self.part(expr.right)}")

    def _nullif(self, expr: Any) -> str:
        return f"NULLIF({self.show(expr.arg)}, {self.show(expr.right)})"

    def _coalesce(self, expr: Any) -> str:
        return f"COALESCE({', '.join(self.show(arg) for arg in expr.args)})"

    def _minmax(self, expr: Any) -> str:
        return f"{'GREATEST' if expr.greatest else 'LEAST'}({', '.join(self.show(arg) for arg in expr.args)})"

    def _case(self, expr: Any) -> str:
        parts = [f"WHEN {self.show(condition)} THEN {self.show(result)}" for condition, result in expr.whens]
        other = f"ELSE {self.show(expr.default)}" if expr.default is not None else f"ELSE NULL::{expr.type.display()}"
        return "\nCASE\n" + "".join(f"    {part}\n" for part in (*parts, other)) + "END"

    def _inlist(self, expr: Any) -> str:
        words = "<> ALL" if expr.negated else "= ANY"
        items = expr.items
        constants = all(type(item).__name__ == "Const" and item.type is b.TEXT for item in items)
        if constants and type(expr.arg).__name__ == "Cast" and expr.arg.arg.type is b.VARCHAR:
            # PostgreSQL makes the list of the column's own type, and the whole of it text for the comparison.
            array = "ARRAY[" + ", ".join(constant_text(item.value, b.VARCHAR) for item in items) + "]"
            cast = f"{array}::text[]" if self.pretty else f"({array})::text[]"
            return self.wrapped(f"{self.part(expr.arg)} {words} ({cast})")
        array = "ARRAY[" + ", ".join(self.show(item) for item in items) + "]"
        return self.wrapped(f"{self.part(expr.arg)} {words} ({array})")

    def _anyarray(self, expr: Any) -> str:
        words = "ALL" if expr.all else "ANY"
        return self.wrapped(f"{self.part(expr.left)} {expr.operator.name} {words} ({self.show(expr.array)})")

    def _arrayliteral(self, expr: Any) -> str:
        return f"ARRAY[{', '.join(self.show(item) for item in expr.items)}]"


class _Retyped:
    """A cast with another target."""

    __slots__ = ("arg", "type", "typmod")

    def __init__(self, arg: Any, type: Type, typmod: int) -> None:
        self.arg, self.type, self.typmod = arg, type, typmod


def _outside(expr: Any) -> tuple[Any, Any] | None:
    """The two comparisons of BETWEEN."""
    if type(expr).__name__ != "And" or len(expr.args) != 2:
        return None
    low, high = expr.args
    names = [getattr(getattr(one, "function", None), "name", "") for one in (low, high)]
    return (low, high) if names == [">=", "<="] and low.args[0] == high.args[0] else None


def _is_operation(expr: Any) -> bool:
    name = type(expr).__name__
    if name == "FunctionCall":
        return bool(expr.function.kind == "o")
    return name in ("And", "Or", "Not", "IsNull", "BooleanTest", "Distinct", "InList", "AnyArray")


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def constant_text(value: Any, type: Type) -> str:
    """A constant that reads back with its type."""
    if value is None:
        return f"NULL::{type.display()}"
    if type is b.BOOL:
        return "true" if value else "false"
    text = type.text_out(value, SessionFormat())
    if type is b.INT4 and value >= 0:
        return text
    if type is b.NUMERIC and text[:1].isdigit() and "." in text:
        return text
    shown = "text" if type is b.UNKNOWN else type.display()
    return f"'{_escaped(text)}'::{shown}"
