"""Time, processes and the network between them."""

from __future__ import annotations

from typing import Any

import pytest

from tausql.protocol.adjudicator import Beat, Nudge, Outcome, Undecided, WatchBeats
from tausql.rpc.interface import Cause, Encoded, Failure, Routes
from tausql.simulation.world import Process, World

OUTCOME = Outcome(b"x" * 16, 1, 2, 0, (1, 1))


class Echo:
    """Answers outcomes with its name, beats to whoever watches, and notes nudges."""

    def __init__(self, process: Process) -> None:
        self.sinks: list[Any] = []
        self.nudges: list[int] = []
        self.gone = 0
        process.network.serve(
            "echo",
            Routes(
                calls={Outcome: lambda _, reply: reply.answer(Undecided(process.name))},
                streams={WatchBeats: lambda _, sink: self.sinks.append(sink)},
                casts={Nudge: lambda nudge, _: self.nudges.append(nudge.tau)},
                on_disconnect=self._on_disconnect,
            ),
        )

    def _on_disconnect(self, _: Any) -> None:
        self.gone += 1


def pair(seed: int = 1) -> tuple[World, Process, Process]:
    world = World(seed)
    server = world.add("server", "a", Echo)
    client = world.add("client", "b", lambda process: None)
    server.start()
    client.start()
    return world, server, client


def beat(number: int) -> Beat:
    return Beat(0, (1, 1), number, number, 0)


def watch(client: Process) -> tuple[list[int], list[Any]]:
    items: list[int] = []
    ends: list[Any] = []
    client.network.connect("server:1", "echo").stream(WatchBeats(), lambda item: items.append(item.n), ends.append)
    return items, ends


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_keeps_its_order(seed):
    world, server, client = pair(seed)
    items, _ = watch(client)
    world.run(0.1)
    for number in range(100):
        server.services.sinks[0].push(Encoded(beat(number)))
    world.run(1.0)
    assert items == list(range(100))


def test_a_stream_is_held_back_and_then_ready_again():
    world, server, client = pair()
    watch(client)
    world.run(0.1)
    sink = server.services.sinks[0]
    pushed = 0
    while sink.push(beat(pushed)):
        pushed += 1
    ready: list[bool] = []
    sink.when_ready(lambda: ready.append(True))
    assert pushed == 63
    assert ready == []
    world.run(0.1)
    assert ready == [True]


def test_a_lost_item_breaks_a_stream_for_both_ends():
    world, server, client = pair()
    items, ends = watch(client)
    world.run(0.1)
    sink = server.services.sinks[0]
    sink.push(beat(1))
    world.links.loss = 1.0
    sink.push(beat(2))
    world.run(1.0)
    assert items == [1]
    assert not sink.open
    assert ends[0].cause is Cause.unavailable


def test_a_call_over_a_cut_link_meets_its_deadline_and_the_connection_breaks():
    world, server, client = pair()
    watch(client)
    world.run(0.1)
    mend = world.links.sever({"server"})
    answers: list[Any] = []
    channel = client.network.connect("server:1", "echo")
    channel.call(OUTCOME, 0.5, answers.append)
    world.run(1.0)
    assert answers == [Failure(Cause.deadline, "no answer within 0.5 s")]
    world.run(2.0)
    assert server.services.gone == 1
    mend()
    channel.call(OUTCOME, 0.5, answers.append)
    world.run(1.0)
    assert answers[1] == Undecided("server")


def test_cuts_add_up():
    world, _, client = pair()
    first = world.links.sever({"server"})
    second = world.links.sever({"client"}, {"server"}, one_way=True)
    first()
    assert not client.network.connect("server:1", "echo").connected
    second()
    assert client.network.connect("server:1", "echo").connected
    assert not world.links.cut


def test_a_paused_process_does_everything_later_and_loses_nothing():
    world, server, client = pair()
    world.run(0.1)
    fired: list[float] = []
    server.later(0.05, lambda: fired.append(world.now))
    client.network.connect("server:1", "echo").cast(Nudge(0, 7))
    server.pause(1.0)
    world.run(0.9)
    assert fired == []
    assert server.services.nudges == []
    world.run(0.2)
    assert fired == [pytest.approx(1.1)]
    assert server.services.nudges == [7]


def test_a_dead_process_runs_nothing_and_its_callers_are_told():
    world, server, client = pair()
    _, ends = watch(client)
    world.run(0.1)
    fired: list[bool] = []
    server.later(0.05, lambda: fired.append(True))
    server.kill()
    world.run(0.01)
    assert ends[0].cause is Cause.unavailable
    server.start()
    world.run(1.0)
    assert fired == []
    answers: list[Any] = []
    client.network.connect("server:1", "echo").call(OUTCOME, 0.5, answers.append)
    world.run(1.0)
    assert answers == [Undecided("server")]


def test_die_ends_a_process_at_that_line():
    world, server, _ = pair()
    after: list[bool] = []

    def fail() -> None:
        server.die("enough")
        after.append(True)

    server.soon(fail)
    world.run(0.1)
    assert not server.alive
    assert after == []


def test_a_dead_client_is_gone_for_the_server():
    world, server, client = pair()
    watch(client)
    world.run(0.1)
    client.kill()
    world.run(0.1)
    assert server.services.gone == 1
    assert not server.services.sinks[0].open


def test_what_is_received_is_a_copy_and_observers_hear_it_once():
    world, server, client = pair()
    heard: list[tuple[str, int]] = []
    world.links.observers[Beat] = lambda speaker, message: heard.append((speaker, message.n))
    watch(client)
    watch(client)
    world.run(0.1)
    shared = Encoded(beat(5))
    for sink in server.services.sinks:
        sink.push(shared)
    world.run(0.1)
    assert heard == [("server", 5)]


def test_messages_of_calls_may_overtake_each_other():
    world, server, client = pair()
    channel = client.network.connect("server:1", "echo")
    for number in range(50):
        channel.cast(Nudge(0, number))
    world.run(1.0)
    assert sorted(server.services.nudges) == list(range(50))
    assert server.services.nudges != list(range(50))


def test_clocks_stay_within_their_bound_and_never_go_back():
    world, server, _ = pair()
    before = server.clock.now()
    for _ in range(200):
        server.clock.drift()
        world.run(0.0001)
        now = server.clock.now()
        assert now.earliest <= world.micros() <= now.latest
        assert now.earliest >= before.earliest
        assert now.latest >= before.latest
        before = now
