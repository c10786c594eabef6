"""Many versions of a key in one ordered store: all of a key's together, newest first.

The obvious layout, key then tau, mixes the versions of keys of which one starts with the other. So the key is escaped
and ended before the tau follows, inverted so that the newest comes first:

    b"d" + key with 0x00 written 0x00 0xFF + 0x00 0x00 + (TAU_MAX - tau: 8 bytes, big-endian)  ->  flag + row

Flag 1 is a row, 0 a tombstone. A point read is one seek to (key, tau); the engine's order is the keys' order.
"""

from __future__ import annotations

from bisect import bisect_left
from struct import Struct

from tausql.protocol.tau import TAU_MAX
from tausql.storage.engine import Iterator

DATA = b"d"
DATA_END = b"e"
TOMBSTONE = b"\x00"
ROW = b"\x01"
SUFFIX_BYTES = 10  # the end mark and the tau
_STEPS_BEFORE_SEEK = 8  # walking over a version costs a fraction of a seek

pack_inverted = Struct(">Q").pack
_unpack_tau = Struct(">Q").unpack


def escaped(key: bytes) -> bytes:
    """Where the versions of keys at or after `key` begin."""
    return DATA + key.replace(b"\x00", b"\x00\xff")


def version_prefix(key: bytes) -> bytes:
    """What all versions of exactly this key start with."""
    return DATA + key.replace(b"\x00", b"\x00\xff") + b"\x00\x00"


def version_key(key: bytes, tau: int) -> bytes:
    return DATA + key.replace(b"\x00", b"\x00\xff") + b"\x00\x00" + pack_inverted(TAU_MAX - tau)


def key_of(engine_key: bytes) -> bytes:
    return engine_key[1:-SUFFIX_BYTES].replace(b"\x00\xff", b"\x00")


def tau_of(engine_key: bytes) -> int:
    tau: int = TAU_MAX - _unpack_tau(engine_key[-8:])[0]
    return tau


class VersionReader:
    """Reads at one tau after another over the engine's iterator. `newest` rises to the newest tau touched since it was
    last set to 0: tombstones and rows that a caller drops included."""

    __slots__ = ("_iterator", "newest")

    def __init__(self, iterator: Iterator) -> None:
        self._iterator = iterator
        self.newest = 0

    def get(self, key: bytes, tau: int) -> bytes | None:
        """The row under `key` as of `tau`, None where there is none."""
        prefix = DATA + key.replace(b"\x00", b"\x00\xff") + b"\x00\x00"
        iterator = self._iterator
        iterator.seek(prefix + pack_inverted(TAU_MAX - tau))
        if not iterator.valid():
            iterator.status()
            return None
        found = iterator.key()
        if not found.startswith(prefix):
            return None
        touched = TAU_MAX - _unpack_tau(found[-8:])[0]
        if touched > self.newest:
            self.newest = touched
        value = iterator.value()
        return value[1:] if value[0] else None

    def ascending(self, low: bytes, high: bytes) -> Ascending:
        """Rows of [low, high) in order; `high` b"" = to the end."""
        return Ascending(self, self._iterator, low, high)

    def descending(self, low: bytes, high: bytes) -> Descending:
        """Rows of [low, high) in opposite order."""
        return Descending(self, self._iterator, low, high)


class Ascending:
    """A forward scan. `next(tau)` gives (key, row), a key with None for a tombstone, or None at the end: callers see
    tombstones so that they can bound the work of a page."""

    __slots__ = ("_end", "_found", "_iterator", "_reader")

    def __init__(self, reader: VersionReader, iterator: Iterator, low: bytes, high: bytes) -> None:
        self._reader = reader
        self._iterator = iterator
        self._end = escaped(high) if high else DATA_END
        iterator.seek(escaped(low))
        self._found = _standing(iterator)  # the newest version of the next key, None at the end

    def next(self, tau: int) -> tuple[bytes, bytes | None] | None:
        iterator = self._iterator
        found = self._found
        while found is not None and found < self._end:
            head = found[:-8]
            touched = TAU_MAX - _unpack_tau(found[-8:])[0]
            if touched > tau:
                found = self._older(head, tau)
                if found is None or not found.startswith(head):
                    continue  # every version is newer: this is the next key
                touched = TAU_MAX - _unpack_tau(found[-8:])[0]
            if touched > self._reader.newest:
                self._reader.newest = touched
            value = iterator.value()
            iterator.next()
            if iterator.valid():
                found = iterator.key()
                if found.startswith(head):
                    found = self._past(head)
            else:
                iterator.status()
                found = None
            self._found = found
            key = head[1:-2]
            if b"\x00" in key:
                key = key.replace(b"\x00\xff", b"\x00")
            return key, (value[1:] if value[0] else None)
        self._found = found
        return None

    def take(self, tau: int, count: int) -> tuple[list[bytes], list[bytes]]:
        """`next`, up to `count` times, without the tombstones: engine keys (`key_of` makes keys of them) and engine
        values (a row behind its flag).

        A version at a time costs several times what the engine asks for it. So `count` entries are taken as they come,
        and only where they turn out not to be one visible version each is the way gone again step by step."""
        iterator, end = self._iterator, self._end
        found = self._found
        keys: list[bytes] = []
        values: list[bytes] = []
        if found is None or found >= end:
            return keys, values
        step, valid, key_here, value_here = iterator.next, iterator.valid, iterator.key, iterator.value
        add_key, add_value = keys.append, values.append
        for _ in range(count):
            add_key(found)
            add_value(value_here())
            step()
            if not valid():
                iterator.status()
                found = None
                break
            found = key_here()
        if keys[-1] >= end:
            last = bisect_left(keys, end)
            del keys[last:], values[last:]
            found = None
        heads = {key[:-8] for key in keys}
        newest = min([key[-8:] for key in keys])
        invisible = newest < pack_inverted(TAU_MAX - tau)
        if invisible or len(heads) < len(keys) or (found is not None and found.startswith(keys[-1][:-8])):
            return self._take_slowly(tau, count, keys[0])
        self._found = found
        touched = tau_of(newest)
        if touched > self._reader.newest:
            self._reader.newest = touched
        if TOMBSTONE in values:
            places = [at for at, value in enumerate(values) if value[0]]
            return [keys[at] for at in places], [values[at] for at in places]
        return keys, values

    def _take_slowly(self, tau: int, count: int, first: bytes) -> tuple[list[bytes], list[bytes]]:
        self._iterator.seek(first)
        self._found = _standing(self._iterator)
        keys: list[bytes] = []
        values: list[bytes] = []
        for _ in range(count):
            found = self.next(tau)
            if found is None:
                break
            key, row = found
            if row is not None:
                keys.append(version_key(key, tau))
                values.append(ROW + row)
        return keys, values

    @property
    def more(self) -> bool:
        """Whether the scan goes on, with versions that may be visible or not."""
        return self._found is not None and self._found < self._end

    @property
    def ahead(self) -> bytes:
        """The key the scan goes on with, if there is more."""
        assert self._found is not None
        return key_of(self._found)

    def _older(self, head: bytes, tau: int) -> bytes | None:
        """Go to the newest version at or below `tau` of the key the iterator stands on, or to the next key."""
        iterator = self._iterator
        for _ in range(_STEPS_BEFORE_SEEK):
            iterator.next()
            found = _standing(iterator)
            if found is None or not found.startswith(head) or tau_of(found) <= tau:
                return found
        iterator.seek(head + pack_inverted(TAU_MAX - tau))
        return _standing(iterator)

    def _past(self, head: bytes) -> bytes | None:
        """Leave the rest of this key's versions behind."""
        iterator = self._iterator
        for _ in range(_STEPS_BEFORE_SEEK):
            iterator.next()
            found = _standing(iterator)
            if found is None or not found.startswith(head):
                return found
        iterator.seek(head[:-1] + b"\x01")  # above 0x00 0x00 and any tau, below 0x00 0xFF: nothing lies between
        return _standing(iterator)


class Descending:
    """A backward scan, with `next` as in `Ascending`."""

    __slots__ = ("_found", "_iterator", "_reader", "_start")

    def __init__(self, reader: VersionReader, iterator: Iterator, low: bytes, high: bytes) -> None:
        self._reader = reader
        self._iterator = iterator
        self._start = escaped(low)
        # No version's key equals an escaped bound, so "at or before" it is "before" it.
        iterator.seek_for_prev(escaped(high) if high else DATA_END)
        self._found = _standing(iterator)  # the oldest version of the next key, None at the end

    def next(self, tau: int) -> tuple[bytes, bytes | None] | None:
        while self._found is not None and self._found >= self._start:
            head = self._found[:-8]
            visible = self._visible(head, self._found, tau)
            if visible is None:
                continue  # every version is newer
            touched, value = visible
            if touched > self._reader.newest:
                self._reader.newest = touched
            key = head[1:-2]
            if b"\x00" in key:
                key = key.replace(b"\x00\xff", b"\x00")
            return key, (value[1:] if value[0] else None)
        return None

    def _visible(self, head: bytes, found: bytes, tau: int) -> tuple[int, bytes] | None:
        """Walk back over this key's versions, oldest first, to the key before it."""
        iterator = self._iterator
        best: tuple[int, bytes] | None = None
        for _ in range(_STEPS_BEFORE_SEEK):
            touched: int = TAU_MAX - _unpack_tau(found[-8:])[0]
            if touched <= tau:
                best = touched, iterator.value()
            iterator.prev()
            before = _standing(iterator)
            if before is None or not before.startswith(head):
                self._found = before
                return best
            found = before
        iterator.seek(head + pack_inverted(TAU_MAX - tau))
        newest = _standing(iterator)
        if newest is not None and newest.startswith(head):
            best = tau_of(newest), iterator.value()
        iterator.seek_for_prev(head)
        self._found = _standing(iterator)
        return best


def _standing(iterator: Iterator) -> bytes | None:
    """The key the iterator stands on, None at the end. Raises when a read failed."""
    if iterator.valid():
        return iterator.key()
    iterator.status()
    return None
