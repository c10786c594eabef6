"""What a transaction has written so far, kept here until it commits.

Two questions are asked of it that a plain dictionary cannot answer. A statement must not see its own writes while it
runs (an UPDATE would meet its rows again, an INSERT .. SELECT from its own table would never end), so each key keeps
the number of the statement that wrote it and what was there before. And the commit needs, besides the net post images,
the conflict keys of everything that was ever touched: a row inserted and deleted again leaves no image, yet two
transactions that did so for one key are in conflict.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tausql.protocol.errors import Code, SqlError
from tausql.protocol.keys import identity_key

ROWS_MAX = 3_000
BODY_BYTES_MAX = 10 * 1024 * 1024
SHARES_MAX = 10_000
CONFLICT_BYTES_MAX = 5 * 1024 * 1024  # with a full body still below what one message may hold
KEPT_BYTES_MAX = 64 * 1024 * 1024
_INSORT_BELOW = 16  # more new keys than this are sorted in at once

# How a row is touched, as bits: what of it (row R, identity K), and how.
WRITE_ROW = 1
WRITE_IDENTITY = 2
SHARE_ROW = 4
SHARE_IDENTITY = 8
_WRITES = WRITE_ROW | WRITE_IDENTITY

_encode_body = msgspec.msgpack.Encoder().encode


class Version:
    """What one statement left under a key."""

    __slots__ = ("before", "number", "value")

    def __init__(self, value: bytes | None, number: int, before: Version | None) -> None:
        self.value = value  # None = deleted
        self.number = number  # of the statement
        self.before = before


class Tables(NamedTuple):
    """What a buffer held at a savepoint. Versions are not changed once their statement has ended, so references do."""

    heads: dict[bytes, Version]
    modes: dict[bytes, int]
    entry_conflicts: dict[bytes, None]
    born: set[bytes]
    relations: set[int]
    row_relations: dict[int, int]
    counts: tuple[int, int, int, int, int]

    @property
    def size(self) -> int:
        return len(self.heads) + len(self.modes) + len(self.entry_conflicts)


class WriteBuffer:
    """The writes of one transaction. `number` is the writing statement's; a statement sees writes of lower numbers."""

    __slots__ = (
        "_added",
        "_body_bytes",
        "_born",
        "_conflict_bytes",
        "_entry_conflicts",
        "_heads",
        "_kept_bytes",
        "_keys",
        "_modes",
        "_rows",
        "_shares",
        "oldest_mark",
        "relations",
        "row_relations",
    )

    def __init__(self) -> None:
        self._heads: dict[bytes, Version] = {}
        self._keys: list[bytes] = []  # sorted
        self._added: list[bytes] = []  # not yet in `_keys`
        self._modes: dict[bytes, int] = {}  # how each row is touched
        self._entry_conflicts: dict[bytes, None] = {}  # entries of unique indexes
        self._born: set[bytes] = set()  # rows that were not there at tau_start
        self._rows = 0
        self._shares = 0
        self._body_bytes = 0
        self._conflict_bytes = 0
        self._kept_bytes = 0  # of replaced versions that an open portal may still have to see
        self.oldest_mark = 0  # no statement of a lower number reads any more; set at the start of each statement
        self.relations: set[int] = set()  # tables touched
        self.row_relations: dict[int, int] = {}  # tables whose rows are changed -> the first statement that did

    # --- writing -------------------------------------------------------------------------------------------------

    def insert_row(self, relation: int, key: bytes, value: bytes, number: int) -> None:
        if key not in self._heads:
            self._born.add(key)
        self._touch(relation, key, _WRITES)
        self._put(key, value, number)
        if relation not in self.row_relations:
            self.row_relations[relation] = number

    def update_row(self, relation: int, key: bytes, value: bytes, key_columns_changed: bool, number: int) -> None:
        self._touch(relation, key, _WRITES if key_columns_changed else WRITE_ROW)
        self._put(key, value, number)
        if relation not in self.row_relations:
            self.row_relations[relation] = number

    def delete_row(self, relation: int, key: bytes, number: int) -> None:
        self._touch(relation, key, _WRITES)
        self._put(key, None, number)
        if relation not in self.row_relations:
            self.row_relations[relation] = number

    def lock_row(self, relation: int, key: bytes) -> None:
        self._touch(relation, key, _WRITES)

    def share_key(self, relation: int, key: bytes) -> None:
        self._share(relation, key, SHARE_IDENTITY)

    def share_row(self, relation: int, key: bytes) -> None:
        self._share(relation, key, SHARE_ROW)

    def put_entry(self, relation: int, key: bytes, value: bytes, unique: bool, number: int) -> None:
        self.relations.add(relation)
        if unique and key not in self._entry_conflicts:
            self._entry_conflicts[key] = None
            self._count_conflict(len(key))
        self._put(key, value, number)

    def delete_entry(self, relation: int, key: bytes, unique: bool, number: int) -> None:
        self.relations.add(relation)
        if unique and key not in self._entry_conflicts:
            self._entry_conflicts[key] = None
            self._count_conflict(len(key))
        self._put(key, None, number)

    # --- reading -------------------------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """True when there is nothing to judge and nothing to store."""
        return not (self._modes or self._heads)

    def a_key(self) -> bytes:
        """Some key that is touched. Only where the buffer is not empty."""
        return next(iter(self._modes or self._heads))

    @property
    def has_images(self) -> bool:
        return bool(self._heads)

    @property
    def rows(self) -> int:
        return self._rows

    def visible(self, key: bytes, mark: int) -> Version | None:
        """What a statement of number `mark` sees under `key` of this transaction's own writes; None: none."""
        version = self._heads.get(key)
        while version is not None and version.number >= mark:
            version = version.before
        return version

    def visible_in(self, low: bytes, high: bytes, mark: int) -> list[tuple[bytes, bytes | None]]:
        """Own writes under the keys of [low, high) that a statement of number `mark` sees, in key order. high b"" = no
        end."""
        if not self._heads:
            return []
        keys = self._sorted()
        first = bisect_left(keys, low)
        last = bisect_left(keys, high, first) if high else len(keys)
        found: list[tuple[bytes, bytes | None]] = []
        for at in range(first, last):
            key = keys[at]
            version = self.visible(key, mark)
            if version is not None:
                found.append((key, version.value))
        return found

    def rows_changed(self, relation: int, mark: int) -> bool:
        """True if a statement of number `mark` sees changed rows of that table."""
        first = self.row_relations.get(relation)
        return first is not None and first < mark

    # --- savepoints ----------------------------------------------------------------------------------------------

    def tables(self, before: Tables | None) -> Tables:
        """What it holds now; `before` itself, an earlier answer, where nothing has been written since."""
        counts = (self._rows, self._shares, self._body_bytes, self._conflict_bytes, self._kept_bytes)
        now = (counts, self._heads, self._modes, self._entry_conflicts)
        if before is not None and now == (before.counts, before.heads, before.modes, before.entry_conflicts):
            return before
        return Tables(
            self._heads.copy(),
            self._modes.copy(),
            self._entry_conflicts.copy(),
            self._born.copy(),
            self.relations.copy(),
            self.row_relations.copy(),
            counts,
        )

    def back_to(self, tables: Tables) -> None:
        """Hold what it held when `tables` were taken. They stay good."""
        self._heads = tables.heads.copy()
        self._keys = []
        self._added = list(self._heads)
        self._modes = tables.modes.copy()
        self._entry_conflicts = tables.entry_conflicts.copy()
        self._born = tables.born.copy()
        self.relations = tables.relations.copy()
        self.row_relations = tables.row_relations.copy()
        self._rows, self._shares, self._body_bytes, self._conflict_bytes, self._kept_bytes = tables.counts

    # --- committing ----------------------------------------------------------------------------------------------

    def images(self) -> Iterator[tuple[bytes, bytes | None]]:
        """The net post images, in key order."""
        heads = self._heads
        born = self._born
        for key in self._sorted():
            value = heads[key].value
            if value is not None or key not in born:
                yield key, value

    def body(self) -> tuple[bytes, bytes, bytes]:
        """(first key, last key, MessagePack of the post images). The keys are empty where there is no image."""
        images = list(self.images())
        if not images:
            return b"", b"", _encode_body(images)
        return images[0][0], images[-1][0], _encode_body(images)

    def conflict_keys(self) -> tuple[list[bytes], list[bytes]]:
        """(written, shared): what the adjudicator judges by. Whoever writes a key need not share it."""
        writes: list[bytes] = []
        shares: list[bytes] = []
        for key, mode in self._modes.items():
            if mode & WRITE_ROW:
                writes.append(key)
            elif mode & SHARE_ROW:
                shares.append(key)
            if mode & WRITE_IDENTITY:
                writes.append(identity_key(key))
            elif mode & SHARE_IDENTITY:
                shares.append(identity_key(key))
        writes.extend(self._entry_conflicts)
        return writes, shares

    # --- within --------------------------------------------------------------------------------------------------

    def _touch(self, relation: int, key: bytes, bits: int) -> None:
        modes = self._modes
        mode = modes.get(key, 0)
        if mode & bits == bits:
            return
        if not mode & WRITE_ROW:
            if self._rows >= ROWS_MAX:
                raise SqlError(Code.program_limit_exceeded, "transaction row limit exceeded")
            self._rows += 1
        if not mode:
            self.relations.add(relation)
        self._count_conflict(2 * len(key))
        modes[key] = mode | bits

    def _share(self, relation: int, key: bytes, bit: int) -> None:
        mode = self._modes.get(key, 0)
        if mode & bit:
            return
        if self._shares >= SHARES_MAX:
            raise SqlError(Code.program_limit_exceeded, "transaction row limit exceeded")
        self._shares += 1
        self.relations.add(relation)
        self._count_conflict(2 * len(key))
        self._modes[key] = mode | bit

    def _put(self, key: bytes, value: bytes | None, number: int) -> None:
        size = 0 if value is None else len(value)
        head = self._heads.get(key)
        if head is None:
            self._added.append(key)
            self._count_body(len(key) + size)
            self._heads[key] = Version(value, number, None)
            return
        replaced = 0 if head.value is None else len(head.value)
        self._count_body(size - replaced)
        if head.number == number:
            head.value = value
            return
        if head.number < self.oldest_mark:
            head.before = None  # whoever still reads sees `head` or something newer
        else:
            self._kept_bytes += replaced
            if self._kept_bytes > KEPT_BYTES_MAX:
                raise SqlError(Code.out_of_memory, "query requires too much temp space, out of memory.")
        self._heads[key] = Version(value, number, head)

    def _sorted(self) -> list[bytes]:
        added = self._added
        if added:
            keys = self._keys
            if len(added) < _INSORT_BELOW and keys:
                for key in added:
                    insort(keys, key)
            else:
                keys.extend(added)
                keys.sort()
            self._added = []
        return self._keys

    def _count_body(self, more: int) -> None:
        self._body_bytes += more
        if self._body_bytes > BODY_BYTES_MAX:
            raise too_large(self._body_bytes)

    def _count_conflict(self, more: int) -> None:
        self._conflict_bytes += more
        if self._conflict_bytes > CONFLICT_BYTES_MAX:
            raise too_large(self._body_bytes + self._conflict_bytes)


def too_large(size_bytes: int) -> SqlError:
    megabytes = -(-size_bytes // (1024 * 1024))
    return SqlError(
        Code.program_limit_exceeded,
        "transaction size limit 10mb exceeded",
        detail=f"Current transaction size {megabytes}mb 10mb",
    )
