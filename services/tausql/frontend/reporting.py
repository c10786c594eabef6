"""What frontends tell control: who connected, and which clusters are in use.

The audit log is control's, and a client must not wait for it: events are kept here and sent every few seconds. What
control has not acknowledged is sent again; what finds no room, because control has been away for long, is counted, and
the count is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.quotas import Quotas
from tausql.protocol.clusters import ClustersClient, ClusterUse, ConnectEvent, ReportUse, UseReported
from tausql.rpc.interface import Failure
from tausql.runtime import logs
from tausql.runtime.host import Host, Timer

EVERY_SECONDS = 2.0
DEADLINE_SECONDS = 10.0
EVENTS_MAX = 20_000  # kept: three minutes at a cluster's usual rate; some 6 MB
EVENTS_A_REPORT = 1_000
USES_A_REPORT = 10_000
FORGET_SECONDS = 60.0  # an unused cluster's limits are as if it had never been used

log = logs.get("frontend")


class UseReports:
    """client: to the control that is followed now, if any."""

    def __init__(
        self,
        host: Host,
        name: str,
        quotas: Quotas,
        metrics: FrontendMetrics,
        now_us: Callable[[], int],
        client: Callable[[], ClustersClient | None],
    ) -> None:
        self._host = host
        self._name = name
        self._quotas = quotas
        self._metrics = metrics
        self._now_us = now_us
        self._client = client
        self._events: deque[ConnectEvent] = deque()
        self._uses: dict[str, ClusterUse] = {}  # not acknowledged yet
        self._lost = 0  # events, since a report was acknowledged
        self._under_way = False
        self._timer: Timer | None = None

    def start(self) -> None:
        self._timer = self._host.later(EVERY_SECONDS, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def waiting(self) -> int:
        """Events that control has not acknowledged."""
        return len(self._events)

    def record(self, event: ConnectEvent) -> None:
        """Keep it for the next report."""
        if len(self._events) >= EVENTS_MAX:
            self._lost += 1
            self._metrics.events_lost += 1
            return
        self._events.append(event)

    def send(self) -> None:
        """Tell control now, unless a report is under way."""
        client = self._client()
        if self._under_way or client is None:
            return
        now, now_us = self._host.monotonic(), self._now_us()
        for used in self._quotas.used():
            at_us = now_us - int((now - used.used_at) * 1_000_000)
            self._uses[used.identifier] = ClusterUse(used.identifier, used.connections, at_us)
        uses = tuple(self._uses.values())[:USES_A_REPORT]
        events = tuple(self._events[at] for at in range(min(len(self._events), EVENTS_A_REPORT)))
        lost = self._lost
        if not (uses or events or lost):
            return
        self._under_way = True

        def done(answer: UseReported | Failure) -> None:
            self._under_way = False
            if isinstance(answer, Failure):
                log.info("control does not take our report", reason=answer.message)
                return
            for _ in events:
                self._events.popleft()
            for use in uses:
                if self._uses.get(use.cluster) is use:
                    del self._uses[use.cluster]
            self._lost -= lost
            if len(self._events) >= EVENTS_A_REPORT and self._timer is not None:
                self.send()

        client.report_use(ReportUse(self._name, uses, events, lost), DEADLINE_SECONDS, done)

    def _tick(self) -> None:
        self._timer = self._host.later(EVERY_SECONDS, self._tick)
        self.send()
        self._quotas.sweep(FORGET_SECONDS)
