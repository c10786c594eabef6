"""What the region's processors say of their load."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tausql.protocol.fleet import Member
from tausql.protocol.processor import Load, ProcessorClient
from tausql.rpc.interface import Network, Stream
from tausql.runtime.host import Host, Timer

SERVICE = "processor"
AGAIN_SECONDS_MIN = 0.2
AGAIN_SECONDS_MAX = 2.0


class _Processor:
    __slots__ = ("client", "connected", "load", "pause", "stream", "timer")

    def __init__(self, client: ProcessorClient) -> None:
        self.client = client
        self.connected = False
        self.load: Load | None = None  # None: never heard
        self.pause = AGAIN_SECONDS_MIN
        self.stream: Stream | None = None
        self.timer: Timer | None = None


class Loads:
    """Listens between `start` and `stop` to the processors that have joined. What one said last stands while it cannot
    be reached: its sessions are somewhere. `changed` is called whenever one speaks."""

    def __init__(self, host: Host, network: Network, changed: Callable[[], None]) -> None:
        self._host = host
        self._network = network
        self._changed = changed
        self._members: dict[str, Member] = {}
        self._processors: dict[str, _Processor] = {}
        self._listening = False

    def joined(self, member: Member) -> None:
        if not member.region:
            self._members[member.name] = member
            if self._listening:
                self._open(member)

    def left(self, member: Member) -> None:
        if self._members.get(member.name) == member:
            del self._members[member.name]
            self._close(member.name)

    def start(self) -> None:
        if not self._listening:
            self._listening = True
            for member in self._members.values():
                self._open(member)

    def stop(self) -> None:
        self._listening = False
        for name in list(self._processors):
            self._close(name)

    @property
    def sessions(self) -> int | None:
        """Sessions at all of them. None: nobody has been heard, which says nothing."""
        heard = self._heard()
        if self._members and not heard:
            return None
        return sum(load.sessions for load in heard)

    @property
    def heard(self) -> int:
        """Processors connected to."""
        return sum(processor.connected for processor in self._processors.values())

    @property
    def idle(self) -> int:
        """Processors that have no session and take some."""
        return sum(not load.sessions and not load.draining for load in self._heard())

    def free(self, target: int) -> int:
        """Sessions that could come until every processor has `target`."""
        return sum(
            max(0, min(target, load.sessions_max) - load.sessions) for load in self._heard() if not load.draining
        )

    def of(self, name: str) -> Load | None:
        processor = self._processors.get(name)
        return None if processor is None else processor.load

    def _heard(self) -> list[Load]:
        return [one.load for one in self._processors.values() if one.load is not None]

    def _open(self, member: Member) -> None:
        client = ProcessorClient(self._network.connect(member.address, SERVICE))
        self._processors[member.name] = processor = _Processor(client)
        self._watch(processor)

    def _close(self, name: str) -> None:
        processor = self._processors.pop(name, None)
        if processor is None:
            return
        if processor.timer is not None:
            processor.timer.cancel()
        if processor.stream is not None:
            processor.stream.cancel()
        processor.client.channel.close()

    def _watch(self, processor: _Processor) -> None:
        processor.timer = None
        processor.stream = processor.client.watch_load(
            partial(self._loaded, processor), partial(self._ended, processor)
        )

    def _loaded(self, processor: _Processor, load: Load) -> None:
        processor.load, processor.connected = load, True
        processor.pause = AGAIN_SECONDS_MIN
        self._changed()

    def _ended(self, processor: _Processor, _: object) -> None:
        processor.stream = None
        processor.connected = False
        if processor in self._processors.values():
            processor.timer = self._host.later(processor.pause, self._watch, processor)
            processor.pause = min(processor.pause * 2, AGAIN_SECONDS_MAX)
