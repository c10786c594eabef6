"""The fleet's map as a process knows it, and who wants to hear of changes.

On one machine the map is given at start and never changes. On Kubernetes pods come and go by the minute, so nobody may
take a list of members once and keep it: services say what is to happen when a member joins or leaves, and the first
map is nothing but many joining.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from tausql.protocol.fleet import Fleet, Member
from tausql.rpc.interface import Channel

Heard = Callable[[Member], None]


class _Client(Protocol):
    """Every typed client of `tausql.protocol`."""

    @property
    def channel(self) -> Channel: ...


Client = TypeVar("Client", bound=_Client)


class _Follower(NamedTuple):
    service: str
    joined: Heard
    left: Heard


class Directory:
    """The map, `fleet`, never changed in place, and its followers."""

    __slots__ = ("_followers", "_watchers", "fleet")

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._followers: list[_Follower] = []
        self._watchers: list[Callable[[], None]] = []

    def follow(self, service: str, zone: str, joined: Heard, left: Heard) -> None:
        """Call `joined` for every member of `service`, nearest to `zone` first: those there are at once, from within,
        and later ones as they come; `left` for those that are gone from the map. A member whose entry changed leaves
        and joins. Within one change, those who leave go first."""
        self._followers.append(_Follower(service, joined, left))
        for member in self.fleet.nearest(service, zone):
            joined(member)

    def watch(self, function: Callable[[], None]) -> None:
        """Call `function` after every change of the map, when all followers have heard of theirs."""
        self._watchers.append(function)

    def replace(self, fleet: Fleet) -> None:
        """A new map is there."""
        before, self.fleet = self.fleet, fleet
        if fleet == before:
            return
        for follower in self._followers:
            old, new = before.of(follower.service), fleet.of(follower.service)
            if old == new:
                continue
            for member in old:
                if member not in new:
                    follower.left(member)
            for member in new:
                if member not in old:
                    follower.joined(member)
        for function in self._watchers:
            function()

    def locate(self, address: str) -> str:
        """Where `address` (`host:port`) is now, as far as the map knows better than the name service."""
        host, _, port = address.rpartition(":")
        found = self.fleet.hosts.get(host)
        return f"{found}:{port}" if found else address


class Neighbour(NamedTuple, Generic[Client]):
    """A member and the way to it."""

    member: Member
    client: Client


class Neighbours(Generic[Client]):
    """Clients to the members of one service, nearest first, as the map has them.

    `all` is made anew at a change and never changed in place: whoever walks it may go on. Who is who is decided by
    name and address: a member whose zone becomes known keeps its client. `joined` and `left` hear of later changes,
    not of those who are there at the start.
    """

    __slots__ = ("_directory", "_joined", "_left", "_make", "_own", "_service", "_zone", "all")

    def __init__(
        self,
        directory: Directory,
        service: str,
        zone: str,
        make: Callable[[str], Client],
        *,
        own: str = "",
        joined: Callable[[Neighbour[Client]], None] | None = None,
        left: Callable[[Neighbour[Client]], None] | None = None,
    ) -> None:
        """`make`: a client to an address. `own`: the name of the member that is not its own neighbour."""
        self._directory = directory
        self._service = service
        self._zone = zone
        self._make = make
        self._own = own
        self._joined = joined
        self._left = left
        self.all: tuple[Neighbour[Client], ...] = tuple(
            Neighbour(member, make(member.address)) for member in self._members()
        )
        directory.watch(self._changed)

    def named(self) -> list[tuple[str, Client]]:
        """Names and clients, nearest first."""
        return [(one.member.name, one.client) for one in self.all]

    def _members(self) -> list[Member]:
        fleet = self._directory.fleet
        return [member for member in fleet.nearest(self._service, self._zone) if member.name != self._own]

    def _changed(self) -> None:
        before = {_identity(one.member): one for one in self.all}
        members = self._members()
        if [one.member for one in self.all] == members:
            return
        fresh: list[Neighbour[Client]] = []
        made: list[Neighbour[Client]] = []
        for member in members:
            known = before.pop(_identity(member), None)
            if known is None:
                neighbour = Neighbour(member, self._make(member.address))
                fresh.append(neighbour)
            else:
                neighbour = known._replace(member=member)
            made.append(neighbour)
        self.all = tuple(made)
        for gone in before.values():
            if self._left is not None:
                self._left(gone)
            gone.client.channel.close()
        for neighbour in fresh:
            if self._joined is not None:
                self._joined(neighbour)


def _identity(member: Member) -> tuple[str, str]:
    return member.name, member.address
