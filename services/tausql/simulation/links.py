"""What lies between processes: delay, jitter, loss, cut links, and somebody who listens.

Messages are never changed once sent, so a receiver may get the very object, as it does within one process of a real
fleet. In some runs (`wire`) every message is encoded and decoded on its way, as between processes: nothing is sent that
a wire could not carry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tausql.protocol.messages import ALL
from tausql.rpc.interface import Encoded, Message

if TYPE_CHECKING:
    from tausql.simulation.network import SimulatedChannel
    from tausql.simulation.world import Process, World

KEEPALIVE_SECONDS = 2.0  # after so long a cut link breaks the connections over it

Observer = Callable[[str, Any], None]  # (name of the process that speaks, the message)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ALL).decode


class Links:
    """The network between all processes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.delay = (0.00005, 0.0005)
        self.wire = True  # messages are encoded and decoded
        self.far: dict[tuple[str, str], float] = {}  # seconds from one zone to another, on top of `delay`
        self.slow: dict[str, float] = {}  # up to so many extra seconds to and from a process
        self.late: dict[tuple[str, str], float] = {}  # exactly so many more from one to another
        self.loss = 0.0
        self.cut: dict[tuple[str, str], int] = {}  # (from, to) -> how many cuts: nothing passes
        self.observers: dict[type, Observer] = {}  # told of every message of a type, once, as it is sent
        self.channels: dict[SimulatedChannel, None] = {}
        self.sent = 0
        self.lost = 0
        self._chance = world.random.random

    def latency(self, source: Process, target: Process) -> float | None:
        """Seconds a message takes, or None when it is lost."""
        chance = self._chance
        self.sent += 1
        if source is target:
            return chance() * 0.00002
        if (self.cut and (source.name, target.name) in self.cut) or (self.loss and chance() < self.loss):
            self.lost += 1
            return None
        low, high = self.delay
        jitter = chance()
        delay = low + (high - low) * jitter
        if jitter < 0.02:
            delay = low + (high - low) * 500.0 * jitter
        if self.far:
            delay += self.far.get((source.zone, target.zone), 0.0)
        if self.slow:
            delay += (self.slow.get(source.name, 0.0) + self.slow.get(target.name, 0.0)) * (0.2 + 0.8 * chance())
        if self.late:
            delay += self.late.get((source.name, target.name), 0.0)
        return delay

    def copied(self, source: Process, message: Message) -> Any:
        """What the other side gets of a message that `source` sends."""
        if isinstance(message, Encoded):
            bare = message.message
            if message.packed is None:
                message.packed = _encode(bare) if self.wire else b""
                observer = self.observers.get(type(bare))
                if observer is not None:
                    observer(source.name, bare)
            return _decode(message.packed) if self.wire else bare
        observer = self.observers.get(type(message))
        if observer is not None:
            observer(source.name, message)
        return _decode(_encode(message)) if self.wire else message

    def sever(self, group: set[str], rest: set[str] | None = None, one_way: bool = False) -> Callable[[], None]:
        """Cut every link between `group` and `rest` (by default everybody else), or only those from `group` to `rest`.
        Returns what mends it."""
        others = set(self.world.processes) - group if rest is None else rest
        pairs = sorted((a, b) for a in group for b in others)
        if not one_way:
            pairs += [(b, a) for a, b in pairs]
        for pair in pairs:
            self.cut[pair] = self.cut.get(pair, 0) + 1
        what = f"{sorted(group)} {'to' if one_way else 'and'} {'the rest' if rest is None else sorted(rest)}"
        self.world.note(f"links cut: {what}")
        self.world.at(KEEPALIVE_SECONDS, None, self._give_up, set(pairs))

        def mend() -> None:
            self.world.note(f"links mended: {what}")
            for pair in pairs:
                count = self.cut.get(pair, 0) - 1
                if count > 0:
                    self.cut[pair] = count
                else:
                    self.cut.pop(pair, None)

        return mend

    def heal(self) -> None:
        """Mend everything."""
        if self.cut:
            self.world.note("links healed")
        self.cut.clear()
        self.loss = 0.0
        self.slow.clear()
        self.late.clear()

    def reset(self, one: Process, other: Process) -> None:
        """Connections between the two break, and are made anew: what was under way is lost, or was not."""
        for channel in list(self.channels):
            ends = (channel.process.address, channel.address)
            if ends in ((one.address, other.address), (other.address, one.address)):
                channel.disconnect()

    def _give_up(self, pairs: set[tuple[str, str]]) -> None:
        for channel in list(self.channels):
            target = self.world.by_address.get(channel.address)
            if target is None:
                continue
            ends = (channel.process.name, target.name)
            if (ends in pairs and ends in self.cut) or (ends[::-1] in pairs and ends[::-1] in self.cut):
                channel.disconnect()

    def broken(self, process: Process) -> None:
        """A process has died: the other ends notice a little later."""
        for channel in list(self.channels):
            if channel.process is process:
                channel.abandon()
            elif channel.address == process.address:
                self.world.at(self.world.random.uniform(0.0, 0.002), None, channel.disconnect)
