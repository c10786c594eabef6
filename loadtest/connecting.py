"""What it costs to come in, and what a flood of strangers costs those who are in.

    python -m loadtest.connecting [--connects 300] [--flood-seconds 20] [--flood-per-minute 10000]

A fleet of its own (`single`: everything on one event loop, the worst place to be flooded). Three figures:

    check      one token, in the frontend's own code, without a network
    connect    TCP, TLS, token and session until the first ReadyForQuery, one after the other, from another process
    flood      a good client's `select 1` and its connects, while bad tokens, garbage, half handshakes, plaintext and
               silence come in from another address of loopback and from its own
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from loadtest.tausql_fleet import Fleet, running_fleet
from tausql.access.connect_tokens import Admitted, ConnectTokens, connect_token
from tausql.access.sigv4 import Credentials
from tausql.pgwire import client
from tausql.protocol.clusters import ClusterRecord, KeyRecord

HOST, REGION = "a" * 26 + ".dsql.us-east-1.on.aws", "us-east-1"
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dsql:*","Resource":"*"}]}'


def milliseconds(seconds: list[float]) -> str:
    ordered = sorted(1000 * each for each in seconds)
    p50, p99 = statistics.median(ordered), ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {ordered[-1]:.2f} ms ({len(ordered)})"


def check_cost(checks: int) -> float:
    """Microseconds of CPU a token, each of them another one."""
    record = ClusterRecord("a" * 26, 1, "ACTIVE", f"arn:aws:dsql:{REGION}:000000000000:cluster/{'a' * 26}", (HOST,))
    user = "arn:aws:iam::000000000000:user/admin"
    key = KeyRecord("AKIAEXAMPLE", "secret", user, user, (ALLOW,))
    tokens = ConnectTokens({key.access_key_id: key}.get, REGION)
    now = time.time()
    credentials = Credentials(key.access_key_id, key.secret)
    made = [
        connect_token(credentials, HOST, REGION, "DbConnectAdmin", now - number % 800, 900 + number).encode()
        for number in range(checks)
    ]
    began = time.process_time()  # whatever else the machine does
    for token in made:
        assert isinstance(tokens.check(token, record, "admin", "127.0.0.1:5", now), Admitted)
    return (time.process_time() - began) / checks * 1e6


def connect(fleet: Fleet, token: str, address: str = "127.0.0.1") -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=fleet.endpoint,
        hostaddr=address,
        port=fleet.pg_port,
        user="admin",
        dbname="postgres",
        password=token,
        sslmode="verify-full",
        sslrootcert=str(fleet.folder / "tls" / "ca.pem"),
        autocommit=True,
    )


def connects(fleet: Fleet, count: int, pause: float) -> list[float]:
    token, found = fleet.password, []
    for _ in range(count):
        began = time.perf_counter()
        connection = connect(fleet, token)
        found.append(time.perf_counter() - began)
        connection.close()
        time.sleep(pause)  # the cluster's rate is 100 a second
    return found


def selects(connection: psycopg.Connection[Any], seconds: float) -> list[float]:
    found, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        connection.execute("select 1").fetchone()
        found.append(time.perf_counter() - began)
        time.sleep(0.01)
    return found


class Flood:
    """Bad connections at a rate, from `source`. Each is left open until the server ends it, or for 5 s."""

    def __init__(self, port: int, host: str, source: str) -> None:
        self.port = port
        self.host = host
        self.source = source
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.begun = self.ended = 0

    async def bad_token(self) -> None:
        reader, writer = await self.open(tls=True)
        writer.write(client.startup("admin", "postgres"))
        await reader.readexactly(9)
        credentials = Credentials("AKIAWRONG", "wrong")
        writer.write(client.password(connect_token(credentials, self.host, REGION, "DbConnectAdmin", time.time())))
        await reader.read()
        writer.close()

    async def garbage(self) -> None:
        await self.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    async def half_handshake(self) -> None:
        await self.say(b"\x16\x03\x01\x02\x00\x01")

    async def plaintext(self) -> None:
        await self.say(client.startup("admin", "postgres"))

    async def silence(self) -> None:
        await self.say(b"")

    async def say(self, data: bytes) -> None:
        reader, writer = await self.open(tls=False)
        writer.write(data)
        await reader.read()
        writer.close()

    async def open(self, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.context if tls else None,
            server_hostname=self.host if tls else None,
            local_addr=(self.source, 0),
        )

    async def one(self, kind: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(5):
                await kind()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # turned away: what else
        finally:
            self.ended += 1

    async def run(self, per_minute: float) -> None:
        # Four of seven cost a handshake and a check.
        bad = self.bad_token
        kinds = itertools.cycle([bad, self.garbage, bad, self.half_handshake, bad, self.plaintext, bad, self.silence])
        began = time.perf_counter()
        held: set[asyncio.Task[None]] = set()
        while True:
            due = int((time.perf_counter() - began) * per_minute / 60)
            while self.begun < due:
                task = asyncio.create_task(self.one(next(kinds)))
                held.add(task)
                task.add_done_callback(held.discard)
                self.begun += 1
            print(self.begun, self.ended, flush=True)
            await asyncio.sleep(0.1)


@contextmanager
def flooding(fleet: Fleet, source: str, per_minute: float) -> Iterator[None]:
    arguments = ["--flood-from", source, "--port", str(fleet.pg_port), "--host", fleet.endpoint]
    command = [sys.executable, "-m", "loadtest.connecting", *arguments, "--flood-per-minute", str(per_minute)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    began = time.perf_counter()
    try:
        yield
    finally:
        process.terminate()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        begun, ended = lines[-1].split() if lines else ("0", "0")
        rate = int(begun) / (time.perf_counter() - began) * 60
        print(f"  from {source}: {begun} bad connections ({rate:.0f} a minute), {ended} over by then")


def measure(arguments: argparse.Namespace) -> None:
    costs = [check_cost(2000) for _ in range(3)]
    print(f"check: {min(costs):.0f} us")
    with running_fleet("single", plaintext=False) as fleet:
        connects(fleet, 20, 0.02)
        print(f"connect: {milliseconds(connects(fleet, arguments.connects, 0.011))}")
        inside = connect(fleet, fleet.password)
        print(f"select 1, alone: {milliseconds(selects(inside, arguments.flood_seconds / 2))}")
        for source in ("127.0.0.2", "127.0.0.1"):
            with flooding(fleet, source, arguments.flood_per_minute):
                found = selects(inside, arguments.flood_seconds)
                came = connects(fleet, 100, 0.05)
            print(f"  select 1 meanwhile: {milliseconds(found)}")
            print(f"  connects meanwhile: {milliseconds(came)}")
        inside.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connects", type=int, default=300)
    parser.add_argument("--flood-seconds", type=float, default=20.0)
    parser.add_argument("--flood-per-minute", type=float, default=10_000.0)
    parser.add_argument("--flood-from", default="", help="be the flood, from this address")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="")
    arguments = parser.parse_args()
    if arguments.flood_from:
        flood = Flood(arguments.port, arguments.host, arguments.flood_from)
        asyncio.run(flood.run(arguments.flood_per_minute))
    else:
        measure(arguments)


if __name__ == "__main__":
    main()
