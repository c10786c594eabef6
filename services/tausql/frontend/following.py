"""Keeps the directory of clusters and keys as control has it.

Any control serves: several of them read the same tables. One is followed at a time, the nearest first, and the next one
when its stream ends; a stream begins with everything, so nothing that was missed in between stays missed. Clients that
come before the first answer wait for it a bounded time, because a frontend that has just started is no reason to refuse
anybody.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.metrics import FrontendMetrics
from tausql.protocol.clusters import Clusters, ClustersClient, Keys
from tausql.protocol.control import SERVICE
from tausql.rpc.interface import Failure, Network, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import Host, Timer

AGAIN_SECONDS = 0.5  # before the next control is asked: connections have a backoff of their own
SILENCE_SECONDS = 5.0  # a control that has told nothing by then may be unable to: the next one is asked
WAITING_MAX = 4096  # connections that wait for the first answer; those beyond are decided by what is known

log = logs.get("frontend")


class Following:
    """Streams of control into `directory`. `wait_seconds`: how long a connection waits for the first answer."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        directory: ClusterDirectory,
        metrics: FrontendMetrics,
        wait_seconds: float,
    ) -> None:
        self._host = host
        self._network = network
        self._fleet = fleet
        self._directory = directory
        self._metrics = metrics
        self._wait_seconds = wait_seconds
        self._controls: Neighbours[ClustersClient] | None = None
        self._turn = 0  # which of the controls is followed
        self._streams: list[Stream] = []
        self._round = 0  # of following: what an older one still says is dropped
        self._timer: Timer | None = None  # of the next round, or of patience with this one
        self._told: set[type] = set()  # what has come in this round
        self._waiting: dict[int, tuple[Timer, Callable[[], None]]] = {}
        self._tickets = 0
        self._stopped = False
        self.rounds = 0  # streams begun
        directory.on_changed = self._changed

    @property
    def client(self) -> ClustersClient | None:
        """To the control that is followed; None: there is none."""
        controls = self._controls.all if self._controls is not None else ()
        return controls[self._turn % len(controls)].client if controls else None

    @property
    def following(self) -> bool:
        """Whether a control tells us of changes."""
        return bool(self._streams)

    def start(self) -> None:
        self._controls = Neighbours(
            self._fleet,
            SERVICE,
            self._host.zone,
            lambda address: ClustersClient(self._network.connect(address, SERVICE)),
        )
        self._follow()

    def stop(self) -> None:
        self._stopped = True
        self._forsake()
        waiting, self._waiting = self._waiting, {}
        for timer, function in waiting.values():
            timer.cancel()
            function()

    def when_known(self, function: Callable[[], None]) -> None:
        """Call `function` once: at once where control has told everything, else when it has, or after the wait."""
        if self._directory.known or self._stopped or len(self._waiting) >= WAITING_MAX:
            function()
            return
        self._tickets += 1
        ticket = self._tickets
        self._waiting[ticket] = (self._host.later(self._wait_seconds, self._waited, ticket), function)

    def _waited(self, ticket: int) -> None:
        _, function = self._waiting.pop(ticket)
        function()

    def _changed(self) -> None:
        self._metrics.clusters = self._directory.clusters
        if not self._waiting or not self._directory.known:
            return
        waiting, self._waiting = self._waiting, {}
        for timer, function in waiting.values():
            timer.cancel()
            self._host.soon(function)

    def _follow(self) -> None:
        self._timer = None
        self._told.clear()
        client = self.client
        if client is None:
            self._again()
            return
        self._round += 1
        self.rounds += 1
        now = self._round
        name = self._host.name

        def on_clusters(told: Clusters) -> None:
            if now == self._round:
                self._heard(Clusters)
                self._directory.take_clusters(told)

        def on_keys(told: Keys) -> None:
            if now == self._round:
                self._heard(Keys)
                self._directory.take_keys(told)

        def on_end(failure: Failure | None) -> None:
            if now == self._round:
                self._next("its stream has ended" if failure is None else failure.message)

        self._timer = self._host.later(SILENCE_SECONDS, self._next, "it says nothing")
        self._streams = [client.watch_clusters(name, on_clusters, on_end)]
        if now == self._round:  # the first has not ended from within
            self._streams.append(client.watch_keys(name, on_keys, on_end))

    def _heard(self, kind: type) -> None:
        self._told.add(kind)
        if len(self._told) == 2 and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._metrics.controls_followed = 1

    def _next(self, reason: str) -> None:
        """This control is of no use: another one, in a moment."""
        self._forsake()
        if self._directory.known:
            log.info("control does not tell us of clusters and keys any more", reason=reason)
        self._turn += 1
        self._again()

    def _forsake(self) -> None:
        self._round += 1
        self._metrics.controls_followed = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.cancel()

    def _again(self) -> None:
        if not self._stopped:
            self._timer = self._host.later(AGAIN_SECONDS, self._follow)
