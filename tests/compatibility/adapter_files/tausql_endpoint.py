"""A pytest plugin: connections to a cluster's endpoint name go to the server of PGHOST and PGPORT instead.

Names of endpoints and tokens need DNS, certificates and credentials of their own; here only what is said over the
connection counts. Everything above the drivers' own connect runs as it is.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg

SUFFIX = ".on.aws"
DROPPED = ("sslrootcert", "sslnegotiation", "hostaddr")


def _libpq(given: dict[str, Any]) -> dict[str, Any]:
    """Parameters of libpq, with another server if they name an endpoint."""
    if not str(given.get("host", "")).endswith(SUFFIX):
        return given
    return {name: value for name, value in given.items() if name not in DROPPED} | {
        "host": os.environ["PGHOST"],
        "port": os.environ["PGPORT"],
        "password": os.environ["PGPASSWORD"],
        "sslmode": os.environ["PGSSLMODE"],
    }


def _redirect(kind: Any) -> None:
    original = kind.connect.__func__

    def connect(cls: Any, conninfo: str = "", **given: Any) -> Any:
        named = {key: given.pop(key) for key in ("autocommit", "prepare_threshold", "context", "row_factory",
                                                 "cursor_factory") if key in given}  # fmt: skip
        whole = psycopg.conninfo.conninfo_to_dict(conninfo, **given)
        return original(cls, "", **_libpq(whole), **named)

    kind.connect = classmethod(connect)


_redirect(psycopg.Connection)
_redirect(psycopg.AsyncConnection)

try:
    import psycopg2
except ImportError:
    pass
else:
    _psycopg2 = psycopg2.connect
    psycopg2.connect = lambda dsn=None, **given: _psycopg2(dsn, **_libpq(given))

try:
    import asyncpg
except ImportError:
    pass
else:
    _asyncpg = asyncpg.connect_utils._connect

    async def _connect(**given: Any) -> Any:
        if str(given.get("host") or "").endswith(SUFFIX):
            given |= {
                "host": os.environ["PGHOST"],
                "port": int(os.environ["PGPORT"]),
                "password": os.environ["PGPASSWORD"],
                "ssl": "require",
            }
        return await _asyncpg(**given)

    asyncpg.connect_utils._connect = _connect
