"""A change as its record tells it: kinds of change, values of every type, schema changes on the way, large rows."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from uuid import UUID

import google_crc32c
from catalogue_rows import CLUSTER, EVENT_SECONDS, catalogue_image, column, row_image, table, tau_at

from tausql.changefeed.records import RECORD_BYTES_MAX, encoded, records, row_keys, transaction_id
from tausql.changefeed.tables import Tables
from tausql.protocol.keys import relation_prefix
from tausql.sql.catalogue.objects import Domain, Label
from tausql.sql.catalogue.system import encode_row, system_keys
from tausql.sql.types.enums import FIRST_ENUM_OID

ITEMS = table(16400, "items", column("id", 20), column("name", 25))


def tables_of(*of) -> Tables:
    tables = Tables(CLUSTER)
    tables.apply(catalogue_image(one) for one in of)
    return tables


def told(images, tables, existed=()):
    return list(records(images, tables, tau_at(0), "abc", existed, 1_700_000_001_000_000))


def test_a_new_a_changed_and_a_deleted_row():
    tables = tables_of(ITEMS)
    images = [row_image(ITEMS, 1, "new"), row_image(ITEMS, 2, "old"), row_image(ITEMS, 3, None, gone=True)]
    assert row_keys(images, tables) == [images[0][0], images[1][0]]
    created, updated, deleted = told(images, tables, {images[1][0]})
    assert created == {
        "type": "full",
        "op": "c",
        "after": {"id": 1, "name": "new"},
        "source": {
            "version": "1.0",
            "ts_ms": EVENT_SECONDS * 1000,
            "ts_ns": EVENT_SECONDS * 1_000_000_000,
            "txId": transaction_id(tau_at(0)),
            "schema": "public",
            "table": "items",
            "db": "postgres",
            "cluster": "abc",
        },
        "ts_ms": 1_700_000_001_000,
        "ts_ns": 1_700_000_001_000_000_000,
    }
    assert (updated["op"], updated["after"]) == ("u", {"id": 2, "name": "old"})
    assert (deleted["op"], deleted["before"]) == ("d", {"id": 3})
    assert "after" not in deleted
    assert "before" not in created


def test_index_entries_the_catalogue_and_other_clusters_are_no_rows():
    tables = tables_of(ITEMS)
    entry = (relation_prefix(CLUSTER, 16999) + b"x", b"y")
    stranger = (relation_prefix(CLUSTER + 1, ITEMS.oid) + b"x", b"y")
    assert told([entry, stranger, catalogue_image(ITEMS)], tables) == []


def test_every_type_in_its_form():
    kinds = [
        ("i", 23, -5, -5),
        ("b", 16, True, True),
        ("n", 1700, "12.50", "12.50"),
        ("u", 2950, UUID(int=5).bytes, str(UUID(int=5))),
        ("raw", 17, b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        ("day", 1082, 0, 10957),
        ("moment", 1184, 1, 946_684_800_000_001),
        ("local", 1114, -(2**63), "-infinity"),
        ("clock", 1083, 61_000_000, 61_000_000),
        ("json", 3802, '{"a": 1}', '{"a": 1}'),
        ("span", 1186, [1, 2, 3_000_000], "1 mon 2 days 00:00:03"),
        ("f", 701, float("nan"), "NaN"),
        ("nothing", 25, None, None),
    ]
    whole = table(16401, "kinds", *(column(name, oid) for name, oid, _, _ in kinds))
    (record,) = told([row_image(whole, *(stored for _, _, stored, _ in kinds))], tables_of(whole))
    assert record["after"] == {name: expected for name, _, _, expected in kinds}
    json.dumps(record, allow_nan=False)


def test_a_key_of_several_columns_and_none():
    pair = table(16402, "pair", column("a", 25), column("b", 1700), column("c", 25), key=(1, 0))
    (record,) = told([row_image(pair, "x", Decimal("1.5"), None, gone=True)], tables_of(pair))
    assert record["before"] == {"b": "1.5", "a": "x"}
    hidden = table(16403, "hidden", column("a", 25), key=())
    key = relation_prefix(CLUSTER, hidden.oid) + b"\x01" + bytes(16)
    (record,) = told([(key, None)], tables_of(hidden))
    assert record["before"] == {}


def test_columns_added_and_dropped_names_changed_tables_gone():
    tables = tables_of(ITEMS)
    old_row = row_image(ITEMS, 1, "x")
    wider = table(16400, "things", column("id", 20), column("name", 25, dropped=True), column("more", 23))
    tables.apply([catalogue_image(wider)])
    (record,) = told([old_row], tables)
    assert record["after"] == {"id": 1, "more": None}
    assert record["source"]["table"] == "things"
    tables.apply([(catalogue_image(wider)[0], None)])
    assert told([old_row], tables) == []
    assert len(tables) == 0


def test_rows_of_a_truncated_table_lie_elsewhere():
    tables = tables_of(ITEMS)
    moved = table(16400, "items", column("id", 20), column("name", 25), storage=16500)
    tables.apply([catalogue_image(moved)])
    assert told([row_image(ITEMS, 1, "x", gone=True)], tables) == [], "old rows that a job removes are no changes"
    (record,) = told([row_image(moved, 1, "x")], tables)
    assert record["after"] == {"id": 1, "name": "x"}


def test_a_record_that_no_target_takes_whole_is_told_in_parts():
    tables = tables_of(ITEMS)
    (record,) = told([row_image(ITEMS, 1, "\x01" * (2 << 20))], tables)
    assert len(encoded(record, "c")) > 1
    head, *parts = [json.loads(part) for part in encoded(record, "chunk-1")]
    assert all(len(part) <= RECORD_BYTES_MAX for part in encoded(record, "c"))
    assert (head["type"], head["op"], head["source"]["table"]) == ("chunked", "c", "items")
    assert [part["fragment_index"] for part in parts] == list(range(head["total_fragments"]))
    assert {part["chunk_id"] for part in parts} == {head["chunk_id"]} == {"chunk-1"}
    whole = b"".join(base64.b64decode(part["data"]) for part in parts)
    assert json.loads(whole) == record
    assert google_crc32c.value(whole) == head["crc32c"]
    assert next(json.loads(one) for one in encoded(told([row_image(ITEMS, 1, "x")], tables)[0], "c"))["type"] == "full"


def test_enums_by_their_labels_and_arrays():
    oid = FIRST_ENUM_OID
    mood = Domain(oid, "public", "mood", oid, labels=(Label("sad", 1.0, 1), Label("glad", 2.0, 2)), is_enum=True)
    objects = system_keys(CLUSTER).object((oid,)), encode_row(mood)
    felt = table(16405, "felt", column("mood", oid), column("days", 1182), column("grid", 1007))
    tables = Tables(CLUSTER)
    tables.apply([catalogue_image(felt), objects])
    row = row_image(felt, 2.0, [0, None], {"lows": [3], "items": [1, 2]})
    (record,) = told([row], tables)
    assert record["after"] == {"mood": "glad", "days": [10957, None], "grid": [1, 2]}
    renamed = Domain(oid, "public", "mood", oid, labels=(Label("sad", 1.0, 1), Label("merry", 2.0, 2)), is_enum=True)
    tables.apply([(objects[0], encode_row(renamed))])
    (record,) = told([(row[0], None)], tables)
    assert record["before"] == {"mood": "merry"}
