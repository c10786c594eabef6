"""Where the processes of a simulated fleet stand: one region of three zones, or two regions and a witness."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from tausql.protocol.fleet import Fleet, Member, Placed, Shard

SHARED = ("journal", "adjudicator", "crossbar", "storage")  # what a region's map lists of the others
FAR_SECONDS = (0.005, 0.040)  # between two regions, one way


@dataclass(frozen=True, slots=True)
class Layout:
    """`regions`: zones by region; the others: in which zones a service runs, the preferred adjudicator first."""

    regions: dict[str, str]
    journal: str
    adjudicator: str
    crossbar: str
    storage: str
    clients: str

    @property
    def zones(self) -> str:
        return "".join(self.regions.values())

    def region_of(self, zone: str) -> str:
        return next(region for region, zones in self.regions.items() if zone in zones)

    def members(self, service: str) -> list[Member]:
        zones: str = getattr(self, service)
        return [
            self.member(service, zone, member_name(service, zones, number), number) for number, zone in enumerate(zones)
        ]

    def member(self, service: str, zone: str, name: str, index: int) -> Member:
        return Member(name, zone, f"{name}:1", index=index, region=self.region_of(zone))


ONE_REGION = Layout({"local-1": "abc"}, journal="abc", adjudicator="ab", crossbar="ab", storage="abc", clients="abca")
TWO_REGIONS = Layout(
    {"east": "ab", "west": "cd", "witness": "e"},
    journal="abcde",
    adjudicator="abc",
    crossbar="acd",
    storage="abcd",
    clients="acbc",
)


def widened(layout: Layout, more: dict[str, int], chance: random.Random) -> Layout:
    """With so many more of some services, somewhere where there are such."""
    changes: dict[str, Any] = {}
    for service, number in more.items():
        zones: str = getattr(layout, service)
        changes[service] = zones + "".join(chance.choice(zones) for _ in range(number))
    return replace(layout, **changes)


def member_name(service: str, zones: str, number: int) -> str:
    """The first of a service in a zone bears the zone's name, further ones a number, too."""
    zone = zones[number]
    before = zones[:number].count(zone)
    return f"{service}-{zone}-{before + 1}" if before else f"{service}-{zone}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the map asks for beyond its members (`protocol.fleet.Fleet`)."""

    streams: int = 1
    placement: tuple[Placed, ...] = ()
    preferred: dict[int, tuple[str, ...]] = field(default_factory=dict)
    shards: tuple[Shard, ...] = ()


def map_of(layout: Layout, region: str, members: dict[str, list[Member]], wanted: Wanted) -> Fleet:
    """The fleet as `region` knows it: its own members bear no region."""
    found: dict[str, Any] = {
        service: tuple(
            Member(one.name, one.zone, one.address, index=one.index, region="" if one.region == region else one.region)
            for one in listed
        )
        for service, listed in members.items()
    }
    return Fleet(
        region=region,
        zones=tuple(layout.regions[region]),
        streams=wanted.streams,
        placement=wanted.placement,
        preferred=wanted.preferred,
        shards=wanted.shards,
        **found,
    )


def distances(layout: Layout, chance: random.Random) -> dict[tuple[str, str], float]:
    """Draw how far regions are apart: seconds from zone to zone, one way."""
    regions = list(layout.regions)
    far: dict[tuple[str, str], float] = {}
    for at, one in enumerate(regions):
        for other in regions[at + 1 :]:
            seconds = chance.uniform(*FAR_SECONDS)
            for zone in layout.regions[one]:
                for away in layout.regions[other]:
                    far[zone, away] = far[away, zone] = seconds
    return far
