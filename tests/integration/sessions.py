"""Sessions of this fleet, and what its processes say of themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
from loadtest.tausql_fleet import Fleet

Session = psycopg.Connection[tuple[Any, ...]]


def session(fleet: Fleet, autocommit: bool = True) -> Session:
    """A psycopg session over TLS."""
    return psycopg.connect(fleet.secure_connection, autocommit=autocommit)


def status(fleet: Fleet, name: str) -> dict[str, Any]:
    """`/status` of one process by its name in cluster.json."""
    (entry,) = [entry for entry in fleet.processes() if entry["name"] == name]
    answer = httpx.get(f"http://{fleet.host}:{entry['http_port']}/status", timeout=5)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


@contextlib.contextmanager
def sessions_by_processor(fleet: Fleet, processes: tuple[str, ...], autocommit: bool = True) -> Iterator[list[Session]]:
    """One session on each of the processors that run in these processes, in that order.

    Which frontend takes a connection is the kernel's choice and which processor the frontend's, so connections are
    opened until each processor has one more session than before.
    """
    with contextlib.ExitStack() as stack:
        found: dict[str, Session] = {}
        for _ in range(100):
            before = {name: clients_of(fleet, name) for name in processes}
            opened = stack.enter_context(session(fleet, autocommit))
            for name in processes:
                if clients_of(fleet, name) > before[name]:
                    found.setdefault(name, opened)
            if len(found) == len(processes):
                yield [found[name] for name in processes]
                return
        raise AssertionError(f"of {processes} only {sorted(found)} took sessions")


def clients_of(fleet: Fleet, process: str) -> int:
    """How many sessions of clients a processor has: all but control's own."""
    told = status(fleet, process)["processor"]
    return int(told["sessions"]) - int(told["system_sessions"])


def sql_url(fleet: Fleet) -> str:
    """Where HTTP SQL is mounted in the packed shape."""
    return f"http://{fleet.host}:{fleet.http_port}/v1"


def sqlstate(error: BaseException) -> str:
    """The five characters of a psycopg error."""
    return str(getattr(error, "sqlstate", None))
