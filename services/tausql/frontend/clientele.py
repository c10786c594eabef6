"""Everything it takes to let clients of many clusters in, as one part of the frontend.

control --clusters, keys--> ClusterDirectory --> TokenDoorkeeper --> Gate <--> Quotas
control <--uses, connect events-- UseReports <-----------------------'
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tausql.access.connect_tokens import ConnectTokens
from tausql.access.signatures import Signatures
from tausql.frontend.cluster_directory import ClusterDirectory
from tausql.frontend.following import Following
from tausql.frontend.gate import Gate
from tausql.frontend.metrics import FrontendMetrics
from tausql.frontend.quotas import Quotas
from tausql.frontend.reporting import UseReports
from tausql.frontend.settings import FrontendSettings
from tausql.frontend.tokens import TokenDoorkeeper
from tausql.protocol.fleet import Fleet
from tausql.rpc.interface import Network
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host


class Clientele:
    """directory: what is known to begin with. now: seconds since 1970. Tokens are dated by their makers' wall clocks,
    so ours is the one to compare with, and not the fleet's interval clock."""

    def __init__(
        self,
        host: Host,
        network: Network,
        fleet: Directory,
        settings: FrontendSettings,
        metrics: FrontendMetrics,
        directory: ClusterDirectory | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        def now_us() -> int:
            return int(now() * 1_000_000)

        self.directory = directory if directory is not None else ClusterDirectory()
        self._following = Following(host, network, fleet, self.directory, metrics, settings.known_seconds)
        self._quotas = Quotas(host.monotonic, lambda: frontends_of(fleet.fleet))
        self._reports = UseReports(host, host.name, self._quotas, metrics, now_us, lambda: self._following.client)
        self.signatures = Signatures(self.directory.key)
        self.tokens = ConnectTokens(self.directory.key, fleet.fleet.region, signatures=self.signatures)
        doorkeeper = TokenDoorkeeper(
            self.directory, self.tokens, settings.database, now, sni_required=settings.sni == "required"
        )
        self.gate = Gate(doorkeeper, self._quotas, metrics, self._reports, now_us, self._following.when_known)

    def start(self) -> None:
        self._following.start()
        self._reports.start()

    def stop(self) -> None:
        """What has not been reported yet is sent, and nobody waits for the answer."""
        self._reports.stop()
        self._reports.send()
        self._following.stop()

    def status(self) -> dict[str, Any]:
        directory = self.directory
        return {
            "known": directory.known,
            "following": self._following.following,
            "clusters": directory.clusters,
            "keys": directory.keys,
            "clusters_in_use": len(self._quotas),
            "events_waiting": self._reports.waiting,
        }


def frontends_of(fleet: Fleet) -> int:
    """How many frontends share a cluster's limits: those of this region. Another region's limits are its own."""
    return sum(member.region in ("", fleet.region) for member in fleet.frontend)
