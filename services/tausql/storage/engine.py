"""What storage needs of an ordered key-value store, and nothing more.

An engine writes batches atomically and in order: after a crash it holds some prefix of the batches written, at least up
to the last `flush`. That is all the applier needs to be exact, and it is why a faster store without that promise would
not do. Iterators are good until the next write only, so that an engine needs no snapshots.
"""

from __future__ import annotations

from typing import Protocol


class EngineFull(Exception):
    """No room on the disk: the batch was not written."""


class EngineFailed(Exception):
    """A write or flush failed: what is on the disk is unknown, the process must exit."""


class Batch(Protocol):
    """Writes that take effect together."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def delete_range(self, low: bytes, high: bytes) -> None:
        """Every key from `low` on, below `high`, as of the moment the batch is written. To be called before any
        `put` of the batch."""
        ...


class Iterator(Protocol):
    """A position among the keys. `key` and `value` may only be asked while `valid`. Good until the next write."""

    def seek(self, key: bytes) -> None:
        """To the first key at or after `key`."""
        ...

    def seek_for_prev(self, key: bytes) -> None:
        """To the last key at or before `key`."""
        ...

    def next(self) -> None: ...

    def prev(self) -> None: ...

    def valid(self) -> bool: ...

    def status(self) -> None:
        """Raises if it is not valid because a read failed, rather than because there is nothing there."""
        ...

    def key(self) -> bytes: ...

    def value(self) -> bytes: ...


class Engine(Protocol):
    """The store. Raises EngineFailed from anything that reads or writes, EngineFull from `write`."""

    version: int  # another number after each write: iterators from before are stale

    def batch(self) -> Batch: ...

    def write(self, batch: Batch) -> None: ...

    def get(self, key: bytes) -> bytes | None: ...

    def iterate(self) -> Iterator: ...

    def flush(self) -> None:
        """Returns once every batch written so far survives a loss of power."""
        ...

    def clear(self) -> None:
        """Delete everything, atomically and durably."""
        ...

    def size_bytes(self) -> int:
        """About how much disk this takes."""
        ...

    def close(self) -> None:
        """Let go of the store. Raises EngineFull or EngineFailed when what was not flushed could not be written."""
        ...
