"""Labels of enum types in expressions that are kept: what is kept is the value, whatever the label is called later.

A literal is a label by what it is compared with, which only binding finds out; and where a kept expression is compiled
there may be no schema that knows labels. So binding tells which texts were taken for labels, and those are written with
a type that has the value in its name (`types.enums.PinnedEnum`).
"""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import not_supported
from tausql.sql.catalogue.enum_names import label_order
from tausql.sql.catalogue.objects import Objects
from tausql.sql.types.enums import pinned_name


class LabelsMet:
    """Finds labels for a binder (`ParamTypes.labels`), and remembers them: text -> (type's oid, value)."""

    __slots__ = ("_objects", "found")

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.found: dict[str, tuple[int, float]] = {}

    def __call__(self, oid: int, text: str) -> float | None:
        order = label_order(self._objects, oid, text)
        if order is not None and self.found.setdefault(text, (oid, order)) != (oid, order):
            raise not_supported(f'the text "{text}" stands for values of two enum types in one expression')
        return order


def pinned(node: exp.Expr, met: object) -> exp.Expr:
    """The expression with its labels pinned. `met`: what its binder was given, a `LabelsMet` or nothing."""
    if not isinstance(met, LabelsMet) or not met.found:
        return node
    holder = exp.Paren(this=node.copy())
    for literal in list(holder.find_all(exp.Literal)):
        found = met.found.get(str(literal.this)) if literal.is_string else None
        if found is None:
            continue
        to = exp.DataType(this=exp.DType.USERDEFINED, kind=exp.Identifier(this=pinned_name(*found), quoted=True))
        target: exp.Expr = literal
        while isinstance(target.parent, exp.Cast) and _is_of(target.parent, found[0]):
            target = target.parent
        target.replace(exp.Cast(this=literal.copy(), to=to))
    inner: exp.Expr = holder.this
    return inner


def _is_of(cast: exp.Cast, oid: int) -> bool:
    """A cast to the type itself."""
    kind = cast.args["to"].args.get("kind")
    name = kind.name if isinstance(kind, exp.Expr) else str(kind or "")
    return name.partition("__at__")[0].endswith(f"__{oid}")
