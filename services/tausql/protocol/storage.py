"""The storage's messages: reads at a tau, schema versions, checkpoints for peers."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any
from zlib import crc32

import msgspec

from tausql.protocol.crossbar import Cursor
from tausql.protocol.totals import Aggregation
from tausql.rpc.interface import Channel, Stream


class Comparison(IntEnum):
    """A pushed-down test of one column. NULL columns pass none but `is_null`."""

    equal = 0
    not_equal = 1
    less = 2
    less_equal = 3
    greater = 4
    greater_equal = 5
    is_null = 6
    is_not_null = 7
    is_in = 8  # value: a list


class Test(msgspec.Struct, array_like=True, gc=False):
    column: int  # position in the stored row
    comparison: int
    value: Any  # as stored in rows
    numeric: bool = False  # compare as decimals (rows store numeric as text)


class Scan(msgspec.Struct, array_like=True, gc=False):
    """The keys of [low, high) in order (or, `reverse`, in opposite order), with their values.

    `tests` are a conjunction; `projection` names stored columns (None = the row as stored); `limit` counts rows after
    the tests (0 = none), and a page ends earlier at `page_rows`. With `fetch` the scanned entries' values are keys of
    rows (an index): the answer has the rows in place of the entries, tests and projection applied to the rows."""

    low: bytes
    high: bytes
    reverse: bool = False
    limit: int = 0
    tests: tuple[Test, ...] = ()
    projection: tuple[int, ...] | None = None
    fetch: bool = False
    page_rows: int = 1000
    aggregation: Aggregation | None = None
    sample: int = 0


def sampled(key: bytes, sample: int) -> bool:
    """Whether `key` is one of those that a scan of one key in `sample` gives: a sample of one in 2n is part of that of
    one in n."""
    return not crc32(key) % sample


class Read(msgspec.Struct, tag="read", array_like=True, gc=False):
    """Call: point reads and scans at one tau. Parks until the watermark reaches it, within the call's deadline.

    `schema`: (relation, version) pairs the plan was made with; answers `StaleSchema` where another version was current
    at `tau`."""

    tau: int
    schema: tuple[tuple[int, int], ...]
    gets: list[bytes]
    scans: list[Scan]


class Page(msgspec.Struct, array_like=True, gc=False):
    """One scan's answer. `resume` is None at the end; else the key to go on with: the next page's `low` (forward) or
    `high` (reverse), perhaps at another replica: a page ends where what is served ends. `entries`: with `fetch`, the
    index entry of each row, else empty. A value None: with `fetch`, the row is not here; read it under its key, then
    apply tests and projection. `examined`: rows looked at, those that failed the tests included."""

    keys: list[bytes]
    values: list[bytes | None]
    entries: list[bytes]
    resume: bytes | None
    examined: int = 0


class Rows(msgspec.Struct, tag="rows", array_like=True, gc=False):
    """`newest`: the newest tau touched, tombstones and filtered rows included; nothing of this may be shown to anyone
    before every clock has passed it."""

    newest: int
    values: list[bytes | None]  # of the gets; of the first ones only where all would not fit into an answer: ask on
    pages: list[Page]  # of the scans


class StaleSchema(msgspec.Struct, tag="stale_schema", array_like=True, gc=False):
    relation: int
    version: int  # the version current at the read's tau


class TooOld(msgspec.Struct, tag="too_old", array_like=True, gc=False):
    """The tau lies below the collection horizon: versions it needs may be gone."""

    horizon: int


class NotHere(msgspec.Struct, tag="not_here", array_like=True, gc=False):
    """The first key of a get or scan lies outside what this replica serves: its `Serving` is old news."""


class WatchServing(msgspec.Struct, tag="watch_serving", array_like=True, gc=False):
    """Stream request: `Serving` now and on every change."""


class Serving(msgspec.Struct, tag="serving", array_like=True, gc=False):
    """The key ranges [low, high) this replica answers for: sorted, and apart (neighbours are one range)."""

    ranges: tuple[tuple[bytes, bytes], ...]


class ReadSchema(msgspec.Struct, tag="read_schema", array_like=True, gc=False):
    """Call: the newest schema version at or below `tau` of every relation of a cluster. Parks like `Read`."""

    cluster: int
    tau: int


class SchemaVersions(msgspec.Struct, tag="schema_versions", array_like=True, gc=False):
    newest: int
    versions: list[tuple[int, int]]  # (relation, version)


class TakeCheckpoint(msgspec.Struct, tag="take_checkpoint", array_like=True, gc=False):
    """Stream request: `CheckpointPart`s of everything this replica holds of [low, high) at one watermark, cursors and
    horizon too."""

    replica: str
    low: bytes = b""
    high: bytes = b""


class Digest(msgspec.Struct, tag="digest", array_like=True, gc=False):
    """Call: the rows of [low, high) visible at `tau`, as one number. Parks like `Read`. A long range is answered as far
    as one turn goes: ask on from `resume`."""

    low: bytes
    high: bytes
    tau: int


class Digested(msgspec.Struct, tag="digested", array_like=True, gc=False):
    """`state_hash`: the sum, modulo 2**64, of a hash of every (key, row); equal on every replica (I11), whatever was
    collected. `resume` None at the end."""

    rows: int
    state_hash: int
    resume: bytes | None


class CheckpointPart(msgspec.Struct, tag="checkpoint_part", array_like=True, gc=False):
    """Raw entries of the store, in order. The last part has `done`; only then is the checkpoint whole."""

    entries: list[tuple[bytes, bytes]]
    done: bool
    fleet: str
    watermark: int
    cursors: tuple[Cursor, ...]


class StorageClient:
    """Typed calls to one storage replica. `done` gets the answer struct or a `Failure`."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def read(self, request: Read, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def read_schema(self, request: ReadSchema, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def watch_serving(self, on_item: Callable[[Serving], None], on_end: Callable[[Any], None]) -> Stream:
        return self.channel.stream(WatchServing(), on_item, on_end)

    def digest(self, request: Digest, deadline_seconds: float, done: Callable[[Any], None]) -> None:
        self.channel.call(request, deadline_seconds, done)

    def take_checkpoint(
        self, request: TakeCheckpoint, on_part: Callable[[CheckpointPart], None], on_end: Callable[[Any], None]
    ) -> Stream:
        return self.channel.stream(request, on_part, on_end)


MESSAGES = (
    Read
    | Rows
    | StaleSchema
    | TooOld
    | NotHere
    | WatchServing
    | Serving
    | Digest
    | Digested
    | ReadSchema
    | SchemaVersions
    | TakeCheckpoint
    | CheckpointPart
)
