"""A fleet for a suite, and how clients of all kinds are told where it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import psycopg
from loadtest.tausql_fleet import running_fleet


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. `mode`: libpq's sslmode."""

    host: str
    port: int
    password: str
    user: str = "admin"
    mode: str = "require"

    @property
    def libpq(self) -> str:
        return (
            f"host={self.host} port={self.port} user={self.user} password={self.password} dbname=postgres "
            f"sslmode={self.mode}"
        )

    def url(self, scheme: str) -> str:
        return f"{scheme}://{self.user}:{quote(self.password)}@{self.host}:{self.port}/postgres?sslmode={self.mode}"

    def environment(self) -> dict[str, str]:
        """For libpq's clients; nothing of ours on the path."""
        own = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
            "PGSSLMODE": self.mode,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {
            name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("PG")
        } | own

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.libpq, autocommit=True)


@contextlib.contextmanager
def endpoint(given: str | None, *options: str, shape: str = "single") -> Iterator[Endpoint]:
    """The server at the libpq string `given`, or a fleet (`tausql up OPTIONS`) that lives as long as the context."""
    if given is None:
        with running_fleet(shape, *options, plaintext=False) as fleet:
            yield Endpoint(fleet.host, fleet.pg_port, fleet.password)
        return
    parts = psycopg.conninfo.conninfo_to_dict(given)
    yield Endpoint(
        str(parts.get("host", "127.0.0.1")),
        int(parts.get("port", 5432)),
        str(parts.get("password", "")),
        str(parts.get("user", "admin")),
        str(parts.get("sslmode", "require")),
    )
