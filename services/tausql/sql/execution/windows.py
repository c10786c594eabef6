"""Window functions: rows sorted by partition and order, each with the values of its functions behind it.

Everything a function needs of a row (its arguments, its FILTER) is computed while the row comes in, since subqueries
are answered a batch at a time. What follows is then plain work on lists, cut into pieces so that others can run and the
statement can be cancelled, however large the frames are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tausql.protocol.errors import Code, SqlError
from tausql.sql.execution.run import Batch, Cursor, Node, Row, Run, WholeCursor
from tausql.sql.execution.subplans import Subplans, Value
from tausql.sql.execution.window_frames import Bounds, FramePlan, offset_of
from tausql.sql.expressions.context import Context
from tausql.sql.functions.function import Aggregate, Function
from tausql.sql.functions.window_functions import FRAMED, Shape
from tausql.sql.types.ordering import identity

STEPS: Final = 5000  # of a function's work between two looks at whether others wait


@dataclass(frozen=True, slots=True)
class WindowCallPlan:
    """One call. `first`, `count`: where its arguments stand among a row's cells; `passes`: where its FILTER does."""

    function: Function
    first: int
    count: int
    passes: int | None
    frame: FramePlan


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Calls over one partitioning and order. `cells`: everything computed for a row: partition keys, order keys, then
    the calls' own; `sort` over the cells, None where any order will do."""

    cells: tuple[Value, ...]
    partition: tuple[Callable[[Any], Hashable], ...]
    order: tuple[Callable[[Any], Hashable], ...]
    sort: Callable[[Row], Any] | None
    calls: tuple[WindowCallPlan, ...]


class WindowNode(Node):
    """Rows with the calls' values behind them, in window order."""

    __slots__ = ("child", "plan", "subplans", "text")

    def __init__(self, child: Node, plan: WindowPlan, subplans: Subplans | None, text: str) -> None:
        super().__init__(child.rows)
        self.child = child
        self.plan = plan
        self.subplans = subplans
        self.text = text

    def start(self, run: Run) -> Cursor:
        return _WindowCursor(self, run)

    @property
    def children(self) -> Sequence[Node]:
        return (self.child,)

    @property
    def title(self) -> str:
        return "WindowAgg"

    @property
    def lines(self) -> Sequence[str]:
        return [f"Window: {self.text}"] if self.text else []


class _WindowCursor(WholeCursor):
    __slots__ = ("node", "run")

    def __init__(self, node: WindowNode, run: Run) -> None:
        super().__init__()
        self.node = node
        self.run = run

    async def made(self) -> Batch:
        plan, run = self.node.plan, self.run
        pairs = await self._sorted()
        rows: Batch = []
        marks = _marks(plan.partition, 0)
        start = 0
        while start < len(pairs):
            mark = marks(pairs[start][0])
            end = start + 1
            while end < len(pairs) and (not plan.partition or marks(pairs[end][0]) == mark):
                end += 1
            part = pairs[start:end]
            for _ in self._evaluated(part, rows):
                if (wait := run.context.pause()) is not None:
                    await wait
            start = end
        return rows

    async def _sorted(self) -> list[tuple[Row, Row]]:
        """(cells, row) of every row, in window order. Sort keys are made while rows come in: sorting is then one quick
        step, however many there are."""
        node, run = self.node, self.run
        context, cells, sort = run.context, node.plan.cells, node.plan.sort
        pairs: list[tuple[Row, Row]] = []
        keyed: list[tuple[Any, int]] = []
        cursor = node.child.open(run)
        while True:
            if (wait := context.pause()) is not None:
                await wait
            rows = await cursor.next()
            if not rows:
                keyed.sort()
                return pairs if sort is None else [pairs[at] for _, at in keyed]
            if node.subplans is not None:
                await node.subplans.prepare(rows, run)
            made = [([cell(row, context) for cell in cells], row) for row in rows]
            run.memory.hold(rows)
            run.memory.hold([pair[0] for pair in made])
            if sort is not None:
                keyed.extend((sort(pair[0]), at) for at, pair in enumerate(made, len(pairs)))
            pairs.extend(made)

    def _evaluated(self, part: Sequence[tuple[Row, Row]], rows: Batch) -> Iterator[None]:
        """Appends the partition's rows with their values; yields now and then."""
        plan, context = self.node.plan, self.run.context
        width = len(plan.partition)
        shape = _shape(part, _marks(plan.order, width))
        order_values = [cells[width] for cells, _ in part] if plan.order else []
        columns: list[list[Any]] = []
        for call in plan.calls:
            values: list[Any] = []
            yield from _values(call, part, shape, order_values, context, values)
            columns.append(values)
        rows.extend([*row, *extra] for (_, row), extra in zip(part, zip(*columns, strict=True), strict=True))
        yield


def _marks(hashes: Sequence[Callable[[Any], Hashable]], first: int) -> Callable[[Row], Hashable]:
    """What equal cells have in common."""
    if len(hashes) == 1:
        (of,) = hashes
        if of is identity:
            return lambda cells: cells[first]
        return lambda cells: None if cells[first] is None else (of(cells[first]),)
    numbered = list(enumerate(hashes, first))
    return lambda cells: tuple([None if cells[at] is None else of(cells[at]) for at, of in numbered])


def _shape(part: Sequence[tuple[Row, Row]], mark_of: Callable[[Row], Hashable]) -> Shape:
    shape = Shape(len(part))
    last: Hashable = None
    for at, (cells, _) in enumerate(part):
        mark = mark_of(cells)
        if at == 0 or mark != last:
            if at:
                shape.ends.append(at)
            shape.starts.append(at)
            last = mark
        shape.group_of.append(len(shape.starts) - 1)
    shape.ends.append(len(part))
    return shape


def _values(
    call: WindowCallPlan,
    part: Sequence[tuple[Row, Row]],
    shape: Shape,
    order_values: Sequence[Any],
    context: Context,
    values: list[Any],
) -> Iterator[None]:
    """The call's value for every row of the partition."""
    last = call.first + call.count
    arguments = [cells[call.first : last] for cells, _ in part]
    function, frame = call.function, call.frame
    if not isinstance(function, Aggregate) and function.name not in FRAMED:
        values.extend(function.impl(shape, arguments))
        return
    offsets = (
        offset_of(frame.start_offset, "starting", frame.mode, context),
        offset_of(frame.end_offset, "ending", frame.mode, context),
    )
    bounds = Bounds(frame, shape, order_values, offsets, context)
    if not isinstance(function, Aggregate):
        values.extend(_framed(function.name, arguments, bounds, frame, shape))
        return
    if call.passes is not None:
        accepted = [cells[call.passes] is True for cells, _ in part]
    else:
        accepted = [True] * len(part)
    if function.strict:
        accepted = [good and None not in own for good, own in zip(accepted, arguments, strict=True)]
    yield from _Aggregation(function, arguments, accepted).values(bounds, frame, shape, values)


def _framed(name: str, arguments: Sequence[Row], bounds: Bounds, frame: FramePlan, shape: Shape) -> Iterator[Any]:
    for at, own in enumerate(arguments):
        ranges = bounds.ranges(at, frame.exclude, shape)
        if name == "nth_value":
            wanted = own[1]
            if wanted is not None and wanted <= 0:
                raise SqlError(
                    Code.invalid_argument_for_nth_value_function, "argument of nth_value must be greater than zero"
                )
            yield None if wanted is None else _nth(arguments, ranges, wanted)
        elif not ranges:
            yield None
        else:
            yield arguments[ranges[0][0] if name == "first_value" else ranges[-1][1] - 1][0]


def _nth(arguments: Sequence[Row], ranges: Sequence[tuple[int, int]], wanted: int) -> Any:
    for low, high in ranges:
        if wanted <= high - low:
            return arguments[low + wanted - 1][0]
        wanted -= high - low
    return None


class _Aggregation:
    """One aggregate over frames that follow each other: what the last frame's state can be used for again is kept."""

    __slots__ = ("accepted", "arguments", "count", "end", "function", "start", "state", "steps")

    def __init__(self, function: Aggregate, arguments: Sequence[Row], accepted: Sequence[bool]) -> None:
        self.function = function
        self.arguments = arguments
        self.accepted = accepted
        self.steps = 0
        self._clear(0)

    def _clear(self, start: int) -> None:
        self.state = self.function.init()
        self.count = 0  # rows in the state
        self.start = self.end = start

    def values(self, bounds: Bounds, frame: FramePlan, shape: Shape, values: list[Any]) -> Iterator[None]:
        before: list[tuple[int, int]] | None = None
        value: Any = None
        for at in range(shape.size):
            ranges = bounds.ranges(at, frame.exclude, shape)
            if ranges != before:
                if frame.exclude:
                    self._clear(0)
                    for low, high in ranges:
                        yield from self._add(low, high)
                else:
                    yield from self._slide(*(ranges[0] if ranges else (self.end, self.end)))
                value = self._final()
                before = ranges
            values.append(value)
            self.steps += 1
            if self.steps >= STEPS:
                self.steps = 0
                yield

    def _slide(self, start: int, end: int) -> Iterator[None]:
        """From the last frame to the next one."""
        usable = self.start <= start <= self.end <= end
        if usable and start > self.start:
            inverse = self.function.inverse
            if inverse is None:
                usable = False
            else:
                for at in range(self.start, start):
                    if self.accepted[at]:
                        self.state = inverse(self.state, *self.arguments[at])
                        self.count -= 1
                self.start = start
                if self.count == 0:
                    self.state = self.function.init()
        if not usable:
            self._clear(start)
        yield from self._add(self.end, end)
        self.end = end

    def _add(self, low: int, high: int) -> Iterator[None]:
        step, state = self.function.step, self.state
        while low < high:
            until = min(high, low + STEPS)
            for at in range(low, until):
                if self.accepted[at]:
                    state = step(state, *self.arguments[at])
                    self.count += 1
            self.state = state
            self.steps += until - low
            low = until
            if self.steps >= STEPS:
                self.steps = 0
                yield

    def _final(self) -> Any:
        value = self.function.final(self.state)
        return list(value) if isinstance(value, list) else value  # the state goes on: its value must not
