"""COPY FROM STDIN and COPY TO STDOUT.

COPY FROM is an INSERT of rows that arrive as text: it runs as INSERT statements of some hundred rows each, so that
defaults, constraints, indexes and the transaction's limits are the same as everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tausql.pgwire import backend, copy_binary
from tausql.pgwire.copy import CopyOptions, CopyReader, CopyWriter, copy_options
from tausql.pgwire.messages import CopyData, CopyDone, CopyFail, Flush, Sync, Terminate
from tausql.processor.execution import FIRST_ROWS, Executor
from tausql.processor.output import ClientGone
from tausql.processor.portals import Portal, PreparedStatement
from tausql.processor.state import SessionState
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.statements import Statement
from tausql.sql.types import Type, type_by_oid

BATCH_ROWS = 100
OUT_ROWS = 200

Fields = Sequence[str | None]


async def run_copy(state: SessionState, executor: Executor, statement: Statement) -> str:
    """Run a COPY; its tag. Raises SqlError, `ClientGone`."""
    state.block.check_usable()
    state.shared.metrics.statements["copy"] += 1
    options = copy_options(statement.options["options"])
    if statement.options["direction"] == "from":
        return await _copy_in(state, executor, statement, options)
    return await _copy_out(state, executor, statement, options)


async def _copy_in(state: SessionState, executor: Executor, statement: Statement, options: CopyOptions) -> str:
    state.block.check_writable("COPY FROM")
    table = await _table(state, statement)
    columns = _columns(table, statement.options["columns"])
    names = [column.name for column in columns]
    binary = options.format == "binary"
    inserting = _Inserting(state, executor, table, columns, binary)
    reader: CopyReader | copy_binary.BinaryReader = (
        copy_binary.BinaryReader(table.name, names) if binary else CopyReader(options, table.name, names)
    )
    state.output.add(backend.copy_in_response(len(names), binary))
    state.output.flush()
    while True:
        message = await state.next_message()
        if isinstance(message, CopyData):
            await inserting.take(reader.feed(message.data))
        elif isinstance(message, CopyDone):
            await inserting.take(reader.finish())
            await inserting.finish()
            return f"COPY {inserting.count}"
        elif isinstance(message, CopyFail):
            raise SqlError(Code.query_canceled, f"COPY from stdin failed: {message.message}")
        elif isinstance(message, Terminate):
            raise ClientGone
        elif not isinstance(message, Flush | Sync):
            raise SqlError(
                Code.protocol_violation, f"unexpected message {type(message).__name__} during COPY from stdin"
            )


class _Inserting:
    """Rows of text, or of binary values, on their way into a table, a batch at a time."""

    def __init__(
        self, state: SessionState, executor: Executor, table: Table, columns: list[Column], binary: bool
    ) -> None:
        self._state = state
        self._executor = executor
        self._table = table
        self._columns = columns
        self._types: list[Type] = [type_by_oid(column.type_oid) for column in columns]
        self._format = state.parameters.format
        self._binary = binary
        self._prepared: dict[int, PreparedStatement] = {}  # by number of rows
        self._rows: list[Any] = []  # datums, row after row
        self._waiting = 0
        self.count = 0

    async def take(self, rows: Sequence[Sequence[Any]]) -> None:
        for fields in rows:
            self.count += 1
            for at, field in enumerate(fields):
                self._rows.append(None if field is None else self._datum(at, field))
            self._waiting += 1
            if self._waiting == BATCH_ROWS:
                await self.finish()

    async def finish(self) -> None:
        """Insert what waits."""
        if not self._waiting:
            return
        rows, self._rows = self._rows, []
        prepared = self._statement(self._waiting)
        self._waiting = 0
        await self._executor.collect(prepared, rows)

    def _datum(self, at: int, field: Any) -> Any:
        try:
            if self._binary:
                return self._types[at].binary_in(field)
            return self._types[at].text_in(field, self._format, -1)
        except SqlError as error:
            error.where = f"COPY {self._table.name}, line {self.count}, column {self._columns[at].name}"
            if not self._binary:
                error.where += f': "{field[:100]}"'
            raise

    def _statement(self, rows: int) -> PreparedStatement:
        prepared = self._prepared.get(rows)
        if prepared is None:
            width = len(self._types)
            values = ", ".join(
                "(" + ", ".join(f"${row * width + at + 1}" for at in range(width)) + ")" for row in range(rows)
            )
            names = ",".join(quoted(column.name) for column in self._columns)
            # What is copied in stands, whatever an identity column says.
            text = f"INSERT INTO {_named(self._table)} ({names}) OVERRIDING SYSTEM VALUE VALUES {values}"
            (statement,) = self._state.shared.plans.statements(text)
            prepared = self._prepared[rows] = PreparedStatement("", statement, tuple(self._types) * rows)
        return prepared


async def _copy_out(state: SessionState, executor: Executor, statement: Statement, options: CopyOptions) -> str:
    source = statement.options["query"]
    if source is None:
        table = await _table(state, statement)
        names = ",".join(quoted(column.name) for column in _columns(table, statement.options["columns"]))
        (source,) = state.shared.plans.statements(f"SELECT {names} FROM {_named(table)}")
    source.refuse()
    if not source.needs_plan:
        raise SqlError(Code.syntax_error, "COPY needs a query with rows")
    prepared = PreparedStatement("", source, ())
    await executor.plan(prepared)
    plan = prepared.plan
    if plan is None or plan.columns is None:
        raise SqlError(Code.feature_not_supported, "COPY query must have a RETURNING clause")
    if options.format == "binary":
        return await _copy_out_binary(state, executor, prepared)
    writer = CopyWriter(options)
    output = state.output
    output.add(backend.copy_out_response(len(plan.columns)))
    if options.header:
        output.add(backend.copy_data(writer.header([column.name for column in plan.columns])))
    portal = Portal("", prepared, [], ())
    outs = [column.type.text_out for column in plan.columns]
    format = state.parameters.format
    count = 0
    while rows := await executor.rows(portal, OUT_ROWS if count else FIRST_ROWS):
        for row in rows:
            fields = [None if value is None else out(value, format) for out, value in zip(outs, row, strict=False)]
            output.add(backend.copy_data(writer.row(fields)))
        count += len(rows)
        if output.full:
            await executor.drain()
    state.settle_portal(portal)
    output.add(backend.COPY_DONE)
    return f"COPY {count}"


async def _copy_out_binary(state: SessionState, executor: Executor, prepared: PreparedStatement) -> str:
    columns = prepared.plan.columns if prepared.plan is not None else None
    outs = [column.type.binary_out for column in columns or ()]
    output = state.output
    output.add(backend.copy_out_response(len(outs), True))
    before = copy_binary.HEADER  # in one message with the first row, or with the trailer, as drivers expect it
    portal = Portal("", prepared, [], ())
    count = 0
    while rows := await executor.rows(portal, OUT_ROWS if count else FIRST_ROWS):
        for row in rows:
            fields = [None if value is None else out(value) for out, value in zip(outs, row, strict=False)]
            output.add(backend.copy_data(before + copy_binary.binary_row(fields)))
            before = b""
        count += len(rows)
        if output.full:
            await executor.drain()
    state.settle_portal(portal)
    output.add(backend.copy_data(before + copy_binary.TRAILER))
    output.add(backend.COPY_DONE)
    return f"COPY {count}"


async def _table(state: SessionState, statement: Statement) -> Table:
    """The table a COPY names. Raises 42P01."""
    schema, name = statement.options["table"]
    catalogue = state.shared.catalogue
    transaction = state.block.current()
    snapshot = await catalogue.of(transaction)
    path = state.parameters.search_path
    table = snapshot.find(schema, name, path)
    if table is None:
        snapshot = await catalogue.renewed(transaction)
        table = snapshot.find(schema, name, path)
    if table is None:
        shown = f"{schema}.{name}" if schema is not None else name
        raise SqlError(Code.undefined_table, f'relation "{shown}" does not exist')
    return table


def _columns(table: Table, names: list[str] | None) -> list[Column]:
    """The columns a COPY names, all but the generated ones where it names none. Raises 42703, 42701, 42P10."""
    if names is None:
        return [column for column in table.live_columns if column.generated is None]
    columns: list[Column] = []
    for name in names:
        column = table.column(name)
        if column is None:
            raise SqlError(Code.undefined_column, f'column "{name}" of relation "{table.name}" does not exist')
        if column.generated is not None:
            raise SqlError(
                Code.invalid_column_reference,
                f'column "{name}" is a generated column',
                detail="Generated columns cannot be used in COPY.",
            )
        if column in columns:
            raise SqlError(Code.duplicate_column, f'column "{name}" specified more than once')
        columns.append(column)
    return columns


def _named(table: Table) -> str:
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def quoted(name: str) -> str:
    """An identifier that means exactly `name`."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
