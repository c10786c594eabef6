"""Which services share a process.

    separate   every service a process of its own, as every one is a pod of its own on Kubernetes
    packed     those that talk most on one event loop, over memory: a zone's frontend, processor, storage and
               timekeeper; an adjudicator with its crossbar; each journal replica alone, because its fsync blocks.
               Control and the changefeed are with the last zone, which has least to do
    single     everything in one process, one zone, one journal replica: quick starts and tests

`separate` and `packed` are the same members with the same names and folders, so one data folder serves both. Further
storages of a zone are processes of their own in both.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from tausql.protocol.fleet import SERVICES, Fleet, Member

ORDER_ZONES = 2  # zones with an adjudicator and a crossbar: one at work, one standing by
SESSION_ZONES = 2  # zones with a frontend and a processor


class Shape(Enum):
    packed = "packed"
    separate = "separate"
    single = "single"


class Place(NamedTuple):
    """One process: what runs in it, in the order it is built (frontends find their processor there)."""

    name: str
    zone: str
    services: tuple[str, ...]
    number: int = 1  # of its service in its zone

    def member(self, service: str) -> str:
        """What one of its services is called."""
        return f"{service}-{self.zone}" + (f"-{self.number}" if self.number > 1 else "")


def _sorted(services: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(services, key=SERVICES.index))


def places(shape: Shape, zones: int, storages: int = 1) -> list[Place]:
    """The processes of a shape. `zones` 1 to 5; journals one a zone, so an odd number serves best. `storages`: in each
    zone."""
    names = "abcde"[: 1 if shape is Shape.single else zones]
    more = [
        Place(f"storage-{zone}-{number}", zone, ("storage",), number)
        for number in range(2, storages + 1)
        for zone in names
    ]
    if shape is Shape.single:
        return [Place("fleet", "a", SERVICES), *more]
    made: list[Place] = []
    for number, zone in enumerate(names):
        near_rows = ("timekeeper", "storage", *(("processor", "frontend") if number < SESSION_ZONES else ()))
        near_log = ("adjudicator", "crossbar") if number < ORDER_ZONES else ()
        if zone == names[-1]:
            near_rows = (*near_rows, "control", "changefeed")
        if shape is Shape.packed:
            made.append(Place(f"journal-{zone}", zone, ("journal",)))
            if near_log:
                made.append(Place(f"order-{zone}", zone, _sorted(near_log)))
            made.append(Place(f"zone-{zone}", zone, _sorted(near_rows)))
        else:
            made += [
                Place(f"{service}-{zone}", zone, (service,)) for service in _sorted(("journal", *near_log, *near_rows))
            ]
    return made + more


class Ports(NamedTuple):
    """A process's listeners on this machine."""

    rpc: int
    http: int
    session: int  # 0 unless a processor runs there


def fleet_of(made: list[Place], ports: dict[str, Ports], host: str, region: str = "us-east-1") -> Fleet:
    """The map every process is given: who there is, and nothing that is wanted. That is for control to say, and what
    was right when the fleet started need not be when one of its processes starts again. Crossbars carry no zone here:
    on one machine every storage replica is as near to each of them, and when all follow the first, the journal is read
    and merged once."""
    members: dict[str, list[Member]] = {service: [] for service in SERVICES}
    for place in made:
        mine = ports[place.name]
        for service in place.services:
            members[service].append(
                Member(
                    name=place.member(service),
                    zone="" if service == "crossbar" else place.zone,
                    address=f"{host}:{mine.rpc}",
                    session=f"{host}:{mine.session}" if service == "processor" else "",
                    index=len(members[service]),
                )
            )
    zones = tuple(sorted({place.zone for place in made}))
    found = {service: tuple(listed) for service, listed in members.items()}
    return msgspec.structs.replace(Fleet(region=region, zones=zones, streams=0), **found)


class Planned(NamedTuple):
    """What control is told, and where it is."""

    control: str  # its RPC address
    statuses: dict[str, str]  # HTTP addresses of adjudicators and storages, by name
    streams: int = 2
    shard_bytes: int = 256 << 20


def planned_of(made: list[Place], ports: dict[str, Ports], host: str, streams: int, shard_bytes: int) -> Planned:
    """What control of this fleet is told."""
    address = next(f"{host}:{ports[place.name].rpc}" for place in made if "control" in place.services)
    statuses = {
        place.member(service): f"{host}:{ports[place.name].http}"
        for place in made
        for service in place.services
        if service in ("adjudicator", "storage")
    }
    return Planned(address, statuses, streams, shard_bytes)
