"""What a select-list item without AS is called: PostgreSQL's FigureColname, over sqlglot's tree."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tausql.protocol.errors import SqlError
from tausql.sql.expressions.parsing import INTERVAL_LITERAL, function_name
from tausql.sql.expressions.type_names import type_and_typmod
from tausql.sql.lexer import truncated

UNNAMED: Final = "?column?"


def fold(identifier: exp.Expr | str | None) -> str:
    """A name as PostgreSQL stores it: unquoted ones in lower case."""
    if identifier is None:
        return ""
    if isinstance(identifier, str):
        return identifier
    name: str = identifier.name
    return truncated(name if identifier.args.get("quoted") else name.lower())


def label_of(node: exp.Expr) -> str:
    return _figure(node)[0] or UNNAMED


def _figure(node: exp.Expr) -> tuple[str, int]:
    """(name, strength): a cast's type name (1) gives way to a name of what is cast (2)."""
    if isinstance(node, exp.Column):
        return fold(node.this), 2
    if isinstance(node, exp.Dot):
        name = function_name(node)
        return (name.rpartition(".")[2], 2) if name else (fold(node.expression), 2)
    if isinstance(node, exp.Paren):
        return _figure(node.this)
    if isinstance(node, (exp.Cast, exp.TryCast)):
        inner, strength = _figure(node.this)
        return (inner, strength) if strength == 2 else (_type_label(node), 1)
    if isinstance(node, (exp.Bracket, exp.Collate, exp.Filter, exp.Order, exp.WithinGroup, exp.Window)):
        return _figure(node.this)
    if isinstance(node, exp.AtTimeZone):
        return "timezone", 2
    if isinstance(node, exp.Case):
        default = node.args.get("default")
        inner, strength = _figure(default) if default is not None else ("", 0)
        return (inner, strength) if strength == 2 else ("case", 1)
    if isinstance(node, exp.Exists):
        return "exists", 2
    if isinstance(node, exp.Array):
        return "array", 2
    if isinstance(node, exp.Subquery):
        return _subquery_label(node)
    if isinstance(node, exp.Interval) or (isinstance(node, exp.Anonymous) and node.this == INTERVAL_LITERAL):
        return "interval", 1
    if isinstance(node, exp.ParseJSON):
        return "json", 1
    if isinstance(node, exp.Trim):
        return _TRIM_LABELS.get((node.args.get("position") or "").upper(), "btrim"), 2
    if isinstance(node, exp.Overlaps):
        return "overlaps", 2
    if isinstance(node, exp.Binary):  # operators; sqlglot counts some of them among the functions
        return "", 0
    return _function_label(node)


_TRIM_LABELS: Final = {"LEADING": "ltrim", "TRAILING": "rtrim"}
_KEYWORD_LABELS: Final = {
    exp.StrPosition: "position",
    exp.Coalesce: "coalesce",
    exp.Nullif: "nullif",
    exp.Greatest: "greatest",
    exp.Least: "least",
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentUser: "current_user",
    exp.Extract: "extract",
    exp.Tuple: "row",
    exp.Count: "count",
}


# Syntax that token_edits made calls of.
_SPECIAL_LABELS: Final = {
    "json_object_built": "json_object",
    "json_array_built": "json_array",
    "substring_similar": "substring",
    "prefix_at": "",
    "prefix_not": "",
}


def _function_label(node: exp.Expr) -> tuple[str, int]:
    for kind, name in _KEYWORD_LABELS.items():
        if isinstance(node, kind):
            return name, 2
    if isinstance(node, exp.StartsWith):
        return "", 0  # the operator ^@
    name_of_function = function_name(node) if isinstance(node, exp.Func) else None
    if name_of_function in _SPECIAL_LABELS:
        label = _SPECIAL_LABELS[name_of_function]
        return label, 2 if label else 0
    if name_of_function and not isinstance(node, (exp.And, exp.Or, exp.Xor)):
        return name_of_function, 2
    return "", 0


def _subquery_label(node: exp.Expr) -> tuple[str, int]:
    query = node.this
    while isinstance(query, (exp.Subquery, exp.SetOperation)):
        query = query.this
    if isinstance(query, exp.Select) and query.expressions:
        item = query.expressions[0]
        if isinstance(item, exp.Alias):
            return fold(item.args["alias"]), 2
        return _figure(item)
    return "", 0


def _type_label(node: exp.Expr) -> str:
    target = node.args["to"]
    try:
        return type_and_typmod(target)[0].name.lstrip("_")
    except SqlError:  # a domain's name; what is no type at all is refused where the cast is bound
        kind = target.args.get("kind") if isinstance(target, exp.DataType) else None
        name = kind.expression if isinstance(kind, exp.Dot) else kind
        return fold(name) if isinstance(name, exp.Expr) else str(name or "")
