"""Subqueries of expressions. Evaluating an expression cannot wait for storage; so what its subqueries answer is fetched
before it, a batch of rows at a time, and remembered by the values they take from the row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tausql.sql.execution.run import Batch, Node, Run, all_rows
from tausql.sql.expressions.context import Context

Value = Callable[[Sequence[Any], Context], Any]
_ROWS_NEEDED: Final = {"exists": 1, "scalar": 2, "row": 2}


class Subplan:
    """One subquery as one operator uses it. `correlations` compute what it takes from the operator's rows."""

    __slots__ = ("correlations", "index", "limit", "node")

    def __init__(self, index: int, kind: str, node: Node, correlations: Sequence[Value]) -> None:
        self.index = index
        self.node = node
        self.correlations = tuple(correlations)
        self.limit = _ROWS_NEEDED.get(kind, 0)


class Subplans:
    """The subqueries of one operator's expressions, inner ones first."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Subplan]) -> None:
        self.parts = tuple(parts)

    async def prepare(self, rows: Batch, run: Run) -> None:
        """After this, expressions may be evaluated over these rows, until the next await."""
        for part in self.parts:
            if part.correlations:
                await _prepare_correlated(part, rows, run)
            else:
                await _prepare_once(part, run)


async def _prepare_once(part: Subplan, run: Run) -> None:
    rows = run.uncorrelated.get(part.index)
    if rows is None:
        before = run.memory.mark()
        rows = run.uncorrelated[part.index] = await all_rows(part.node, run, part.limit)
        run.memory.release(before)
        run.memory.keep(rows)
        found = rows
        run.subplans[part.index] = lambda row, context: found


async def _prepare_correlated(part: Subplan, rows: Batch, run: Run) -> None:
    context = run.context
    values_of = part.correlations
    memo: dict[Any, Batch] = {}
    memory = run.memory
    start = memory.mark()
    for row in rows:
        values = [value(row, context) for value in values_of]
        key = memo_key(values)
        if key in memo:
            continue
        context.outer.append(values)
        before = memory.mark()
        try:
            answer_rows = memo[key] = await all_rows(part.node, run, part.limit)
        finally:
            context.outer.pop()
        memory.release(before)  # what its sorts and hashes held
        memory.hold(answer_rows)

    def answer(row: Sequence[Any], context: Context) -> Batch:
        return memo[memo_key([value(row, context) for value in values_of])]

    run.subplans[part.index] = answer
    memory.release(start)  # the answers are forgotten with the next batch


def memo_key(values: list[Any]) -> Any:
    """Hashable, and different for values that print differently: 1 and True and 1.0 are not one key."""
    key = tuple([(value.__class__, value) for value in values])
    try:
        hash(key)
    except TypeError:
        return repr(values)
    return key
