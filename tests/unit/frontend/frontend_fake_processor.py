"""A processor for the frontend's tests: sessions that know a handful of statements, in this process or over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import msgspec

from tausql.pgwire import backend
from tausql.pgwire.messages import (
    SYNC,
    Bind,
    Close,
    Describe,
    Execute,
    Flush,
    FrontendMessage,
    Malformed,
    Parse,
    Query,
    Sync,
    Terminate,
)
from tausql.pgwire.notes import frame
from tausql.pgwire.reader import FrontendReader
from tausql.protocol.adjudicator import Outcome
from tausql.protocol.errors import Code, SqlError, conflict, lost_with_processor
from tausql.protocol.processor import (
    CANCEL_KNOWN,
    CANCEL_UNKNOWN,
    PROCESSOR_SHIFT,
    WITNESS_READY,
    CancelSession,
    ClientOut,
    CommitNote,
    Ended,
    Greeting,
    Load,
    Lost,
    Note,
    Resolved,
    Restore,
    SessionStart,
    Witness,
)
from tausql.rpc.interface import Failure


def note_bytes(note: Note) -> bytes:
    return frame(msgspec.msgpack.encode(note))


ENDED = note_bytes(Ended())
INT4 = backend.Column("n", 23, 4)
TEXT = backend.Column("t", 25)
BLOCK = backend.data_rows([[b"x" * 1000]] * 16)
PARAMETERS = {
    "server_version": "16.15",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}


class FakeSession:
    """Statements: `select 1`, `select $1`, `rows N` (N blocks of 16 rows of 1000 bytes), `sleep` (until cancelled),
    `fail`, `fatal`, `fail at commit`, `begin`, `commit`, `rollback`, `insert`; anything else answers its own text."""

    def __init__(
        self, out: ClientOut, process_id: int, secret: int, processor: FakeProcessor, restore: Restore | None
    ) -> None:
        self.out = out
        self.processor = processor
        self.process_id = process_id
        self.secret = secret
        self.reader = FrontendReader()
        self.status = "I"
        self.sql = ""
        self.parameters: list[bytes | None] = []
        self.formats: tuple[int, ...] = ()
        self.skipping = False
        self.sleeping = False
        self.doomed = False
        self.is_lost = False
        self.answer: list[bytes] = []
        self.held = 0  # blocks not written for want of room
        self.blocks_written = 0
        self.stalled = False
        self.fed_bytes = 0
        self.limit = 0
        self.untold = False
        hello = b"".join(backend.parameter_status(name, value) for name, value in processor.parameters.items())
        hello += backend.backend_key_data(process_id, secret)
        if restore is not None:
            self.status = "E" if restore.lost else "I"
            self.untold = restore.lost == Lost.untold
            self.skipping = restore.skipping
            if restore.question is not None:
                hello += note_bytes(processor.verdict)
        out.write(hello + backend.ready_for_query(self.status))

    def feed(self, data: bytes) -> None:
        self.fed_bytes += len(data)
        for message in self.reader.feed(data):
            if self.processor.silent_at_commit and message is SYNC:
                return
            if self.processor.dies_at_commit and message in (SYNC, Query("COMMIT")):
                self.announce_commit(message)
                self.processor.die()
                return
            self.take(message)
        self.flush()

    def announce_commit(self, message: FrontendMessage) -> None:
        """As the last thing it does. In autocommit the tag has been sent by then, to HTTP SQL's Flush."""
        after = b"" if message is SYNC else backend.command_complete("COMMIT")
        question = Outcome(b"t" * 16, 1, 2, 0, (1, 1))
        self.out.write(note_bytes(CommitNote(1, question, b"".join(self.answer), after, True, {})))
        self.answer.clear()

    def lost(self) -> None:
        self.is_lost = True

    def cancel(self) -> None:
        if self.sleeping:
            self.sleeping = False
            self.fail(SqlError(Code.query_canceled, "canceling statement due to user request"))
            if not self.skipping:
                self.ready()
            self.flush()

    def flush(self) -> None:
        if self.answer and not self.held:
            self.out.write(b"".join(self.answer))
            self.answer.clear()

    def fail(self, error: SqlError) -> None:
        self.answer.append(backend.error_response(error))
        if self.status == "T":
            self.status = "E"

    def take(self, message: FrontendMessage) -> None:
        if self.skipping and not isinstance(message, Sync | Terminate):
            return
        if self.untold and isinstance(message, Query | Parse) and message.sql.lower() != "rollback":
            self.untold = False
            if message.sql.lower() == "commit":
                self.status = "I"
            self.fail(lost_with_processor())
            if isinstance(message, Query):
                self.ready()
            else:
                self.skipping = True
            return
        match message:
            case Query(sql):
                self.sql, self.parameters, self.formats = sql.rstrip(";"), [], ()
                self.run(described=False)
                if not self.sleeping:
                    self.ready()
            case Parse(_, sql):
                self.sql = sql
                self.answer.append(backend.PARSE_COMPLETE)
            case Bind():
                self.parameters, self.formats = message.parameters, message.result_formats
                self.answer.append(backend.BIND_COMPLETE)
            case Describe(portal):
                if not portal:
                    self.answer.append(backend.parameter_description([25] if "$1" in self.sql else []))
                column = self.column()
                self.answer.append(backend.NO_DATA if column is None else backend.row_description([column]))
            case Execute(_, limit):
                self.limit = limit
                self.run(described=True)
            case Close():
                self.answer.append(backend.CLOSE_COMPLETE)
            case Sync():
                self.skipping = False
                if self.doomed and self.status == "I":
                    self.doomed = False
                    self.fail(conflict())
                self.ready()
            case Malformed(error):
                self.fail(error)
                if error.severity == "FATAL":
                    self.flush()
                    self.out.close()
            case Terminate():
                self.out.close()
            case Flush():
                pass

    def ready(self) -> None:
        self.answer.append(backend.ready_for_query(self.status))

    def column(self) -> backend.Column | None:
        word = self.sql.split(" ")[0].lower()
        if self.sql == "select 1":
            return INT4
        return None if word in ("begin", "commit", "rollback", "insert", "fail", "fatal", "sleep", "die") else TEXT

    def run(self, described: bool) -> None:
        sql = self.sql.lower()
        word = sql.split(" ")[0]
        if sql.startswith("begin"):
            self.status = "T"
            self.answer.append(backend.command_complete("BEGIN"))
        elif sql in ("commit", "rollback"):
            tag = "ROLLBACK" if self.status == "E" else sql.upper()
            self.status = "I"
            if self.doomed:
                self.doomed = False
                self.fail(conflict())
            else:
                self.answer.append(backend.command_complete(tag))
        elif word == "insert":
            self.answer.append(backend.command_complete("INSERT 0 2"))
        elif sql == "fail at commit":
            self.doomed = True
            self.answer.append(backend.command_complete("INSERT 0 1"))
        elif word == "fail":
            self.skipping = described
            self.fail(SqlError(Code.unique_violation, "duplicate key", detail="Key (a)=(1) already exists.", hint="h"))
        elif word == "fatal":
            self.fail(SqlError(Code.admin_shutdown, "terminating", severity="FATAL"))
            if self.processor.server is not None:
                self.answer.append(ENDED)
            self.flush()
            self.out.close()
        elif word == "sleep":
            self.sleeping = True
            self.skipping = described
        else:
            self.rows(described)

    def rows(self, described: bool) -> None:
        column = self.column()
        assert column is not None
        if not described:
            self.answer.append(backend.row_description([column]))
        if self.sql.startswith("rows "):
            self.stream(int(self.sql.split(" ")[1]))
            return
        if column is INT4:
            value: bytes | None = (1).to_bytes(4, "big") if self.formats == (1,) else b"1"
        else:
            value = self.parameters[0] if self.parameters else self.sql.encode()
        self.answer += [backend.data_row([value]), backend.command_complete("SELECT 1")]

    def stream(self, blocks: int) -> None:
        self.flush()
        self.held = blocks
        self.more()

    def more(self) -> None:
        while self.held:
            self.stalled = not self.out.when_writable(self.more)
            if self.stalled:
                return
            self.held -= 1
            self.blocks_written += 1
            self.out.write(BLOCK)
        self.answer.insert(0, backend.command_complete("SELECT 99"))
        asyncio.get_running_loop().call_soon(self.flush)


class FakeProcessor:
    """A `SessionHost`, and with `serve` a TCP one."""

    def __init__(self, index: int = 1) -> None:
        self.index = index
        self.starts: list[SessionStart] = []
        self.sessions: dict[int, FakeSession] = {}
        self.load = Load(0, 100, False)
        self.server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()
        self.ends: list[Callable[[Failure | None], None]] = []
        self.watchers: list[Callable[[Load], None]] = []
        self.dies_at_commit = False
        self.silent_at_commit = False
        self.parameters = dict(PARAMETERS)
        self.verdict = Resolved(True)

    def attach(self, start: SessionStart, out: ClientOut) -> FakeSession:
        self.starts.append(start)
        process_id, secret = self.index << PROCESSOR_SHIFT | len(self.starts), 4_000_000_000 + len(self.starts)
        if start.restore is not None:
            process_id, secret = start.restore.process_id, start.restore.secret
        session = FakeSession(out, process_id, secret, self, start.restore)
        self.sessions[process_id] = session
        return session

    def cancel(self, process_id: int, secret: int) -> bool:
        session = self.sessions.get(process_id)
        if session is None or session.is_lost or session.secret != secret:
            return False
        session.cancel()
        return True

    async def serve(self) -> str:
        self.server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def tell(self, load: Load) -> None:
        """To every frontend that watches."""
        self.load = load
        for watcher in self.watchers:
            watcher(load)

    def die(self) -> None:
        """As a killed process: the connections break, nothing is said."""
        for connection in list(self.connections):
            connection.transport.abort()

    def close(self) -> None:
        self.die()
        if self.server is not None:
            self.server.close()


class FakeNetwork:
    """A `Network` and its `Channel`s in one, for the one stream that frontends ask for. Addresses are indexes."""

    def __init__(self, processors: list[FakeProcessor], loop: asyncio.AbstractEventLoop) -> None:
        self.processors = processors
        self.loop = loop

    def connect(self, address: str, service: str) -> FakeNetwork:
        assert service == "processor"
        return FakeNetwork([each for each in self.processors if str(each.index) == address], self.loop)

    def stream(
        self, request: object, on_item: Callable[[Load], None], on_end: Callable[[Failure | None], None]
    ) -> FakeNetwork:
        (processor,) = self.processors
        processor.watchers.append(on_item)
        processor.ends.append(on_end)
        self.loop.call_soon(on_item, processor.load)
        return self

    def cancel(self) -> None:
        pass


class _Connection(asyncio.Protocol):
    """The processor's end of a session connection."""

    transport: asyncio.Transport

    def __init__(self, processor: FakeProcessor) -> None:
        self.processor = processor
        self.data = b""
        self.session: FakeSession | None = None
        self.waiting: Callable[[], None] | None = None
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.processor.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.session is not None:
            self.session.feed(data)
            return
        self.data += data
        if len(self.data) < 4 or len(self.data) < 4 + int.from_bytes(self.data[:4], "big"):
            return
        end = 4 + int.from_bytes(self.data[:4], "big")
        greeting = msgspec.msgpack.decode(self.data[4:end], type=Greeting)
        if isinstance(greeting, CancelSession):
            known = self.processor.cancel(greeting.process_id, greeting.secret)
            self.transport.write(CANCEL_KNOWN if known else CANCEL_UNKNOWN)
            self.transport.close()
            return
        if isinstance(greeting, Witness):
            self.transport.write(WITNESS_READY)
            return
        self.session = self.processor.attach(greeting, self)
        if self.data[end:]:
            self.session.feed(self.data[end:])

    def connection_lost(self, error: Exception | None) -> None:
        self.processor.connections.discard(self)
        if self.session is not None:
            self.session.lost()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        self.transport.close()

    def when_writable(self, function: Callable[[], None]) -> bool:
        if self.paused:
            self.waiting = function
        return not self.paused

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting()

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()
