"""What the leading control wants, for those that do not lead.

Planning is the leader's alone: two that planned from figures a second apart would contradict each other, and processes
that follow one or the other would be told to and fro. The others pass on what it wants, as they heard it last.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.control.wanted import Wanted, wanted_of
from tausql.protocol.control import SERVICE, ControlClient, FleetMap
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime.host import Host, Timer

AGAIN_SECONDS = 1.0


class Following:
    """Follows one control at a time. `wanted`: what the last one that was followed wants; None: nobody has spoken."""

    def __init__(self, host: Host, network: Network, changed: Callable[[], None]) -> None:
        self._host = host
        self._network = network
        self._changed = changed
        self._address = ""
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self.wanted: Wanted | None = None

    @property
    def address(self) -> str:
        """Who is followed; "": nobody."""
        return self._address

    def follow(self, address: str) -> None:
        """From now on the control at `address`; "" for none."""
        if address == self._address:
            return
        self._address = address
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.cancel()
        self._timer = self._stream = None
        if address:
            self._watch()

    def _watch(self) -> None:
        self._timer = None
        client = ControlClient(self._network.connect(self._address, SERVICE))
        self._stream = client.watch_fleet(self._host.name, self._heard, self._ended)

    def _heard(self, told: FleetMap) -> None:
        wanted = wanted_of(told.fleet)
        if wanted != self.wanted:
            self.wanted = wanted
            self._changed()

    def _ended(self, _: Failure | None) -> None:
        self._stream = None
        self._timer = self._host.later(AGAIN_SECONDS, self._watch)
