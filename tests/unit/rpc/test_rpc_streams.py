from __future__ import annotations

import asyncio

from rpc_pair import Count, Ignore, Number, Pair, Say, Strange

from tausql.rpc import answering, frames
from tausql.rpc.interface import Cause, Failure


def test_items_arrive_in_order_and_the_end_after_them(on_pair):
    async def scenario(pair: Pair) -> None:
        items, end = await pair.gather(Count(5_000))
        assert [item.value for item in items] == list(range(5_000))
        assert end is None

    on_pair(scenario)


def test_push_asks_for_a_pause_and_when_ready_resumes(on_pair):
    async def scenario(pair: Pair) -> None:
        body = b"x" * 100_000
        items, end = await pair.gather(Count(3_000 if pair.client is pair.server else 100, body))
        assert end is None
        assert [item.value for item in items] == list(range(len(pair.echo.pushes)))
        assert False in pair.echo.pushes
        first = pair.echo.pushes.index(False)
        in_window = answering.WINDOW_ITEMS if pair.client is pair.server else answering.WINDOW_BYTES // len(body)
        assert first == in_window

    on_pair(scenario)


def test_calls_pass_a_stream_that_waits_for_its_consumer(on_sockets):
    async def scenario(pair: Pair) -> None:
        received: list[Number] = []
        ended = asyncio.get_running_loop().create_future()
        pair.channel.stream(Count(200, b"x" * 100_000), received.append, ended.set_result)
        assert (await pair.ask(Say("quick"))).text == "quick"
        assert len(received) < 200
        assert await ended is None

    on_sockets(scenario)


def test_sink_that_ignores_back_pressure_is_ended(on_sockets):
    async def scenario(pair: Pair) -> None:
        items, end = [], asyncio.get_running_loop().create_future()
        pair.channel.stream(Count(0), items.append, lambda _: None)
        await pair.ask(Say("open"))
        pair.channel.stream(Ignore(), items.append, end.set_result)

        async def flood() -> None:
            pair.server.services["echo"].streams = {Count: lambda request, sink: pair.echo.sinks.append(sink)}
            pair.channel.stream(Count(1), items.append, flooded.set_result)
            await pair.ask(Say("open"))
            sink = pair.echo.sinks[-1]
            closed = asyncio.Event()
            sink.when_closed(closed.set)
            body = b"x" * (4 << 20)
            while sink.open:
                sink.push(Number(0, body))
            await closed.wait()

        flooded: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        await flood()
        failure = await flooded
        assert failure is not None
        assert failure.cause is Cause.overloaded
        assert (await end).cause is Cause.refused

    on_sockets(scenario)


def test_cancel_closes_the_sink_and_on_end_stays_silent(on_pair):
    async def scenario(pair: Pair) -> None:
        first = asyncio.Event()
        ends: list[Failure | None] = []
        pair.server.services["echo"].streams = {Count: lambda request, sink: hold(sink)}

        def hold(sink) -> None:
            sink.when_closed(pair.echo._sink_closed)
            pair.echo.sinks.append(sink)
            sink.push(Number(0))

        stream = pair.channel.stream(Count(1), lambda _: first.set(), ends.append)
        await first.wait()
        pair.echo.heard.clear()
        stream.cancel()
        stream.cancel()
        await pair.echo.heard.wait()
        assert pair.echo.closed_sinks == 1
        assert not pair.echo.sinks[0].open
        assert pair.echo.sinks[0].push(Number(1)) is False
        assert ends == []

    on_pair(scenario)


def test_stream_nobody_serves_is_refused(on_pair):
    async def scenario(pair: Pair) -> None:
        items, end = await pair.gather(Strange())
        assert items == []
        assert end is not None
        assert end.cause is Cause.refused

    on_pair(scenario)


def test_oversized_item_ends_its_stream_alone(on_sockets):
    async def scenario(pair: Pair) -> None:
        items, end = await pair.gather(Count(1, b""))
        assert (len(items), end) == (1, None)
        body = b"x" * (frames.MESSAGE_BYTES_MAX + 1)
        pair.server.services["echo"].streams = {Count: lambda request, sink: sink.push(Number(0, body))}
        items, end = await pair.gather(Count(1))
        assert end is not None
        assert (items, end.cause) == ([], Cause.refused)
        assert (await pair.ask(Say("alive"))).text == "alive"

    on_sockets(scenario)


def test_closing_a_channel_ends_its_streams_and_no_others(on_pair):
    async def scenario(pair: Pair) -> None:
        pair.server.serve("other", pair.echo.routes())
        pair.server.services["echo"].streams = {Count: lambda request, sink: sink.push(Number(1))}
        other = pair.client.connect(pair.server.address, "other")
        first, ended = asyncio.Event(), asyncio.get_running_loop().create_future()
        pair.channel.stream(Count(1), lambda item: first.set(), ended.set_result)
        await first.wait()
        pair.channel.close()
        assert (await ended).cause is Cause.cancelled
        assert (await pair.ask(Say("closed"))).cause is Cause.cancelled
        assert (await pair.gather(Count(1)))[1] == Failure(Cause.cancelled, "the channel was closed")
        items = []
        done = asyncio.get_running_loop().create_future()
        other.stream(Count(3), items.append, done.set_result)
        assert await done is None
        assert len(items) == 3

    on_pair(scenario)


def test_stream_cancelled_before_the_connection_stood_is_not_left_open_at_the_server(on_sockets):
    async def scenario(pair: Pair) -> None:
        assert not pair.channel.connected
        pair.server.services["echo"].streams = {Count: lambda request, sink: pair.echo.sinks.append(sink)}
        pair.channel.stream(Count(1), lambda item: None, lambda failure: None).cancel()
        await pair.ask(Say("connected"))
        assert [sink.open for sink in pair.echo.sinks] == [False]

    on_sockets(scenario)
