"""The costs that EXPLAIN shows, worked out when it asks: planning itself needs only those of alternatives.

They are PostgreSQL's units. A read starts at 100, what a request to storage costs however little it asks for, and an
eighth for each row that is looked at there before the first one comes.
"""

from __future__ import annotations

from math import log2
from typing import Final, NamedTuple

from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.execution.aggregation import Aggregate
from tausql.sql.execution.joins import HashJoin, IndexJoin, NestedLoop
from tausql.sql.execution.rows import Filter, Limit
from tausql.sql.execution.run import Node
from tausql.sql.execution.scans import PointRead, RangeRead
from tausql.sql.execution.sorting import Sort
from tausql.sql.execution.totals import StorageAggregate
from tausql.sql.planning.selectivity import TableFigures

REQUEST: Final = 100.05
LOOKED_AT: Final = 0.125
SENT: Final = 0.01
BYTE_SENT: Final = 0.001
FETCHED: Final = 0.25
OPERATOR: Final = 0.0025
TUPLE: Final = 0.01
_PLAIN_WIDTH: Final = 32  # of what has no table


class Cost(NamedTuple):
    startup: float
    total: float
    rows: float
    width: int

    @property
    def times(self) -> tuple[float, float]:
        return self.startup, self.total


class Coster:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._known: dict[int, Cost] = {}

    def of(self, node: Node) -> Cost:
        found = self._known.get(id(node))
        if found is None:
            found = self._known[id(node)] = self._work_out(node)
        return found

    def _work_out(self, node: Node) -> Cost:
        if isinstance(node, (PointRead, RangeRead)):
            return self._read(node)
        children = [self.of(child) for child in node.children]
        rows = max(node.rows, 1.0)
        width = sum(child.width for child in children) or (_PLAIN_WIDTH if rows else 0)
        startup = max((child.startup for child in children), default=0.0)
        total = sum(child.total for child in children)
        if isinstance(node, Filter):
            return Cost(startup, total + children[0].rows * OPERATOR, rows, width)
        if isinstance(node, Sort):
            count = max(children[0].rows, 2.0)
            startup = total + count * log2(count) * 2 * OPERATOR
            return Cost(startup, startup + count * OPERATOR, count, width)
        if isinstance(node, StorageAggregate):
            done = children[0].startup + children[0].rows * OPERATOR
            return Cost(done, done + rows * TUPLE, rows, 8 * max(1, len(node.calls)))
        if isinstance(node, Aggregate):
            done = total + children[0].rows * OPERATOR
            return Cost(done, done + rows * TUPLE, rows, 8 * max(1, len(node.calls) + len(node.keys)))
        if isinstance(node, HashJoin):
            built = children[1].total + children[1].rows * TUPLE
            return Cost(
                children[0].startup + built, children[0].total + built + (children[0].rows + rows) * TUPLE, rows, width
            )
        if isinstance(node, IndexJoin):
            batches = max(1.0, children[0].rows / 64)
            return Cost(
                children[0].startup + children[1].startup,
                children[0].total + batches * REQUEST + children[0].rows * max(children[1].total - REQUEST, TUPLE),
                rows,
                width,
            )
        if isinstance(node, NestedLoop):
            return Cost(startup, total + children[0].rows * children[1].rows * OPERATOR, rows, width)
        if isinstance(node, Limit):
            part = min(1.0, rows / max(children[0].rows, 1.0))
            return Cost(children[0].startup, startup + (total - startup) * part, rows, width)
        return Cost(startup, total + rows * TUPLE, rows, width)

    def _read(self, node: PointRead | RangeRead) -> Cost:
        figures = TableFigures(self.snapshot, node.access.table)
        width = figures.width(node.projection)
        rows = max(node.rows, 1.0)
        startup = REQUEST + LOOKED_AT * node.examined
        total = startup + rows * (SENT + BYTE_SENT * width)
        if isinstance(node, RangeRead) and node.fetch:
            total += node.examined * FETCHED
        return Cost(startup, total, rows, width)
