"""What joins make of the relations they join: a name of their own, and rows that may be missing."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.bound import Join, JoinTree
from tausql.sql.binding.names import Namespace, VisibleColumn


def is_comma(join: exp.Expr) -> bool:
    """`, b` and not `JOIN b`: the parser makes joins of both."""
    return not any(join.args.get(part) for part in ("kind", "side", "method", "on", "using"))


def beside(left: JoinTree, right: JoinTree) -> JoinTree:
    """All pairs of rows. As deep on the left as it goes: what is joined on the right may be LATERAL, and refer to the
    left. a x (b left join c) is (a x b) left join c; only a full join has rows that belong to no b."""
    if isinstance(right, Join) and right.kind in ("inner", "left"):
        return Join(right.kind, beside(left, right.left), right.right, right.condition)
    return Join("inner", left, right, [])


def make_nullable(tree: JoinTree) -> None:
    if isinstance(tree, Join):
        make_nullable(tree.left)
        make_nullable(tree.right)
    else:
        tree.nullable = True


def aliased(names: Namespace, alias: str, column_names: list[str]) -> Namespace:
    """`(a JOIN b ...) AS x`: only the alias is visible."""
    if len(column_names) > len(names.columns):
        raise SqlError(
            Code.invalid_column_reference,
            f'join expression "{alias}" has {len(names.columns)} columns available '
            f"but {len(column_names)} columns specified",
        )
    renamed = [*column_names, *(visible.name for visible in names.columns[len(column_names) :])]
    columns = [
        VisibleColumn(name, visible.expr, visible.column) for name, visible in zip(renamed, names.columns, strict=True)
    ]
    return Namespace(columns, joins={alias: columns}, hidden=names.all_relations())
