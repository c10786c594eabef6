"""Tables as the catalogue stores them, rows and keys as they lie in storage, for tests of change streams."""

from __future__ import annotations

import msgspec

from tausql.protocol.crossbar import Cursor, Delivered, Delivery
from tausql.protocol.keys import key_encoder, relation_prefix
from tausql.protocol.rows import encode_stored
from tausql.protocol.tau import commit_tau
from tausql.sql.catalogue.descriptors import Column, Table
from tausql.sql.catalogue.system import encode_table, system_keys
from tausql.sql.stored_kinds import key_kind

CLUSTER = 7
EVENT_SECONDS = 1_700_000_000


def column(name: str, type_oid: int, dropped: bool = False) -> Column:
    return Column(name, type_oid, -1, False, 0, dropped=dropped)


def table(oid: int, name: str, *columns: Column, key: tuple[int, ...] = (0,), **more) -> Table:
    placed = tuple(msgspec.structs.replace(one, position=at) for at, one in enumerate(columns))
    return Table(oid, "public", name, placed, key, f"{name}_pkey", **more)


def catalogue_image(of: Table) -> tuple[bytes, bytes]:
    return system_keys(CLUSTER).relation((of.oid,)), encode_table(of)


def row_image(of: Table, *values, gone: bool = False) -> tuple[bytes, bytes | None]:
    prefix = relation_prefix(CLUSTER, of.storage or of.oid)
    encode = key_encoder(prefix, [key_kind(of.columns[at]) for at in of.primary_key])
    return encode([values[at] for at in of.primary_key]), None if gone else encode_stored(values)


def tau_at(milliseconds: int) -> int:
    return commit_tau(EVENT_SECONDS * 1_000_000 + milliseconds * 1000, 0)


def delivery(milliseconds: int, *images, seq: int = 1) -> Delivery:
    tau = tau_at(milliseconds)
    records = [Delivered(tau, [], msgspec.msgpack.encode(list(images)))] if images else []
    return Delivery("fleet", records, tau, (Cursor(0, (1, 1), seq),))
