"""What the other regions' controls say of their regions.

What one said last stands while it cannot be reached: a cut between two regions says nothing about who runs in the
other, and the data plane finds out by itself whom it can talk to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tausql.protocol.control import SERVICE, ControlClient, FleetMap
from tausql.protocol.fleet import Fleet
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

AGAIN_SECONDS_MIN = 0.5
AGAIN_SECONDS_MAX = 5.0

log = logs.get("control")


class _Peer:
    __slots__ = ("address", "client", "connected", "doubted", "heard_at", "pause", "stream", "timer")

    def __init__(self, address: str, client: ControlClient) -> None:
        self.address = address
        self.client = client
        self.connected = False  # it has spoken over the present stream
        self.doubted = False
        self.heard_at: float | None = None
        self.pause = AGAIN_SECONDS_MIN
        self.stream: Stream | None = None
        self.timer: Timer | None = None


class Peers:
    """Follows every other region's control. `words`: the last map of each that has been heard."""

    def __init__(self, host: Host, network: Network, addresses: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._host = host
        self._changed = changed
        self._peers = {
            region: _Peer(address, ControlClient(network.connect(address, SERVICE)))
            for region, address in addresses.items()
        }
        self._stopped = False
        self.words: dict[str, Fleet] = {}

    @property
    def silent(self) -> list[str]:
        """The regions not heard of yet."""
        return [region for region in self._peers if region not in self.words]

    def ages(self) -> dict[str, float]:
        """By region: seconds since its control was last known to have nothing to add. Infinite: never."""
        now = self._host.monotonic()
        return {
            region: 0.0 if peer.connected else now - peer.heard_at if peer.heard_at is not None else float("inf")
            for region, peer in self._peers.items()
        }

    def start(self) -> None:
        for region in self._peers:
            self._watch(region)

    def stop(self) -> None:
        self._stopped = True
        for peer in self._peers.values():
            if peer.timer is not None:
                peer.timer.cancel()
            if peer.stream is not None:
                peer.stream.cancel()

    def _watch(self, region: str) -> None:
        peer = self._peers[region]
        peer.timer = None
        peer.stream = peer.client.watch_fleet(self._host.name, partial(self._heard, region), partial(self._end, region))

    def _heard(self, region: str, told: FleetMap) -> None:
        peer = self._peers[region]
        peer.pause = AGAIN_SECONDS_MIN
        if told.fleet.region != region:
            # Its members would be taken for another region's: better none at all.
            if not peer.doubted:
                peer.doubted = True
                log.error("a peer is of another region", wanted=region, says=told.fleet.region, address=peer.address)
            return
        peer.doubted = False
        if not peer.connected:
            log.info("another region's control is heard", region=region)
        peer.connected = True
        peer.heard_at = self._host.monotonic()
        if self.words.get(region) != told.fleet:
            self.words[region] = told.fleet
            self._changed()

    def _end(self, region: str, failure: Failure | None) -> None:
        peer = self._peers[region]
        peer.stream = None
        if self._stopped:
            return
        if peer.connected:
            peer.connected = False
            peer.heard_at = self._host.monotonic()
            log.warning("another region's control went away", region=region, why=failure.message if failure else "")
        peer.timer = self._host.later(peer.pause * self._host.random.uniform(0.5, 1.0), self._watch, region)
        peer.pause = min(peer.pause * 2, AGAIN_SECONDS_MAX)
