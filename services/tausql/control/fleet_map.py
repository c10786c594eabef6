"""The fleet's map, made of what Kubernetes has, what was configured, and what the other regions' controls said.

A function of its arguments and of nothing else, in whatever order they come: two controls that know the same say the
same, and a process may go from one to the other without anything moving.

The obvious map (every pod that is Ready, at its IP) is wrong three times over. A pod cannot become ready before it
finds itself in the map. Who the journal is must not depend on what happens to run: its names come from configuration
and only their whereabouts from pods. And a pod with a disk keeps its name when it moves, so its address is that name,
with the IP beside it (`hosts`), which is known here seconds before the name service knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec.structs import astuple, replace

from tausql.control.cluster import Pod
from tausql.protocol.fleet import SERVICES, Fleet, Member

SHARED = ("adjudicator", "crossbar", "storage")  # what one region sees of another, besides its journal replicas
PROCESSOR_INDEXES = 512  # what a cancel key has room for
CREATED_BITS = 40
_CREATED = (1 << CREATED_BITS) - 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """What does not depend on what runs."""

    namespace: str
    region: str = "local-1"
    streams: int = 2
    journal: tuple[Member, ...] = ()  # zone ""; region "" = own
    regions: tuple[str, ...] = ("local-1",)  # all of them, in the order in which their adjudicators are preferred


class Made(NamedTuple):
    """A map, and what was left out of it."""

    fleet: Fleet
    conflicts: tuple[str, ...] = ()  # members of other regions whose name or address is taken here


def make_fleet(
    pods: Iterable[Pod],
    zones: Mapping[str, str],
    configuration: Configuration,
    words: Mapping[str, Fleet],
    journal_zones: Mapping[str, str],
) -> Made:
    """The map.

    pods: of the own region. zones: by node. words: the newest map of every other region that has been heard of.
    journal_zones: where journal replicas were last, by name, for those whose pod is away just now.
    """
    present = _present(pods)
    hosts: dict[str, str] = {}
    members: dict[str, list[Member]] = {service: [] for service in SERVICES}
    for pod in present:
        if pod.host:
            hosts[_host(pod, configuration)] = pod.ip
        # A process takes its zone from the first map that lists it and keeps it: better no entry than a wrong one.
        zone = zones.get(pod.node, "")
        if zone and pod.service in SERVICES and pod.service != "journal":
            members[pod.service].append(_member(pod, zone, configuration))
    members["journal"] = _journal(present, zones, configuration, words, journal_zones, hosts)
    taken = {one.name for ours in members.values() for one in ours}
    taken |= {one.address for ours in members.values() for one in ours}
    conflicts: list[str] = []
    for region in sorted(words):
        _adopt(region, words[region], configuration, members, hosts, taken, conflicts)
    lists: dict[str, Any] = {service: tuple(sorted(ours, key=_order)) for service, ours in members.items()}
    own = {one.zone for ours in members.values() for one in ours if not one.region and one.zone}
    fleet = Fleet(
        region=configuration.region,
        zones=tuple(sorted(own)),
        streams=configuration.streams,
        hosts=dict(sorted(hosts.items())),
        **lists,
    )
    return Made(fleet, tuple(conflicts))


def processor_index(name: str) -> int:
    """The number that a processor's cancel keys carry, 0 to 511: the same at every control, nearly unique."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big") % PROCESSOR_INDEXES


def _present(pods: Iterable[Pod]) -> list[Pod]:
    """Pods that can be reached or soon could, one a name and one an address: the one that is there to stay, else the
    newer. An IP may have passed on from a pod that is on its way out."""
    found = [pod for pod in pods if pod.ip and not pod.over]
    found.sort(key=lambda pod: (not pod.terminating, pod.created, astuple(pod)), reverse=True)
    kept: dict[str, Pod] = {}
    places: set[tuple[str, int]] = set()
    for pod in found:
        place = (pod.ip, pod.rpc)
        if pod.name not in kept and place not in places:
            kept[pod.name] = pod
            places.add(place)
    return sorted(kept.values(), key=lambda pod: pod.name)


def _host(pod: Pod, configuration: Configuration) -> str:
    return f"{pod.host}.{configuration.namespace}.svc"


def _member(pod: Pod, zone: str, configuration: Configuration) -> Member:
    session, index = "", 0
    if pod.service == "processor":
        session, index = f"{pod.ip}:{pod.session}", processor_index(pod.name)
    elif pod.service == "adjudicator":
        index = _preference(configuration.regions, configuration.region, pod.created)
    host = _host(pod, configuration) if pod.host else pod.ip
    return Member(pod.name, zone, f"{host}:{pod.rpc}", session, index)


def _preference(regions: tuple[str, ...], region: str, created: int) -> int:
    """The older the better, within a region. Not counted 0, 1, 2...: that would give everybody a new number whenever
    the first one goes, just when the others have better things to do."""
    place = regions.index(region) if region in regions else len(regions)
    return place << CREATED_BITS | created & _CREATED


def _journal(
    present: list[Pod],
    zones: Mapping[str, str],
    configuration: Configuration,
    words: Mapping[str, Fleet],
    journal_zones: Mapping[str, str],
    hosts: dict[str, str],
) -> list[Member]:
    """The configured replicas, with the zones where they are seen, and their hosts added to `hosts`."""
    running = [pod for pod in present if pod.service == "journal"]
    made: list[Member] = []
    for member in configuration.journal:
        host = member.address.rpartition(":")[0]
        zone = journal_zones.get(member.name, "")
        if not member.region:
            pod = next((pod for pod in running if pod.name == member.name), None)
            if pod is not None:
                zone = zones.get(pod.node, zone)
                if _names(host, pod, configuration):
                    hosts[host] = pod.ip
        elif member.region in words:
            word = words[member.region]
            zone = next((one.zone for one in word.journal if one.name == member.name and one.zone), zone)
            if host in word.hosts:
                hosts.setdefault(host, word.hosts[host])
        made.append(replace(member, zone=zone))
    return made


def _names(host: str, pod: Pod, configuration: Configuration) -> bool:
    """Whether `host` is one of the names that the cluster gives `pod`, and not, say, that of a load balancer."""
    full = _host(pod, configuration)
    return bool(pod.host) and (host == full or full.startswith(f"{host}.") or host.startswith(f"{full}."))


def _adopt(
    region: str,
    word: Fleet,
    configuration: Configuration,
    members: dict[str, list[Member]],
    hosts: dict[str, str],
    taken: set[str],
    conflicts: list[str],
) -> None:
    """Add what another region has of its own. What it in turn heard of others is for those to say."""
    if region == configuration.region or word.region != region:
        return
    for service in SHARED:
        for one in word.of(service):
            if one.region not in ("", region):
                continue
            if one.name in taken or one.address in taken:
                conflicts.append(f"{region}/{one.name}")
                continue
            taken |= {one.name, one.address}
            index = one.index
            if service == "adjudicator":
                index = _preference(configuration.regions, region, one.index)
            members[service].append(replace(one, region=region, index=index))
            host = one.address.rpartition(":")[0]
            if host in word.hosts:
                hosts.setdefault(host, word.hosts[host])


def _order(member: Member) -> tuple[str, str, str]:
    return member.name, member.region, member.address
