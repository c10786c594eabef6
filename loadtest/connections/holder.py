"""A process that holds a share of the connections and does with them what its parent says, a line of JSON at a time."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import msgspec
import uvloop

from loadtest.connections.wire import LOST, Answered, Connection
from tausql.runtime.descriptors import raise_limit

TABLE = "connections_load"
TRANSACTION = (
    "BEGIN",
    f"SELECT total FROM {TABLE} WHERE id = {{0}}",
    f"UPDATE {TABLE} SET total = total + 1 WHERE id = {{0}}",
    "COMMIT",
)
QUESTION = "SELECT 1"
UNANSWERED = "unanswered"
OPEN_SECONDS = 60.0  # for one connection to be ready


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """do: `open` count more connections, `at_once` of them on their way; `ask` all of them one question; `run` the
    first `count` for `seconds`, each a transaction, then a pause of `think_seconds` on average; `close` all."""

    do: str
    count: int = 0
    at_once: int = 100
    seconds: float = 0.0
    think_seconds: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """Errors by SQLSTATE; latencies in ms, of single connections or transactions."""

    seconds: float
    errors: dict[str, int] = {}
    latencies: list[float] = []
    open: int = 0


class Share(msgspec.Struct, frozen=True):
    """The first line a holder reads. `number`: tells its rows from other holders'."""

    host: str
    port: int
    password: str
    tls: bool
    number: int


def row_of(holder: int, number: int) -> int:
    """The row that a holder's connection of this number changes, and nobody else."""
    return holder * 100_000 + number


class Holder:
    """The connections of this process."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._context: ssl.SSLContext | None = None
        if share.tls:
            context = self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._connections: list[Connection] = []

    async def obey(self, command: Command) -> Outcome:
        begun = time.perf_counter()
        errors: Counter[str] = Counter()
        latencies: list[float] = []
        match command.do:
            case "open":
                await self._each(range(command.count), self._open, command.at_once, errors, latencies)
            case "ask":
                await self._each(list(self._connections), self._ask, command.at_once, errors, latencies)
            case "run":
                await self._run(command, errors, latencies)
            case "close":
                for connection in self._connections:
                    connection.close()
                self._connections.clear()
                await asyncio.sleep(0.5)
            case unknown:
                raise ValueError(f"unknown command {unknown}")
        alive = sum(connection.alive for connection in self._connections)
        return Outcome(time.perf_counter() - begun, dict(errors), latencies, alive)

    async def _each(
        self, items: Iterable[Any], start: Any, at_once: int, errors: Counter[str], latencies: list[float]
    ) -> None:
        """`start(item, answered)` for each, `at_once` at a time."""
        waiting = deque(items)
        done = asyncio.get_running_loop().create_future()
        under_way = 0

        def next_one() -> None:
            nonlocal under_way
            while waiting and under_way < at_once:
                under_way += 1
                begun = time.perf_counter()
                start(waiting.popleft(), lambda connection, error, begun=begun: answered(begun, error))
            if not (waiting or under_way or done.done()):
                done.set_result(None)

        def answered(begun: float, error: str) -> None:
            nonlocal under_way
            under_way -= 1
            latencies.append((time.perf_counter() - begun) * 1000)
            if error:
                errors[error] += 1
            asyncio.get_running_loop().call_soon(next_one)

        next_one()
        try:
            await asyncio.wait_for(done, OPEN_SECONDS + len(waiting) * 0.05)
        except TimeoutError:
            errors[UNANSWERED] += under_way + len(waiting)

    def _open(self, item: int, answered: Answered) -> None:
        def opened(connection: Connection, error: str) -> None:
            if error:
                answered(connection, error)
            else:
                self._connections.append(connection)
                connection.ask(QUESTION, answered)

        connection = Connection(self._share.password, self._context, opened)

        async def connect() -> None:
            loop = asyncio.get_running_loop()
            try:
                await loop.create_connection(lambda: connection, self._share.host, self._share.port)
            except OSError:
                connection.connection_lost(None)

        task = asyncio.get_running_loop().create_task(connect())
        task.add_done_callback(lambda ended: ended.result())

    def _ask(self, connection: Connection, answered: Answered) -> None:
        connection.ask(QUESTION, answered)

    async def _run(self, command: Command, errors: Counter[str], latencies: list[float]) -> None:
        loop = asyncio.get_running_loop()
        end = time.perf_counter() + command.seconds
        active = self._connections[: command.count]
        left = len(active)
        done = loop.create_future()
        chance = random.Random(self._share.number)

        def begin(connection: Connection, row: int) -> None:
            step(connection, row, time.perf_counter(), 0)

        def step(connection: Connection, row: int, begun: float, number: int) -> None:
            def answered(connection: Connection, error: str) -> None:
                if error:
                    errors[error] += 1
                    if error == LOST:
                        pause(connection, row)
                    else:
                        connection.ask("ROLLBACK", lambda connection, error: pause(connection, row))
                elif number + 1 < len(TRANSACTION):
                    step(connection, row, begun, number + 1)
                else:
                    latencies.append((time.perf_counter() - begun) * 1000)
                    pause(connection, row)

            connection.ask(TRANSACTION[number].format(row), answered)

        def pause(connection: Connection, row: int) -> None:
            nonlocal left
            if connection.alive and time.perf_counter() < end:
                loop.call_later(chance.uniform(0, 2 * command.think_seconds), begin, connection, row)
                return
            left -= 1
            if not left:
                done.set_result(None)

        if not active:
            return
        for number, connection in enumerate(active):
            loop.call_later(
                chance.uniform(0, 2 * command.think_seconds), begin, connection, row_of(self._share.number, number)
            )
        await asyncio.wait_for(done, command.seconds + OPEN_SECONDS)


async def _serve(share: Share) -> None:
    holder = Holder(share)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        outcome = await holder.obey(msgspec.json.decode(line, type=Command))
        print(msgspec.json.encode(outcome).decode(), flush=True)


def main() -> None:
    raise_limit()
    share = msgspec.json.decode(sys.stdin.readline(), type=Share)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(share))


if __name__ == "__main__":
    main()
