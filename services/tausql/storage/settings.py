"""Storage's settings (environment prefix TAUSQL_STORAGE_)."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class StorageSettings(ServiceSettings):
    model_config = settings_for("STORAGE")

    write_buffer_bytes: int = Field(default=8 << 20, description="RocksDB's memtable; small, a replica is one of many.")
    cache_bytes: int = Field(default=16 << 20, description="RocksDB's block cache; the page cache holds the rest.")
    files_open_max: int = Field(default=256, description="Table files RocksDB keeps open.")
    parked_max: int = Field(default=4096, description="Reads that wait for the watermark; more are refused.")
    park_seconds_max: float = Field(
        default=10.0, description="Longest wait of a read; its caller gives up by then anyway."
    )
    want_seconds: float = Field(
        default=0.05, description="While reads wait, the crossbar is told again this often: a nudge may get lost."
    )
    want_ahead_micros: int = Field(
        default=50_000, description="A read's tau is asked for once it is at most this far ahead: two clocks' errors."
    )
    page_rows_max: int = Field(default=10_000, description="Rows of one page, whatever the reader asks for.")
    page_bytes_max: int = Field(default=1 << 20, description="Bytes of one answer's pages; a single row may exceed it.")
    page_examined_max: int = Field(
        default=5_000, description="Keys looked at for one page: some milliseconds, during which all else waits."
    )
    report_seconds: float = Field(default=10.0, description="Between two flushes, each reported to every crossbar.")
    silence_seconds: float = Field(
        default=3.0, description="A crossbar that sends nothing for so long is left; idle heartbeats come every second."
    )
    ready_lag_seconds: float = Field(
        default=10.0, description="Ready only while the watermark is at most this far behind now."
    )
    window_seconds: int = Field(
        default=360, description="Versions younger than this stay: the longest transaction (300 s) and a margin."
    )
    sweep_seconds: float = Field(default=60.0, description="Between two sweeps for old versions, at least.")
    sweep_tick_seconds: float = Field(default=0.02, description="Between two bites of a sweep.")
    sweep_budget: int = Field(default=500, description="Versions looked at in one bite: about half a millisecond.")
    checkpoint_silence_seconds: float = Field(
        default=15.0, description="A peer that sends no part of a checkpoint for so long is left for another."
    )
    checkpoints_served_max: int = Field(default=2, description="Checkpoints sent at once.")
    scrub_seconds: float = Field(
        default=300.0, description="Between two comparisons of a shard's rows with a peer's; 0: none."
    )
    scrub_tick_seconds: float = Field(default=0.05, description="Between two bites of a comparison, 500 rows each.")
    sizing_tick_seconds: float = Field(
        default=0.02, description="Between two bites of a walk that counts a shard's bytes, 500 versions each."
    )
    full_seconds: float = Field(
        default=30.0, description="With a full disk the replica serves what it has for so long, then leaves."
    )
