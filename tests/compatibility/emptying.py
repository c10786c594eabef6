"""Nothing left of the suite before: every view, table, sequence and function of schema public dropped."""

from __future__ import annotations

import psycopg

PASSES_MAX = 10
KINDS = {"v": "VIEW", "r": "TABLE", "S": "SEQUENCE"}


def empty(connection: psycopg.Connection) -> None:
    """Drop everything in schema public, in autocommit. Raises RuntimeError if something stays."""
    for _ in range(PASSES_MAX):
        found = connection.execute(
            "SELECT c.relkind::text, quote_ident(c.relname) FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind IN ('v', 'r', 'S') ORDER BY c.relkind DESC, c.oid DESC"
        ).fetchall()
        if not found:
            return
        for kind, name in found:
            try:
                connection.execute(f"DROP {KINDS[kind]} IF EXISTS public.{name} CASCADE".encode())
            except psycopg.errors.SerializationFailure:
                continue  # a background job changed the schema at that moment: the next pass
            except psycopg.Error as error:
                last = error
    raise RuntimeError(f"cannot be dropped: {found}: {last}")
