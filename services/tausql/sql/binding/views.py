"""A view in a query: its text is bound in its place, as a subquery, with its own names and its owner's rights."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.binder import Binder
from tausql.sql.binding.bound import BoundQuery, OutputColumn
from tausql.sql.binding.conversion import settled
from tausql.sql.catalogue.objects import View
from tausql.sql.expressions.parsing import parse
from tausql.sql.permissions import Need

VIEW_DEPTH_MAX = 100


def view_query(view: View) -> exp.Expr:
    (node,) = parse(view.query)
    return node


def bind_view(binder: Binder, view: View) -> tuple[BoundQuery, list[OutputColumn]]:
    """The view's query, and its columns under the view's names. Raises 54001 for views nested too deeply."""
    if binder.view_depth >= VIEW_DEPTH_MAX:
        raise SqlError(Code.statement_too_complex, f'views are nested too deeply at "{view.name}"')
    outside = binder.search_path, binder.as_role, binder.named, binder.root
    binder.search_path = ()
    if ("security_invoker", "true") not in view.options:
        binder.as_role = view.owner
    node = view_query(view)
    binder.named, binder.root = None, node
    binder.view_depth += 1
    try:
        bound = settled(binder.query(binder, node, None, {}), binder.params)
    finally:
        binder.search_path, binder.as_role, binder.named, binder.root = outside
        binder.view_depth -= 1
    columns = [
        OutputColumn(column.name, output.type, output.typmod, view.oid, at + 1)
        for at, (column, output) in enumerate(zip(view.columns, bound.columns, strict=True))
    ]
    return bound, columns


def need_view(binder: Binder, view: View, letters: str, columns: tuple[int, ...] = ()) -> None:
    binder.relies[view.oid] = view.version
    binder.need(Need(view.oid, letters, columns, binder.as_role), view.schema)
