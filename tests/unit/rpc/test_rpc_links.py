"""Links that are cut or slow on purpose: what waits arrives in order, each direction has rules of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rpc_pair import MESSAGES, Count, Echo, Number, Say, ask_of

from tausql.rpc.interface import Cause, Channel, Failure
from tausql.rpc.links import HeldSocket, Links, Rule, write_rules
from tausql.rpc.node import Node
from tausql.runtime.loop import AsyncHost, run_on_host

FAR = 3600.0


class Ends:
    """A client whose links follow rules, one whose do not, and an echo."""

    def __init__(self, path: Path, client: Node, plain: Node, server: Node, echo: Echo) -> None:
        self.path = path
        self.client = client
        self.server = server
        self.echo = echo
        self.channel: Channel = client.connect(server.address, "echo")
        self.plain: Channel = plain.connect(server.address, "echo")

    def there(self, delay: float | None, seconds: float = FAR) -> Rule:
        return Rule((self.client.address,), (self.server.address,), delay, time.monotonic() + seconds)

    def back(self, delay: float | None, seconds: float = FAR) -> Rule:
        return Rule((self.server.address,), (self.client.address,), delay, time.monotonic() + seconds)

    def rule(self, *rules: Rule) -> None:
        links = self.client.links
        assert links is not None
        write_rules(self.path, list(rules))
        links.look()


def on_ends(path: Path, scenario: Callable[[Ends], Awaitable[None]]) -> None:
    async def body(host: AsyncHost) -> None:
        client, plain, server = (Node(host, "127.0.0.1:0", MESSAGES) for _ in range(3))
        for node in (client, plain, server):
            await node.start()
        client.links = Links(host, path, lambda: client.address)
        client.links.start()
        echo = Echo()
        server.serve("echo", echo.routes())
        try:
            async with asyncio.timeout(20):
                await scenario(Ends(path, client, plain, server, echo))
        finally:
            client.links.stop()
            for node in (client, plain, server):
                await node.close()

    run_on_host(body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "links.json"


def test_what_is_sent_into_a_cut_arrives_in_order_when_it_is_over(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        assert await ask_of(ends.channel, Say("before")) == Say("before")
        ends.rule(ends.there(None))
        for number in range(3):
            ends.channel.cast(Say(f"cast {number}"))
        answer = ask_of(ends.channel, Say("held"), 15.0)
        assert await ask_of(ends.plain, Say("others pass")) == Say("others pass")
        assert ends.echo.casts == []
        assert not answer.done()
        ends.rule()
        assert await answer == Say("held")
        assert ends.echo.casts == ["cast 0", "cast 1", "cast 2"]

    on_ends(path, scenario)


def test_a_cut_of_one_way_lets_the_other_through(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        assert await ask_of(ends.channel, Say("before")) == Say("before")
        ends.rule(ends.back(None))
        ends.echo.heard.clear()
        ends.channel.cast(Say("there"))
        answer = ask_of(ends.channel, Say("and back"), 15.0)
        await ends.echo.heard.wait()
        assert ends.echo.casts == ["there"]
        assert await ask_of(ends.plain, Say("a while")) == Say("a while")
        assert not answer.done()
        ends.rule()
        assert await answer == Say("and back")

    on_ends(path, scenario)


def test_a_slow_link_is_slow_both_ways_and_keeps_streams_in_order(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        ends.rule(ends.there(0.05), ends.back(0.04))
        begun = time.monotonic()
        items: list[Any] = []
        ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        ends.channel.stream(Count(50), items.append, ended.set_result)
        assert await ended is None
        assert time.monotonic() - begun > 0.08
        assert items == [Number(value) for value in range(50)]

    on_ends(path, scenario)


def test_a_rule_ends_by_itself(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        assert await ask_of(ends.channel, Say("before")) == Say("before")
        ends.rule(ends.there(None, seconds=0.3))
        assert await ask_of(ends.channel, Say("held"), 15.0) == Say("held")

    on_ends(path, scenario)


def test_no_connection_is_made_into_a_cut(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        ends.rule(ends.back(None))
        other = ends.client.connect(ends.server.address, "echo")
        answer = await ask_of(other, Say("anybody?"), 0.2)
        assert isinstance(answer, Failure)
        ends.rule()
        for _ in range(20):
            answer = await ask_of(other, Say("now?"), 1.0)
            if not isinstance(answer, Failure):
                break
        assert answer == Say("now?")

    path.write_text("[]")
    on_ends(path, scenario)


def test_a_connection_that_dies_in_a_cut_loses_what_waited(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        assert await ask_of(ends.channel, Say("before")) == Say("before")
        ends.rule(ends.there(None))
        answer = ask_of(ends.channel, Say("lost"), 15.0)
        ends.channel.cast(Say("lost, too"))
        await ends.server.close()
        assert (await answer).cause is Cause.unavailable
        assert ends.echo.casts == []

    on_ends(path, scenario)


def test_rules_that_cannot_be_read_change_nothing(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        ends.rule(ends.there(0.01))
        links = ends.client.links
        assert links is not None
        links._path.write_text("{")
        links.look()
        assert await ask_of(ends.channel, Say("still")) == Say("still")
        assert links.delay_to(ends.server.address) == 0.01

    on_ends(path, scenario)


def test_without_rules_a_process_has_none_of_this(path: Path) -> None:
    async def scenario(ends: Ends) -> None:
        assert await ask_of(ends.plain, Say("plain")) == Say("plain")
        assert await ask_of(ends.channel, Say("held")) == Say("held")
        assert not any(isinstance(socket, HeldSocket) for socket in ends.server._clients)
        kinds = {type(socket) for socket in ends.client._clients}
        assert kinds == {HeldSocket}

    on_ends(path, scenario)
