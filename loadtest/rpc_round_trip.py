"""What one RPC costs: round trip alone, and CPU at either end with many in flight.

    python loadtest/rpc_round_trip.py [--size 300] [--flight 32] [--seconds 3] [--tls]

Two processes on loopback. "memory" is the same exchange between two services of one process. `--tls`: both sides show
certificates, as between pods.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tausql.rpc.interface import Channel, Failure, Reply, Routes
from tausql.rpc.node import Node, ask
from tausql.runtime.issuing import issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Tls


class Ask(msgspec.Struct, tag="load_ask", array_like=True, gc=False):
    number: int
    body: bytes


class Told(msgspec.Struct, tag="load_told", array_like=True, gc=False):
    number: int
    body: bytes


class AskCpu(msgspec.Struct, tag="load_ask_cpu", array_like=True, gc=False):
    pass


class Cpu(msgspec.Struct, tag="load_cpu", array_like=True, gc=False):
    seconds: float


MESSAGES = Ask | Told | AskCpu | Cpu


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def serve(node: Node) -> None:
    def told(request: Ask, reply: Reply) -> None:
        reply.answer(Told(request.number, request.body))

    def cpu(request: AskCpu, reply: Reply) -> None:
        reply.answer(Cpu(cpu_seconds()))

    node.serve("echo", Routes(calls={Ask: told, AskCpu: cpu}))


async def exchange(channel: Channel, body: bytes, flight: int, seconds: float) -> list[float]:
    """Keep `flight` calls going; their round trips in seconds."""
    trips: list[float] = []
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    until = time.perf_counter() + seconds
    left = flight

    def send(number: int) -> None:
        began = time.perf_counter()

        def done(answer: Any) -> None:
            nonlocal left
            now = time.perf_counter()
            if isinstance(answer, Failure):
                raise RuntimeError(f"a call failed: {answer}")
            trips.append(now - began)
            if now < until:
                send(number + 1)
            else:
                left -= 1
                if not left:
                    finished.set_result(None)

        channel.call(Ask(number, body), 5.0, done)

    for number in range(flight):
        send(number)
    await finished
    return trips


async def measure(name: str, channel: Channel, size: int, flight: int, seconds: float, *, apart: bool) -> None:
    body = b"x" * size
    await exchange(channel, body, flight, 0.2)
    other, mine = await ask(channel, AskCpu(), 5.0), cpu_seconds()
    trips = sorted(await exchange(channel, body, flight, seconds))
    mine = cpu_seconds() - mine
    other_us = ((await ask(channel, AskCpu(), 5.0)).seconds - other.seconds) / len(trips) * 1e6
    print(
        f"{name:9} in flight {flight:3}: {len(trips) / seconds:8.0f}/s  p50 {trips[len(trips) // 2] * 1e6:6.0f} us  "
        f"p99 {trips[len(trips) * 99 // 100] * 1e6:6.0f} us  CPU client {mine / len(trips) * 1e6:5.1f} us"
        + (f"  server {other_us:5.1f} us" if apart else "")
    )


def certificates(folder: Path) -> None:
    """An authority and one certificate, for both ends."""
    now = datetime.datetime.now(datetime.UTC)
    authority = issue_authority("load test", now, 1)
    leaf = issue(authority, "load test", ["localhost"], now, 1, client=True)
    (folder / "ca.crt").write_bytes(authority.pem())
    (folder / "tls.crt").write_bytes(leaf.pem())
    (folder / "tls.key").write_bytes(leaf.key_pem())


def server_process(folder: str) -> None:
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES, tls=Tls(host, Path(folder)) if folder else None)
        serve(node)
        await node.start()
        print(node.address, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await node.close()

    run_on_host(body, name="server")


def client_process(address: str, size: int, flight: int, seconds: float, folder: str) -> None:
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES, tls=Tls(host, Path(folder)) if folder else None)
        serve(node)
        await node.start()
        apart, local = node.connect(address, "echo"), node.connect(node.address, "echo")
        await measure("websocket", apart, size, 1, seconds, apart=True)
        await measure("websocket", apart, size, flight, seconds, apart=True)
        await measure("memory", local, size, 1, seconds, apart=False)
        await measure("memory", local, size, flight, seconds, apart=False)
        await node.close()

    run_on_host(body, name="client")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--flight", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        server_process(options.folder)
        return
    run: Callable[..., Any] = subprocess.Popen
    with tempfile.TemporaryDirectory() as made:
        folder = made if options.tls else ""
        if folder:
            certificates(Path(folder))
        command = [sys.executable, __file__, "--serve", "--folder", folder]
        with run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            address = server.stdout.readline().strip()
            client_process(address, options.size, options.flight, options.seconds, folder)
            server.stdin.close()


if __name__ == "__main__":
    main()
