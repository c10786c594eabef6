"""EXPLAIN being run: with ANALYZE the statement first, then the plan as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tausql.sql.access import Transaction
from tausql.sql.catalogue.enum_names import with_enum_names
from tausql.sql.execution.referential import settle
from tausql.sql.execution.run import Batch, Counted, Row, Run
from tausql.sql.execution.writes import Write
from tausql.sql.explaining.forms import Options, Summary, TextForm, document
from tausql.sql.explaining.shown import Shower
from tausql.sql.expressions.context import Context

if TYPE_CHECKING:
    from tausql.sql.engine import Prepared


class ExplainExecution:
    """An `Execution` of an EXPLAIN."""

    __slots__ = ("context", "done", "lines", "prepared", "transaction")

    tag = "EXPLAIN"
    memory = None

    def __init__(self, prepared: Prepared, transaction: Transaction, context: Context) -> None:
        self.prepared = prepared
        self.transaction = transaction
        self.context = context
        self.done = False
        self.lines: Batch | None = None

    async def fetch(self, max_rows: int) -> Batch:
        if self.lines is None:
            self.lines = await self._lines()
        if max_rows and len(self.lines) > max_rows:
            rows, self.lines = self.lines[:max_rows], self.lines[max_rows:]
            return rows
        rows, self.lines = self.lines, []
        self.done = True
        return rows

    async def _lines(self) -> list[Row]:
        prepared = self.prepared
        given = prepared.explain
        assert given is not None
        analyze = bool(given["analyze"])
        options = Options(
            analyze,
            bool(given["verbose"]),
            bool(given.get("costs", True)),
            bool(given.get("timing", True)),
            bool(given.get("summary", analyze)),
        )
        summary = Summary(given["inner"].text, prepared.planning_ms)
        counts: dict[int, Counted] | None = None
        if analyze:
            read, written = self.transaction.usage()
            began = self.context.clock()
            counts = await self._run()
            summary.execution = (self.context.clock() - began) / 1000
            read_now, written_now = self.transaction.usage()
            summary.read_bytes, summary.written_bytes = read_now - read, written_now - written
        root = Shower(prepared.snapshot, counts, options.verbose).plan(prepared.plan)
        if given["format"] != "text":
            return [[self._named(document(root, summary, options, given["format"]))]]
        return [[self._named(line)] for line in TextForm(options).of(root, summary)]

    def _named(self, text: str) -> str:
        return with_enum_names(text, self.prepared.snapshot.objects, self.context.session.search_path)

    async def _run(self) -> dict[int, Counted]:
        prepared = self.prepared
        run = Run(self.transaction, self.context, prepared.snapshot, prepared.subplan_count, counted=True)
        run.parts = prepared.parts
        if isinstance(prepared.plan, Write):
            await prepared.plan.run(run)
        else:
            cursor = prepared.plan.open(run)
            while await cursor.next():
                pass
        await run.finish_parts()
        await settle(run)
        assert run.counts is not None
        return run.counts

    def close(self) -> None:
        self.done = True
