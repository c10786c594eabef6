"""What a change stream delivers: one record for each row a transaction changed, in Aurora DSQL's format.

A post image does not tell a new row from a changed one, and need not: who delivers asks storage which of the keys were
there just before. Several changes of a row in one transaction are one image already, so there is one record.

A record above 9 MiB (a row of 2 MiB, escaped) is told in parts, because no target takes it whole: one record that
announces it (`chunked`), then its bytes in `fragment`s, in base64.
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

import google_crc32c
import msgspec

from tausql.changefeed.tables import Tables
from tausql.protocol.adjudicator import PostImage
from tausql.protocol.tau import micros_of

RECORD_BYTES_MAX: Final = 9 << 20
FRAGMENT_BYTES: Final = 6 << 20  # 8 MiB in base64
VERSION: Final = "1.0"
DATABASE: Final = "postgres"

_encode = msgspec.json.Encoder().encode


def transaction_id(tau: int) -> str:
    """A transaction's name: base32, lower case, of its tau."""
    return b32encode(tau.to_bytes(8, "big")).decode().rstrip("=").lower()


def row_keys(images: Iterable[PostImage], tables: Tables) -> list[bytes]:
    """The keys of rows that a transaction left behind: new or changed, storage knows."""
    return [key for key, value in images if value is not None and tables.find(key) is not None]


def records(
    images: Iterable[PostImage], tables: Tables, tau: int, cluster: str, existed: Collection[bytes], now_us: int
) -> Iterator[dict[str, Any]]:
    """One a changed row. `cluster`: its identifier. `existed`: those of `row_keys` that were there before. `now_us`:
    the time of delivery, microseconds since 1970."""
    at_us = micros_of(tau)
    for key, value in images:
        relation = tables.find(key)
        if relation is None:
            continue
        record: dict[str, Any] = {"type": "full", "op": "d" if value is None else "u" if key in existed else "c"}
        if value is None:
            record["before"] = relation.key(key)
        else:
            record["after"] = relation.row(value)
        record["source"] = {
            "version": VERSION,
            "ts_ms": at_us // 1000,
            "ts_ns": at_us * 1000,
            "txId": transaction_id(tau),
            "schema": relation.schema,
            "table": relation.name,
            "db": DATABASE,
            "cluster": cluster,
        }
        record["ts_ms"], record["ts_ns"] = now_us // 1000, now_us * 1000
        yield record


def encoded(record: dict[str, Any], chunk_id: str) -> list[bytes]:
    """A record as JSON; or, where that is above 9 MiB, its announcement and fragments. `chunk_id` tells fragments of
    one record from another's."""
    whole = _encode(record)
    if len(whole) <= RECORD_BYTES_MAX:
        return [whole]
    parts = [whole[at : at + FRAGMENT_BYTES] for at in range(0, len(whole), FRAGMENT_BYTES)]
    told = {name: record[name] for name in ("op", "source", "ts_ms", "ts_ns")}
    chunk = {"chunk_id": chunk_id, "total_fragments": len(parts)}
    head = {"type": "chunked", **told, **chunk, "crc32c": google_crc32c.value(whole)}
    return [
        _encode(head),
        *(
            _encode({"type": "fragment", **chunk, "fragment_index": number, "data": b64encode(part).decode()})
            for number, part in enumerate(parts)
        ),
    ]
