"""The API's listener: HTTP, or HTTPS where there is a certificate, for clients that nobody vouches for."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from tausql.runtime import logs
from tausql.runtime.file_watch import FileWatch
from tausql.runtime.host import Host
from tausql.runtime.http import HttpServer
from tausql.runtime.http_impatient import ImpatientProtocol

CERTIFICATE, KEY = "tls.crt", "tls.key"

log = logs.get("control")


class ApiServer:
    """tls_dir: folder of tls.crt and tls.key, looked at every few seconds; empty: plain HTTP."""

    def __init__(self, host: Host, app: Any, listen: str, tls_dir: str) -> None:
        self._context = _context(Path(tls_dir)) if tls_dir else None
        self._folder = Path(tls_dir)
        self._server = HttpServer(app, listen, protocol=ImpatientProtocol, tls=self._context)
        self._watch = (
            FileWatch(host, [self._folder / CERTIFICATE, self._folder / KEY], self._reload) if tls_dir else None
        )

    @property
    def address(self) -> str:
        return self._server.address

    async def start(self) -> None:
        """Raises OSError where the address is taken."""
        await self._server.start()
        if self._watch is not None:
            self._watch.start()
        log.info("the API listens", address=self.address, tls=self._context is not None)

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        await self._server.stop()

    def _reload(self) -> None:
        """New connections get the new certificate: the listener keeps its context, and the context changes."""
        if self._context is not None:
            try:
                self._context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
            except OSError as error:  # ssl.SSLError is one
                log.error("the API's new certificate cannot be used", why=str(error))


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context
