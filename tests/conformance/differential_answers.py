"""What a session answers to a step, in a form in which two of them can be compared.

Two sessions: one of libpq, for PostgreSQL and for a fleet of processes; one of a processor that runs within this
process in virtual time, which waits for no disk and no other process, so that tens of thousands of statements can be
compared in the time a fleet needs for hundreds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from differential_statements import Step
from psycopg.pq import DiagnosticField, ExecStatus, Format

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "processor"))

from processor_client import Client, status
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.pgwire.client import CommandComplete, DataRow, ErrorResponse, ParameterDescription, RowDescription

GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.EMPTY_QUERY)


@dataclass(slots=True)
class Answer:
    tag: str = ""
    columns: tuple[tuple[str, int, int], ...] = ()  # name, type, modifier
    params: tuple[int, ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    error: tuple[str, str] | None = None


class Session(Protocol):
    """A client's session. `status`: I outside transactions, T within one, E within a failed one."""

    def answer(self, step: Step) -> Answer: ...

    @property
    def status(self) -> str: ...

    def close(self) -> None: ...


class LibpqSession:
    """By libpq, of a server at `dsn`."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)

    @property
    def status(self) -> str:
        return "IATEX"[self.connection.pgconn.transaction_status]

    def close(self) -> None:
        self.connection.close()

    def answer(self, step: Step) -> Answer:
        low = self.connection.pgconn
        made = Answer()
        if step.mode == "simple":
            result = low.exec_(step.sql.encode())
        else:
            values: list[Any] = [None if value is None else value.encode() for value in step.params]
            result = low.prepare(b"", step.sql.encode())
            if result.status in GOOD:
                described = low.describe_prepared(b"")
                made.params = tuple(described.param_type(at) for at in range(described.nparams))
                result = low.exec_prepared(b"", values, result_format=Format(step.mode == "binary"))
        if result.status not in GOOD:
            state = (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
            message = (result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
            made.error = (state, message)
            return made
        made.tag = (result.command_status or b"").decode()
        made.columns = tuple(
            ((result.fname(at) or b"").decode(), result.ftype(at), result.fmod(at)) for at in range(result.nfields)
        )
        made.rows = tuple(
            tuple(result.get_value(row, at) for at in range(result.nfields)) for row in range(result.ntuples)
        )
        return made


class VirtualSession:
    """Of a processor in virtual time, over storage and adjudicators that are obviously right."""

    def __init__(self, **settings: Any) -> None:
        self._client = Client(TestFleet(**settings))
        self.status = "I"

    def close(self) -> None:
        return None

    def answer(self, step: Step) -> Answer:
        if step.mode == "simple":
            messages = self._client.query(step.sql)
        else:
            self._client.send(
                client.parse(step.sql),
                client.describe_statement(),
                client.bind(
                    [None if value is None else value.encode() for value in step.params],
                    result_formats=(1,) if step.mode == "binary" else (),
                ),
                client.execute(),
                client.SYNC,
            )
            messages = self._client.ready()
        self.status = status(messages)
        made = Answer(rows=tuple(message.values for message in messages if isinstance(message, DataRow)))
        for message in messages:
            if isinstance(message, RowDescription):
                made.columns = tuple((one.name, one.type_oid, one.type_modifier) for one in message.columns)
            elif isinstance(message, ParameterDescription):
                made.params = message.types
            elif isinstance(message, CommandComplete):
                made.tag = message.tag
            elif isinstance(message, ErrorResponse):
                error = (message.fields["C"], message.fields["M"])
                return Answer(params=made.params, error=error)
        return made
