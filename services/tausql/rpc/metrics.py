"""What a process's connections count."""

from __future__ import annotations

from collections.abc import Iterator

from tausql.rpc.node import Node
from tausql.runtime import metrics


class NodeMetrics:
    """Read from the node at scrape time."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[metrics.Family]:
        callers = self._node.callers
        connected: metrics.Labelled = {(caller.address,): int(caller.connected) for caller in callers}
        in_flight: metrics.Labelled = {(caller.address,): len(caller.calls) for caller in callers}
        losses: metrics.Labelled = {(caller.address,): caller.losses for caller in callers}
        labels = ("address",)
        yield metrics.gauge("tausql_rpc_peers", "Processes connected to this one.", self._node.peers)
        yield metrics.gauge(
            "tausql_rpc_connected", "1 while this process is connected to the address, else 0.", connected, labels
        )
        yield metrics.gauge("tausql_rpc_calls_in_flight", "Calls not answered yet.", in_flight, labels)
        yield metrics.counter(
            "tausql_rpc_losses_total", "Connections that broke and attempts that failed.", losses, labels
        )
