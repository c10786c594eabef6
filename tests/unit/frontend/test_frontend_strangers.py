"""Those who come too early, dawdle, or send what no client sends."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from frontend_known import ALLOW_ALL, FIRST, KEY, SECOND, TOKENS, known_clusters, token
from frontend_running import Raw, Running, until, with_frontend
from frontend_tokens import refused, welcome

from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.lobby import SILENT_SECONDS
from tausql.pgwire import client
from tausql.protocol.clusters import Clusters, Keys

HOST = FIRST.hosts[0]


async def asked(running: Running, sent: bytes) -> Raw:
    """A connection that has sent its token, and `sent` behind it."""
    raw = await Raw.direct(running, server_hostname=HOST)
    raw.send(client.startup("admin", "postgres"))
    await raw.until(client.Authentication)
    raw.send(client.password(token()) + sent)
    return raw


def test_who_comes_before_control_has_told_anything_waits(tmp_path: Path) -> None:
    known = ClusterDirectory()

    async def body(running: Running) -> None:
        patient = await asked(running, client.query("select 1"))
        gone = await asked(running, b"")
        await until(lambda: len(running.service._clientele._following._waiting) == 2)
        patient.send(client.query("select 1"))  # reading is paused
        gone.writer.transport.abort()
        known.take_clusters(Clusters(True, (FIRST,)))
        known.take_keys(Keys(True, (KEY,)))
        for _ in range(2):
            assert await patient.until(client.DataRow) == client.DataRow((b"1",))
        patient.close()
        await until(lambda: running.service.metrics.clients == running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known)


def test_who_waits_in_vain_is_refused(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await asked(running, client.query("select 1"))
        assert (await raw.refusal())[1] == "08006"
        await until(lambda: running.service.metrics.startups == 0)
        raw = await asked(running, b"")
        await until(lambda: len(running.service._clientele._following._waiting) == 1)
        await running.service.stop()
        assert (await raw.refusal())[1] in ("08006", "57P03")

    with_frontend(tmp_path, body, settings={**TOKENS, "known_seconds": 0.05}, clusters=ClusterDirectory())


def test_a_session_keeps_its_cluster_when_it_moves(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        raw = await welcome(running, SECOND.hosts[0], token(SECOND, action="DbConnect"), user="app")
        (first,) = [start for each in running.processors for start in each.starts]
        next(each for each in running.processors if each.starts).die()
        await until(lambda: sum(len(each.starts) for each in running.processors) == 2)
        (second,) = [start for each in running.processors for start in each.starts if start.restore is not None]
        raw.close()
        for start in (first, second):
            assert (start.user, start.cluster, start.switches, start.mapped) == (
                "app",
                7,
                ("extensions",),
                KEY.mapped,
            )

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters(), remote=2)


def hello(name: bytes) -> bytes:
    """A TLS ClientHello that asks for a server called `name`."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    connection = context.wrap_bio(incoming, outgoing, server_hostname="x" * len(name))
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read().replace(b"x" * len(name), name)


@pytest.mark.parametrize("name", [b"\xff\xfe\xfd", b"a b", b"..", b"-", b"a" * 60, b"a\0b"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # how the library tells of such a name
def test_names_that_are_none_end_the_handshake_or_find_nothing(tmp_path: Path, name: bytes) -> None:
    async def body(running: Running) -> None:
        raw = await Raw.plain(running)
        raw.send(hello(name))
        assert (await asyncio.wait_for(raw.reader.read(1), 5))[:1] in (b"\x15", b"\x16", b"")
        raw.close()
        await until(lambda: running.service.metrics.startups == 0)
        (await welcome(running, HOST, token())).close()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_half_handshakes_and_silence_make_room_for_those_who_speak(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        began = asyncio.get_running_loop().time()
        silent = [await Raw.plain(running) for _ in range(4)]  # half of the places, which is all one address gets
        waiting = [await Raw.plain(running) for _ in range(3)]
        (await asyncio.wait_for(welcome(running, HOST, token()), 5)).close()
        assert asyncio.get_running_loop().time() - began >= SILENT_SECONDS
        assert await silent[0].reader.read() == b""
        for raw in (*silent, *waiting):
            raw.close()
        await until(lambda: running.service.metrics.startups == 0)

    with_frontend(tmp_path, body, settings={**TOKENS, "startups_max": 8}, clusters=known_clusters())


def test_a_burst_of_good_clients_waits_and_nobody_is_turned_away(tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        opened = await asyncio.gather(*(welcome(running, HOST, token()) for _ in range(100)))
        assert running.service.metrics.clients == 100
        assert running.service.metrics.timeouts == running.service.metrics.refused_unseen == 0
        for raw in opened:
            raw.close()
        await until(lambda: running.service.metrics.clients == 0)

    with_frontend(tmp_path, body, settings={**TOKENS, "startups_max": 8}, clusters=known_clusters())


def test_a_thousand_bad_ones_beside_a_good_client(tmp_path: Path) -> None:
    bad: list[Any] = [b"GET / HTTP/1.1\r\n\r\n", client.startup("admin", "postgres"), b"\x16\x03\x01\0\x05junk!", b""]

    async def one(running: Running, number: int) -> None:
        if number % 10 == 0:
            assert (await refused(running, HOST, token(SECOND)))[0] == "08006"
            return
        raw = await Raw.plain(running)
        raw.send(bad[number % 4])
        if bad[number % 4]:
            await raw.reader.read()
        raw.close()

    async def body(running: Running) -> None:
        good = await welcome(running, HOST, token())
        tasks = [asyncio.ensure_future(one(running, number)) for number in range(1000)]
        while not all(task.done() for task in tasks):
            good.send(client.query("select 1"))
            assert await good.until(client.DataRow) == client.DataRow((b"1",))
            await good.until(client.ReadyForQuery)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        good.close()
        await until(lambda: running.service.metrics.startups == running.service.metrics.clients == 0)
        assert len(running.processor.starts) == 1
        (await welcome(running, HOST, token())).close()

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())


def test_a_token_of_another_fleets_key_of_the_same_name_is_refused(tmp_path: Path) -> None:
    stranger = type(KEY)(KEY.access_key_id, "another secret", KEY.principal, KEY.mapped, (ALLOW_ALL,))

    async def body(running: Running) -> None:
        code, _, hint = await refused(running, HOST, token(by=stranger))
        assert code == "08006"
        assert hint is not None
        assert "signature we calculated does not match" in hint

    with_frontend(tmp_path, body, settings=TOKENS, clusters=known_clusters())
