"""Who is who: every process of the fleet, by service."""

from __future__ import annotations

import msgspec

SERVICES = (  # in the order in which those of one process are built
    "timekeeper",
    "journal",
    "adjudicator",
    "crossbar",
    "storage",
    "processor",
    "frontend",
    "control",
    "changefeed",
)


class Member(msgspec.Struct, frozen=True):
    """One service of one process."""

    name: str  # unique in the fleet, e.g. `journal-b`; stable over restarts where there is a disk
    zone: str
    address: str  # `host:port` of its RPC listener; several services of one process share it
    session: str = ""  # processors only: `host:port` where frontends relay sessions to
    index: int = 0  # processors: what cancel keys carry, nearly unique; adjudicators: order of preference
    region: str = ""  # "" = the region of whoever reads the map


class Placed(msgspec.Struct, frozen=True):
    """Conflicts on the keys of [low, high) are to be judged by `stream`. `high` b"" = no end."""

    low: bytes
    high: bytes
    stream: int


class Shard(msgspec.Struct, frozen=True):
    """The rows of [low, high) are to be kept by these storage processes, by name. `high` b"" = no end."""

    low: bytes
    high: bytes
    replicas: tuple[str, ...]


class Fleet(msgspec.Struct, frozen=True):
    """The map of the fleet. Never part of what makes a commit safe: a process with an old map is slow, not wrong. That
    goes for what it wants, too (`streams`, `placement`, `preferred`, `shards`): holders and replicas bring it about
    when and as far as that is safe, and say themselves what is so.

    The one exception is `journal`: who the replicas are is a fact that their disks agree on at genesis, so their names
    come from configuration and never from what happens to run.
    """

    region: str = "local-1"
    zones: tuple[str, ...] = ("a", "b", "c")
    streams: int = 2  # how many are wanted, 0 = as it is; which there are is registered in stream 0
    timekeeper: tuple[Member, ...] = ()
    journal: tuple[Member, ...] = ()
    adjudicator: tuple[Member, ...] = ()
    crossbar: tuple[Member, ...] = ()
    storage: tuple[Member, ...] = ()
    processor: tuple[Member, ...] = ()
    frontend: tuple[Member, ...] = ()
    control: tuple[Member, ...] = ()
    placement: tuple[Placed, ...] = ()  # wanted; () = as it is
    preferred: dict[int, tuple[str, ...]] = {}  # by stream: adjudicators, the preferred first; else dealt out by index
    shards: tuple[Shard, ...] = ()  # wanted; () = as it is, and a blank replica keeps everything
    changefeed: tuple[Member, ...] = ()
    hosts: dict[str, str] = {}  # where a host name of an address is now: like /etc/hosts, and fresher than DNS

    def of(self, service: str) -> tuple[Member, ...]:
        """The members of one service. Raises AttributeError for an unknown service."""
        members: tuple[Member, ...] = getattr(self, service)
        return members

    def nearest(self, service: str, zone: str) -> list[Member]:
        """The members of a service: those of `zone` first, then those of the own region."""

        def distance(member: Member) -> tuple[bool, bool, str, str]:
            return (member.zone != zone, member.region not in ("", self.region), member.zone, member.name)

        return sorted(self.of(service), key=distance)
