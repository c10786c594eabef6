"""Reading an adopted log backwards, as far as somebody's question goes.

Reading the whole transaction window at every takeover would be minutes of log; reading nothing would leave a client
without an answer. So the last few seconds are read at once, where the commits in flight at the takeover are, and more
only when an outcome from further back is asked for. A replica reads forward, so the log is taken in spans, halved when
a span does not fit into one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tausql.adjudicator.outcomes import Recovered
from tausql.adjudicator.readback import Readback
from tausql.protocol.journal import Record
from tausql.runtime.host import Host, Timer

SPAN_MAX = 1024
_RETRY_SECONDS = 0.02  # doubled with every failure in a row
_RETRY_SECONDS_MAX = 1.0


class Lookback:
    """Fills `recovered`. `holders` names the replicas that hold the whole adopted log."""

    __slots__ = (
        "_asked",
        "_failures",
        "_holders",
        "_host",
        "_readback",
        "_reading",
        "_span",
        "_target",
        "_timer",
        "over",
        "recovered",
    )

    def __init__(
        self, host: Host, readback: Readback, recovered: Recovered, holders: Callable[[], Sequence[int]]
    ) -> None:
        self._host, self._readback, self._holders = host, readback, holders
        self.recovered = recovered
        self._target = 1 << 63
        self._span = 32
        self._asked = 0  # the span being read
        self._failures = 0
        self._reading = False
        self._timer: Timer | None = None
        self.over = False

    def want(self, tau: int) -> None:
        """Read back until everything above `tau` is known, in the background. Not where that is forgotten anyway."""
        if tau < self.recovered.forgotten:
            return
        if tau < self._target:
            self._target = tau
        self._go_on()

    def close(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        recovered = self.recovered
        if self.over or self._reading or self._timer is not None:
            return
        recovered.seq_base = max(recovered.seq_base, self._readback.trim_seq)
        if recovered.exhausted or recovered.covers(self._target):
            return
        first = max(recovered.seq_base + 1, recovered.seq_next - self._span + 1)
        self._asked = recovered.seq_next - first + 1
        self._reading = True
        if not self._readback.read(first, self._holders(), -1, self._got):
            self._reading = False
            self._retry()

    def _got(self, _: int, first: int, records: list[Record] | None) -> None:
        self._reading = False
        if self.over:
            return
        if records is None:
            self._retry()
            return
        self._failures = 0
        wanted = [record for record in records if record.seq <= self.recovered.seq_next]
        if len(wanted) < self._asked:  # it did not fit: a single record always does
            self._span = max(1, self._asked // 2)
        else:
            self.recovered.take(wanted)
            self._span = min(SPAN_MAX, self._span * 2)
        self._go_on()

    def _retry(self) -> None:
        seconds = min(_RETRY_SECONDS * (1 << min(self._failures, 10)), _RETRY_SECONDS_MAX)
        self._failures += 1
        self._timer = self._host.later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._go_on()
