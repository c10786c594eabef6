"""A folder of append-only files, as small as the journal needs it, so that the simulation can lose, tear and fill it."""

from __future__ import annotations

from typing import Protocol


class DiskFull(Exception):
    """No room (ENOSPC), nothing of the failed write counts."""


class DiskFailed(Exception):
    """A write or fsync failed: what is on the disk is unknown, the process must exit."""


class File(Protocol):
    @property
    def size(self) -> int:
        """Bytes written so far, durable or not."""
        ...

    def append(self, data: bytes) -> None:
        """Raises DiskFull (the file is then as long as before) or DiskFailed."""
        ...

    def sync(self) -> None:
        """Returns once everything appended is durable (fdatasync). Raises DiskFailed."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the end off; durable by the next sync."""
        ...

    def close(self) -> None: ...


class Disk(Protocol):
    def open(self, name: str) -> File:
        """The file of that name in the folder, made if it is not there (durable by its first sync)."""
        ...

    def names(self) -> list[str]:
        """All files of the folder, sorted."""
        ...

    def remove(self, name: str) -> None: ...

    def replace(self, name: str, data: bytes) -> None:
        """The file holds exactly `data`, atomically and durably, when this returns (write aside, sync, rename, sync
        the folder). Raises DiskFull or DiskFailed."""
        ...

    def free_bytes(self) -> int: ...
