"""Prepared statements and portals: what outlives a message, and everything about a statement worth computing once.

A RowDescription, the functions that encode its columns and those that decode its parameters depend on the plan and on
the formats asked for, never on the values. They are made the first time and kept with the prepared statement: a cached
Bind, Describe, Execute then only runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tausql.pgwire import backend
from tausql.pgwire.backend import Column
from tausql.pgwire.messages import Bind
from tausql.pgwire.reader import formats
from tausql.processor.transaction import StatementView, TransactionMark
from tausql.protocol.errors import Code, SqlError
from tausql.sql.catalogue.descriptors import Snapshot
from tausql.sql.engine import Execution, Prepared, ResultColumn
from tausql.sql.expressions.context import Context
from tausql.sql.statements import Statement
from tausql.sql.types import Type
from tausql.sql.types.encoders import decoder, encoder
from tausql.sql.types.session_format import SessionFormat

Row = list[Any]
EncodeRows = Callable[[Sequence[Row]], bytes]
SHAPES_MAX = 16  # formats a client asks one statement's results in: one or two in practice


class ResultShape:
    """How the rows of one result look on the wire."""

    __slots__ = ("description", "encode")

    def __init__(self, columns: Sequence[ResultColumn], codes: Sequence[int], format: SessionFormat) -> None:
        self.description = backend.row_description(
            [
                Column(
                    column.name,
                    column.type.oid,
                    column.type.length,
                    type_modifier=column.typmod,
                    table_oid=column.table_oid,
                    attnum=column.attnum,
                    format=code,
                )
                for column, code in zip(columns, codes, strict=True)
            ]
        )
        self.encode = _rows_encoder(
            [encoder(column.type, code, format) for column, code in zip(columns, codes, strict=True)]
        )


def _rows_encoder(encoders: list[Callable[[Any], bytes]]) -> EncodeRows:
    data_rows = backend.data_rows
    if len(encoders) == 1:
        only = encoders[0]

        def encode_one(rows: Sequence[Row]) -> bytes:
            return data_rows([(None if row[0] is None else only(row[0]),) for row in rows])

        return encode_one

    def encode(rows: Sequence[Row]) -> bytes:
        return data_rows(
            [
                [None if value is None else encode(value) for encode, value in zip(encoders, row, strict=False)]
                for row in rows
            ]
        )

    return encode


class PreparedStatement:
    """What Parse made. `plan` is None for statements that are not planned (BEGIN, SET, DDL, ...)."""

    __slots__ = (
        "_decoders",
        "_shapes",
        "bound",
        "carried_columns",
        "declared",
        "described",
        "name",
        "path",
        "plan",
        "snapshot",
        "statement",
    )

    def __init__(self, name: str, statement: Statement | None, declared: tuple[Type | None, ...]) -> None:
        self.name = name
        self.statement = statement  # None: an empty query
        self.declared = declared
        self.plan: Prepared | None = None
        self.snapshot: Snapshot | None = None  # the plan was made with it
        self.path: tuple[str, ...] = ()
        self.described = False  # a client has been told its columns
        self.carried_columns: list[tuple[str, int, int]] | None = None  # those, if that was on another processor
        self.bound = False  # since it was last parsed
        self._shapes: dict[tuple[int, ...], ResultShape] = {}
        self._decoders: dict[tuple[int, ...], list[Callable[[bytes], Any]]] = {}

    @property
    def characters(self) -> int:
        """How long its text is."""
        return len(self.statement.text) if self.statement is not None else 0

    def planned(self, plan: Prepared, snapshot: Snapshot, path: tuple[str, ...]) -> None:
        """Take a plan, or a newer one. Raises 0A000 where it would answer with other columns than before."""
        old = self.plan
        if old is not None and old is not plan:
            if self.described and not same_columns(old.columns, plan.columns):
                raise SqlError(Code.feature_not_supported, "cached plan must not change result type")
            if old.columns != plan.columns:
                self._shapes.clear()
            if old.parameter_types != plan.parameter_types:
                self._decoders.clear()
        if self.carried_columns is not None:
            if self.carried_columns != [(one.name, one.type.oid, one.typmod) for one in plan.columns or ()]:
                raise SqlError(Code.feature_not_supported, "cached plan must not change result type")
            self.carried_columns = None
        if old is None:
            # What $1 is was settled when the statement was prepared, and the client sends its values accordingly.
            self.declared = plan.parameter_types
        self.plan = plan
        self.snapshot = snapshot
        self.path = path

    def shape(self, columns: Sequence[ResultColumn], codes: tuple[int, ...], format: SessionFormat) -> ResultShape:
        """`codes` as the client sent them."""
        shape = self._shapes.get(codes)
        if shape is None:
            shape = ResultShape(columns, formats(codes, len(columns)), format)
            if len(self._shapes) >= SHAPES_MAX:
                self._shapes.clear()
            self._shapes[codes] = shape
        return shape

    def parameters(self, bind: Bind, types: Sequence[Type], format: SessionFormat) -> list[Any]:
        """The datums a Bind brings. Raises 08P01 for a wrong number of them, 22P02 and others for bad values."""
        given = bind.parameters
        if len(given) != len(types):
            raise SqlError(
                Code.protocol_violation,
                f"bind message supplies {len(given)} parameters, but prepared statement "
                f'"{self.name}" requires {len(types)}',
            )
        if not given:
            return []
        decoders = self._decoders.get(bind.parameter_formats)
        if decoders is None:
            codes = formats(bind.parameter_formats, len(types))
            decoders = [decoder(type_, code, format) for type_, code in zip(types, codes, strict=True)]
            if len(self._decoders) >= SHAPES_MAX:
                self._decoders.clear()
            self._decoders[bind.parameter_formats] = decoders
        at = 0
        try:
            values = []
            for at, (decode, data) in enumerate(zip(decoders, given, strict=True)):  # noqa: B007
                values.append(None if data is None else decode(data))
            return values
        except SqlError as error:
            if error.code is Code.invalid_binary_representation:
                error.message += f" in bind parameter {at + 1}"
            raise


class Portal:
    """What Bind made: a statement with its parameters, started by the first Execute."""

    __slots__ = (
        "codes",
        "context",
        "done",
        "execution",
        "name",
        "params",
        "prepared",
        "shape",
        "size",
        "started",
        "undo",
        "view",
        "waiting",
    )

    def __init__(
        self, name: str, prepared: PreparedStatement, params: list[Any], codes: tuple[int, ...], size: int = 0
    ) -> None:
        self.name = name
        self.size = size  # bytes of the parameters, of a named one
        self.prepared = prepared
        self.params = params
        self.codes = codes
        self.shape: ResultShape | None = None
        self.execution: Execution | None = None
        self.view: StatementView | None = None
        self.undo: TransactionMark | None = None  # where a statement of several writes is taken back to
        self.context: Context | None = None
        self.started = False
        self.done = False
        self.waiting: tuple[str, list[Row]] | None = None  # (tag, rows left) of a statement that is not planned

    def close(self) -> None:
        if self.execution is not None:
            self.execution.close()
            self.execution = self.context = None


def same_columns(old: Sequence[ResultColumn] | None, new: Sequence[ResultColumn] | None) -> bool:
    """True if a client that knows the old columns can read the new ones."""
    if old is None or new is None:
        return old is new
    return [(column.name, column.type, column.typmod) for column in old] == [
        (column.name, column.type, column.typmod) for column in new
    ]
