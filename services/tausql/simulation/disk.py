"""A disk that keeps what was synced and may lose, tear or refuse the rest."""

from __future__ import annotations

import random

from tausql.runtime.disk import DiskFailed, DiskFull


class SimulatedFile:
    """Bytes, of which the first `durable` survive a crash for certain."""

    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self._disk = disk
        self._name = name
        self.content = bytearray()
        self.synced = b""  # what a crash leaves at least (a truncation counts once it is synced)

    @property
    def size(self) -> int:
        return len(self.content)

    def append(self, data: bytes) -> None:
        self._disk.reserve(len(data))
        self.content += data

    def sync(self) -> None:
        if self._disk.sync_fails:
            raise DiskFailed("fsync failed")
        self.synced = bytes(self.content)
        self._disk.syncs += 1

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.content[offset : offset + size])

    def truncate(self, size: int) -> None:
        del self.content[size:]

    def close(self) -> None:
        return


class SimulatedDisk:
    """`capacity` bytes in all. `crash` keeps of each file what was synced and a random part of what was not."""

    def __init__(self, chance: random.Random, capacity: int = 1 << 30) -> None:
        self._random = chance
        self.capacity = capacity
        self.files: dict[str, SimulatedFile] = {}
        self.sync_fails = False
        self.syncs = 0
        self.torn = 0

    def reserve(self, size: int) -> None:
        if sum(file.size for file in self.files.values()) + size > self.capacity:
            raise DiskFull("no room on the disk")

    def open(self, name: str) -> SimulatedFile:
        if name not in self.files:
            self.files[name] = SimulatedFile(self, name)
        return self.files[name]

    def names(self) -> list[str]:
        return sorted(self.files)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def replace(self, name: str, data: bytes) -> None:
        file = SimulatedFile(self, name)
        old = self.files.get(name)
        self.reserve(len(data) - (old.size if old is not None else 0))
        file.append(data)
        file.sync()
        self.files[name] = file

    def free_bytes(self) -> int:
        return self.capacity - sum(file.size for file in self.files.values())

    def crash(self) -> None:
        """Every file falls back to what was synced, plus, perhaps, the beginning of what was appended since."""
        for name, file in list(self.files.items()):
            tail = bytes(file.content[len(file.synced) :])
            grown = bytes(file.content[: len(file.synced)]) == file.synced
            survivor = SimulatedFile(self, name)
            survivor.content = bytearray(file.synced)
            if grown and tail:
                kept = self._random.randint(0, len(tail))
                survivor.content += tail[:kept]
                self.torn += kept < len(tail)
            survivor.synced = bytes(survivor.content)
            self.files[name] = survivor
        self.sync_fails = False
