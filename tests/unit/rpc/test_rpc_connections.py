"""What happens when the other side dies, comes back, falls silent or talks nonsense."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server
from rpc_pair import MESSAGES, Count, Echo, Ignore, Say, ask_of

from tausql.rpc import frames
from tausql.rpc.interface import Cause, Failure, Routes
from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host


class Silent(WSListener):
    """Takes everything and says nothing."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        pass


@contextmanager
def echo_process(address: str):
    program = Path(__file__).with_name("echo_process.py")
    with subprocess.Popen([sys.executable, program, address], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def until_answered(channel) -> Say:
    """Calls again, without a pause but the loop's turn, until somebody answers."""
    async with asyncio.timeout(15):
        while True:
            answer = await ask_of(channel, Say("again?"))
            if not isinstance(answer, Failure):
                return answer
            assert answer.cause is Cause.unavailable
            await asyncio.sleep(0.005)


def test_killed_server_fails_everything_at_once_and_is_found_again_when_restarted():
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES)
        await node.start()
        with echo_process("127.0.0.1:0") as (process, address):
            channel = node.connect(address, "echo")
            assert (await ask_of(channel, Say("hello"))).text == "hello"
            held = [asyncio.ensure_future(ask_of(channel, Ignore(), 60)) for _ in range(100)]
            ended = asyncio.get_running_loop().create_future()
            channel.stream(Ignore(), lambda item: None, lambda failure: None)
            await ask_of(channel, Say("all sent"))
            streaming = asyncio.Event()
            channel.stream(Count(10_000_000), lambda item: streaming.set(), ended.set_result)
            await streaming.wait()
            process.kill()
            killed = host.monotonic()
            answers = await asyncio.gather(*held)
            assert {answer.cause for answer in answers} == {Cause.unavailable}
            assert (await ended).cause is Cause.unavailable
            assert host.monotonic() - killed < 1.0  # generous: the machine may be busy; no deadline was near
            assert (await ask_of(channel, Say("x"))).cause is Cause.unavailable
        with echo_process(address):
            assert (await until_answered(channel)).text == "again?"
            assert channel.connected
        await node.close()

    run_on_host(body)


def test_stream_asked_for_while_the_peer_is_down_ends_with_the_next_attempt():
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES)
        await node.start()
        channel = node.connect("127.0.0.1:1", "echo")
        ends = 0
        finished = asyncio.Event()

        def again(failure: Failure | None) -> None:
            nonlocal ends
            ends += 1
            assert failure is not None
            assert failure.cause is Cause.unavailable
            if ends < 4:
                channel.stream(Count(1), lambda item: None, again)
            else:
                finished.set()

        began = host.monotonic()
        channel.stream(Count(1), lambda item: None, again)
        await finished.wait()
        assert host.monotonic() - began > 0.005  # it did not run in circles
        await node.close()

    run_on_host(body)


def test_server_tells_services_that_a_client_went():
    async def body(host: AsyncHost) -> None:
        server, client = Node(host, "127.0.0.1:0", MESSAGES), Node(host, "127.0.0.1:0", MESSAGES)
        echo = Echo()
        server.serve("echo", echo.routes())
        server.serve("silent", Routes())
        await server.start()
        await client.start()
        channel = client.connect(server.address, "echo")
        client.connect(server.address, "silent")
        started = asyncio.Event()
        channel.stream(Count(1 << 40, b"x" * 1000), lambda item: started.set(), lambda failure: None)
        await started.wait()
        assert server.peers == 1
        await client.close()
        while not echo.gone:
            echo.heard.clear()
            await echo.heard.wait()
        assert echo.gone == ["test"]
        assert echo.closed_sinks == 1
        assert server.peers == 0
        await server.close()

    run_on_host(body)


def test_silent_server_is_given_up_although_its_socket_stays_open():
    async def body(host: AsyncHost) -> None:
        server = await ws_create_server(lambda request: Silent(), "127.0.0.1", 0, enable_auto_pong=False)
        node = Node(host, "127.0.0.1:0", MESSAGES, keepalive_seconds=0.01)
        await node.start()
        channel = node.connect(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "echo")
        assert (await ask_of(channel, Say("anyone?"), 60)).cause is Cause.unavailable
        await node.close()
        server.close()

    run_on_host(body)


def test_silent_client_is_given_up():
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES, keepalive_seconds=0.01)
        await node.start()
        transport, _ = await ws_connect(Silent, f"ws://{node.address}/rpc")
        assert node.peers == 1
        await transport.wait_disconnected()
        assert node.peers == 0
        await node.close()

    run_on_host(body)


def test_idle_connection_outlives_many_keepalives():
    async def body(host: AsyncHost) -> None:
        server, client = (Node(host, "127.0.0.1:0", MESSAGES, keepalive_seconds=0.005) for _ in range(2))
        echo = Echo()
        server.serve("echo", echo.routes())
        await server.start()
        await client.start()
        channel = client.connect(server.address, "echo")
        assert (await ask_of(channel, Ignore(), 0.2)).cause is Cause.deadline
        assert channel.connected
        assert echo.gone == []
        await client.close()
        await server.close()

    run_on_host(body)


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\xff\xff", b"\x93\x01\x02\x03", b"\x92\xa1a\x01", b"\x92\x00\x01", b"\x92\x08\x00", b"\x92\xff\xc0"],
)
def test_broken_frame_closes_its_connection_and_nothing_else(garbage):
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES)
        node.serve("echo", Echo().routes())
        await node.start()
        other = Node(host, "127.0.0.1:0", MESSAGES)
        await other.start()
        channel = other.connect(node.address, "echo")
        assert (await ask_of(channel, Say("a"))).text == "a"
        transport, _ = await ws_connect(Silent, f"ws://{node.address}/rpc")
        transport.send(WSMsgType.BINARY, garbage)
        await transport.wait_disconnected()
        assert (await ask_of(channel, Say("b"))).text == "b"
        assert channel.connected
        await other.close()
        await node.close()

    run_on_host(body)


def test_frames_may_arrive_in_any_pieces():
    """A client by hand, whose bytes come one at a time."""

    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES)
        node.serve("echo", Echo().routes())
        await node.start()
        codec = frames.Codec(MESSAGES)
        name, _, port = node.address.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        writer.write(
            b"GET /rpc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        frame = codec.pack([frames.HELLO, frames.RpcHello(1, "hand"), frames.BIND, "echo", 5 << 8, Say("slow")])
        for byte in b"\x82" + bytes([0x80 | len(frame)]) + b"\0\0\0\0" + frame:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        entries = []
        while len(entries) < 4:
            head = await reader.readexactly(2)
            entries += codec.unpack(await reader.readexactly(head[1]))
        assert entries == [frames.HELLO, frames.RpcHello(1, "test"), 5 << 8 | frames.ANSWER, Say("slow")]
        writer.close()
        await writer.wait_closed()
        await node.close()

    run_on_host(body)


def test_handler_that_raises_stops_the_process():
    deaths: list[int] = []

    def exit_now(code: int):
        deaths.append(code)

    def explode(request: Say, reply) -> None:
        raise KeyError("half done")

    async def body(host: AsyncHost) -> None:
        server, client = Node(host, "127.0.0.1:0", MESSAGES), Node(host, "127.0.0.1:0", MESSAGES)
        server.serve("echo", Routes(calls={Say: explode}))
        await server.start()
        await client.start()
        await ask_of(client.connect(server.address, "echo"), Say("boom"), 0.05)
        assert deaths == [70]
        await client.close()
        await server.close()

    run_on_host(body, exit_now=exit_now)


def test_server_that_hangs_up_during_the_handshake_counts_as_down():
    async def body(host: AsyncHost) -> None:
        def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        node = Node(host, "127.0.0.1:0", MESSAGES)
        await node.start()
        channel = node.connect(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "echo")
        for _ in range(3):
            ended = asyncio.get_running_loop().create_future()
            channel.stream(Count(1), lambda item: None, ended.set_result)
            assert (await ended).cause is Cause.unavailable
        await node.close()
        server.close()
        await server.wait_closed()

    run_on_host(body)


@pytest.mark.parametrize("path", [b"/rpc", b"/other"])
def test_plain_http_request_is_turned_away_and_is_no_peer(path):
    async def body(host: AsyncHost) -> None:
        node = Node(host, "127.0.0.1:0", MESSAGES)
        await node.start()
        name, _, port = node.address.rpartition(":")
        reader, writer = await asyncio.open_connection(name, int(port))
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 4")
        assert node.peers == 0
        writer.close()
        await writer.wait_closed()
        await node.close()

    run_on_host(body)


def test_peer_that_does_not_read_makes_calls_overloaded_rather_than_fill_memory():
    deaf: list[WSTransport] = []

    class Deaf(Silent):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.underlying_transport.pause_reading()
            deaf.append(transport)

    async def body(host: AsyncHost) -> None:
        server = await ws_create_server(lambda request: Deaf(), "127.0.0.1", 0, enable_auto_pong=False)
        # The peer answers no pings either: on a slow machine its silence must not be noticed before it is full.
        node = Node(host, "127.0.0.1:0", MESSAGES, keepalive_seconds=3600)
        await node.start()
        channel = node.connect(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", "echo")
        answers: list[Failure] = []
        say = Say("heavy", b"x" * (1 << 20))
        while not answers:
            channel.call(say, 60, answers.append)
            await asyncio.sleep(0)
        assert {answer.cause for answer in answers} == {Cause.overloaded}
        await node.close()
        deaf[0].disconnect(False)
        await deaf[0].wait_disconnected()
        server.close()

    run_on_host(body)


def test_every_call_is_done_exactly_once_however_often_the_connection_breaks():
    async def body(host: AsyncHost) -> None:
        server, client = Node(host, "127.0.0.1:0", MESSAGES), Node(host, "127.0.0.1:0", MESSAGES)
        echo = Echo()
        server.serve("echo", echo.routes())
        await server.start()
        await client.start()
        channel = client.connect(server.address, "echo")
        done: dict[int, int] = {}
        causes: dict[str, int] = {}

        def finish(number: int, answer: Say | Failure) -> None:
            done[number] = done.get(number, 0) + 1
            kind = answer.cause.value if isinstance(answer, Failure) else "answered"
            causes[kind] = causes.get(kind, 0) + 1

        number = 0
        for breaks in range(7):
            assert (await until_answered(channel)).text == "again?"
            for _ in range(50):
                request = Ignore() if number % 7 == 0 else Say(str(number))
                channel.call(request, 0.02 if number % 5 == 0 else 30, partial(finish, number))
                number += 1
            for _ in range(breaks % 4):
                await asyncio.sleep(0)
            for socket in list(server._peers):
                socket.abort()
        await until_answered(channel)
        assert done == dict.fromkeys(range(number), 1)
        assert causes["answered"] > 0
        assert causes["unavailable"] > 0
        for reply in echo.held:
            reply.answer(Say("to a client that went"))
        await client.close()
        await server.close()

    run_on_host(body)
