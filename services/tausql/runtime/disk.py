"""A folder of append-only files, as little as the journal needs, so that the simulation can lose, tear and fill it."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@contextmanager
def _failing_as(what: str) -> Iterator[None]:
    """OSErrors become DiskFull (no room, no quota) or DiskFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{what}: {error}") from error
        raise DiskFailed(f"{what}: {error}") from error


class FolderFile:
    """A file of a `FolderDisk`."""

    __slots__ = ("_descriptor", "_folder", "_listed", "_path", "_size")

    def __init__(self, path: Path, folder: int) -> None:
        self._path = path
        self._folder = folder  # descriptor of the folder
        with _failing_as(f"open {path}"):
            self._listed = path.exists()  # else the folder itself is synced along with the first sync
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        offset = self._size
        try:
            with _failing_as(f"write {self._path}"):
                while rest:
                    written = os.pwrite(self._descriptor, rest, offset)
                    offset += written
                    rest = rest[written:]
        except DiskFull:
            with _failing_as(f"truncate {self._path}"):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size = offset

    def sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
            if not self._listed:
                os.fsync(self._folder)
                self._listed = True
        except OSError as error:  # no room either: after a failed sync nothing is known
            raise DiskFailed(f"sync {self._path}: {error}") from error

    def read(self, offset: int, size: int) -> bytes:
        parts = []
        with _failing_as(f"read {self._path}"):
            while size > 0:
                part = os.pread(self._descriptor, size, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def truncate(self, size: int) -> None:
        with _failing_as(f"truncate {self._path}"):
            os.ftruncate(self._descriptor, size)
        self._size = size

    def close(self) -> None:
        os.close(self._descriptor)


class FolderDisk:
    """The real one. The folder must exist. What has no room raises DiskFull, everything else DiskFailed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder
        with _failing_as(f"open {folder}"):
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for name in os.listdir(folder):
                if name.endswith(".aside"):  # a `replace` that a crash interrupted
                    (folder / name).unlink()

    def open(self, name: str) -> FolderFile:
        return FolderFile(self._path / name, self._folder)

    def names(self) -> list[str]:
        with _failing_as(f"list {self._path}"):
            return sorted(os.listdir(self._folder))

    def remove(self, name: str) -> None:
        with _failing_as(f"remove {self._path / name}"):
            (self._path / name).unlink(missing_ok=True)

    def replace(self, name: str, data: bytes) -> None:
        aside = self._path / f"{name}.aside"
        file = FolderFile(aside, self._folder)
        try:
            file.truncate(0)
            file.append(data)
            file.sync()
        except DiskFull:
            self.remove(aside.name)
            raise
        finally:
            file.close()
        with _failing_as(f"rename {aside}"):
            os.rename(aside, self._path / name)
        try:
            os.fsync(self._folder)
        except OSError as error:
            raise DiskFailed(f"sync {self._path}: {error}") from error

    def free_bytes(self) -> int:
        with _failing_as(f"statvfs {self._path}"):
            room = os.fstatvfs(self._folder)
        return room.f_bavail * room.f_frsize

    def close(self) -> None:
        os.close(self._folder)
