"""The API on loopback, over stores in memory, and boto3 as its client in a thread."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from tausql.control.api.app import create_api
from tausql.control.api.server import ApiServer
from tausql.control.clusters.life import Quotas
from tausql.control.clusters.removal import RemovalFailed
from tausql.control.clusters.tending import Sleep
from tausql.control.identities.keyring import Keyring
from tausql.control.identities.web_identity import Published, Reviews, WebIdentities
from tausql.control.system.store import MemoryStore
from tausql.control.tenancy import Tenancy, TenancySettings
from tausql.runtime.loop import AsyncHost

ACCOUNT = "000000000000"
KEY_ID, SECRET = "AKIA" + "A" * 16, "s" * 40
Found = TypeVar("Found")


class Removals:
    """`Remover` that remembers what it was asked. `trouble`: it cannot now."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.trouble = False

    async def remove(self, number: int) -> int:
        if self.trouble:
            raise RemovalFailed("not now")
        self.numbers.append(number)
        return 3


class Running:
    """One control's API. `now` can be set forward."""

    def __init__(self, tenancy: Tenancy, removals: Removals) -> None:
        self.tenancy = tenancy
        self.removals = removals
        self.address = ""

    def client(self, service: str = "dsql", region: str = "us-east-1", **more: Any) -> Any:
        keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, **more}
        config = Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20)
        return boto3.client(service, region_name=region, endpoint_url=f"http://{self.address}", config=config, **keys)


async def ask(call: Callable[..., Found], **arguments: Any) -> Found:
    """A blocking call, while the API answers."""
    return await asyncio.to_thread(lambda: call(**arguments))


def files(folder: Path) -> tuple[str, str]:
    credentials, key = folder / "credentials.json", folder / "fleet.key"
    if not key.exists():
        credentials.write_text(json.dumps({"access_key_id": KEY_ID, "secret_access_key": SECRET}))
        key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return str(credentials), str(key)


def tenancy_of(
    host: AsyncHost,
    folder: Path,
    store: MemoryStore | None = None,
    removals: Removals | None = None,
    *,
    alone: bool = True,
    **settings: Any,
) -> Tenancy:
    told = TenancySettings(
        region="us-east-1",
        regions=("us-east-1", "us-east-2", "us-west-2"),
        account=ACCOUNT,
        quotas=Quotas(),
        switches=(),
        sleep=Sleep(1800.0, 86_400.0),
        poll_seconds=0.05,
        event_days=90.0,
        event_rows=10_000,
    )._replace(**settings)
    store = store or MemoryStore()
    return Tenancy(host, store, store, removals or Removals(), Keyring(ACCOUNT, *files(folder)), told, alone=alone)


@asynccontextmanager
async def api_of(
    host: AsyncHost,
    folder: Path,
    store: MemoryStore | None = None,
    *,
    alone: bool = True,
    reviews: Reviews | None = None,
    published: Published | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    removals = Removals()
    tenancy = tenancy_of(host, folder, store, removals, alone=alone, **settings)
    running = Running(tenancy, removals)
    server = ApiServer(
        host, create_api(tenancy, WebIdentities(reviews, published, tenancy.now), 1_000.0, 1_000.0), "127.0.0.1:0", ""
    )
    await server.start()
    running.address = server.address
    tenancy.start()
    try:
        yield running
    finally:
        await server.stop()
        await tenancy.stop()
