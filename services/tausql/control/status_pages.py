"""One process's `/status`, fetched.

A client library of some size would be the largest thing that a small fleet's control loads, for requests that all look
alike: one GET to a process of our own, whose answer is one JSON document with its length said beforehand.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import msgspec

ANSWER_BYTES_MAX = 4 << 20
READ_BYTES = 1 << 16


async def fetch(host: str, port: int, path: str = "/status") -> Any:
    """The document at `http://host:port/path`. Raises OSError where there is no connection, ValueError where the
    answer is none that can be used. Waits as long as the other side does: the caller sets the time."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        name = f"[{host}]" if ":" in host else host
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.complete:
            read = await reader.read(READ_BYTES)
            if not read:
                break
            try:
                parser.feed_data(read)
            except httptools.HttpParserError as error:
                raise ValueError(f"no HTTP: {error}") from error
            if len(answer.body) > ANSWER_BYTES_MAX:
                raise ValueError(f"a status of more than {ANSWER_BYTES_MAX} bytes")
    finally:
        writer.close()
    if not answer.complete:
        raise ValueError("the answer broke off")
    if parser.get_status_code() != 200:
        raise ValueError(f"HTTP status {parser.get_status_code()}")
    return msgspec.json.decode(answer.body)


class _Answer:
    """What the parser calls back."""

    __slots__ = ("body", "complete")

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
