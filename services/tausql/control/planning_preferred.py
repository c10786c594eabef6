"""Which adjudicator should hold which stream.

Streams are spread over the processes of the preferred region (and zone, if one is), because each of them uses one core
at most. Spread anew from the present members they would all change hands whenever a process comes or goes, and a
change of hands is a pause of some milliseconds for whoever commits: so who has a stream keeps it, and one stream moves
at a time, and only where one process has two more than another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tausql.protocol.fleet import Fleet, Member

REGION_BITS = 40  # an index is a region's place in the order of regions, and below it the age


def preferred_zone(fleet: Fleet, setting: str) -> str:
    """`setting`, or for "auto" the zone of the own region with most processors. "": none is preferred."""
    if setting != "auto":
        return setting
    counts: dict[str, int] = {}
    for one in fleet.processor:
        if one.zone and not one.region:
            counts[one.zone] = counts.get(one.zone, 0) + 1
    return min(counts, key=lambda zone: (-counts[zone], zone), default="")


def prefer(
    streams: Iterable[int],
    adjudicators: Iterable[Member],
    before: Mapping[int, tuple[str, ...]],
    zone: str = "",
    away: Collection[str] = (),
) -> dict[int, tuple[str, ...]]:
    """For every stream the adjudicators in order.

    before: the orders so far; of a stream that has none, its holder, or nothing. zone: preferred. away: adjudicators
    that are leaving or have not answered for long.
    """
    order = sorted(adjudicators, key=lambda one: (one.name in away, one.index >> REGION_BITS, one.index, one.name))
    if not order:
        return {}
    wanted = sorted(streams)
    first = _first(order, zone, away)
    held: dict[str, list[int]] = {name: [] for name in first}
    free: list[int] = []
    for stream in wanted:
        name = next(iter(before.get(stream, ())), "")
        if name in held:
            held[name].append(stream)
        else:
            free.append(stream)
    for stream in free:
        held[min(first, key=lambda name: len(held[name]))].append(stream)
    if not free:
        _level(held, first)
    heads = {stream: name for name, ones in held.items() for stream in ones}
    names = [one.name for one in order]
    return {stream: _rest(heads[stream], stream, first, names) for stream in wanted}


def _first(order: list[Member], zone: str, away: Collection[str]) -> list[str]:
    """Those over whom streams are spread: of the best region, and of the preferred zone if it has any."""
    here = [one for one in order if one.name not in away] or order
    best = [one for one in here if one.index >> REGION_BITS == here[0].index >> REGION_BITS]
    near = [one for one in best if one.zone == zone]
    return [one.name for one in near or best]


def _level(held: dict[str, list[int]], first: list[str]) -> None:
    """Move one stream, if one has two more than another."""
    most = max(first, key=lambda name: len(held[name]))
    least = min(first, key=lambda name: len(held[name]))
    if len(held[most]) - len(held[least]) > 1:
        held[least].append(held[most].pop())


def _rest(head: str, stream: int, first: list[str], names: list[str]) -> tuple[str, ...]:
    """The head, then its equals, each stream from another one on, then all others."""
    turn = stream % len(first)
    equals = [*first[turn:], *first[:turn]]
    return tuple(dict.fromkeys((head, *equals, *names)))
