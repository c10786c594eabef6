"""How far change streams have been delivered, as those who deliver them say."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from tausql.control.clusters.records import USABLE, Cluster, Stream
from tausql.control.system.state import Decision, Image
from tausql.protocol.changefeed import ChangeStream, Progress
from tausql.protocol.crossbar import Cursor

DELIVERED = frozenset({"CREATING", "ACTIVE", "IMPAIRED"})
REPORTED = frozenset({"ACTIVE", "IMPAIRED", "FAILED"})


def told(image: Image, regions: Iterable[str]) -> dict[str, ChangeStream]:
    """Those that are to be delivered, by identifier."""
    clusters = image.of(Cluster)
    found: dict[str, ChangeStream] = {}
    for stream in image.of(Stream).values():
        cluster = clusters.get(stream.cluster)
        if stream.status not in DELIVERED or cluster is None or cluster.region not in regions:
            continue
        if cluster.status in USABLE:
            cursors = tuple(msgspec.convert(stream.cursors, list[Cursor]))
            found[stream.identifier] = ChangeStream(
                stream.identifier,
                stream.cluster,
                cluster.number,
                stream.target,
                stream.role,
                stream.watermark,
                cursors,
            )
    return found


def differ(one: ChangeStream, other: ChangeStream) -> bool:
    """Progress alone is no change."""
    return replace(one, watermark=0, cursors=()) != replace(other, watermark=0, cursors=())


def reported(image: Image, rows: Iterable[Progress], now: float) -> Decision[None]:
    """A watermark below the known one is of somebody who has not heard yet that another delivers: his word counts for
    the status only. What has failed stays so."""
    puts: list[Stream] = []
    for row in rows:
        stream = image.of(Stream).get(row.identifier)
        if stream is None or stream.status not in DELIVERED or row.status not in REPORTED:
            continue
        changed = stream
        if (row.status, row.error) != (stream.status, stream.error):
            changed = replace(changed, status=row.status, error=row.error, error_at=now if row.error else 0.0)
        if row.watermark > stream.watermark:
            cursors = msgspec.to_builtins(list(row.cursors))
            changed = replace(changed, watermark=row.watermark, cursors=cursors)
        if changed is not stream:
            puts.append(changed)
    return Decision(None, puts)
