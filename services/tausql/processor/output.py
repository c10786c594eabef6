"""What a session has to say, collected and written in as few pieces as can be.

A socket call costs more than a cached statement does, so the answers of a whole pipeline leave in one write at its
Sync; only a large result leaves earlier, piece by piece, as fast as the client takes it.
"""

from __future__ import annotations

from tausql.processor.coroutines import Wait
from tausql.processor.metrics import ProcessorMetrics
from tausql.protocol.processor import ClientOut

PIECE_BYTES = 64 * 1024


class ClientGone(Exception):
    """The client has hung up: unwind, there is nobody to tell."""


class Output:
    """Answers on their way to one client."""

    __slots__ = ("_bytes", "_metrics", "_out", "_parts", "closed", "due", "farewell")

    def __init__(self, out: ClientOut, metrics: ProcessorMetrics) -> None:
        self._out = out
        self._metrics = metrics
        self._parts: list[bytes] = []
        self._bytes = 0
        self.closed = False
        self.due = False  # the client waits for what is here
        self.farewell = b""  # said last of all, where a session ends in good order

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._bytes += len(data)

    @property
    def full(self) -> bool:
        """Enough for a write of its own."""
        return self._bytes >= PIECE_BYTES

    def flush(self) -> None:
        self.due = False
        parts = self._parts
        if not parts:
            return
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        self._metrics.bytes_out += self._bytes
        self._bytes = 0
        if not self.closed:
            self._out.write(data)

    def flush_if_due(self) -> None:
        """The work stands still: let the client have what it is waiting for."""
        if self.due:
            self.flush()

    def writable(self) -> Wait[None] | None:
        """None: go on. Else wait: the client has not taken what was written."""
        if self.closed:
            return None
        wait: Wait[None] = Wait()
        if self._out.when_writable(lambda: wait.resolve(None)):
            return None
        return wait

    def close(self) -> None:
        """Write what is left, and hang up."""
        if not self.closed:
            if self.farewell:
                self.add(self.farewell)
            self.flush()
            self.closed = True
            self._out.close()

    def drop(self) -> None:
        """Hang up without a word: what was not written yet is forgotten."""
        if not self.closed:
            self.lost()
            self._out.close()

    def waiting(self) -> bytes:
        """What is not written yet."""
        return b"".join(self._parts)

    def lost(self) -> None:
        """Nobody listens any more."""
        self.closed = True
        self._parts = []
        self._bytes = 0
