"""A client of the simulated fleet that speaks SQL, over a byte connection to a frontend.

Everything a driver would do, and nothing more: it connects, asks, waits, and knows of a request whose answer never came
that nobody has told it anything. Coroutines here are bare ones (`processor.coroutines`): they run on in the callback
that brings the answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from tausql.checker.history import Status
from tausql.pgwire import client
from tausql.pgwire.client import CommandComplete, DataRow, ErrorResponse, ReadyForQuery
from tausql.processor.coroutines import Bare, Wait, sleep, start
from tausql.protocol.clusters import FIRST_CLUSTER
from tausql.simulation.pipes import Pipe
from tausql.simulation.sql_fleet import CLUSTERS, DATABASE, PASSWORD, USER, SqlFleet
from tausql.simulation.world import Process

T = TypeVar("T")
Row = tuple[str | None, ...]

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 45.0  # longer than a commit's outcome is asked for, wherever that is done
PAUSE_SECONDS = 0.05
UNKNOWN = "40003"
RETRY = "40001"


class SqlFailed(Exception):
    """The server answered with an error. `tags`: what it had said was done before that."""

    def __init__(self, sqlstate: str, message: str, tags: list[str]) -> None:
        super().__init__(f"{sqlstate} {message}")
        self.sqlstate = sqlstate
        self.message = message
        self.tags = tags


class Nonsense(Exception):
    """The server said what it must never say."""


class ConnectionLost(Exception):
    """The answer has not come. Whether the request was run is not known."""


class Answer(NamedTuple):
    rows: list[Row]
    tags: list[str]


class Outcome(NamedTuple):
    """What became of a transaction. `status`: "ok" it is committed, "fail" certainly not, "info" nobody has said."""

    status: Status
    value: Any = None
    sqlstate: str = ""
    message: str = ""


class SqlClient:
    """One session at a time, of `process`. Connects when it is used, and again after each loss."""

    def __init__(self, process: Process, fleet: SqlFleet, cluster: int = FIRST_CLUSTER) -> None:
        self.process = process
        self._fleet = fleet
        self._cluster = cluster
        self._link: _Link | None = None
        self._prepared: dict[str, str] = {}
        self.told: dict[str, int] = {}  # sqlstates, how often

    @property
    def now(self) -> float:
        """True time."""
        return self.process.world.now

    def run(self, coroutine: Bare[Any]) -> None:
        """Let `coroutine` run; what it raises fails the simulation."""
        start(coroutine, _raise)

    def pause(self, seconds: float) -> Awaitable[None]:
        return sleep(self.process, seconds)

    def close(self) -> None:
        """Say goodbye, if there is somebody to say it to."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # --- requests ------------------------------------------------------------------------------------------------

    async def query(self, sql: str) -> Answer:
        """By the simple protocol. Raises SqlFailed, ConnectionLost."""
        link = await self._connected()
        return self._taken((await self._ask(link, client.query(sql)))[0])

    async def copy(self, table: str, lines: Sequence[str]) -> Outcome:
        """COPY FROM STDIN."""
        try:
            link = await self._connected()
            link.copying = client.copy_data("".join(f"{line}\n" for line in lines).encode()) + client.COPY_DONE
            answer = self._taken((await self._ask(link, client.query(f"COPY {table} FROM STDIN")))[0])
        except SqlFailed as error:
            return self._failed(error)
        except ConnectionLost:
            return Outcome("info", message="the connection was lost")
        return Outcome("ok", answer)

    async def pipelined(self, statements: Sequence[str]) -> list[Outcome]:
        """Statements that commit by themselves, sent without waiting for answers, at once or a moment apart."""
        try:
            link = await self._connected()
        except ConnectionLost:
            return [Outcome("info", message="the connection was lost")] * len(statements)
        outcomes: list[Outcome] = []
        asked = [client.query(statement) for statement in statements]
        first = self.process.random.randint(1, len(asked))
        self.process.later(self.process.random.choice((0.0003, 0.002)), link.more, b"".join(asked[first:]))
        answers = await self._ask(link, b"".join(asked[:first]), len(asked), partly=True)
        for answer in answers:
            try:
                outcomes.append(Outcome("ok", self._taken(answer)))
            except SqlFailed as error:
                outcomes.append(self._failed(error))
        missing = len(statements) - len(outcomes)
        return outcomes + [Outcome("info", message="the connection was lost")] * missing

    async def execute(self, sql: str, *parameters: str | int | None) -> Answer:
        """By a prepared statement that the session keeps: it has to move with it. Raises as `query`."""
        link = await self._connected()
        name = self._prepared.get(sql)
        asked = b""
        if name is None:
            name = f"s{len(self._prepared)}"
            asked = client.parse(sql, name)
        values = [None if value is None else str(value).encode() for value in parameters]
        asked += client.bind(values, statement=name) + client.execute() + client.SYNC
        (answer,) = await self._ask(link, asked)
        if answer.parsed:
            self._prepared[sql] = name
        return self._taken(answer)

    async def transaction(self, body: Callable[[SqlClient], Awaitable[T]], begin: str = "BEGIN") -> Outcome:
        """BEGIN, `body`, COMMIT. `value` is what `body` returned, also where the status is "info"."""
        value: T
        try:
            await self.query(begin)
            value = await body(self)
        except SqlFailed as error:
            await self._roll_back()
            return self._failed(error)
        except ConnectionLost:
            return Outcome("fail", message="the connection was lost before COMMIT")
        outcome = await self.commit()
        return outcome._replace(value=value)

    async def commit(self) -> Outcome:
        """COMMIT of a block that has not failed."""
        outcome = await self.once("COMMIT")
        if outcome.status == "ok" and outcome.value.tags != ["COMMIT"]:
            raise Nonsense(f"COMMIT was answered with {outcome.value.tags}")
        return outcome

    async def once(self, sql: str, *parameters: str | int | None) -> Outcome:
        """A statement that commits by itself. `value` is its Answer."""
        try:
            answer = await (self.execute(sql, *parameters) if parameters else self.query(sql))
        except SqlFailed as error:
            await self._roll_back()  # a block that the statement itself has begun
            return self._failed(error)
        except ConnectionLost:
            return Outcome("info", message="the connection was lost")
        return Outcome("ok", answer)

    async def until(self, sql: str, again: Sequence[str] = (RETRY, UNKNOWN), done: Sequence[str] = ()) -> Answer:
        """Repeat a statement that may be run twice until it is answered well, or with one of the errors `done`."""
        while True:
            try:
                return await self.query(sql)
            except ConnectionLost:
                await self.pause(PAUSE_SECONDS)
            except SqlFailed as error:
                if error.sqlstate in done:
                    return Answer([], [])
                if error.sqlstate not in again and not _passing(error.sqlstate):
                    raise Nonsense(f"{sql} was refused: {error}") from None
                await self.pause(PAUSE_SECONDS)

    # --- within --------------------------------------------------------------------------------------------------

    def _failed(self, error: SqlFailed) -> Outcome:
        """An error after a COMMIT in the same message takes nothing back."""
        status: Status = "info" if error.sqlstate == UNKNOWN else "ok" if "COMMIT" in error.tags else "fail"
        return Outcome(status, Answer([], error.tags), error.sqlstate, error.message)

    async def _roll_back(self) -> None:
        """End a block that has failed."""
        try:
            if self._link is not None and self._link.status != "I":
                await self.query("ROLLBACK")
        except (SqlFailed, ConnectionLost):
            self.close()

    async def _connected(self) -> _Link:
        """Raises ConnectionLost if the session has ended since it was used last: what was open in it is over."""
        link = self._link
        if link is not None:
            if not link.over:
                return link
            self._link = None
            raise ConnectionLost
        while True:
            link = _Link(self._fleet, self.process, self._cluster)
            wait: Wait[None] = Wait()
            link.begin(self.process.random.choice(self._fleet.addresses()), wait)
            timer = self.process.later(CONNECT_SECONDS, wait.resolve, None)
            await wait
            timer.cancel()
            if link.status and not link.over:
                self._link = link
                self._prepared = {}
                return link
            link.close()
            await self.pause(PAUSE_SECONDS)

    async def _ask(self, link: _Link, data: bytes, count: int = 1, partly: bool = False) -> list[_Told]:
        """`count` answers; with `partly` perhaps fewer, else ConnectionLost is raised, or the last words' SqlFailed."""
        wait: Wait[None] = Wait()
        link.ask(data, count, wait)
        timer = self.process.later(ANSWER_SECONDS, wait.resolve, None)
        await wait
        timer.cancel()
        if len(link.answers) < count:
            link.close()
            if self._link is link:
                self._link = None
            if not partly:
                if link.told.error is None:
                    raise ConnectionLost
                return [link.told]
        return link.answers

    def _taken(self, told: _Told) -> Answer:
        fields = told.error
        if fields is None:
            return Answer(told.rows, told.tags)
        sqlstate, message = fields["C"], fields.get("M", "")
        self.told[sqlstate] = self.told.get(sqlstate, 0) + 1
        if sqlstate == "XX000":
            raise Nonsense(f"internal error: {message}: {fields.get('D', '')}")
        if "OC001" in message:
            self.process.world.mark("OC001 under load")
        raise SqlFailed(sqlstate, message, told.tags)


class _Told:
    """What a request has been answered with until now."""

    __slots__ = ("error", "parsed", "rows", "tags")

    def __init__(self) -> None:
        self.error: dict[str, str] | None = None
        self.parsed = False  # a statement was
        self.rows: list[Row] = []
        self.tags: list[str] = []


class _Link:
    """One connection, and what is answered on it. `status`: I, T or E; empty until it is ready."""

    def __init__(self, fleet: SqlFleet, process: Process, cluster: int) -> None:
        self._fleet = fleet
        self._process = process
        self._cluster = cluster
        self._pipe: Pipe | None = None
        self._reader = client.BackendReader()
        self._wait: Wait[None] | None = None
        self._count = 1
        self.status = ""
        self.over = False
        self.copying = b""  # what to send when the server takes COPY data
        self.answers: list[_Told] = []
        self.told = _Told()

    def begin(self, address: str, wait: Wait[None]) -> None:
        self._wait = wait

        def done(pipe: Pipe | OSError) -> None:
            if isinstance(pipe, OSError):
                self.over = True
                self._resolve()
            elif self.over:
                pipe.abort()
            else:
                pipe.begin(self)

        self._fleet.pipes.connect(self._process, address, None, done)

    def ask(self, data: bytes, count: int, wait: Wait[None]) -> None:
        self._wait = wait
        self._count = count
        self.answers, self.told = [], _Told()
        if self._pipe is None or self.over:
            self._process.soon(wait.resolve, None)
        else:
            self._pipe.write(data)

    def more(self, data: bytes) -> None:
        if self._pipe is not None and not self.over:
            self._pipe.write(data)

    def close(self) -> None:
        self.over = True
        if self._pipe is not None:
            self._pipe.write(client.TERMINATE)
            self._pipe.close()

    # --- asyncio's words -----------------------------------------------------------------------------------------

    def connection_made(self, pipe: Pipe) -> None:
        self._pipe = pipe
        parameters = {"application_name": self._process.name}
        if self._cluster != FIRST_CLUSTER:
            parameters["options"] = f"-c amzn-cluster-id={CLUSTERS[self._cluster].identifier}"
        pipe.write(client.startup(USER, DATABASE, parameters))

    def data_received(self, data: bytes) -> None:
        told = self.told
        for message in self._reader.feed(data):
            if isinstance(message, DataRow):
                told.rows.append(tuple([None if value is None else value.decode() for value in message.values]))
            elif isinstance(message, CommandComplete):
                told.tags.append(message.tag)
            elif isinstance(message, ReadyForQuery):
                self.status = message.status
                self.answers.append(told)
                self.told = told = _Told()
                if len(self.answers) >= self._count:
                    self._resolve()
            elif isinstance(message, ErrorResponse):
                told.error = message.fields
            elif isinstance(message, client.Mark):
                told.parsed |= message.name == "parse_complete"
            elif self._pipe is not None:
                self._asked(self._pipe, message)

    def _asked(self, pipe: Pipe, message: client.BackendMessage) -> None:
        if isinstance(message, client.Authentication) and message.kind:
            pipe.write(client.password(PASSWORD))
        elif isinstance(message, client.CopyInResponse):
            pipe.write(self.copying)

    def pause_writing(self) -> None:
        """What it asks is small."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def eof_received(self) -> None:
        """Nothing more will come: it closes."""

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True
        self._resolve()

    def _resolve(self) -> None:
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.resolve(None)


def _passing(sqlstate: str) -> bool:
    """Errors of a fleet that is in trouble at present."""
    return sqlstate[:2] in ("57", "53", "08", "54") or sqlstate in ("25P02",)


def _raise(value: Any, error: Exception | None) -> None:
    if error is not None:
        raise error
