"""SQL over HTTP under the TLS, names and certificate of everything else: uvicorn without sockets of its own."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from uvicorn.server import ServerState

from tausql.frontend.http_routes import routers
from tausql.frontend.http_statements import Statements
from tausql.runtime.http import CONNECTIONS_MAX, http_config
from tausql.runtime.http_impatient import ImpatientProtocol


class _UnderTls(ImpatientProtocol):
    """uvicorn looks for TLS where the event loop's own would be."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.scheme = "https"


class HttpDoor:
    """Makes HTTP connections of connections, and ends them."""

    def __init__(self, statements: Statements) -> None:
        app = FastAPI(title="TauSQL over HTTP", openapi_url=None)
        for router in routers(statements):
            app.include_router(router)
        self._config = http_config(app, _UnderTls)
        self._config.load()
        self._state = ServerState()

    @property
    def full(self) -> bool:
        """uvicorn answers 503 where there are too many; a connection that asks nothing takes room all the same."""
        return len(self) >= CONNECTIONS_MAX

    def open(self) -> _UnderTls:
        return _UnderTls(self._config, self._state, {})

    def close(self) -> None:
        """Finish what is being answered, and take nothing more."""
        for connection in list(self._state.connections):
            connection.shutdown()

    def __len__(self) -> int:
        return len(self._state.connections)
