"""From a statement to its rows: bind, plan, run. The one door of the statement side for the processor.

Preparing does no I/O and knows no session, so that a plan is shared by every session with the same search path. Running
awaits only what the transaction gives: whoever drives the coroutine knows those awaitables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tausql.protocol.errors import Code, SqlError
from tausql.sql.access import Transaction
from tausql.sql.binding.bound import BoundQuery, BoundStatement, OutputColumn
from tausql.sql.binding.statements import bind_statement
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.execution.referential import settle
from tausql.sql.execution.rows import Project, ValuesRead
from tausql.sql.execution.run import Batch, Cursor, Memory, Node, Run, all_rows
from tausql.sql.execution.scans import NO_ROW, PointRead
from tausql.sql.execution.writes import Write
from tausql.sql.explaining.execution import ExplainExecution
from tausql.sql.expressions.context import Context
from tausql.sql.lexer import Token, name_value, tokens
from tausql.sql.permissions import Need, Versions, permit
from tausql.sql.planning.compiling import Planner
from tausql.sql.planning.queries import plan_query
from tausql.sql.planning.statements import plan_part, plan_parts, plan_write
from tausql.sql.refusals import too_deep
from tausql.sql.statements import Statement
from tausql.sql.system import SystemRelations
from tausql.sql.tables import AccessCache
from tausql.sql.types.builtin import JSON, TEXT
from tausql.sql.types.enums import MARK
from tausql.sql.types.type import Type

ResultColumn = OutputColumn
USERS_MAX = 1000  # of one plan that are known to be permitted

NOTHING_DISABLED: frozenset[str] = frozenset()

_TAGS = {"insert": "INSERT 0", "update": "UPDATE", "delete": "DELETE"}


class Execution(Protocol):
    """A prepared statement being run. `tag` is valid once `done`."""

    done: bool

    @property
    def tag(self) -> str: ...

    @property
    def memory(self) -> Memory | None:
        """What it holds between two fetches; None: nothing."""
        ...

    def fetch(self, max_rows: int) -> Awaitable[Batch]:
        """The next rows: `max_rows` of them, fewer only at the end; 0 = all the rest."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Prepared:
    """A plan. `columns` is None where the statement returns no rows."""

    kind: str
    columns: tuple[ResultColumn, ...] | None
    parameter_types: tuple[Type, ...]
    reads_relations: tuple[tuple[int, int], ...]
    writes: bool
    needs_snapshot: bool
    system: bool
    plan: Node | Write
    snapshot: Snapshot
    subplan_count: int
    explain: dict[str, Any] | None = None
    point: PointRead | None = None
    project: Any = None
    planning_ms: float | None = None  # what making it took; set by whoever has a clock
    wants_literals: bool = False  # of a template: its literals might make a better plan
    needs: tuple[Need, ...] = ()
    parts: tuple[tuple[int, Node], ...] = ()  # of WITH that write
    permitted: dict[str, Versions] = field(default_factory=dict)  # by user: the roles and schemas it relies on besides

    def permit(self, user: str) -> Versions:
        """The roles and schemas that allow `user` to run it, with their versions. Raises 42501."""
        roles = permit(self.needs, self.snapshot, user)
        if len(self.permitted) < USERS_MAX:
            self.permitted[user] = roles
        return roles

    def sequence_values(self) -> int:
        """How many values of a sequence it takes to run it: exact for INSERT ... VALUES, else a first guess."""
        source = self.plan.source if isinstance(self.plan, Write) else None
        while isinstance(source, Project):
            source = source.child
        return len(source.projections) if isinstance(source, ValuesRead) else 1

    def open(self, transaction: Transaction, context: Context) -> Execution:
        """Begins an execution. `context.params` are the parameters' datums; the context belongs to it from now on."""
        context.snapshot = self.snapshot
        if self.point is not None:
            return PointExecution(self, transaction, context)
        if self.explain is not None:
            return ExplainExecution(self, transaction, context)
        run = Run(transaction, context, self.snapshot, self.subplan_count)
        if self.parts:
            run.parts = self.parts
            if not isinstance(self.plan, Write):
                return WritingQueryExecution(self.plan, run)
        if isinstance(self.plan, Write):
            return WriteExecution(self.plan, _TAGS[self.kind], run)
        return QueryExecution(self.plan, run)


def prepare(
    statement: Statement,
    snapshot: Snapshot,
    search_path: tuple[str, ...] = ("public",),
    declared: Sequence[Type | None] = (),
    system: SystemRelations | None = None,
    accesses: AccessCache | None = None,
    disabled: frozenset[str] = NOTHING_DISABLED,
) -> Prepared:
    """Binds and plans. `disabled`: what enable_... settings turn off ("hashjoin"). Raises SqlError, with the position
    of names that mean nothing."""
    statement.refuse()
    inner = statement.options["inner"] if statement.kind == "explain" else statement
    try:
        bound = bind_statement(inner, snapshot, search_path, declared, system)
        explained = statement.kind == "explain"
        prepared = _planned(inner, bound, snapshot, accesses or AccessCache(), disabled, explained)
    except RecursionError:
        raise too_deep() from None
    except SqlError as error:
        locate(error, statement.text)
        if MARK in error.message:
            error.message = with_enum_names(error.message, snapshot.objects, search_path)
        raise
    if statement.kind == "explain":
        prepared.explain = statement.options
        prepared.columns = (ResultColumn("QUERY PLAN", JSON if statement.options["format"] == "json" else TEXT),)
        prepared.writes = prepared.writes and bool(statement.options["analyze"])
        prepared.kind = "explain"
        prepared.point = None
    return prepared


def _planned(
    statement: Statement,
    bound: BoundStatement,
    snapshot: Snapshot,
    accesses: AccessCache,
    disabled: frozenset[str],
    explained: bool,
) -> Prepared:
    planner = Planner(snapshot, bound, accesses, plan_query)
    planner.plan_part = plan_part
    planner.disabled, planner.explained = disabled, explained
    body = bound.body
    plan: Node | Write
    if isinstance(body, BoundQuery):
        plan = plan_query(planner, body)
        columns: tuple[ResultColumn, ...] | None = tuple(body.columns)
        writes = bound.locks
    else:
        plan = plan_write(planner, body)
        columns = None if body.returning is None else tuple(target.column for target in body.returning)
        writes = True
    parts = plan_parts(planner) if any(cte.part is not None for cte in bound.ctes) else ()
    # No read tells that a function or a domain is another one by now: the schema has to be looked at.
    system = bound.system or (bool(bound.relies) and not bound.tables)
    prepared = Prepared(
        statement.kind,
        columns,
        bound.parameter_types,
        (*((table.oid, table.version) for table in bound.tables), *bound.relies),
        writes or bool(parts),
        bool(bound.tables) or system,
        system,
        plan,
        snapshot,
        len(bound.subqueries),
        needs=bound.needs,
        parts=parts,
    )
    prepared.wants_literals = planner.wants_literals and bool(prepared.parameter_types)
    _find_point(prepared)
    return prepared


def _find_point(prepared: Prepared) -> None:
    """A select of one row by its whole primary key has an executor of its own."""
    node = prepared.plan
    project = None
    if isinstance(node, Project) and node.subplans is None:
        project, node = node.project, node.child
    if isinstance(node, PointRead) and not node.bounds.any_many and node.subplans is None and not node.with_key:
        prepared.point, prepared.project = node, project


class PointExecution:
    """One row by its key: the commonest statement of all, without operators."""

    __slots__ = ("context", "count", "done", "prepared", "rows", "transaction")

    memory = None

    def __init__(self, prepared: Prepared, transaction: Transaction, context: Context) -> None:
        self.prepared = prepared
        self.transaction = transaction
        self.context = context
        self.done = False
        self.count = 0

    @property
    def tag(self) -> str:
        return f"SELECT {self.count}"

    async def fetch(self, max_rows: int) -> Batch:
        if self.done:
            return []
        self.done = True
        point = self.prepared.point
        assert point is not None
        bounds = point.bounds
        values: list[Any] = []
        for function in bounds.equal:
            value = function(NO_ROW, self.context) if function is not None else None
            if value is None:
                return []
            values.append(value)
        (stored,) = await self.transaction.get(point.access.oid, [bounds.encode(values)])
        if stored is None:
            return []
        self.count = 1
        row = point.decode(stored)
        project = self.prepared.project
        return [row if project is None else project(row, self.context)]

    def close(self) -> None:
        self.done = True


class QueryExecution:
    __slots__ = ("buffered", "count", "cursor", "done", "run")

    def __init__(self, plan: Node, run: Run) -> None:
        self.run = run
        self.cursor: Cursor = plan.open(run)
        self.buffered: Batch = []
        self.count = 0
        self.done = False

    @property
    def memory(self) -> Memory:
        return self.run.memory

    @property
    def tag(self) -> str:
        return f"SELECT {self.count}"

    async def fetch(self, max_rows: int) -> Batch:
        """See Execution. At the limit it looks one batch ahead, so that `done` is known."""
        rows = self.buffered
        while not self.done and (max_rows == 0 or len(rows) <= max_rows):
            batch = await self.cursor.next()
            if not batch:
                self.done = True
            elif rows:
                rows = rows + batch
            else:
                rows = batch
        if max_rows and len(rows) > max_rows:
            self.buffered = rows[max_rows:]
            rows = rows[:max_rows]
            self.done = False
        else:
            self.buffered = []
        self.count += len(rows)
        return rows

    def close(self) -> None:
        self.done = True
        self.buffered = []
        self.cursor = _NOTHING


class _Nothing:
    __slots__ = ()

    async def next(self) -> Batch:
        return []


_NOTHING = _Nothing()


class WriteExecution:
    """All work is done by the first fetch; the rows of RETURNING then come from memory."""

    __slots__ = ("count", "done", "plan", "returned", "run", "started", "verb")

    def __init__(self, plan: Write, verb: str, run: Run) -> None:
        self.plan = plan
        self.verb = verb
        self.run = run
        self.started = False
        self.done = False
        self.count = 0
        self.returned: Batch = []

    @property
    def memory(self) -> Memory:
        return self.run.memory

    @property
    def tag(self) -> str:
        return f"{self.verb} {self.count}"

    async def fetch(self, max_rows: int) -> Batch:
        if not self.started:
            self.started = True
            self.count, self.returned = await self.plan.run(self.run)
            if self.run.parts:
                await self.run.finish_parts()
            if self.run.referential is not None:
                await settle(self.run)
        if max_rows and len(self.returned) > max_rows:
            rows, self.returned = self.returned[:max_rows], self.returned[max_rows:]
            return rows
        rows, self.returned = self.returned, []
        self.done = True
        return rows

    def close(self) -> None:
        self.done = True


class WritingQueryExecution:
    """A query with parts in WITH that write: all is done by the first fetch, however many rows it asks for."""

    __slots__ = ("count", "done", "plan", "rows", "run")

    def __init__(self, plan: Node, run: Run) -> None:
        self.plan = plan
        self.run = run
        self.done = False
        self.count = 0
        self.rows: Batch | None = None

    @property
    def memory(self) -> Memory:
        return self.run.memory

    @property
    def tag(self) -> str:
        return f"SELECT {self.count}"

    async def fetch(self, max_rows: int) -> Batch:
        if self.rows is None:
            rows = await all_rows(self.plan, self.run)
            await self.run.finish_parts()
            if self.run.referential is not None:
                await settle(self.run)
            self.rows = rows
        rows = self.rows
        if max_rows and len(rows) > max_rows:
            rows, self.rows = rows[:max_rows], rows[max_rows:]
        else:
            self.rows = []
            self.done = True
        self.count += len(rows)
        return rows

    def close(self) -> None:
        self.done = True
        self.rows = []


_LOCATED = frozenset((Code.undefined_table, Code.undefined_column, Code.ambiguous_column))


def locate(error: SqlError, text: str) -> None:
    """Gives errors about a name the position of its first use. Names are found by words: good enough to point at."""
    if error.position is not None or error.code not in _LOCATED:
        return
    name = error.message.split('"')[1] if '"' in error.message else error.message.split()[1]
    wanted = name.split(".")
    found: list[Token] = tokens(text)
    for at in range(len(found)):
        parts = found[at : at + 2 * len(wanted) - 1 : 2]
        if [name_value(part) for part in parts] == wanted:
            error.position = found[at].start + 1
            return
