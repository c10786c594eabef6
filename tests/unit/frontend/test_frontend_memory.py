"""What a client leaves behind when it has gone: nothing, and that without a garbage collection."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path

import pytest
from frontend_running import Raw, Running, until, with_frontend

from tausql.frontend.attached import AttachedClient
from tausql.frontend.entrance import Entrance
from tausql.frontend.joining import Joining
from tausql.frontend.opening import Opening
from tausql.frontend.relay import RemoteSession
from tausql.pgwire import client
from tausql.runtime.tls_connection import TlsConnection

TRANSIENT = (Opening, Entrance, Joining)
LASTING = (AttachedClient, RemoteSession, TlsConnection)


def living(kinds: tuple[type, ...]) -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("remote", [0, 1], ids=["same process", "over TCP"])
def test_nothing_outlives_its_connection(tmp_path: Path, remote: int, tls: bool) -> None:
    async def body(running: Running) -> None:
        async def opened() -> Raw:
            raw = await (Raw.session(running) if tls else Raw.session_in_plaintext(running))
            raw.send(client.query("select 1"))
            await raw.until(client.ReadyForQuery)
            return raw

        async def closed(raw: Raw, farewell: bool) -> None:
            if farewell:
                raw.send(client.TERMINATE)
            raw.close()
            await until(lambda: not running.service.metrics.clients and not running.service.metrics.relays)
            for processor in running.processors:
                processor.sessions.clear()  # those of the tests are kept to be looked at

        await closed(await opened(), True)
        gc.collect()
        gc.disable()
        try:
            transient, lasting = living(TRANSIENT), living(LASTING)
            for farewell in (True, False):
                raw = await opened()
                assert living(TRANSIENT) == transient
                assert living(LASTING) != lasting
                await closed(raw, farewell)
            await until(lambda: living(LASTING) == lasting)
        finally:
            gc.enable()

    with_frontend(tmp_path, body, remote=remote, settings={"tls": "optional"})
