"""Byte connections: order, room, and above all how they end."""

from __future__ import annotations

from typing import Any

import pytest

from tausql.simulation.pipes import GIVE_UP_SECONDS, Pipe, Pipes
from tausql.simulation.world import Process, World


class Heard:
    """A protocol that keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0
        self.ends: list[Exception | None] = []
        self.pipe: Any = None
        self.paused = 0
        self.resumed = 0
        self.eof = False

    def connection_made(self, pipe: Pipe) -> None:
        self.pipe = pipe

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.reads += 1

    def eof_received(self) -> None:
        self.eof = True

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.resumed += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.ends.append(error)


class Pair:
    """A client connected to a server."""

    def __init__(self, seed: int = 1, kernel_bytes: int = 1000, busy_seconds: float = 0.0) -> None:
        self.world = World(seed)
        self.pipes = Pipes(self.world, kernel_bytes, busy_seconds)
        self.server = self.world.add("server", "a", lambda process: None)
        self.client = self.world.add("client", "b", lambda process: None)
        self.server.start()
        self.client.start()
        self.there, self.here = Heard(), Heard()
        self.pipes.listen(self.server, "server:5", None, lambda: self.there)
        self.failures: list[OSError] = []
        self.connect("server:5")
        self.world.run(0.1)

    def connect(self, address: str, process: Process | None = None) -> None:
        def done(pipe: Pipe | OSError) -> None:
            if isinstance(pipe, OSError):
                self.failures.append(pipe)
            else:
                pipe.begin(self.here)

        self.pipes.connect(process or self.client, address, None, done)


@pytest.mark.parametrize("seed", range(5))
def test_bytes_arrive_in_order(seed: int) -> None:
    pair = Pair(seed, kernel_bytes=1 << 20)
    pair.world.links.loss = 0.1
    wanted = b""
    for number in range(200):
        data = f"{number} ".encode()
        wanted += data
        pair.here.pipe.write(data)
    pair.world.run(60.0)
    assert pair.there.data == wanted
    assert pair.there.ends == []


def test_what_the_kernels_do_not_take_waits_for_the_reader() -> None:
    pair = Pair(kernel_bytes=1000)
    pair.there.pipe.pause_reading()
    pair.here.pipe.set_write_buffer_limits(500)
    pair.here.pipe.write(b"x" * 1300)
    assert pair.here.paused == 0
    assert pair.here.pipe.get_write_buffer_size() == 300
    pair.here.pipe.write(b"y" * 300)
    assert pair.here.paused == 1
    pair.world.run(1.0)
    assert pair.there.data == b""
    pair.there.pipe.resume_reading()
    pair.world.run(1.0)
    assert pair.there.data == b"x" * 1300 + b"y" * 300
    assert pair.there.reads == 2
    assert pair.here.resumed == 1


def test_a_killed_process_ends_in_good_order_with_what_its_kernel_had() -> None:
    pair = Pair(kernel_bytes=1000)
    pair.there.pipe.write(b"last words")
    pair.server.kill()
    pair.world.run(1.0)
    assert pair.here.data == b"last words"
    assert pair.here.eof
    assert pair.here.ends == [None]


def test_what_only_the_dead_process_had_is_lost() -> None:
    pair = Pair(kernel_bytes=1000)
    pair.there.pipe.write(b"z" * 1500)
    pair.server.kill()
    pair.world.run(1.0)
    assert pair.here.data == b"z" * 1000
    assert pair.here.ends == [None]


def test_bytes_that_the_dead_had_not_read_reset_the_connection() -> None:
    lengths = set()
    for seed in range(20):
        pair = Pair(seed)
        pair.there.pipe.pause_reading()
        pair.here.pipe.write(b"a question")
        pair.world.run(0.1)
        for _ in range(4):
            pair.there.pipe.write(b"answer")
        pair.server.kill()
        pair.world.run(1.0)
        assert isinstance(pair.here.ends[0], ConnectionResetError)
        assert (b"answer" * 4).startswith(pair.here.data)
        lengths.add(len(pair.here.data))
    assert len(lengths) > 2, "what was on its way is lost in part"


def test_a_paused_process_that_dies_has_not_read() -> None:
    pair = Pair()
    pair.server.pause(1.0)
    pair.here.pipe.write(b"a question")
    pair.world.run(0.1)
    assert pair.there.data == b""
    pair.server.kill()
    pair.world.run(1.0)
    assert isinstance(pair.here.ends[0], ConnectionResetError)


def test_what_a_paused_process_was_sent_is_read_when_it_wakes() -> None:
    pair = Pair()
    pair.server.pause(1.0)
    pair.here.pipe.write(b"one ")
    pair.world.run(0.1)
    pair.here.pipe.write(b"two")
    pair.world.run(2.0)
    assert (pair.there.data, pair.there.reads) == (b"one two", 1)


def test_writing_to_one_who_has_gone_is_answered_with_a_reset() -> None:
    pair = Pair()
    pair.there.pipe.close()
    pair.here.eof_received = lambda: True  # type: ignore[method-assign]  # it keeps its half open
    pair.world.run(0.1)
    assert pair.here.ends == []
    pair.here.pipe.write(b"anybody there?")
    pair.world.run(0.1)
    assert isinstance(pair.here.ends[0], ConnectionResetError)


def test_a_closed_pipe_sends_what_was_written_first() -> None:
    pair = Pair(kernel_bytes=1000)
    pair.here.pipe.write(b"x" * 2500)
    pair.here.pipe.close()
    pair.world.run(1.0)
    assert len(pair.there.data) == 2500
    assert pair.there.ends == [None]
    assert pair.here.ends == [None]


def test_a_short_cut_only_delays() -> None:
    pair = Pair()
    mend = pair.world.links.sever({"client"})
    pair.here.pipe.write(b"patience")
    pair.world.run(GIVE_UP_SECONDS * 0.6)
    assert pair.there.data == b""
    mend()
    pair.world.run(1.0)
    assert pair.there.data == b"patience"
    assert pair.here.ends == []


def test_a_long_cut_breaks_both_ends_each_in_its_own_time() -> None:
    pair = Pair()
    pair.world.links.sever({"client"})
    pair.here.pipe.write(b"patience")
    pair.world.run(3 * GIVE_UP_SECONDS)
    assert isinstance(pair.here.ends[0], TimeoutError)
    assert isinstance(pair.there.ends[0], TimeoutError)
    assert pair.there.data == b""


def test_a_machine_that_vanishes_is_noticed_in_the_end() -> None:
    pair = Pair()
    pair.world.links.sever({"server"})
    pair.server.kill()
    pair.world.run(0.5)
    assert pair.here.ends == [], "half open: nobody has told"
    pair.world.run(3 * GIVE_UP_SECONDS)
    assert isinstance(pair.here.ends[0], TimeoutError)


def test_nobody_listens() -> None:
    pair = Pair()
    pair.connect("server:6")
    pair.connect("nowhere:1")
    pair.server.kill()
    pair.connect("server:5")
    pair.world.run(1.0)
    assert [type(failure) for failure in pair.failures] == [ConnectionRefusedError]


def test_a_connection_that_breaks_resets_both_ends() -> None:
    pair = Pair()
    pair.here.pipe.write(b"lost")
    pair.here.pipe.break_off()
    pair.world.run(0.1)
    assert isinstance(pair.here.ends[0], ConnectionResetError)
    assert isinstance(pair.there.ends[0], ConnectionResetError)
    assert pair.there.data == b""


def test_a_busy_process_reads_several_messages_at_once() -> None:
    pair = Pair(busy_seconds=0.05)
    for number in range(20):
        pair.here.pipe.write(b"%d " % number)
    pair.world.run(1.0)
    assert pair.there.data == b"".join(b"%d " % number for number in range(20))
    assert pair.there.reads < 10
