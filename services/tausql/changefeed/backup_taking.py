"""Taking a backup of one cluster, while it is written to.

Storage keeps old versions for some minutes, and a large cluster takes longer to read. So there is no one moment at
which everything is read: each page is read at a moment of its own, and everything committed since the first is written
down beside them (`backup_format` says why that is enough). The end is a moment after the backup was asked for, so what
had been committed before is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from tausql.changefeed.backup_following import Following
from tausql.changefeed.backup_format import (
    CHUNK_BYTES,
    FILES_MAX,
    FORMAT,
    MANIFEST,
    Damaged,
    File,
    Kind,
    Manifest,
    Pair,
    Transaction,
    decode_manifest,
    encode_manifest,
    packed,
)
from tausql.changefeed.backup_stores import BackupStore, NoSuchFile
from tausql.changefeed.feed import Crossbars
from tausql.changefeed.storages import Collected, Storages
from tausql.protocol.backup import Job
from tausql.protocol.keys import cluster_range
from tausql.protocol.tau import closing, opening
from tausql.runtime.host import Host

FLUSH_SECONDS: Final = 10.0  # of following, after which what has come is written and the manifest renewed
WAIT_SECONDS: Final = 0.2
STALLED_SECONDS: Final = 120.0
COLLECTED_MAX: Final = 20  # pages in a row that were read too late


class BackupFailed(Exception):
    """The message says why."""


class Taking:
    """`run` does it. attempt: the folder of its files. told: hears of every manifest."""

    def __init__(
        self,
        host: Host,
        storages: Storages,
        crossbars: Crossbars,
        store: BackupStore,
        job: Job,
        attempt: str,
        buffer_bytes_max: int,
        told: Callable[[Manifest], None],
    ) -> None:
        self._host = host
        self._storages = storages
        self._crossbars = crossbars
        self._store = store
        self._job = job
        self._attempt = attempt
        self._buffer_bytes_max = buffer_bytes_max
        self._told = told
        self._range = cluster_range(job.number)
        self._files: list[File] = []
        self._pages: list[Pair] = []
        self._pages_bytes = 0
        self._pages_taus = (0, 0)
        self._log: list[Transaction] = []
        self._log_bytes = 0
        self._first, self._last = 0, 0  # the moments that can be restored
        self.rows, self.bytes = 0, 0

    async def run(self) -> Manifest:
        """Raises BackupFailed, StoreFailed, Trimmed, Unreadable, ClockUnsure."""
        await self._check_place()
        begun = closing(self._host.clock.now().latest)
        low, _ = self._range
        part = await self._storages.position(low)
        following = Following(
            self._host, self._crossbars, self._range, part.watermark, part.cursors, self._buffer_bytes_max
        )
        try:
            await self._scan(following)
            return await self._follow(following, begun, begun + opening(self._job.follow_seconds * 1_000_000))
        finally:
            following.stop()

    async def _check_place(self) -> None:
        """Nobody's backup is written over, but our own that was begun before."""
        try:
            there = decode_manifest(await self._store.get(MANIFEST))
        except NoSuchFile:
            return
        except Damaged as error:
            raise BackupFailed(f"there is something else already at {self._job.location}: {error}") from error
        if there.job != self._job.identifier:
            raise BackupFailed(f"there is a backup already at {self._job.location}")

    async def _scan(self, following: Following) -> None:
        low, high = self._range
        at: bytes | None = low
        late = 0
        while at is not None:
            tau = await self._take(following)
            try:
                pairs, at = await self._storages.page(tau, at, high)
            except Collected as error:
                late += 1
                if late > COLLECTED_MAX:
                    raise BackupFailed("versions are collected faster than they can be read") from error
                await following.wait(WAIT_SECONDS)
                continue
            late = 0
            self._first = max(self._first, tau)
            if pairs:
                self._pages_taus = (self._pages_taus[0] or tau, tau)
                self._pages += pairs
                self._pages_bytes += sum(len(key) + len(value) for key, value in pairs)
                if self._pages_bytes >= CHUNK_BYTES:
                    await self._write_pages()
        await self._write_pages()

    async def _follow(self, following: Following, begun: int, until: int) -> Manifest:
        """Until everything up to `until` is there. The first manifest is written when everything up to `begun` is."""
        written_at = float("-inf")
        moved_at, moved_to = self._host.monotonic(), 0
        while True:
            at = await self._take(following)
            now = self._host.monotonic()
            if at > moved_to:
                moved_at, moved_to = now, at
            elif now - moved_at > STALLED_SECONDS:
                raise BackupFailed("the log does not go on")
            done = at >= max(until, self._first)
            if done or (at >= max(begun, self._first) and now - written_at >= FLUSH_SECONDS):
                self._last = at
                manifest = await self._write_manifest()
                written_at = now
                if done:
                    return manifest
            await following.wait(WAIT_SECONDS)

    async def _take(self, following: Following) -> int:
        """What has been committed, into files; up to when that is all."""
        following.tend()
        complete = following.watermark
        for transaction in following.fetch():
            self._log.append(transaction)
            self._log_bytes += sum(len(key) + len(value or b"") for key, value in transaction[1])
            if self._log_bytes >= CHUNK_BYTES:
                await self._write_log()
        return complete

    async def _write_pages(self) -> None:
        if self._pages:
            self.rows += len(self._pages)
            await self._write("pages", self._pages, self._pages_taus)
        self._pages, self._pages_bytes, self._pages_taus = [], 0, (0, 0)

    async def _write_log(self) -> None:
        if self._log:
            await self._write("log", self._log, (self._log[0][0], self._log[-1][0]))
        self._log, self._log_bytes = [], 0

    async def _write(self, kind: Kind, items: list[Any], taus: tuple[int, int]) -> None:
        if len(self._files) >= FILES_MAX:
            raise BackupFailed(f"more than {FILES_MAX} files")
        name = f"{self._attempt}/{kind}-{len(self._files):06d}"
        file, body = await asyncio.to_thread(packed, name, kind, items, taus)
        await self._store.put(name, body)
        self._files.append(file)
        self.bytes += file.bytes

    async def _write_manifest(self) -> Manifest:
        await self._write_log()
        job = self._job
        manifest = Manifest(
            FORMAT,
            job.identifier,
            job.cluster,
            job.number,
            self._first,
            self._last,
            self.rows,
            self.bytes,
            tuple(self._files),
        )
        await self._store.put(MANIFEST, encode_manifest(manifest))
        self._told(manifest)
        return manifest
