"""The API over HTTPS, with a certificate that is replaced while it listens."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import httpx
from tests.unit.control.control_api_running import tenancy_of

from tausql.control.api.app import create_api
from tausql.control.api.server import ApiServer
from tausql.control.identities.web_identity import WebIdentities
from tausql.runtime.issuing import Issued, issue, issue_authority
from tausql.runtime.loop import AsyncHost, run_on_host

NOW = datetime.datetime.now(datetime.UTC)


def put(folder: Path, signer: Issued) -> ssl.SSLContext:
    """A new certificate of `signer`, and what trusts it."""
    leaf = issue(signer, "api", ["localhost"], NOW, 10, client=False)
    (folder / "tls.crt").write_bytes(leaf.pem())
    (folder / "tls.key").write_bytes(leaf.key_pem())
    return ssl.create_default_context(cadata=signer.pem().decode())


def test_a_replaced_certificate_is_for_new_connections_and_a_broken_one_for_nobody(tmp_path: Path):
    folder = tmp_path / "tls"
    folder.mkdir()
    trusting = put(folder, issue_authority("one", NOW, 100))

    async def alive(server: ApiServer, context: ssl.SSLContext) -> bool:
        url = f"https://localhost:{server.address.rpartition(':')[2]}/ping"
        async with httpx.AsyncClient(verify=context) as client:
            try:
                return (await client.get(url)).status_code == 200
            except httpx.ConnectError:
                return False

    async def body(host: AsyncHost) -> None:
        tenancy = tenancy_of(host, tmp_path)
        server = ApiServer(
            host,
            create_api(tenancy, WebIdentities(None, None, tenancy.now), 1.0, 1.0),
            "127.0.0.1:0",
            str(folder),
        )
        await server.start()
        try:
            assert await alive(server, trusting)
            other = await asyncio.to_thread(put, folder, issue_authority("two", NOW, 100))
            server._reload()
            assert not await alive(server, trusting)
            assert await alive(server, other)
            await asyncio.to_thread((folder / "tls.key").write_bytes, b"none")
            server._reload()
            assert await alive(server, other)
        finally:
            await server.stop()

    run_on_host(body)
