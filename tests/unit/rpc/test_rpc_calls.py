from __future__ import annotations

import asyncio

import pytest
from rpc_pair import Grow, Ignore, Pair, Refuse, Say, Strange, ask_of

from tausql.rpc import calling, frames
from tausql.rpc.interface import Cause, Encoded, Failure


def test_answers_arrive_for_their_calls(on_pair):
    async def scenario(pair: Pair) -> None:
        answers = await asyncio.gather(*(pair.ask(Say(str(number))) for number in range(500)))
        assert [answer.text for answer in answers] == [str(number) for number in range(500)]

    on_pair(scenario)


def test_call_made_before_the_connection_stands_waits_for_it(on_sockets):
    async def scenario(pair: Pair) -> None:
        assert not pair.channel.connected
        assert (await pair.ask(Say("early"))).text == "early"
        assert pair.channel.connected

    on_sockets(scenario)


def test_refusal_carries_cause_and_message(on_pair):
    async def scenario(pair: Pair) -> None:
        assert await pair.ask(Refuse()) == Failure(Cause.refused, "no")

    on_pair(scenario)


def test_request_without_handler_is_refused(on_pair):
    async def scenario(pair: Pair) -> None:
        failure = await pair.ask(Strange())
        assert failure.cause is Cause.refused
        assert "Strange" in failure.message

    on_pair(scenario)


def test_service_that_is_not_served_is_unavailable_until_it_is(on_pair):
    async def scenario(pair: Pair) -> None:
        late = pair.client.connect(pair.server.address, "late")
        assert (await ask_of(late, Say("x"))).cause is Cause.unavailable
        pair.server.serve("late", pair.echo.routes())
        assert (await ask_of(late, Say("x"))).text == "x"

    on_pair(scenario)


def test_deadline_is_kept_and_late_answer_is_dropped(on_pair):
    async def scenario(pair: Pair) -> None:
        began = pair.host.monotonic()
        failure = await pair.ask(Ignore(), 0.03)
        took = pair.host.monotonic() - began
        assert failure.cause is Cause.deadline
        assert took >= 0.03
        pair.echo.held[0].answer(Say("too late"))
        assert (await pair.ask(Say("on time"))).text == "on time"

    on_pair(scenario)


def test_answering_twice_is_an_error(on_pair):
    async def scenario(pair: Pair) -> None:
        waiting = pair.ask(Ignore())
        task = asyncio.ensure_future(waiting)
        await pair.echo.heard.wait()
        reply = pair.echo.held[0]
        reply.answer(Say("once"))
        with pytest.raises(RuntimeError, match="twice"):
            reply.fail(Cause.refused)
        assert (await task).text == "once"

    on_pair(scenario)


def test_cast_arrives_in_order_with_calls(on_pair):
    async def scenario(pair: Pair) -> None:
        await pair.ask(Say("connected"))
        for number in range(10):
            pair.channel.cast(Say(str(number)))
        await pair.ask(Say("done"))
        assert pair.echo.casts == [str(number) for number in range(10)]

    on_pair(scenario)


def test_encoded_message_is_packed_once_for_all(on_sockets):
    async def scenario(pair: Pair) -> None:
        encoded = Encoded(Say("shared", b"body"))
        first, second = await asyncio.gather(pair.ask(encoded), pair.ask(encoded))
        assert first == second == Say("shared", b"body")
        packed = encoded.packed
        await pair.ask(encoded)
        assert encoded.packed is packed

    on_sockets(scenario)


def test_memory_delivers_the_very_same_object(on_pair):
    async def scenario(pair: Pair) -> None:
        request = Say("object")
        answer = await pair.ask(Encoded(request))
        assert answer == request
        assert (answer is request) == (pair.client is pair.server)

    on_pair(scenario)


def test_oversized_request_fails_alone(on_sockets):
    async def scenario(pair: Pair) -> None:
        big = Say("big", b"x" * (frames.MESSAGE_BYTES_MAX + 1))
        before, failure, after = await asyncio.gather(pair.ask(Say("a")), pair.ask(big), pair.ask(Say("b")))
        assert failure.cause is Cause.refused
        assert (before.text, after.text) == ("a", "b")
        assert not pair.echo.gone

    on_sockets(scenario)


def test_oversized_answer_fails_its_call_alone(on_sockets):
    async def scenario(pair: Pair) -> None:
        failure, answer = await asyncio.gather(pair.ask(Grow(frames.MESSAGE_BYTES_MAX)), pair.ask(Say("a")))
        assert failure.cause is Cause.refused
        assert answer.text == "a"
        assert not pair.echo.gone

    on_sockets(scenario)


def test_messages_that_fill_more_than_a_frame_all_arrive(on_sockets):
    async def scenario(pair: Pair) -> None:
        answers = await asyncio.gather(*(pair.ask(Grow(7 << 20)) for _ in range(5)))
        assert [len(answer.body) for answer in answers] == [7 << 20] * 5

    on_sockets(scenario)


def test_more_calls_than_the_limit_are_overloaded(on_pair):
    async def scenario(pair: Pair) -> None:
        await pair.ask(Say("connected"))
        held = [pair.ask(Ignore(), 60) for _ in range(calling.CALLS_MAX)]
        tasks = [asyncio.ensure_future(one) for one in held]
        await asyncio.wait(tasks, timeout=0)
        failure = await pair.ask(Say("one more"))
        assert failure.cause is Cause.overloaded
        assert failure.unsent
        while len(pair.echo.held) < calling.CALLS_MAX:
            pair.echo.heard.clear()
            await pair.echo.heard.wait()
        for reply in pair.echo.held:
            reply.answer(Say("ok"))
        assert {answer.text for answer in await asyncio.gather(*tasks)} == {"ok"}
        assert (await pair.ask(Say("room again"))).text == "room again"

    on_pair(scenario)


def test_closed_channel_fails_its_calls_as_cancelled(on_pair):
    async def scenario(pair: Pair) -> None:
        await pair.ask(Say("connected"))
        task = asyncio.ensure_future(pair.ask(Ignore()))
        await pair.echo.heard.wait()
        pair.echo.heard.clear()
        pair.channel.close()
        assert (await task).cause is Cause.cancelled
        assert (await pair.ask(Say("closed"))).cause is Cause.cancelled
        await pair.echo.heard.wait()
        assert pair.echo.gone == ["test"]
        again = pair.client.connect(pair.server.address, "echo")
        assert (await ask_of(again, Say("again"))).text == "again"

    on_pair(scenario)


def test_same_pair_gives_the_same_channel(on_pair):
    async def scenario(pair: Pair) -> None:
        assert pair.client.connect(pair.server.address, "echo") is pair.channel

    on_pair(scenario)
