"""A PostgreSQL client in virtual time: bytes to a session, messages back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.pgwire.client import (
    BackendReader,
    CommandComplete,
    DataRow,
    ErrorResponse,
    Mark,
    NoticeResponse,
    ReadyForQuery,
    RowDescription,
)
from tausql.protocol.processor import SessionStart
from tausql.simulation.world import EPOCH_MICROS
from tausql.sql.catalogue.descriptors import Column, Index, Table
from tausql.sql.catalogue.system import RELATIONS, encode_table, system_keys

INT4, INT8, TEXT = 23, 20, 25


class Out:
    """A `ClientOut` that takes everything, or nothing while `stuck`."""

    def __init__(self) -> None:
        self.reader = BackendReader()
        self.messages: list[Any] = []
        self.writes: list[bytes] = []
        self.closed = False
        self.reading = True
        self.stuck = False
        self.on_write: Callable[[], None] = lambda: None
        self._waiting: Callable[[], None] | None = None

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)
        self.messages.extend(self.reader.feed(data))
        self.on_write()

    def close(self) -> None:
        self.closed = True

    def when_writable(self, function: Callable[[], None]) -> bool:
        if not self.stuck:
            return True
        self._waiting = function
        return False

    def unstick(self) -> None:
        self.stuck = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Client:
    """One session of a processor."""

    def __init__(
        self,
        fleet: TestFleet,
        at: int = 0,
        parameters: dict[str, str] | None = None,
        start: SessionStart | None = None,
    ) -> None:
        self.fleet = fleet
        self.processor = fleet.processors[at]
        self.out = Out()
        start = start if start is not None else SessionStart("admin", "postgres", parameters or {})
        self.session = self.processor.attach(start, self.out)
        if start.user != "admin":  # who that is has to be looked up
            fleet.until(lambda: bool(self.out.messages) or self.out.closed, 60.0)
        self.greeting = self.take()

    def take(self) -> list[Any]:
        messages, self.out.messages = self.out.messages, []
        return messages

    def send(self, *data: bytes) -> None:
        self.session.feed(b"".join(data))

    def ready(self, count: int = 1, seconds: float = 60.0) -> list[Any]:
        """Everything up to the `count`th ReadyForQuery."""
        self.fleet.until(lambda: sum(isinstance(m, ReadyForQuery) for m in self.out.messages) >= count, seconds)
        return self.take()

    def query(self, sql: str) -> list[Any]:
        self.send(client.query(sql))
        return self.ready()

    def execute(self, sql: str, *parameters: bytes | None, formats: tuple[int, ...] = (), types: Any = ()) -> list[Any]:
        self.send(
            client.parse(sql, types=types),
            client.bind(list(parameters), result_formats=formats),
            client.describe_portal(),
            client.execute(),
            client.SYNC,
        )
        return self.ready()


def rows(messages: list[Any]) -> list[tuple[str | None, ...]]:
    return [
        tuple(None if value is None else value.decode() for value in message.values)
        for message in messages
        if isinstance(message, DataRow)
    ]


def tags(messages: list[Any]) -> list[str]:
    return [message.tag for message in messages if isinstance(message, CommandComplete)]


def errors(messages: list[Any]) -> list[tuple[str, str]]:
    return [(m.fields["C"], m.fields["M"]) for m in messages if isinstance(m, ErrorResponse)]


def notices(messages: list[Any]) -> list[tuple[str, str]]:
    return [(m.fields["S"], m.fields["C"]) for m in messages if isinstance(m, NoticeResponse)]


def status(messages: list[Any]) -> str:
    return [m.status for m in messages if isinstance(m, ReadyForQuery)][-1]


def shape(messages: list[Any]) -> list[str]:
    """What came, by kind, in order."""
    return [m.name if isinstance(m, Mark) else type(m).__name__ for m in messages]


def names(messages: list[Any]) -> list[str]:
    return [column.name for m in messages if isinstance(m, RowDescription) for column in m.columns]


def add_table(fleet: TestFleet, table: Table) -> int:
    """Enter a table into the catalogue behind everybody's back, as another processor would. The tau of the change."""
    data = fleet.data
    tau = (EPOCH_MICROS + int(fleet.world.now * 1_000_000) + 1_000) << 10
    tau = max(tau, data.closed + 1024)
    data.closed = tau
    key = system_keys(1).relation((table.oid,))
    data.versions.setdefault(key, []).append((tau, encode_table(table)))
    for relation in (0, RELATIONS, table.oid):
        data.schema.setdefault(relation, []).append(tau)
    fleet.run(0.01)
    return tau


def items(oid: int = 30_000, name: str = "items", *more: Column, index: bool = True) -> Table:
    """items(id integer primary key, grp integer, note text), with an index on grp."""
    columns = (
        Column("id", INT4, -1, True, 0),
        Column("grp", INT4, -1, False, 1),
        Column("note", TEXT, -1, False, 2),
        *more,
    )
    indexes = (Index(oid + 1, f"{name}_grp_idx", (1,), False),) if index else ()
    return Table(oid, "public", name, columns, (0,), f"{name}_pkey", indexes)


def do(client: Client, *statements: str) -> None:
    """Statements that must succeed."""
    for sql in statements:
        answer = client.query(sql)
        assert not errors(answer), (sql, errors(answer))


def error(client: Client, sql: str) -> tuple[str, str]:
    """(SQLSTATE, message) of a statement that must fail."""
    return errors(client.query(sql))[0]


def values(client: Client, sql: str) -> list[tuple[str | None, ...]]:
    """The rows of a query that must succeed."""
    answer = client.query(sql)
    assert not errors(answer), (sql, errors(answer))
    return rows(answer)
