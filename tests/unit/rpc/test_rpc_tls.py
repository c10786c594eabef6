"""Calls over mutual TLS: strangers stay out, and certificates are replaced under open connections."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from rpc_pair import MESSAGES, Echo, Say, ask_of, authority, put

from tausql.rpc import node as node_module
from tausql.rpc.interface import Cause, Channel, Failure
from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host
from tausql.runtime.tls import Tls

FILES_SEEN = 500  # file descriptors looked at: more than a test has


async def node_of(host: AsyncHost, tls: Tls | None) -> Node:
    node = Node(host, "127.0.0.1:0", MESSAGES, tls=tls)
    node.serve("echo", Echo().routes())
    await node.start()
    return node


async def connected(channel: Channel) -> None:
    async with asyncio.timeout(5):
        while isinstance(await ask_of(channel, Say("there?"), 1.0), Failure):
            pass


def test_calls_travel_over_mutual_tls_and_strangers_are_kept_out(tmp_path: Path) -> None:
    ours, theirs = authority(), authority()

    async def body(host: AsyncHost) -> None:
        tls = Tls(host, put(tmp_path / "ours", [ours], ours))
        server, friend = await node_of(host, tls), await node_of(host, tls)
        other = Tls(host, put(tmp_path / "theirs", [ours, theirs], theirs))
        strangers = [await node_of(host, None), await node_of(host, other)]
        answer = await ask_of(friend.connect(server.address, "echo"), Say("secret", b"x" * 100_000))
        assert answer == Say("secret", b"x" * 100_000)
        for stranger in strangers:
            refused = await ask_of(stranger.connect(server.address, "echo"), Say("let me in"), 0.5)
            assert isinstance(refused, Failure)
            assert refused.cause in (Cause.unavailable, Cause.deadline)
        assert server.peers == 1
        for node in (friend, *strangers, server):
            await node.close()

    run_on_host(body)


def test_replaced_certificates_are_used_for_new_connections_and_open_ones_stay(tmp_path: Path) -> None:
    old, new = authority(), authority()

    async def body(host: AsyncHost) -> None:
        folder = put(tmp_path / "server", [old], old)
        tls = Tls(host, folder)
        server = await node_of(host, tls)
        before = await node_of(host, Tls(host, put(tmp_path / "before", [old], old)))
        stays = before.connect(server.address, "echo")
        await connected(stays)
        put(folder, [new], new)
        tls.look()
        after = await node_of(host, Tls(host, put(tmp_path / "after", [new], new)))
        await connected(after.connect(server.address, "echo"))
        late = await node_of(host, Tls(host, put(tmp_path / "late", [old], old)))
        refused = await ask_of(late.connect(server.address, "echo"), Say("let me in"), 0.5)
        assert isinstance(refused, Failure)
        assert await ask_of(stays, Say("still here")) == Say("still here")
        assert server.peers == 2
        for node in (before, after, late, server):
            await node.close()

    run_on_host(body)


@pytest.mark.parametrize("times", [1, 3])
def test_nobody_is_refused_while_the_server_listens_anew(tmp_path: Path, times: int) -> None:
    ours = authority()

    async def body(host: AsyncHost) -> None:
        folder = put(tmp_path / "ours", [ours], ours)
        tls = Tls(host, folder)
        server = await node_of(host, tls)
        clients = []
        for number in range(times * 4):
            clients.append(await node_of(host, tls))
            channel = clients[-1].connect(server.address, "echo")
            if number % 4 == 1:
                put(folder, [ours], ours)
                tls.look()
            await connected(channel)
        assert tls.reloads == times
        put(folder, [ours], ours)
        tls.look()
        await server.close()  # while it opens anew
        gone = await ask_of(clients[0].connect(server.address, "echo"), Say("anybody?"), 0.3)
        assert isinstance(gone, Failure)
        for node in clients:
            await node.close()

    run_on_host(body)


def test_an_attempt_that_was_given_up_leaves_no_reader_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that outlives its file descriptor takes the data of whoever gets that number next."""
    monkeypatch.setattr(node_module, "CONNECT_SECONDS", 0.02)
    monkeypatch.setattr(node_module, "HANDSHAKE_SECONDS", 0.02)
    ours = authority()

    async def body(host: AsyncHost) -> None:
        loop = asyncio.get_running_loop()
        mute = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)  # takes connections and says nothing
        address = f"127.0.0.1:{mute.sockets[0].getsockname()[1]}"
        node = await node_of(host, Tls(host, put(tmp_path / "ours", [ours], ours)))
        channel = node.connect(address, "echo")
        for _ in range(3):
            assert isinstance(await ask_of(channel, Say("there?"), 0.1), Failure)
        await node.close()
        mute.close()
        closed = [number for number in range(FILES_SEEN) if not is_open(number)]
        assert not [number for number in closed if loop.remove_reader(number)]

    run_on_host(body)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
