"""The WINDOW clause of a block: its windows by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from tausql.protocol.errors import Code, SqlError
from tausql.sql.binding.labels import fold
from tausql.sql.expressions.binder import Binder
from tausql.sql.expressions.window_nodes import Window
from tausql.sql.expressions.windows import bind_definition

if TYPE_CHECKING:
    from tausql.sql.binding.binder import BlockScope


class WindowClause:
    """The WINDOW clause of a block. Each window may be made from one before it."""

    __slots__ = ("bound", "nodes", "visible")

    def __init__(self, nodes: list[exp.Window]) -> None:
        self.nodes: dict[str, exp.Window] = {}
        for node in nodes:
            name = fold(node.this)
            if name in self.nodes:
                raise SqlError(Code.windowing_error, f'window "{name}" is already defined')
            self.nodes[name] = node
        self.bound: dict[str, tuple[Window, bool]] = {}
        self.visible = list(self.nodes)

    def find(self, scope: BlockScope, name: str) -> tuple[Window, bool]:
        if name not in self.visible:
            raise SqlError(Code.undefined_object, f'window "{name}" does not exist')
        found = self.bound.get(name)
        if found is None:
            seen = self.visible
            self.visible = seen[: seen.index(name)]
            try:
                found = self.bound[name] = bind_definition(Binder(scope), scope, self.nodes[name])
            finally:
                self.visible = seen
        return found

    def bind_all(self, scope: BlockScope) -> list[Window]:
        """Also those that nothing uses: they must mean something."""
        return [self.find(scope, name)[0] for name in self.nodes]
