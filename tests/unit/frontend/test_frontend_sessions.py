"""Sessions over their life: back-pressure both ways, a processor that dies, a frontend that drains."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from frontend_running import Raw, Running, until, with_frontend

from tausql.pgwire import client
from tausql.protocol.processor import Load

placements = pytest.mark.parametrize("remote", [0, 1], ids=["same process", "over TCP"])
BLOCKS = 1500
BLOCK_BYTES = 16 * 1011


@placements
def test_slow_reader_stops_its_session_and_gets_everything_in_the_end(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        (session,) = running.processor.sessions.values()
        raw.send(client.query(f"rows {BLOCKS}"))
        await until(lambda: session.stalled)
        # What kernels hold of it is not ours: some megabytes at worst.
        assert session.blocks_written * BLOCK_BYTES < 14_000_000 < BLOCKS * BLOCK_BYTES
        rows = 0
        while not isinstance(message := await raw.next(), client.ReadyForQuery):
            assert message is not None
            rows += isinstance(message, client.DataRow)
        assert rows == BLOCKS * 16
        raw.close()

    with_frontend(tmp_path, body, remote=remote, settings={"write_buffer_bytes": 65536})


@placements
def test_session_that_reads_no_more_stops_its_client(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        other = await Raw.session(running)
        session = min(running.processor.sessions.values(), key=lambda each: each.process_id)
        session.out.pause_reading()
        sent = client.copy_data(b"x" * 100_000) * 300
        raw.send(sent)
        for _ in range(100):
            other.send(client.query("select 1"))
            await other.until(client.ReadyForQuery)
        assert session.fed_bytes < len(sent) // 2
        session.out.resume_reading()
        await until(lambda: session.fed_bytes == len(sent))
        raw.close()
        other.close()

    with_frontend(tmp_path, body, remote=remote, settings={"write_buffer_bytes": 65536})


@placements
def test_session_learns_that_its_client_has_gone(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        (session,) = running.processor.sessions.values()
        raw.writer.transport.abort()
        await until(lambda: session.is_lost)
        await until(lambda: running.service.metrics.clients == 0)
        assert running.service.metrics.relays == 0

    with_frontend(tmp_path, body, remote=remote)


@placements
@pytest.mark.parametrize("tls", [True, False])
def test_bytes_after_the_end_reach_nobody_and_harm_nothing(tmp_path: Path, remote: int, tls: bool) -> None:
    async def body(running: Running) -> None:
        raw = await (Raw.session(running) if tls else Raw.session_in_plaintext(running))
        (session,) = running.processor.sessions.values()
        raw.send(client.query("fatal"))
        await raw.until(client.ErrorResponse)
        fed = session.fed_bytes
        for _ in range(20):
            if not raw.writer.is_closing():
                raw.send(client.query("select 1"))
            await asyncio.sleep(0)
        raw.close()
        await until(lambda: session.is_lost and running.service.metrics.clients == 0)
        assert session.fed_bytes == fed
        session.out.close()

    with_frontend(tmp_path, body, remote=remote, settings={"tls": "optional"})


@placements
def test_session_that_ends_itself_closes_the_client_with_its_own_words(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        raw.send(client.query("fatal"))
        assert await raw.refusal() == ("FATAL", "57P01", "terminating")
        assert running.service.metrics.processors_lost == 0

    with_frontend(tmp_path, body, remote=remote)


def test_processor_that_dies_within_a_message_only_closes(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        (session,) = running.processor.sessions.values()
        session.out.write(b"D\0\0\1\0only the beginning")
        assert await raw.reader.readexactly(23)
        running.processor.die()
        assert await raw.reader.read() == b""
        raw.close()

    with_frontend(tmp_path, body, remote=1)


def test_unreachable_processor_is_passed_over(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        assert running.processor.server is not None
        running.processor.server.close()
        for _ in range(4):
            (await Raw.session(running)).close()
        assert len(running.processors[1].starts) == 4

    with_frontend(tmp_path, body, remote=2)


def test_sessions_spread_over_processors(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        sessions = [await Raw.session(running) for _ in range(6)]
        assert [len(processor.starts) for processor in running.processors] == [2, 2, 2]
        for raw in sessions:
            raw.close()

    with_frontend(tmp_path, body, remote=3)


def test_without_a_processor_clients_are_told_to_come_back(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        assert running.service.ready() == (True, "")
        running.processor.tell(Load(0, 100, True))
        await until(lambda: not running.service.ready()[0])
        raw = await Raw.direct(running)
        raw.send(client.startup("admin", "postgres"))
        await raw.until(client.Authentication)
        raw.send(client.password(running.password))
        assert await raw.refusal() == (
            "FATAL",
            "57P03",
            "unable to accept connection, no query processor is available",
        )
        assert running.service.metrics.refused_no_processor == 1

    with_frontend(tmp_path, body, remote=1)


def test_processor_not_heard_of_any_more_gets_no_sessions_until_it_speaks_again(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        running.processor.ends[0](None)
        assert running.service.ready() == (False, "no processor has room")
        await until(lambda: len(running.processor.ends) == 2)
        await until(lambda: running.service.ready()[0])

    with_frontend(tmp_path, body, remote=1)


def test_drain_ends_idle_sessions_at_once_and_others_with_their_transaction(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        idle, finishing = await Raw.session(running), await Raw.session(running)
        finishing.send(client.query("begin"))
        await finishing.until(client.ReadyForQuery)
        drained = asyncio.ensure_future(running.service.drain())
        farewell = ("FATAL", "57P01", "terminating connection due to administrator command")
        assert await idle.refusal() == farewell
        assert running.service.ready() == (False, "draining")
        finishing.send(client.query("commit"))
        assert await finishing.until(client.CommandComplete) == client.CommandComplete("COMMIT")
        assert await finishing.refusal() == farewell
        await drained
        with pytest.raises(ConnectionError):
            await Raw.plain(running)

    with_frontend(tmp_path, body, remote=1, settings={"drain_grace_seconds": 30})


@placements
def test_drain_ends_what_is_left_after_the_grace(tmp_path: Path, remote: int) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.session(running)
        (session,) = running.processor.sessions.values()
        raw.send(client.query("begin"))
        await raw.until(client.ReadyForQuery)
        await running.service.drain()
        assert (await raw.refusal())[1] == "57P01"
        await until(lambda: session.is_lost)

    with_frontend(tmp_path, body, remote=remote, settings={"drain_grace_seconds": 0.05})


def test_startup_parameters_reach_the_processor(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.direct(running)
        raw.send(client.startup("admin", "postgres", {f"p{number}": "x" * 90 for number in range(90)}))
        await raw.until(client.Authentication)
        raw.send(client.password(running.password))
        await raw.until(client.ReadyForQuery)
        assert len(running.processor.starts[0].parameters) == 90
        raw.close()

    with_frontend(tmp_path, body, remote=1)
