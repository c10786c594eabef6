"""Conversations up to the point where a token is accepted or refused."""

from __future__ import annotations

from typing import Any

from frontend_running import Raw, Running

from tausql.pgwire import client


async def answered(
    running: Running,
    host: str,
    password: str,
    user: str = "admin",
    database: str = "postgres",
    parameters: dict[str, str] | None = None,
) -> tuple[Raw, client.BackendMessage]:
    """A connection by the name `host`, and what it is answered once it has shown the password."""
    raw = await (Raw.direct(running, server_hostname=host) if host else Raw.nameless(running))
    raw.send(client.startup(user, database, parameters or {}))
    await raw.until(client.Authentication)
    raw.send(client.password(password))
    message = await raw.next()
    assert message is not None
    return raw, message


async def refused(running: Running, host: str, password: str, **startup: Any) -> tuple[str, str, str | None]:
    """SQLSTATE, message and hint."""
    raw, message = await answered(running, host, password, **startup)
    assert isinstance(message, client.ErrorResponse), message
    assert message.fields["V"] == "FATAL"
    assert await raw.next() is None
    raw.close()
    return message.fields["C"], message.fields["M"], message.fields.get("H")


async def welcome(running: Running, host: str, password: str, **startup: Any) -> Raw:
    raw, message = await answered(running, host, password, **startup)
    assert message == client.Authentication(0), message
    await raw.until(client.ReadyForQuery)
    return raw
