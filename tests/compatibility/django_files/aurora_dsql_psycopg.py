"""In the place of the connector for psycopg: the same names, a password from the environment instead of a token.

Endpoints by name and tokens are tested elsewhere; here only what is said over the connection counts.
"""

from __future__ import annotations

import os
from typing import Any

import psycopg

DROPPED = """host port password region profile sslmode sslrootcert token_duration_secs custom_credentials_provider
sslnegotiation""".split()


def _local(given: dict[str, Any]) -> dict[str, Any]:
    """What the connector takes, without what belongs to names, regions and tokens."""
    kept = {name: value for name, value in given.items() if name not in DROPPED}
    return kept | {
        "host": os.environ["PGHOST"],
        "port": os.environ["PGPORT"],
        "password": os.environ["PGPASSWORD"],
        "sslmode": os.environ["PGSSLMODE"],
    }


class DSQLConnection(psycopg.Connection):
    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Any:
        given.setdefault("user", os.environ["PGUSER"])
        return psycopg.Connection.connect(conninfo, **_local(given))


class DSQLAsyncConnection(psycopg.AsyncConnection):
    @classmethod
    async def connect(cls, conninfo: str = "", **given: Any) -> Any:
        given.setdefault("user", os.environ["PGUSER"])
        return await psycopg.AsyncConnection.connect(conninfo, **_local(given))


connect = DSQLConnection.connect
