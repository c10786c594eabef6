"""TLS between the processes of a fleet: both sides show a certificate of the fleet's own authority.

Host names are not checked, on purpose: pods have addresses that no certificate can know beforehand, and the authority
signs nothing but members of the fleet, so "signed by it" already means "one of us". That is also why the edge, whose
certificate anyone may ask for, must have another authority.

Certificates last weeks and connections may last as long as their processes; restarting a fleet to renew a file would be
the tail wagging the dog. The files are looked at every few seconds; new connections use what is there, and what cannot
be used is not taken over. Existing connections stay as they are: a certificate is looked at when they begin.

Replacing the authority takes three steps, with time for every process to see each: both in `ca.crt`; certificates of
the new one; the old one out of `ca.crt`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tausql.runtime import logs
from tausql.runtime.file_watch import SECONDS_BETWEEN, FileWatch
from tausql.runtime.host import Host
from tausql.runtime.metrics import Family, counter, gauge

AUTHORITY = "ca.crt"  # one certificate, or several while the authority is being replaced
CERTIFICATE = "tls.crt"  # this process's, then the intermediate ones
KEY = "tls.key"
FOLLOWERS_MAX = 16
_ROUNDS_MAX = 8  # a handshake takes three

log = logs.get("tls")


class Pair(NamedTuple):
    """What one state of the files makes. `expires`: seconds since the Unix epoch."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    expires: float


class Tls:
    """The contexts for the files in `folder`, replaced when they are.

    Raises OSError for files that cannot be read and `ssl.SSLError` for such as do not go together, or have expired.
    """

    __slots__ = ("_folder", "_followers", "_pair", "_watch", "reload_failures", "reloads")

    def __init__(self, host: Host, folder: Path, seconds_between: float = SECONDS_BETWEEN) -> None:
        self._folder = folder
        paths = [folder / name for name in (AUTHORITY, CERTIFICATE, KEY)]
        self._watch = FileWatch(host, paths, self._reload, seconds_between)
        self._pair = load_pair(folder)
        self._followers: list[Callable[[], None]] = []
        self.reloads = 0
        self.reload_failures = 0

    def start(self) -> None:
        """Look at the files from time to time."""
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop()

    def look(self) -> None:
        """Look at the files now."""
        self._watch.look()

    @property
    def expires(self) -> float:
        """When the certificate in use ends, in seconds since the Unix epoch."""
        return self._pair.expires

    def client(self) -> ssl.SSLContext:
        """For one connection to another process; ask anew for each."""
        return self._pair.client

    def server(self) -> ssl.SSLContext:
        """For one handshake, or a server that takes a context when it opens; `follow` says when there is another."""
        return self._pair.server

    def follow(self, function: Callable[[], None]) -> None:
        """Call `function` whenever there are new contexts. Raises RuntimeError above `FOLLOWERS_MAX`."""
        if len(self._followers) >= FOLLOWERS_MAX:
            raise RuntimeError("too many follow the certificates of one process")
        self._followers.append(function)

    def collect(self) -> Iterator[Family]:
        yield gauge(
            "tausql_tls_certificate_expiry_timestamp_seconds",
            "When the certificate for other processes ends, since the Unix epoch.",
            self.expires,
        )
        yield counter("tausql_tls_reloads_total", "Times new certificates were taken over.", self.reloads)
        yield counter(
            "tausql_tls_reload_failures_total",
            "Times changed certificates could not be used, and the old ones stayed.",
            self.reload_failures,
        )

    def _reload(self) -> None:
        try:
            self._pair = load_pair(self._folder)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.reload_failures += 1
            log.error("new certificates cannot be used", folder=str(self._folder), reason=str(error))
            return
        self.reloads += 1
        log.info("new certificates", folder=str(self._folder), expires=self._pair.expires)
        for function in self._followers:
            function()


def load_pair(folder: Path) -> Pair:
    """Contexts for the files in `folder`, tried on one another. Raises OSError, `ssl.SSLError` or ValueError."""
    server = _context(ssl.PROTOCOL_TLS_SERVER, folder)
    server.num_tickets = 0  # no resumption: it would outlive an authority that is trusted no more
    server.options |= ssl.OP_NO_TICKET
    client = _context(ssl.PROTOCOL_TLS_CLIENT, folder)
    return Pair(server, client, _rehearse(server, client))


def _context(protocol: int, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password="")  # an encrypted key fails, nobody is asked
    context.load_verify_locations(folder / AUTHORITY)
    return context


def _rehearse(server: ssl.SSLContext, client: ssl.SSLContext) -> float:
    """A handshake with ourselves, in memory: what it does not find wrong, no other process will. Returns when the
    certificate ends. Raises `ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_side=False)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_ROUNDS_MAX):
        if all([_shaken(asking), _shaken(answering)]):
            certificate = asking.getpeercert()
            assert certificate is not None
            return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
    raise ssl.SSLError("the handshake does not come to an end")


def _shaken(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
