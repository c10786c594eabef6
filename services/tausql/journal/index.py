"""Where a stream's records are: a row an entry, not a record, in flat arrays (28 bytes a row).

An entry holds one append's records. A row says from which seq on its entry counts; it counts up to the next row's seq.
A cut thus only drops rows, and the entry of the last one left is read as far as the log goes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

OFFSET_BITS = 32


class Place(NamedTuple):
    """A body of an entry on the disk."""

    segment: int
    offset: int
    length: int
    checksum: int


class Index:
    """Rows in order of seq, which is also their order on the disk."""

    __slots__ = ("checksums", "firsts", "lengths", "places")

    def __init__(self) -> None:
        self.firsts = array("Q")
        self.places = array("Q")  # segment << 32 | offset
        self.lengths = array("I")
        self.checksums = array("I")

    def __len__(self) -> int:
        return len(self.firsts)

    def add(self, first: int, segment: int, offset: int, length: int, checksum: int) -> None:
        self.firsts.append(first)
        self.places.append(segment << OFFSET_BITS | offset)
        self.lengths.append(length)
        self.checksums.append(checksum)

    def cut(self, keep_seq: int) -> None:
        """Drop the rows that begin above `keep_seq`."""
        row = bisect_right(self.firsts, keep_seq)
        del self.firsts[row:], self.places[row:], self.lengths[row:], self.checksums[row:]

    def trim(self, seq: int, last_seq: int) -> None:
        """Drop the rows that end at or below `seq`."""
        row = len(self.firsts) if seq >= last_seq else max(0, bisect_right(self.firsts, seq + 1) - 1)
        del self.firsts[:row], self.places[:row], self.lengths[:row], self.checksums[:row]

    def row_of(self, seq: int) -> int:
        """The row whose entry holds `seq`."""
        return bisect_right(self.firsts, seq) - 1

    def place(self, row: int) -> Place:
        place = self.places[row]
        return Place(place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1), self.lengths[row], self.checksums[row])

    def end_within(self, segment: int, last_seq: int) -> int:
        """The last seq held by `segment` and those before it, 0 if they hold nothing."""
        row = bisect_right(self.places, (segment + 1 << OFFSET_BITS) - 1)
        if row == 0:
            return 0
        return self.firsts[row] - 1 if row < len(self.firsts) else last_seq
