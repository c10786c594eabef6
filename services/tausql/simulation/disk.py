"""A disk that keeps what was synced and may lose, tear or refuse the rest.

A file remembers how many of its bytes are durable instead of a copy of them: a sync of a long log would else cost as
much as the whole log. Only a truncation that is not synced yet needs the old bytes.
"""

from __future__ import annotations

import random

from tausql.journal import blocks
from tausql.runtime.disk import DiskFailed, DiskFull

NO_LIMIT = 1 << 40


class SimulatedFile:
    """Bytes, of which the first `durable` survive a crash for certain."""

    __slots__ = ("_before", "_disk", "content", "durable", "name")

    def __init__(self, disk: SimulatedDisk, name: str, content: bytes = b"") -> None:
        self._disk = disk
        self.name = name
        self.content = bytearray(content)
        self.durable = len(content)
        self._before: bytes | None = None  # the durable bytes, while a truncation of them is not durable

    @property
    def size(self) -> int:
        return len(self.content)

    def append(self, data: bytes) -> None:
        self._disk.take(len(data))
        self.content += data

    def sync(self) -> None:
        if self._disk.sync_fails:
            raise DiskFailed("fsync failed")
        self.durable = len(self.content)
        self._before = None
        self._disk.syncs += 1

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.content[offset : offset + size])

    def truncate(self, size: int) -> None:
        if size >= len(self.content):
            return
        if size < self.durable and self._before is None:
            self._before = bytes(self.content[: self.durable])
        self._disk.take(size - len(self.content))
        del self.content[size:]
        self.durable = min(self.durable, size)

    def close(self) -> None:
        return

    def survivor(self, chance: random.Random) -> tuple[bytes, bool]:
        """What a loss of power leaves, and whether it tore an append apart."""
        if self._before is not None and not self.content.startswith(self._before):
            return self._before, False
        unsynced = len(self.content) - self.durable
        kept = chance.randint(0, unsynced) if unsynced > 0 else 0
        return bytes(self.content[: self.durable + kept]), 0 < kept < unsynced


class SimulatedDisk:
    """`capacity` bytes in all. `crash` keeps of each file what was synced and a random part of what was not."""

    def __init__(self, chance: random.Random, capacity: int = NO_LIMIT) -> None:
        self._random = chance
        self.capacity = capacity
        self.files: dict[str, SimulatedFile] = {}
        self.sync_fails = False
        self.syncs = 0
        self.torn = 0
        self.used = 0
        self.damaged = ""  # a file in which a durable bit has flipped

    def take(self, size: int) -> None:
        """Count `size` more bytes as used. Raises DiskFull."""
        if size > 0 and self.used + size > self.capacity:
            raise DiskFull("no room on the disk")
        self.used += size

    def open(self, name: str) -> SimulatedFile:
        if name not in self.files:
            self.files[name] = SimulatedFile(self, name)
        return self.files[name]

    def names(self) -> list[str]:
        return sorted(self.files)

    def remove(self, name: str) -> None:
        file = self.files.pop(name, None)
        if file is not None:
            self.used -= file.size

    def replace(self, name: str, data: bytes) -> None:
        old = self.files.get(name)
        self.take(len(data) - (old.size if old is not None else 0))
        if self.sync_fails:
            raise DiskFailed("fsync failed")
        self.files[name] = SimulatedFile(self, name, data)
        self.syncs += 1

    def free_bytes(self) -> int:
        return max(0, self.capacity - self.used)

    def crash(self) -> None:
        """Every file falls back to what was synced, plus, perhaps, the beginning of what was appended since."""
        for name, file in self.files.items():
            content, torn = file.survivor(self._random)
            self.torn += torn
            self.files[name] = SimulatedFile(self, name, content)
        self.used = sum(file.size for file in self.files.values())
        self.sync_fails = False

    def flip(self) -> bool:
        """A durable bit of the log flips, not in the last block: damage there cannot be told from an append that a
        crash has torn, by nobody. False when there is nothing else."""
        whole = [name for name in self.names() if name.endswith(".log")]
        places: list[tuple[str, int]] = []
        for name in whole:
            content = bytes(self.files[name].content[: self.files[name].durable])
            ends = [block.end for block in blocks.scan(content, name, None, last=name == whole[-1])]
            if name == whole[-1]:
                ends = ends[:-1]
            if ends:
                places.append((name, ends[-1]))
        if not places:
            return False
        name, size = self._random.choice(places)
        self.files[name].content[self._random.randrange(size)] ^= 1 << self._random.randrange(8)
        self.damaged = name
        return True

    def twin(self) -> SimulatedDisk:
        """The same files on another disk: to look at them without touching these."""
        twin = SimulatedDisk(random.Random(0))
        for name, file in self.files.items():
            twin.files[name] = SimulatedFile(twin, name, bytes(file.content))
        twin.used = self.used
        return twin
