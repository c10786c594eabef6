"""INSERT, UPDATE and DELETE in WITH: done once, whole, whoever reads how much of what they return."""

from __future__ import annotations

from collections.abc import Sequence

from tausql.sql.execution.run import Cursor, Node, RowsCursor, Run
from tausql.sql.execution.writes import Write


class PartNode(Node):
    """Its rows are those of RETURNING."""

    __slots__ = ("write",)

    def __init__(self, write: Write) -> None:
        super().__init__(write.source.rows)
        self.write = write

    def start(self, run: Run) -> Cursor:
        return _PartCursor(self.write, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.write.source,)

    @property
    def title(self) -> str:
        return f"{type(self.write).__name__} on {self.write.access.table.name}"


class _PartCursor:
    __slots__ = ("rows", "run", "write")

    def __init__(self, write: Write, run: Run) -> None:
        self.write = write
        self.run = run
        self.rows: RowsCursor | None = None

    async def next(self) -> list[list[object]]:
        if self.rows is None:
            _, returned = await self.write.run(self.run)
            self.rows = RowsCursor(returned)
        return await self.rows.next()
