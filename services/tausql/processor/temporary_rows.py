"""The rows of a session's temporary tables: in memory, sorted by key, taken back where their transaction is.

A transaction's write buffer could not hold them: its rows go with it. What they share is that a statement must not see
what it writes itself, so each key keeps the number of the statement that wrote it and what was there before. Undoing
replays a journal backwards: a copy of the table for each savepoint would make an INSERT as dear as the table is large.
"""

from __future__ import annotations

from typing import Final

from sortedcontainers import SortedDict

from tausql.processor.buffer import Version
from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import prefix_end

BYTES_MAX: Final = 128 * 1024 * 1024  # of one session: what a query may take
_ENTRY_BYTES = 250  # of what Python keeps for a key, besides key and value


class TemporaryRows:
    """Rows and index entries by key. Numbers of statements are those of the present transaction; 0 = older than it."""

    __slots__ = ("_bytes", "_journal", "_rows")

    def __init__(self) -> None:
        self._rows: SortedDict[bytes, Version] = SortedDict()
        self._journal: list[tuple[bytes, Version | None]] = []  # what was there before each write
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: bytes, value: bytes | None, number: int) -> None:
        """None deletes. Raises 53200 where the session's tables become too large."""
        head: Version | None = self._rows.get(key)
        if head is not None and head.number == number:
            self._bytes += _size(value) - _size(head.value)
            head.value = value
        else:
            self._bytes += len(key) + _size(value) + _ENTRY_BYTES
            self._journal.append((key, head))
            self._rows[key] = Version(value, number, head)
        if self._bytes > BYTES_MAX:
            raise SqlError(
                Code.out_of_memory,
                "temporary tables require too much space, out of memory.",
                detail=f"The temporary tables of a session can take {BYTES_MAX >> 20} MiB.",
            )

    def clear(self, prefix: bytes, number: int) -> None:
        """Remove all keys that begin with `prefix`."""
        for key in list(self._rows.irange(prefix, prefix_end(prefix) or None, (True, False))):
            self.put(key, None, number)

    def visible(self, key: bytes, mark: int) -> Version | None:
        """What a statement of number `mark` sees under `key`; None: nothing was ever there."""
        version: Version | None = self._rows.get(key)
        while version is not None and version.number >= mark:
            version = version.before
        return version

    def visible_in(self, low: bytes, high: bytes, mark: int) -> list[tuple[bytes, bytes | None]]:
        """All of [low, high) that a statement of number `mark` sees, in key order. high b"" = no end."""
        found: list[tuple[bytes, bytes | None]] = []
        for key in self._rows.irange(low, high or None, (True, False)):
            version = self.visible(key, mark)
            if version is not None and version.value is not None:
                found.append((key, version.value))
        return found

    @property
    def position(self) -> int:
        """For `back_to`."""
        return len(self._journal)

    def back_to(self, position: int) -> None:
        """Undo what was written since."""
        journal, rows = self._journal, self._rows
        while len(journal) > position:
            key, before = journal.pop()
            self._bytes -= len(key) + _size(rows[key].value) + _ENTRY_BYTES
            if before is None:
                del rows[key]
            else:
                rows[key] = before

    def commit(self) -> None:
        """Keep what was written; forget what was there before."""
        rows = self._rows
        for key, before in self._journal:
            if before is not None:
                self._bytes -= len(key) + _size(before.value) + _ENTRY_BYTES
            head: Version | None = rows.get(key)
            if head is None:
                continue
            if head.value is None:
                del rows[key]
                self._bytes -= len(key) + _ENTRY_BYTES
            else:
                head.number, head.before = 0, None
        self._journal.clear()


def _size(value: bytes | None) -> int:
    return 0 if value is None else len(value)
