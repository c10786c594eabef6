"""The engine on disk: RocksDB with its write-ahead log, tuned to be small.

Left to its defaults RocksDB takes hundreds of MiB for a store of any size. A replica is one of many processes on a
machine and its data is mostly in the page cache anyway, so buffers are a few MiB here. Batches reach the operating
system with `write` (they survive the process) and the disk with `flush` (they survive a loss of power).
"""

from __future__ import annotations

import os
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
)

from tausql.storage.engine import Batch, EngineFailed, EngineFull, Iterator

_KEY_AFTER_ALL = b"\xff" * 16


class RocksEngine:
    """A RocksDB in `directory`. Raises EngineFailed when it cannot be opened."""

    __slots__ = ("_db", "_directory", "version")

    def __init__(
        self, directory: Path, write_buffer_bytes: int = 8 << 20, cache_bytes: int = 16 << 20, files_open_max: int = 256
    ) -> None:
        self._directory = directory
        self.version = 0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._db = Rdict(str(directory), _options(write_buffer_bytes, cache_bytes, files_open_max))
        except Exception as error:
            raise EngineFailed(f"cannot open the store: {error}") from error

    def batch(self) -> Batch:
        batch: Batch = WriteBatch(raw_mode=True)
        return batch

    def write(self, batch: Batch) -> None:
        assert isinstance(batch, WriteBatch)
        self.version += 1
        try:
            self._db.write(batch)
        except Exception as error:
            raise _told(error) from error

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def iterate(self) -> Iterator:
        iterator: Iterator = self._db.iter()
        return iterator

    def flush(self) -> None:
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise _told(error) from error

    def clear(self) -> None:
        batch = WriteBatch(raw_mode=True)
        batch.delete_range(b"", _KEY_AFTER_ALL)
        self.write(batch)
        self.flush()

    def size_bytes(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self._directory) if entry.is_file())

    def close(self) -> None:
        try:
            self._db.close()
        except Exception as error:
            raise _told(error) from error


def _options(write_buffer_bytes: int, cache_bytes: int, files_open_max: int) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_max_write_buffer_number(2)
    options.set_max_total_wal_size(4 * write_buffer_bytes)
    options.set_max_open_files(files_open_max)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    options.set_stats_dump_period_sec(0)
    options.set_compression_type(DBCompressionType.lz4())
    # What comes back is a prefix of the batches, even where a loss of power took the end of one log file and not of
    # the next. Should damage cut it below what was reported as durable, the journal or a peer has the rest.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    table = BlockBasedOptions()
    table.set_block_cache(Cache(cache_bytes))
    table.set_block_size(8 << 10)
    table.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(table)
    return options


def _told(error: Exception) -> EngineFull | EngineFailed:
    text = str(error)
    if "No space left" in text or "NoSpace" in text:
        return EngineFull(text)
    return EngineFailed(text)
