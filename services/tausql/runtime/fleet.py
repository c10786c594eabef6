"""Who is who: every process of the fleet, by service, as it was told at start."""

from __future__ import annotations

import msgspec


class Member(msgspec.Struct, frozen=True):
    """One service of one process."""

    name: str  # unique and stable, e.g. `journal-b`
    zone: str
    address: str  # `host:port` of its RPC listener; several services of one process share it
    session: str = ""  # processors only: `host:port` where frontends relay sessions to
    index: int = 0  # processors: the number that cancel keys carry; adjudicators: order of preference


class Fleet(msgspec.Struct, frozen=True):
    """The static map of the fleet (JSON in `TAUSQL_FLEET`, or a file it names)."""

    region: str = "local-1"
    zones: tuple[str, ...] = ("a", "b", "c")
    streams: int = 1
    timekeeper: tuple[Member, ...] = ()
    journal: tuple[Member, ...] = ()
    adjudicator: tuple[Member, ...] = ()
    crossbar: tuple[Member, ...] = ()
    storage: tuple[Member, ...] = ()
    processor: tuple[Member, ...] = ()
    frontend: tuple[Member, ...] = ()

    def of(self, service: str) -> tuple[Member, ...]:
        """The members of one service. Raises AttributeError for an unknown service."""
        members: tuple[Member, ...] = getattr(self, service)
        return members

    def nearest(self, service: str, zone: str) -> list[Member]:
        """The members of a service, those of `zone` first."""
        return sorted(self.of(service), key=lambda member: (member.zone != zone, member.zone, member.name))
