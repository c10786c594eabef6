"""What control wants of the fleet: a value, whole, that goes out with the map.

Not commands. A command that got lost, came twice or came from a control that has been replaced would have to be
numbered, stored and taken back; a wish can be said again by anybody, and whoever reads it does what is left to do, when
that is safe, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tausql.protocol.fleet import Fleet, Placed, Shard

STREAMS_MAX = 64  # far above what one region's journals would carry; a tau has room for 1024


class Wanted(msgspec.Struct, frozen=True):
    """The fields of a map that are wishes. Empty ones: as it is."""

    streams: int = 0
    placement: tuple[Placed, ...] = ()
    preferred: Mapping[int, tuple[str, ...]] = {}
    shards: tuple[Shard, ...] = ()


def wanted_of(fleet: Fleet) -> Wanted:
    """The wishes in a map."""
    return Wanted(fleet.streams, fleet.placement, fleet.preferred, fleet.shards)


def with_wanted(fleet: Fleet, wanted: Wanted) -> Fleet:
    """`fleet`, with these wishes."""
    return msgspec.structs.replace(
        fleet,
        streams=wanted.streams,
        placement=wanted.placement,
        preferred=dict(wanted.preferred),
        shards=wanted.shards,
    )


def adopted(wanted: Wanted, fleet: Fleet) -> Wanted:
    """`wanted`, and of the streams what another region's map wants: that region plans them."""
    return msgspec.structs.replace(
        wanted, streams=fleet.streams, placement=fleet.placement, preferred=dict(fleet.preferred)
    )
