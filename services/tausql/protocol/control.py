"""What everyone needs of control: the fleet's map, as it is and whenever it changes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tausql.protocol.fleet import Fleet
from tausql.rpc.interface import Channel, Failure, Stream

SERVICE = "control"


class WatchFleet(msgspec.Struct, tag="watch_fleet", array_like=True, gc=False):
    """Stream request: the map now (once control has one), and again after every change."""

    name: str  # who asks, for control's status page


class FleetMap(msgspec.Struct, tag="fleet_map", array_like=True):
    """The whole map. It fits one frame: a thousand members are some 100 kB."""

    fleet: Fleet


class ControlClient:
    """Typed calls to control."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch_fleet(
        self, name: str, on_map: Callable[[FleetMap], None], on_end: Callable[[Failure | None], None]
    ) -> Stream:
        return self.channel.stream(WatchFleet(name), on_map, on_end)


MESSAGES = WatchFleet | FleetMap
