"""How many bytes each cluster keeps, from what storages say of their shards.

A shard is a range of keys, and knows no clusters. One that lies within a single cluster's keys counts for it; one
that holds several clusters' counts for none, so a cluster has up to two shards more than it is told to have. Limits are
meant to be thousands of times that.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tausql.control.clusters.records import Cluster
from tausql.control.reports import Kept
from tausql.control.system.state import Decision, Image

NUMBER_BYTES = 4  # of a key: whose it is


def bytes_by_number(storages: Iterable[Iterable[Kept]]) -> dict[int, int]:
    """storages: what each of them keeps. Several keep the same shard: the largest copy counts."""
    shards: dict[tuple[bytes, bytes], int] = {}
    for kept in storages:
        for one in kept:
            if one.size is not None:
                place = (one.low, one.high)
                shards[place] = max(one.size, shards.get(place, 0))
    found: dict[int, int] = {}
    for (low, high), size in shards.items():
        number = int.from_bytes(low[:NUMBER_BYTES].ljust(NUMBER_BYTES, b"\0"), "big")
        end = (number + 1).to_bytes(NUMBER_BYTES + 1, "big")[1:]
        if high and high <= end:
            found[number] = found.get(number, 0) + size
    return found


def filled(image: Image, sizes: dict[int, int], bytes_max: int) -> Decision[None]:
    """Clusters that keep more than they may, and those that do no more."""
    puts: list[Cluster] = []
    for cluster in image.of(Cluster).values():
        full = sizes.get(cluster.number, 0) > bytes_max
        if full is not cluster.full:
            puts.append(replace(cluster, full=full))
    return Decision(None, puts)
