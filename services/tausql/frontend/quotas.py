"""How many sessions a cluster may have, and how fast new ones may come.

The limits are the cluster's, its frontends are many, and asking each other at every connect would cost a round trip. So
each frontend takes its share: the limit divided by how many frontends the map lists. That is exact where connections
are spread evenly, as every load balancer here does, and never lets in more than the limit (rounding aside: a share is
one connection at least).

Only who has shown a valid token counts: strangers must not be able to use up what the cluster's own clients need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tausql.frontend import refusals
from tausql.protocol.clusters import ClusterRecord
from tausql.protocol.errors import SqlError


class Used(NamedTuple):
    """How a cluster is used now."""

    identifier: str
    connections: int
    used_at: float  # monotonic


class _Use:
    """One cluster's sessions and its token bucket, filled up to `at`."""

    __slots__ = ("at", "connections", "reported", "tokens", "used_at")

    def __init__(self, tokens: float, at: float) -> None:
        self.connections = 0
        self.tokens = tokens
        self.at = at
        self.used_at = at
        self.reported = False  # that nobody is there any more


class Quotas:
    """Of all clusters. `frontends`: how many share the limits."""

    __slots__ = ("_frontends", "_monotonic", "_uses")

    def __init__(self, monotonic: Callable[[], float], frontends: Callable[[], int]) -> None:
        self._monotonic = monotonic
        self._frontends = frontends
        self._uses: dict[str, _Use] = {}  # by identifier; `sweep` forgets those that are as if they had never been

    def enter(self, record: ClusterRecord) -> SqlError | None:
        """One more session of this cluster, or why not. Each one let in is to `leave` once."""
        now = self._monotonic()
        share = 1 / max(self._frontends(), 1)
        burst = max(record.connections_burst * share, 1.0)
        use = self._uses.get(record.identifier)
        if use is None:
            use = self._uses[record.identifier] = _Use(burst, now)
        use.tokens = min(use.tokens + (now - use.at) * record.connections_per_second * share, burst)
        use.at = use.used_at = now
        use.reported = False
        if use.connections >= math.ceil(record.connections_max * share):
            return refusals.too_many_connections()
        if use.tokens < 1:
            return refusals.rate_exceeded()
        use.tokens -= 1
        use.connections += 1
        return None

    def leave(self, identifier: str) -> None:
        """A session of this cluster has ended."""
        use = self._uses.get(identifier)
        if use is not None:
            use.connections -= 1
            use.used_at = self._monotonic()

    def connections(self, identifier: str) -> int:
        use = self._uses.get(identifier)
        return use.connections if use is not None else 0

    def __len__(self) -> int:
        return len(self._uses)

    def used(self) -> Iterator[Used]:
        """The clusters with sessions, and those that have had one since this was asked last."""
        now = self._monotonic()
        for identifier, use in self._uses.items():
            if use.connections or not use.reported:
                use.reported = not use.connections
                yield Used(identifier, use.connections, now if use.connections else use.used_at)

    def sweep(self, idle_seconds: float) -> None:
        """Forget who has had no session for so long; its bucket is full again by then."""
        before = self._monotonic() - idle_seconds
        idle = [name for name, use in self._uses.items() if not use.connections and use.used_at < before]
        for name in idle:
            del self._uses[name]
