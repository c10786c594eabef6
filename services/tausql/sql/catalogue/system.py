"""The system's own tables, where the catalogue lives.

They have fixed ids below `FIRST_USER_OID` and a shape that never changes, so that reading them needs no catalogue.
Their rows are versioned, replicated and collected like any data; a snapshot of the catalogue is a scan of one of them.

    relations   oid -> one relation: oid, schema, name, and all the rest as MessagePack of `Table`
    names       (schema, name) -> oid                              one namespace for tables and indexes
    counters    name -> the next number                            `oid`: what the next relation is called inside
    jobs        job id -> one background job                       (MessagePack of `JobRecord`)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tausql.protocol.keys import KeyKind, key_encoder, prefix_end, relation_prefix
from tausql.sql.catalogue.descriptors import Table

RELATIONS, NAMES, COUNTERS, JOBS = 1, 2, 3, 4
FIRST_USER_OID = 16384
BUILT_IN_SCHEMAS = ("public", "pg_catalog", "information_schema", "sys")


class JobRecord(msgspec.Struct, array_like=True, gc=False):
    """One background job, as `sys.jobs` shows it, and what its worker needs. Times are microseconds since 2000."""

    job_id: str
    status: str  # submitted, processing, completed, failed
    details: str
    job_type: str  # INDEX_BUILD, DROP
    table_oid: int
    object_oid: int
    object_name: str  # schema.name
    start_time: int
    update_time: int
    prefix: bytes = b""  # DROP: every key with this prefix goes
    progress: bytes = b""  # everything below this key is done
    worker: str = ""  # the processor at work, "" = none
    lease: int = 0  # until then nobody else takes it over
    batch_rows: int = 1000


class RelationRow(msgspec.Struct, array_like=True, gc=False):
    oid: int
    schema: str
    name: str
    definition: bytes


class CounterRow(msgspec.Struct, array_like=True, gc=False):
    next: int


class NameRow(msgspec.Struct, array_like=True, gc=False):
    oid: int
    kind: str  # "table" or "index"


class SystemKeys(NamedTuple):
    """Key encoders of one cluster's system tables."""

    relation: Any
    name: Any
    counter: Any
    job: Any


def system_keys(cluster: int) -> SystemKeys:
    """Encoders from tuples of datums to keys: relation (oid), name (schema, name), counter (name), job (job id)."""
    text = KeyKind.text
    return SystemKeys(
        key_encoder(relation_prefix(cluster, RELATIONS), [KeyKind.integer]),
        key_encoder(relation_prefix(cluster, NAMES), [text, text]),
        key_encoder(relation_prefix(cluster, COUNTERS), [text]),
        key_encoder(relation_prefix(cluster, JOBS), [text]),
    )


def system_range(cluster: int, relation: int) -> tuple[bytes, bytes]:
    """All keys of one system table: [low, high)."""
    prefix = relation_prefix(cluster, relation)
    return prefix, prefix_end(prefix)


encode_row = msgspec.msgpack.Encoder().encode
_decode_relation = msgspec.msgpack.Decoder(RelationRow).decode
_decode_table = msgspec.msgpack.Decoder(Table).decode
decode_counter = msgspec.msgpack.Decoder(CounterRow).decode
decode_name = msgspec.msgpack.Decoder(NameRow).decode
decode_job = msgspec.msgpack.Decoder(JobRecord).decode


def encode_table(table: Table) -> bytes:
    return encode_row(RelationRow(table.oid, table.schema, table.name, encode_row(table)))


def decode_table(row: bytes) -> Table:
    return _decode_table(_decode_relation(row).definition)
