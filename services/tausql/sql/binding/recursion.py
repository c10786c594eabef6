"""WITH RECURSIVE: in which order its queries are bound, and what a recursive one may look like."""

from __future__ import annotations

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError, not_supported
from tausql.sql.binding.labels import fold


def refers_to(query: exp.Expr, name: str) -> bool:
    return bool(references(query, name))


def references(query: exp.Expr, name: str) -> list[exp.Table]:
    """Where a query reads the WITH query of this name, not hidden by one of its own."""
    found: list[exp.Table] = []
    for table in query.find_all(exp.Table):
        named = isinstance(table.this, exp.Identifier) and fold(table.this) == name and not table.args.get("db")
        if named and not _hidden(table, query, name):
            found.append(table)
    return found


def _hidden(table: exp.Expr, root: exp.Expr, name: str) -> bool:
    node: exp.Expr | None = table
    while node is not None:
        clause = node.args.get("with_")
        if clause is not None and any(fold(item.args["alias"].this) == name for item in clause.expressions):
            return True
        if node is root:
            return False
        node = node.parent
    return False


def in_order(items: list[exp.Expr]) -> list[exp.Expr]:
    """Each after those it refers to, wherever they stand. Raises 0A000 for two that need each other."""
    names = [fold(item.args["alias"].this) for item in items]
    needs = {
        name: [other for other in names if other != name and refers_to(item.this, other)]
        for name, item in zip(names, items, strict=True)
    }
    ordered: list[str] = []
    waiting = list(names)
    while waiting:
        ready = [name for name in waiting if all(need in ordered for need in needs[name])]
        if not ready:
            raise not_supported("mutual recursion between WITH items is not implemented")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return [items[names.index(name)] for name in ordered]


def check_recursive(query: exp.Expr, name: str) -> None:
    """Raises what PostgreSQL says to forms of recursion it does not know."""
    if not isinstance(query, exp.Union):
        raise _invalid(f'recursive query "{name}" does not have the form non-recursive-term UNION [ALL] recursive-term')
    for key, words in (("order", "ORDER BY"), ("offset", "OFFSET"), ("limit", "LIMIT"), ("locks", "FOR UPDATE/SHARE")):
        if query.args.get(key):
            raise not_supported(f"{words} in a recursive query is not implemented")
    what = f'recursive reference to query "{name}" must not appear'
    if refers_to(query.this, name):
        raise _invalid(f"{what} within its non-recursive term")
    found = references(query.expression, name)
    for table in found:
        place = _forbidden_place(table, query.expression)
        if place is not None:
            raise _invalid(f"{what} within {place}")
    if len(found) > 1:
        raise _invalid(f"{what} more than once")


def _invalid(message: str) -> SqlError:
    return SqlError(Code.invalid_recursion, message)


def _forbidden_place(table: exp.Expr, root: exp.Expr) -> str | None:
    """What of the recursive term the reference stands in, None where it may."""
    node: exp.Expr = table
    while node is not root and node.parent is not None:
        parent = node.parent
        side = str(parent.args.get("side") or "").upper() if isinstance(parent, exp.Join) else ""
        if side in ("LEFT", "FULL") or _left_of_outer_join(node, parent):
            return "an outer join"
        if isinstance(parent, exp.Except) and node is parent.expression:
            return "EXCEPT"
        if isinstance(node, (exp.Select, exp.SetOperation)) and not _is_from_item(node):
            return "a subquery"
        node = parent
    return None


def _left_of_outer_join(node: exp.Expr, parent: exp.Expr) -> bool:
    """FROM t RIGHT JOIN x, FROM t FULL JOIN x: t is the side that may be without a row."""
    joins = parent.args.get("joins") or []
    if isinstance(node, exp.Join):
        joins = joins[joins.index(node) + 1 :] if node in joins else []
    elif not isinstance(node, exp.From) and node is not parent.args.get("this"):
        return False
    return any(str(join.args.get("side") or "").upper() in ("RIGHT", "FULL") for join in joins)


def _is_from_item(query: exp.Expr) -> bool:
    node, parent = query, query.parent
    while isinstance(parent, (exp.Subquery, exp.Paren, exp.SetOperation)):
        node, parent = parent, parent.parent
    del node
    return isinstance(parent, (exp.From, exp.Join, exp.Lateral, exp.CTE))
