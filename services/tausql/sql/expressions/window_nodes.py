"""Window function calls as nodes of expressions.

A call carries its whole window, with what a named one gives resolved, so that two calls over equal windows are found to
be so by comparing them, wherever they were written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tausql.sql.expressions.nodes import Expr, SortSpec, walk
from tausql.sql.functions.function import Function

UNBOUNDED_PRECEDING: Final = "unbounded preceding"
PRECEDING: Final = "preceding"
CURRENT: Final = "current"
FOLLOWING: Final = "following"
UNBOUNDED_FOLLOWING: Final = "unbounded following"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """`mode`: rows, range or groups; start and end are words of this module, with an offset where one is wanted."""

    mode: str = "range"
    start: str = UNBOUNDED_PRECEDING
    start_offset: Expr | None = None
    end: str = CURRENT
    end_offset: Expr | None = None
    exclude: str = ""  # current row, group or ties

    @property
    def offsets(self) -> tuple[Expr, ...]:
        return tuple(offset for offset in (self.start_offset, self.end_offset) if offset is not None)


DEFAULT_FRAME: Final = Frame()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    partition: tuple[Expr, ...] = ()
    order: tuple[SortSpec, ...] = ()
    frame: Frame = DEFAULT_FRAME

    def children(self) -> tuple[Expr, ...]:
        return (*self.partition, *(spec.expr for spec in self.order), *self.frame.offsets)

    def replace(self, change: Callable[[Expr], Expr]) -> Window:
        order = tuple(dataclasses.replace(spec, expr=spec.expr.replace(change)) for spec in self.order)
        return Window(partition=tuple(expr.replace(change) for expr in self.partition), order=order, frame=self.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowCall(Expr):
    """Computed by the executor, which replaces the node by a Slot. `function` is an Aggregate or of kind 'w'."""

    function: Function
    args: tuple[Expr, ...]
    window: Window
    filter: Expr | None = None

    def children(self) -> tuple[Expr, ...]:
        filter = () if self.filter is None else (self.filter,)
        return (*self.args, *filter, *self.window.children())

    def replace(self, change: Callable[[Expr], Expr]) -> Expr:
        return change(
            dataclasses.replace(
                self,
                args=tuple(arg.replace(change) for arg in self.args),
                filter=None if self.filter is None else self.filter.replace(change),
                window=self.window.replace(change),
            )
        )


def has_window(exprs: Sequence[Expr]) -> bool:
    return any(isinstance(node, WindowCall) for expr in exprs for node in walk(expr))
