"""The log on disk: segments shared by all streams, one append and one fdatasync for everything that waits.

A file a stream would be the obvious way, and would cost a sync a stream. Here a flush is one block of entries of any
streams. The price is trimming: only whole segments can go, once every stream has no more use for what is in them. What
else a dropped segment said (promises, limits, identity) stands in the snapshot at the head of the next.

What was written counts only once `flush` has returned; nothing may be spoken before. A failed sync or a damaged log
raises DiskFailed: the process must exit. Writing starts over on a clean copy of the last segment, because after a
failed sync the kernel may show pages that never reached the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from tausql.journal import blocks
from tausql.journal.entries import (
    BaseEntry,
    ClearEntry,
    Entry,
    LogEntry,
    LogState,
    MemberEntry,
    SnapshotEntry,
)
from tausql.journal.index import Index
from tausql.protocol.journal import Record
from tausql.runtime.disk import Disk, DiskFailed, DiskFull, File

_SUFFIX = ".log"
_RESERVE = "reserve"
_OPEN_FILES_MAX = 16
_RECORD_BYTES = 120  # what a record in memory takes besides its payload, roughly
_CARRY_RECORDS_MAX = 64
_CARRY_BYTES_MAX = 1 << 20


def segment_name(segment: int) -> str:
    return f"{segment:016d}{_SUFFIX}"


class Store:
    """One replica's log. Opening it replays what is there; `member` and `streams` are then what was durable."""

    def __init__(
        self,
        disk: Disk,
        *,
        segment_bytes_max: int = 16 << 20,
        cache_bytes_max: int = 32 << 20,
        reserve_bytes: int = 4 << 20,
        spare_bytes: int = 64 << 20,
    ) -> None:
        """Raises DiskFailed for a damaged log, DiskFull when there is not even room to open it."""
        self._disk = disk
        self._segment_bytes_max = segment_bytes_max
        self._cache_bytes_max = cache_bytes_max
        self._reserve_bytes = reserve_bytes
        self._spare_bytes = spare_bytes
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Entry).decode
        self.member: MemberEntry | None = None
        self.streams: dict[int, LogState] = {}
        self._indexes: dict[int, Index] = {}
        self._cache: dict[tuple[int, int], list[Record]] = {}  # (stream, first seq) -> an entry's records
        self._cache_order: deque[tuple[tuple[int, int], int]] = deque()
        self._cache_bytes = 0
        self._files: dict[int, File] = {}
        self._parts: list[bytes] = []  # frames that wait: head, body, head, body, ...
        self._heads: list[bytes] = []
        self._waiting_bytes = 0
        self._doomed: list[int] = []
        self._sequence = 1  # of the next block
        self.flushed_bytes = 0
        self.torn_bytes = 0
        self.segments: list[int] = sorted(int(n[: -len(_SUFFIX)]) for n in disk.names() if n.endswith(_SUFFIX))
        self._segment = self.segments[-1] if self.segments else 1  # the one written to
        self._size = 0  # its length so far
        self._reserved = False
        self._replay()
        self._ensure_reserve()
        self._free = disk.free_bytes()

    # writing

    @property
    def dirty(self) -> bool:
        """Whether something waits for `flush`: nothing may be spoken until then."""
        return bool(self._parts)

    @property
    def waiting_bytes(self) -> int:
        return self._waiting_bytes

    @property
    def log_bytes(self) -> int:
        """Roughly what the segments take."""
        return max(0, len(self.segments) - 1) * self._segment_bytes_max + self._size

    def write(self, entry: Entry) -> None:
        """Take an entry for the next flush and apply it to `member` and `streams`."""
        if not self._parts:
            if self._size >= self._segment_bytes_max:
                self._segment += 1
                self._size = 0
            if self._size == 0:
                self._frame(self._snapshot())
        offset, length, checksum = self._frame(entry)
        self._apply(entry, offset, length, checksum)
        if type(entry) is LogEntry and entry.records:
            self._remember(entry)

    def _frame(self, entry: Entry) -> tuple[int, int, int]:
        body = self._encode(entry)
        head, checksum = blocks.head_of(body)
        offset = self._size + blocks.HEADER_BYTES + self._waiting_bytes + blocks.HEAD_BYTES
        self._heads.append(head)
        self._parts += (head, body)
        self._waiting_bytes += blocks.HEAD_BYTES + len(body)
        return offset, len(body), checksum

    def flush(self) -> None:
        """Returns once everything written is durable. Raises DiskFailed: exit."""
        if not self._parts:
            return
        header = blocks.header_of(b"".join(self._heads), self._waiting_bytes, self._sequence)
        block = b"".join((header, *self._parts))
        file = self._file(self._segment)
        try:
            file.append(block)
        except DiskFull:
            self._reserved = False
            self._disk.remove(_RESERVE)  # kept for this: what is promised must be written down
            try:
                file.append(block)
            except DiskFull as full:
                raise DiskFailed(f"no room for {len(block)} bytes even after giving up the reserve") from full
        file.sync()
        if self._size == 0:
            self.segments.append(self._segment)
        self._size += len(block)
        self._sequence += 1
        self.flushed_bytes += len(block)
        self._parts.clear()
        self._heads.clear()
        self._waiting_bytes = 0
        self._free = self._disk.free_bytes()
        if self._cache_bytes > self._cache_bytes_max:
            self._evict()
        if self._doomed:
            self._drop_doomed()

    def has_room(self, size: int) -> bool:
        """Whether records of so many bytes fit with room to spare: false well before anything would not fit."""
        needed = self._waiting_bytes + size + self._spare_bytes
        if not self._reserved:
            needed += self._reserve_bytes  # it is laid by again first
        if self._free >= needed and self._reserved:
            return True
        self._free = self._disk.free_bytes()
        return self._free >= needed and self._ensure_reserve()

    def can_hold(self, size: int) -> bool:
        """Whether records of so many bytes fit at all, the reserve given up and half its size left for promises."""
        free = self._disk.free_bytes() + (self._reserve_bytes if self._reserved else 0)
        return free - self._waiting_bytes - size >= self._reserve_bytes // 2

    def _ensure_reserve(self) -> bool:
        file = self._disk.open(_RESERVE)
        missing = self._reserve_bytes - file.size
        self._reserved = True
        try:
            if missing > 0:
                file.append(bytes(missing))
                file.sync()
        except DiskFull:
            self._reserved = False
        finally:
            file.close()
        return self._reserved

    # trimming

    def trim(self, wanted: Mapping[int, int]) -> None:
        """Drop the segments of whose records no stream wants any: `wanted` is a seq a stream, up to it all may go. A
        few records that are wanted of a stream which stands still are written again: else the last word of an idle
        stream would keep everything that the busy ones wrote after it.

        Writes the new trim points; the files go once these are durable."""
        carried: dict[int, list[Record]] = {}
        doomed: list[int] = []
        for segment in self.segments:
            if segment == self._segment or not all(
                index.end_within(segment, self.streams[stream].last_seq) <= wanted.get(stream, 0)
                or self._carriable(stream, wanted.get(stream, 0), carried)
                for stream, index in self._indexes.items()
            ):
                break
            doomed.append(segment)
        if not doomed:
            return
        for stream, index in list(self._indexes.items()):
            state = self.streams[stream]
            seq = index.end_within(doomed[-1], state.last_seq)
            if seq > wanted.get(stream, 0):
                records = carried[stream]
                seq = records[0].seq - 1
                self.write(LogEntry(stream, state.promised, state.limit, seq, records))
            if seq > state.trim_seq:
                self.write(BaseEntry(stream, state.epoch_at(seq), seq))
        self._doomed += [segment for segment in doomed if segment not in self._doomed]
        if not self.dirty:
            self._drop_doomed()

    def _carriable(self, stream: int, wanted: int, carried: dict[int, list[Record]]) -> bool:
        """Is what is wanted of `stream`, all of it above `wanted`, little enough to be written again? Then it is put
        into `carried`, else an empty list."""
        if stream not in carried:
            state = self.streams[stream]
            first = max(wanted, state.trim_seq) + 1
            records: list[Record] = []
            if state.last_seq - first < _CARRY_RECORDS_MAX:
                records = self.read(stream, first, _CARRY_BYTES_MAX)
                if records[-1].seq < state.last_seq or _size_of(records) > _CARRY_BYTES_MAX:
                    records = []
            carried[stream] = records
        return bool(carried[stream])

    def _drop_doomed(self) -> None:
        for segment in self._doomed:
            file = self._files.pop(segment, None)
            if file is not None:
                file.close()
            self._disk.remove(segment_name(segment))
            self.segments.remove(segment)
        self._doomed.clear()

    # reading

    def read(self, stream: int, seq: int, bytes_max: int) -> list[Record]:
        """Records from `seq` on (above the trim point), at most `bytes_max` of them but at least one entry's: that one
        alone may nearly fill a message.

        Of what waits for `flush` too: ask only when not `dirty` if that matters. Raises DiskFailed."""
        state = self.streams.get(stream)
        if state is None or seq > state.last_seq:
            return []
        index = self._indexes[stream]
        row = index.row_of(seq)
        found: list[Record] = []
        size = 0
        while row < len(index) and (not found or size + index.lengths[row] <= bytes_max):
            records = self._entry_records(stream, index, row)
            end = index.firsts[row + 1] if row + 1 < len(index) else state.last_seq + 1
            start, stop = seq - records[0].seq, end - records[0].seq
            part = records if start <= 0 and stop == len(records) else records[max(0, start) : stop]
            found += part
            size += sum(len(record.payload) + 48 for record in part)
            row += 1
        return found

    def _entry_records(self, stream: int, index: Index, row: int) -> list[Record]:
        cached = self._cache.get((stream, index.firsts[row]))
        if cached is not None:
            return cached
        segment, offset, length, checksum = index.place(row)
        name = segment_name(segment)
        body = blocks.verified(self._file(segment).read(offset, length), length, checksum, name, offset)
        entry = self._decode(body)
        if type(entry) is not LogEntry:
            raise DiskFailed(f"{name}: no records at byte {offset}")
        return entry.records

    def _remember(self, entry: LogEntry) -> None:
        records = entry.records
        key = (entry.stream, records[0].seq)
        size = _size_of(records)
        self._cache[key] = records
        self._cache_order.append((key, size))
        self._cache_bytes += size

    def _evict(self) -> None:
        """Forget the oldest records. Not before they are on the disk."""
        while self._cache_bytes > self._cache_bytes_max:
            key, size = self._cache_order.popleft()
            self._cache.pop(key, None)
            self._cache_bytes -= size

    def _file(self, segment: int) -> File:
        file = self._files.get(segment)
        if file is None:
            if len(self._files) >= _OPEN_FILES_MAX:
                victim = next(other for other in self._files if other != self._segment)
                self._files.pop(victim).close()
            file = self._files[segment] = self._disk.open(segment_name(segment))
        return file

    # state

    def stream(self, stream: int) -> LogState:
        """The state of a stream's log, blank if nothing was written of it."""
        state = self.streams.get(stream)
        if state is None:
            state = self.streams[stream] = LogState(stream)
            self._indexes[stream] = Index()
        return state

    def _apply(self, entry: Entry, offset: int, length: int, checksum: int) -> None:
        if isinstance(entry, LogEntry):
            state = self.stream(entry.stream)
            index = self._indexes[entry.stream]
            if entry.keep_seq < state.last_seq:
                index.cut(entry.keep_seq)
            state.apply(entry)
            if entry.records:
                index.add(entry.records[0].seq, self._segment, offset, length, checksum)
        elif isinstance(entry, BaseEntry):
            state = self.stream(entry.stream)
            index = self._indexes[entry.stream]
            if state.agrees(entry.epoch, entry.seq):
                index.trim(entry.seq, state.last_seq)
            else:
                index.cut(0)
            state.rebase(entry)
        elif isinstance(entry, MemberEntry):
            self.member = entry
        elif isinstance(entry, ClearEntry):
            self.streams.clear()
            self._indexes.clear()
            self._cache.clear()

    def _snapshot(self) -> SnapshotEntry:
        written = [state for _, state in sorted(self.streams.items()) if not state.blank]
        return SnapshotEntry(self.member, [state.summary() for state in written])

    # opening

    def _replay(self) -> None:
        for number, segment in enumerate(self.segments):
            if segment != self.segments[0] + number:
                raise DiskFailed(f"{segment_name(segment - 1)} is missing")
            self._replay_segment(segment, first=number == 0, last=segment == self.segments[-1])
        for stream, index in self._indexes.items():
            state = self.streams[stream]
            if state.last_seq > state.trim_seq and (not index or index.firsts[0] > state.trim_seq + 1):
                raise DiskFailed(f"records of stream {stream} above {state.trim_seq} are missing")
        if self.segments and self._size == 0:
            self.segments.pop()  # its first block never got through: it is written again

    def _replay_segment(self, segment: int, first: bool, last: bool) -> None:
        name = segment_name(segment)
        file = self._disk.open(name)
        data = file.read(0, file.size)
        file.close()
        good = 0
        self._segment = segment
        for block in blocks.scan(data, name, None if first else self._sequence, last):
            for number, (offset, length, checksum) in enumerate(block.frames):
                entry = self._decode(data[offset : offset + length])
                if (good == 0 and number == 0) != (type(entry) is SnapshotEntry):
                    raise DiskFailed(f"{name}: a snapshot is missing, or out of place, at byte {offset}")
                if type(entry) is SnapshotEntry:
                    self._meet_snapshot(entry, name, first)
                else:
                    self._apply(entry, offset, length, checksum)
            self._sequence = block.sequence + 1
            good = block.end
        self._size = good
        if last:
            self.torn_bytes = len(data) - good
            self._rewrite(name, data[:good])

    def _meet_snapshot(self, entry: SnapshotEntry, name: str, first: bool) -> None:
        if first:
            self.member = entry.member
            for summary in entry.streams:
                self.streams[summary.stream] = LogState.restored(summary)
                self._indexes[summary.stream] = Index()
        elif entry != self._snapshot():
            raise DiskFailed(f"{name}: its snapshot contradicts the segments before it")

    def _rewrite(self, name: str, data: bytes) -> None:
        """Put the last segment on the disk afresh, without its torn end."""
        try:
            self._disk.replace(name, data)
        except DiskFull:
            file = self._disk.open(name)
            file.truncate(len(data))
            file.sync()
            file.close()


def _size_of(records: list[Record]) -> int:
    """What they take in memory, roughly."""
    return sum(len(record.payload) for record in records) + _RECORD_BYTES * len(records)
