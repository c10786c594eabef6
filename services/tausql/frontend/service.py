"""The frontend's shell: owns the socket, the certificate, the password, and the order in which they come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tausql.frontend import refusals
from tausql.frontend.authentication import Authenticator, PasswordAuthenticator, ensure_password_file
from tausql.frontend.entrance import House
from tausql.frontend.http_sql import HttpSql
from tausql.frontend.http_transactions import Transactions
from tausql.frontend.listener import Listener, listening_socket
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.sessions import Sessions
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.tls import EdgeTls, edge_of, host_names
from tausql.protocol.processor import SessionHost
from tausql.rpc.interface import Network
from tausql.runtime import logs
from tausql.runtime.descriptors import affordable
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.tls import Tls

if TYPE_CHECKING:
    from tausql.runtime.process import Process  # brings uvicorn and the RPC node, which only whole processes need

_FAREWELL_SECONDS = 0.5  # for the last error message to leave

log = logs.get("frontend")


class FrontendService:
    """PostgreSQL and HTTP clients in, processors out.

    directory: where certificates and the password are kept unless settings say otherwise.
    local: the processor of this process, which then gets every session.
    authenticator: instead of the password file.
    tls: of the connections to processors.
    """

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: FrontendSettings,
        local: SessionHost | None = None,
        *,
        directory: Path,
        authenticator: Authenticator | None = None,
        tls: Tls | None = None,
    ) -> None:
        self._host = host
        self._fleet = fleet
        self._settings = settings
        self._directory = directory
        self.metrics = FrontendMetrics()
        self.metrics.connections_max = settings.connections_max
        self.certificates = Path(settings.certificate_directory or directory / "tls")
        self.password_file = Path(settings.password_file or directory / "password")
        if authenticator is None:
            password = ensure_password_file(self.password_file)
            authenticator = PasswordAuthenticator(settings.database, password)
        self._house = House(
            settings=settings,
            metrics=self.metrics,
            authenticator=authenticator,
            sessions=Sessions(host, network, fleet, settings, self.metrics, local, tls),
            clients=set(),
            on_empty=self._emptied,
        )
        self._transactions = Transactions(
            host, settings.http_transactions_max, settings.http_transaction_idle_seconds, self.metrics
        )
        self.http_sql = HttpSql(self._house, self._transactions)
        self._listener: Listener | None = None
        self.edge: EdgeTls | None = None  # there once it listens
        self._empty: asyncio.Event | None = None

    @property
    def address(self) -> str:
        """`host:port` that PostgreSQL clients connect to. Raises RuntimeError before `start`."""
        if self._listener is None:
            raise RuntimeError("the frontend does not listen yet")
        return self._listener.address

    async def start(self) -> None:
        """Listen. Raises OSError where the address or the directory cannot be used."""
        names = host_names(self._fleet.fleet.region, self._settings.certificate_names)
        edge = self.edge = edge_of(self._host, self._settings.tls_dir, self.certificates, names)
        edge.start()
        loop = asyncio.get_running_loop()
        self._listener = Listener(self._host, loop, self._house, lambda: edge.context, listening_socket(self._settings))
        self._house.sessions.start()
        self._listener.start()
        log.info("listening", address=self._listener.address, tls=self._settings.tls)

    async def drain(self) -> None:
        """Take nobody in, end sessions as they become idle, and after the grace all that are left."""
        house = self._house
        if self._listener is None or house.draining:
            return
        house.draining = True
        self._listener.close()
        self._empty = asyncio.Event()
        for client in list(house.clients):
            client.end_when_idle(refusals.shutting_down())
        if house.clients:
            await _wait(self._empty, self._settings.drain_grace_seconds)
        if house.clients:
            log.info("ending sessions", sessions=len(house.clients))
            for client in list(house.clients):
                client.terminate(refusals.shutting_down())
            await _wait(self._empty, _FAREWELL_SECONDS)

    async def stop(self) -> None:
        house = self._house
        house.draining = True
        if self._listener is not None:
            self._listener.close()
            self._listener.drop_startups()
        if self.edge is not None:
            self.edge.stop()
        self._transactions.drop_all()
        for client in list(house.clients):
            client.terminate(refusals.shutting_down())
        house.sessions.stop()

    def ready(self) -> tuple[bool, str]:
        if self._house.draining:
            return False, "draining"
        if self._listener is None or not self._listener.open:
            return False, "not listening"
        if not self._house.sessions.available:
            return False, "no processor has room"
        return True, ""

    def status(self) -> dict[str, Any]:
        return {
            "address": self._listener.address if self._listener is not None else None,
            "certificate_authority": str(self.edge.files.authority) if self.edge is not None else None,
            "password_file": str(self.password_file),
            "user": self._settings.user,
            "database": self._settings.database,
            "tls": self._settings.tls,
            "draining": self._house.draining,
            "clients": len(self._house.clients),
            "startups": self.metrics.startups,
            "http_transactions": len(self._transactions),
            "processors": self._house.sessions.balance.status(),
        }

    def _emptied(self) -> None:
        if self._empty is not None:
            self._empty.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def build(process: Process) -> FrontendService:
    """The frontend of a process; where a processor was built before it in the same process, sessions go there."""
    local: Any = process.services.get("processor")
    settings = FrontendSettings()
    sockets = 1 if local is not None else 2  # a session: its client, and its processor where that is elsewhere
    room = affordable("connections", settings.connections_max, sockets)
    return FrontendService(
        process.host,
        process.network,
        process.fleet,
        settings.model_copy(update={"connections_max": room}),
        local,
        directory=process.directory("frontend"),
        tls=process.tls,
    )
