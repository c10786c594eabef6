"""A frontend with its processors on a real loop, and raw PostgreSQL connections to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from frontend_fake_processor import FakeNetwork, FakeProcessor
from frontend_known import known_clusters, token

from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.service import FrontendService
from tausql.frontend.settings import FrontendSettings
from tausql.pgwire import client
from tausql.protocol.fleet import Fleet, Member
from tausql.runtime.fleet import Directory
from tausql.runtime.loop import AsyncHost, run_on_host


class Running:
    """A started frontend and what tests need to reach it."""

    def __init__(
        self, host: AsyncHost, service: FrontendService, processors: list[FakeProcessor], directory: Directory
    ) -> None:
        self.host = host
        self.directory = directory
        self.service = service
        self.processors = processors
        self.processor = processors[0]
        self.password = token()
        self.ca = service.certificates / "ca.pem"
        address, _, port = service.address.rpartition(":")
        self.address = address
        self.port = int(port)

    @property
    def dsn(self) -> str:
        return (
            f"host=localhost hostaddr={self.address} port={self.port} user=admin password={self.password} "
            f"dbname=postgres sslmode=verify-full sslrootcert={self.ca}"
        )

    def tls(self, alpn: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if alpn:
            context.set_alpn_protocols(["postgresql"])
        return context


def with_frontend(
    directory: Path,
    body: Callable[[Running], Awaitable[None]],
    *,
    remote: int = 0,
    settings: dict[str, Any] | None = None,
    clusters: ClusterDirectory | None = None,
    network: Callable[[list[FakeProcessor], asyncio.AbstractEventLoop], Any] = FakeNetwork,
    fleet: Fleet = Fleet(),  # noqa: B008  never changed
) -> None:
    """Run `body` with a frontend whose processor is in the same process, or `remote` ones behind TCP."""

    async def main(host: AsyncHost) -> None:
        async with frontend(host, directory, remote, settings or {}, clusters, network, fleet) as running:
            await body(running)

    run_on_host(main, exit_now=_left)


def _left(code: int) -> NoReturn:
    raise SystemExit(code)


@asynccontextmanager
async def frontend(
    host: AsyncHost,
    directory: Path,
    remote: int,
    settings: dict[str, Any],
    clusters: ClusterDirectory | None = None,
    network_of: Callable[[list[FakeProcessor], asyncio.AbstractEventLoop], Any] = FakeNetwork,
    map_: Fleet = Fleet(),  # noqa: B008  never changed
) -> AsyncIterator[Running]:
    processors = [FakeProcessor(index) for index in range(1, max(remote, 1) + 1)]
    members = [
        Member(f"processor-{each.index}", "a", str(each.index), await each.serve(), each.index)
        for each in processors[:remote]
    ]
    network: Any = network_of(processors, host.loop)
    defaults = {"listen": "127.0.0.1:0", "drain_grace_seconds": 0.3, "sni": "optional"}
    chosen = FrontendSettings(**{**defaults, **settings})
    fleet = Directory(msgspec.structs.replace(map_, processor=tuple(members)))
    service = FrontendService(
        host,
        network,
        fleet,
        chosen,
        None if remote else processors[0],
        directory=directory,
        clusters=clusters or known_clusters(),
    )
    await service.start()
    if remote:
        await until(lambda: service.metrics.processors_known == remote)
    try:
        yield Running(host, service, processors, fleet)
    finally:
        await service.stop()
        for processor in processors:
            processor.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that another callback will do; 5 s are more than any of them needs."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  what is waited for has no event to set
            await asyncio.sleep(0.002)


class Raw:
    """One connection, byte by byte if need be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.messages = client.BackendReader()
        self.waiting: list[client.BackendMessage] = []

    @classmethod
    async def plain(cls, running: Running) -> Raw:
        return cls(*await asyncio.open_connection(running.address, running.port))

    @classmethod
    async def direct(cls, running: Running, alpn: bool = True, server_hostname: str = "localhost") -> Raw:
        return cls(
            *await asyncio.open_connection(
                running.address, running.port, ssl=running.tls(alpn), server_hostname=server_hostname
            )
        )

    @classmethod
    async def nameless(cls, running: Running) -> Raw:
        """Without SNI, as clients do that connect to an address."""
        return await cls.direct(running, server_hostname=running.address)

    @classmethod
    async def session(cls, running: Running) -> Raw:
        return await (await cls.direct(running))._log_in(running)

    @classmethod
    async def session_in_plaintext(cls, running: Running) -> Raw:
        return await (await cls.plain(running))._log_in(running)

    async def _log_in(self, running: Running) -> Raw:
        self.send(client.startup("admin", "postgres"))
        await self.until(client.Authentication)
        self.send(client.password(running.password))
        await self.until(client.ReadyForQuery)
        return self

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def next(self) -> client.BackendMessage | None:
        """The next message, None at the end of the stream."""
        async with asyncio.timeout(5):
            while not self.waiting:
                data = await self.reader.read(65536)
                if not data:
                    return None
                self.waiting += self.messages.feed(data)
        return self.waiting.pop(0)

    async def until(self, kind: type) -> Any:
        """The next message of a kind; what comes before it is dropped, the end of the stream fails."""
        while True:
            message = await self.next()
            assert message is not None, f"the stream ended before {kind.__name__}"
            if isinstance(message, kind):
                return message

    async def refusal(self) -> tuple[str, str, str]:
        """Severity, SQLSTATE and message of the error that must come next, and after which the stream must end."""
        error = await self.until(client.ErrorResponse)
        assert await self.next() is None
        self.close()
        return error.fields["V"], error.fields["C"], error.fields["M"]

    def close(self) -> None:
        self.writer.close()
