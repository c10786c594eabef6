"""Control and a changefeed: which streams there are, one way; how far each has come, the other.

Any control will do, one at a time; while none answers, feeds go on with what they know, and what they would report is
told later: only the newest progress of each stream counts.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.changefeed import (
    ChangefeedClient,
    ChangeStream,
    ChangeStreams,
    Progress,
    ProgressReported,
    ReportProgress,
)
from tausql.protocol.control import SERVICE as CONTROL
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import Host, Timer

AGAIN_SECONDS = 0.5
ANSWER_SECONDS = 5.0

log = logs.get("changefeed")


class Reporting:
    """`streams` are those there are; `on_change` hears of every change of them."""

    def __init__(self, host: Host, network: Network, directory: Directory, on_change: Callable[[], None]) -> None:
        self._host = host
        self._on_change = on_change
        self.streams: dict[str, ChangeStream] = {}
        self.known = False  # control has told
        self._controls: Neighbours[ChangefeedClient] = Neighbours(
            directory, CONTROL, host.zone, lambda address: ChangefeedClient(network.connect(address, CONTROL))
        )
        self._turn = 0
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._reporting = False
        self._stopped = False

    def start(self) -> None:
        self._timer = None
        controls = self._controls.all
        if not controls:
            self._timer = self._host.later(AGAIN_SECONDS, self.start)
            return
        chosen = controls[self._turn % len(controls)]
        self._stream = chosen.client.watch(self._host.name, self._told, self._ended)

    def stop(self) -> None:
        self._stopped = True
        if self._stream is not None:
            self._stream.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def report(self, rows: tuple[Progress, ...], done: Callable[[], None]) -> bool:
        """Tell control; `done` is called when it has taken it. False: a report is still on its way, or nobody is there
        to take it."""
        controls = self._controls.all
        if self._reporting or not controls:
            return False
        self._reporting = True

        def answered(answer: ProgressReported | Failure) -> None:
            self._reporting = False
            if isinstance(answer, ProgressReported):
                done()

        client = controls[self._turn % len(controls)].client
        client.report(ReportProgress(self._host.name, rows), ANSWER_SECONDS, answered)
        return True

    def _told(self, told: ChangeStreams) -> None:
        if told.full:
            self.streams = {}
        self.streams |= {one.identifier: one for one in told.changed}
        for identifier in told.removed:
            self.streams.pop(identifier, None)
        self.known = True
        self._on_change()

    def _ended(self, failure: Failure | None) -> None:
        self._stream = None
        self._turn += 1
        if not self._stopped:
            self._timer = self._host.later(AGAIN_SECONDS, self.start)
