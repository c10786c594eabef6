"""The frontend's certificate: one that was given, or one made at first start by an authority of our own.

Clients of Aurora DSQL verify the full chain and the host name, so a self-signed server certificate would need every
client changed whenever it is renewed; an authority of our own is trusted once and outlives its certificates. Either
way the files are looked at while the frontend runs: new connections get what is there, open ones stay.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from tausql.runtime import logs
from tausql.runtime.file_watch import FileWatch
from tausql.runtime.host import Host, Timer
from tausql.runtime.issuing import Issued, covers, issue, issue_authority, read_issued, signed_by
from tausql.runtime.metrics import Family, counter, gauge

ALPN = "postgresql"
WEB_ALPN = "http/1.1"
AUTHORITY_DAYS = 3650
SERVER_DAYS = 397  # the longest that clients on Apple systems accept
RENEW_DAYS = 30
RENEWAL_SECONDS = 43_200.0  # between looks whether our own certificate needs renewal

log = logs.get("frontend")


class Files(NamedTuple):
    """Where a certificate, its key and its authority's certificate (if it is known) lie."""

    certificate: Path
    key: Path
    authority: Path

    @staticmethod
    def given(folder: Path) -> Files:
        """As in a mounted Secret."""
        return Files(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")

    @staticmethod
    def own(folder: Path) -> Files:
        """As `ensure_certificates` makes them."""
        return Files(folder / "server.pem", folder / "server.key", folder / "ca.pem")


class ServedTls(ssl.SSLObject):
    """A connection's TLS, and the name its client asked for. The standard library tells that name a callback only."""

    server_name = ""  # as the client sent it (SNI); empty: it sent none


class EdgeTls:
    """The contexts for new connections. `renew`: called now and then, to renew what is ours to renew; may raise OSError
    and ValueError.

    Raises OSError and `ssl.SSLError` for files that cannot be used at the start; later ones that cannot are left."""

    def __init__(self, host: Host, files: Files, renew: Callable[[], None] | None = None) -> None:
        self.files = files
        self._host = host
        self._renew = renew
        self._timer: Timer | None = None
        self._watch = FileWatch(host, files[:2], self._reload)
        self.context = server_context(files)
        self.web_context = server_context(files, WEB_ALPN)  # of WebSocket
        self.expires = expiry(files.certificate)
        self.reloads = 0
        self.reload_failures = 0

    def start(self) -> None:
        self._watch.start()
        if self._renew is not None:
            self._timer = self._host.later(RENEWAL_SECONDS, self._renewal)

    def stop(self) -> None:
        self._watch.stop()
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Look at the files now."""
        self._watch.look()

    def collect(self) -> Iterator[Family]:
        yield gauge(
            "tausql_frontend_certificate_expiry_timestamp_seconds",
            "When the certificate for clients ends, since the Unix epoch.",
            self.expires,
        )
        yield counter(
            "tausql_frontend_certificate_reloads_total", "Times a new certificate was taken over.", self.reloads
        )
        yield counter(
            "tausql_frontend_certificate_reload_failures_total",
            "Times a changed certificate could not be used or renewed, and the old one stayed.",
            self.reload_failures,
        )

    def _renewal(self) -> None:
        assert self._renew is not None
        try:
            self._renew()
        except (OSError, ValueError) as error:
            self._failed("the certificate for clients cannot be renewed", error)
        self._timer = self._host.later(RENEWAL_SECONDS, self._renewal)

    def _reload(self) -> None:
        try:
            context, expires = server_context(self.files), expiry(self.files.certificate)
            web_context = server_context(self.files, WEB_ALPN)
        except (OSError, ValueError) as error:
            self._failed("the new certificate for clients cannot be used", error)
            return
        self.context, self.web_context, self.expires = context, web_context, expires
        self.reloads += 1
        log.info("new certificate for clients", file=str(self.files.certificate), expires=expires)

    def _failed(self, event: str, error: Exception) -> None:
        self.reload_failures += 1
        log.error(event, file=str(self.files.certificate), reason=str(error))


def edge_of(host: Host, given: str, own: Path, names: Sequence[str]) -> EdgeTls:
    """With the certificate in the folder `given`; where that is empty, one of our own in `own`, made out to `names`.

    Raises OSError, and ValueError for files that are no certificates.
    """
    if given:
        return EdgeTls(host, Files.given(Path(given)))

    def ensure() -> None:
        ensure_certificates(own, names, datetime.datetime.now(datetime.UTC))

    ensure()
    return EdgeTls(host, Files.own(own), ensure)


def host_names(region: str, more: Sequence[str]) -> list[str]:
    """What clients may call this server: loopback, Aurora DSQL's endpoint names, and `more`."""
    names = ["localhost", "127.0.0.1", "::1", f"*.dsql.{region}.on.aws", "*.dsql.localhost"]
    return names + [name for name in more if name not in names]


def ensure_certificates(directory: Path, names: Sequence[str], now: datetime.datetime) -> None:
    """Make what is missing in `directory`: ca.pem, ca.key, server.pem, server.key (keys 0600).

    The server certificate is made anew when it expires within 30 days or lacks one of `names`; the authority only when
    it is missing. Processes that do this at once wait for one another. Raises OSError, and ValueError for files that
    are no certificates.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        authority = _authority(directory, now)
        files = Files.own(directory)
        if not _is_current(files, authority, names, now):
            issued = issue(authority, "TauSQL frontend", names, now, SERVER_DAYS)
            _write(files.key, issued.key_pem())
            _write(files.certificate, issued.pem(), 0o644)
    finally:
        os.close(descriptor)


def server_context(files: Files, alpn: str = ALPN) -> ssl.SSLContext:
    """TLS 1.2 or newer with the certificate in `files`, offering `alpn`. Raises OSError, `ssl.SSLError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key, password="")  # an encrypted key fails, nobody is asked
    context.set_alpn_protocols([alpn])
    context.sslobject_class = ServedTls
    context.sni_callback = _named
    # Sessions last minutes, not pages: tickets would be two more messages a handshake that no driver uses.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def server_name_of(connection: object) -> str:
    """The name that the client of this TLS connection asked for."""
    return connection.server_name if isinstance(connection, ServedTls) else ""


def _named(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    """One certificate for all names: which one was asked for decides over the cluster only."""
    if name is not None and isinstance(connection, ServedTls):
        connection.server_name = name


def expiry(certificate: Path) -> float:
    """When the first certificate of this file ends, in seconds since the Unix epoch. Raises OSError, ValueError."""

    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()


def _authority(directory: Path, now: datetime.datetime) -> Issued:
    certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
    if certificate_path.exists() and key_path.exists():
        return read_issued(certificate_path.read_bytes(), key_path.read_bytes())
    made = issue_authority("TauSQL certificate authority", now, AUTHORITY_DAYS)
    _write(key_path, made.key_pem())
    _write(certificate_path, made.pem(), 0o644)
    return made


def _is_current(files: Files, authority: Issued, names: Sequence[str], now: datetime.datetime) -> bool:
    if not files.certificate.exists() or not files.key.exists():
        return False
    try:
        issued = read_issued(files.certificate.read_bytes(), files.key.read_bytes())
    except ValueError:  # whoever made them died between the two files
        return False
    return (
        signed_by(issued.certificate, authority.certificate)
        and issued.days_left(now) >= RENEW_DAYS
        and covers(issued.certificate, names)
    )


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and never readable by others in between."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
