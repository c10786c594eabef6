"""The system's own tables, where the catalogue lives.

They have fixed ids below `FIRST_USER_OID` and a shape that never changes, so that reading them needs no catalogue.
Their rows are versioned, replicated and collected like any data; a snapshot of the catalogue is a scan of one of them.

    relations   oid -> one relation: oid, schema, name, and all the rest as MessagePack of `Table`
    names       (schema, name) -> oid                              one namespace for all that pg_class shows
    counters    name -> the next number                            `oid`: what the next relation is called inside
    jobs        job id -> one background job                       (MessagePack of `JobRecord`)
    objects     oid -> one schema, role, view, sequence ...        (MessagePack of `objects.CatalogueObject`)
    comments    (catalogue's oid, object's oid, attnum) -> COMMENT (a MessagePack text)
    sequences   oid -> how far a sequence has come                 (MessagePack of `SequenceRow`)
    statistics  (oid, attnum) -> what ANALYZE found                (MessagePack, `planning.statistics`)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tausql.protocol.keys import KeyKind, key_encoder, prefix_end, relation_prefix
from tausql.sql.catalogue.descriptors import Table
from tausql.sql.catalogue.objects import CatalogueObject

RELATIONS, NAMES, COUNTERS, JOBS, OBJECTS, COMMENTS, SEQUENCES, STATISTICS = range(1, 9)
FIRST_USER_OID = 16384


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
    kind: str  # "table", "index", "view" or "sequence"


class SequenceRow(msgspec.Struct, array_like=True, gc=False):
    last: int  # the last value handed out (to a session's block, where CACHE > 1)
    called: bool  # False: `last` itself is the next
    settings: int = 0  # how often setval or RESTART has set it: what was taken before does not go back into it


class SystemKeys(NamedTuple):
    """Key encoders of one cluster's system tables."""

    relation: Any
    name: Any
    counter: Any
    job: Any
    object: Any
    comment: Any
    sequence: Any
    statistics: Any


def system_keys(cluster: int) -> SystemKeys:
    """Encoders from tuples of datums to keys: relation (oid), name (schema, name), counter (name), job (job id), object
    (oid), comment (catalogue, oid, attnum), sequence (oid), statistics (oid, attnum)."""
    text, integer = KeyKind.text, KeyKind.integer
    return SystemKeys(
        key_encoder(relation_prefix(cluster, RELATIONS), [KeyKind.integer]),
        key_encoder(relation_prefix(cluster, NAMES), [text, text]),
        key_encoder(relation_prefix(cluster, COUNTERS), [text]),
        key_encoder(relation_prefix(cluster, JOBS), [text]),
        key_encoder(relation_prefix(cluster, OBJECTS), [integer]),
        key_encoder(relation_prefix(cluster, COMMENTS), [integer, integer, integer]),
        key_encoder(relation_prefix(cluster, SEQUENCES), [integer]),
        key_encoder(relation_prefix(cluster, STATISTICS), [integer, integer]),
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
decode_object = msgspec.msgpack.Decoder(CatalogueObject).decode
decode_comment = msgspec.msgpack.Decoder(tuple[int, int, int, str]).decode  # the key's parts and the text
decode_sequence = msgspec.msgpack.Decoder(SequenceRow).decode


def encode_table(table: Table) -> bytes:
    return encode_row(RelationRow(table.oid, table.schema, table.name, encode_row(table)))


def decode_table(row: bytes) -> Table:
    return _decode_table(_decode_relation(row).definition)
