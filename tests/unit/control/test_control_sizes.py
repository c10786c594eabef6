"""How much each cluster keeps, from shards that know nothing of clusters."""

from __future__ import annotations

import msgspec

from tausql.control.clusters.records import Cluster, Status
from tausql.control.clusters.sizes import bytes_by_number, filled
from tausql.control.reports import Kept
from tausql.control.system.state import Image
from tausql.control.system.store import Put
from tausql.control.tenancy import FORMS


def kept(low: bytes, high: bytes, size: int | None) -> Kept:
    return Kept(low, high, True, size, None, None, None)


def key(number: int, rest: bytes = b"") -> bytes:
    return number.to_bytes(4, "big") + rest


def test_shards_within_one_cluster_count_once_and_others_for_nobody():
    one = [
        kept(b"", key(1, b"a"), 100),
        kept(key(1, b"a"), key(1, b"b"), 10),
        kept(key(1, b"b"), key(2), 20),
        kept(key(2), key(2, b"x"), 5),
        kept(key(2, b"x"), key(4), 1_000),
        kept(key(4), b"", 1_000),
    ]
    other = [kept(key(1, b"a"), key(1, b"b"), 12), kept(key(2), key(2, b"x"), None)]
    assert bytes_by_number([one, other]) == {1: 32, 2: 5}


def test_a_cluster_is_full_above_its_limit_and_no_more_below():
    image = Image(FORMS)
    for number, full in ((1, False), (2, True), (3, False)):
        cluster = Cluster(str(number) * 26, number, "us-east-1", "0", Status.active, 0.0, full=full)
        image.take(Put(cluster.id, msgspec.json.encode(cluster).decode()))
    puts = filled(image, {1: 101, 2: 100}, 100).puts
    assert {put.number: put.full for put in puts if isinstance(put, Cluster)} == {1: True, 2: False}
