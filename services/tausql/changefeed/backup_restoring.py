"""Restoring a backup into a cluster that nobody has used yet.

First all pages, then all transactions up to the moment wanted, put over them in order, batch by batch: nothing has to
be held in memory but the catalogue. That comes last, in one transaction. Until then whatever fails leaves keys that
nobody can name, and the next attempt puts the same over them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from tausql.changefeed.backup_format import MANIFEST, Damaged, File, Manifest, decode_manifest, log_of, pages_of
from tausql.changefeed.backup_rewriting import Rewriting, is_system, relation_of
from tausql.changefeed.backup_stores import BackupStore, NoSuchFile
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.backup import Job
from tausql.sql.catalogue.system import JOBS, OBJECTS, RELATIONS

BATCH_ROWS: Final = 3_000
BATCH_BYTES: Final = 6 << 20  # a transaction may have 10 MiB, and a row up to 2
_TOGETHER: Final = frozenset({RELATIONS, OBJECTS, JOBS})  # from these on others work with what is there


class RestoreFailed(Exception):
    """The message says why."""


class Loader(Protocol):
    """Puts batches into the new cluster, in order."""

    async def begin(self) -> bool:
        """False: it has been restored to the end before. Raises RestoreFailed."""
        ...

    async def put(self, pairs: tuple[PostImage, ...], last: bool = False) -> None:
        """Raises RestoreFailed."""
        ...


class Restoring:
    """`run` does it; `rows` and `bytes` are what has been put so far."""

    def __init__(self, store: BackupStore, loader: Loader, job: Job) -> None:
        self._store = store
        self._loader = loader
        self._job = job
        self._catalogue: dict[bytes, bytes | None] = {}
        self._batch: dict[bytes, bytes | None] = {}
        self._batch_bytes = 0
        self.rows, self.bytes = 0, 0

    async def run(self) -> int:
        """The moment that is restored. Raises RestoreFailed, Damaged, StoreFailed."""
        try:
            manifest = decode_manifest(await self._store.get(MANIFEST))
        except NoSuchFile as error:
            raise Damaged(f"there is no whole backup at {self._job.location}: {error}") from error
        tau = self._moment(manifest)
        if not await self._loader.begin():
            return tau
        rewriting = Rewriting(manifest.number, self._job.number)
        for file in manifest.files:
            if file.kind == "pages":
                body = await self._store.get(file.name)
                for key, value in await asyncio.to_thread(pages_of, file, body):
                    await self._add(rewriting.image(key, value))
        for file in manifest.files:
            if file.kind == "log" and file.tau_first <= tau:
                await self._replay(rewriting, file, tau)
        await self._finish()
        return tau

    def _moment(self, manifest: Manifest) -> int:
        tau = self._job.tau or manifest.tau_last
        if not manifest.tau_first <= tau <= manifest.tau_last:
            early = "before" if tau < manifest.tau_first else "after"
            raise RestoreFailed(f"the backup does not go so far: the moment wanted is {early} those it has")
        return tau

    async def _replay(self, rewriting: Rewriting, file: File, tau: int) -> None:
        body = await self._store.get(file.name)
        for at, images in await asyncio.to_thread(log_of, file, body):
            if at > tau:
                return
            for key, value in images:
                await self._add(rewriting.image(key, value))

    async def _add(self, image: PostImage | None) -> None:
        if image is None:
            return
        key, value = image
        size = len(key) + len(value or b"")
        if is_system(key):
            self._catalogue[key] = value
            return
        if len(self._batch) >= BATCH_ROWS or (self._batch and self._batch_bytes + size > BATCH_BYTES):
            await self._put()
        self._batch[key] = value
        self._batch_bytes += size

    async def _put(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        if batch:
            await self._loader.put(tuple(batch.items()))
            self._count(batch.items())

    async def _finish(self) -> None:
        """The catalogue: first what nobody looks at without the rest, then the rest at once."""
        last: dict[bytes, bytes | None] = {}
        for key, value in sorted(self._catalogue.items()):
            if value is None:
                continue
            if relation_of(key) in _TOGETHER:
                last[key] = value
            else:
                size = len(key) + len(value)
                if len(self._batch) >= BATCH_ROWS or self._batch_bytes + size > BATCH_BYTES:
                    await self._put()
                self._batch[key] = value
                self._batch_bytes += size
        await self._put()
        if sum(len(key) + len(value or b"") for key, value in last.items()) > BATCH_BYTES:
            raise RestoreFailed(f"the catalogue has more than {BATCH_BYTES} bytes, and must fit into one transaction")
        await self._loader.put(tuple(last.items()), last=True)
        self._count(last.items())

    def _count(self, pairs: Iterable[PostImage]) -> None:
        for key, value in pairs:
            self.rows += value is not None
            self.bytes += len(key) + len(value or b"")
