"""The clusters and access keys that control has told of, by every name a client may use for them.

A client is let in or refused by what is in here, and nobody is asked while it waits. Whatever was told last stays when
control goes away: a database must not turn its clients away because the part that creates databases is being replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tausql.protocol.clusters import CONNECTABLE, ClusterRecord, Clusters, KeyRecord, Keys
from tausql.runtime import logs

CLUSTERS_MAX = 100_000  # some 100 MB; what is told beyond is left out, and said in the log
KEYS_MAX = 100_000
# Without private DNS a VPC endpoint's names are `{id}.dsql-fnh4.{region}.on.aws`; the control API tells them.
_PRIVATE_LINK = re.compile(r"([a-z2-7]{26})\.dsql-[a-z0-9]{4,6}\.[a-z0-9-]+\.on\.aws")

log = logs.get("frontend")

Heard = Callable[[ClusterRecord], None]


class ClusterDirectory:
    """What is known. `on_closed` is called for a cluster that can be connected to no more: its sessions have to end."""

    __slots__ = ("_by_host", "_clusters", "_keys", "clusters_told", "keys_told", "left_out", "on_changed", "on_closed")

    def __init__(self) -> None:
        self._clusters: dict[str, ClusterRecord] = {}
        self._by_host: dict[str, ClusterRecord] = {}
        self._keys: dict[str, KeyRecord] = {}
        self.clusters_told = False  # at least once
        self.keys_told = False
        self.left_out = 0  # that found no room
        self.on_closed: Heard = _nobody
        self.on_changed: Callable[[], None] = _nothing

    @property
    def known(self) -> bool:
        """Whether control has told everything once."""
        return self.clusters_told and self.keys_told

    @property
    def clusters(self) -> int:
        return len(self._clusters)

    @property
    def keys(self) -> int:
        return len(self._keys)

    def by_identifier(self, identifier: str) -> ClusterRecord | None:
        return self._clusters.get(identifier)

    def by_host(self, name: str) -> ClusterRecord | None:
        """`name`: as a client wrote it, without port."""
        plain = name.lower().rstrip(".")
        found = self._by_host.get(plain)
        if found is None and (match := _PRIVATE_LINK.fullmatch(plain)):
            return self._clusters.get(match[1])
        return found

    def key(self, access_key_id: str) -> KeyRecord | None:
        return self._keys.get(access_key_id)

    def take_clusters(self, told: Clusters) -> None:
        """Control has told of clusters."""
        if told.full:
            there = {record.identifier for record in told.changed}
            self._remove(identifier for identifier in list(self._clusters) if identifier not in there)
        self._remove(told.removed)
        for record in told.changed:
            self._put(record)
        self.clusters_told = True
        self.on_changed()

    def take_keys(self, told: Keys) -> None:
        """Control has told of keys."""
        if told.full:
            self._keys.clear()
        for access_key_id in told.removed:
            self._keys.pop(access_key_id, None)
        for record in told.changed:
            if len(self._keys) < KEYS_MAX or record.access_key_id in self._keys:
                self._keys[record.access_key_id] = record
            else:
                self._leave_out("access key", record.access_key_id)
        self.keys_told = True
        self.on_changed()

    def _put(self, record: ClusterRecord) -> None:
        before = self._clusters.get(record.identifier)
        if before == record:
            return
        if before is None and len(self._clusters) >= CLUSTERS_MAX:
            self._leave_out("cluster", record.identifier)
            return
        if before is not None:
            self._forget_hosts(before)
        self._clusters[record.identifier] = record
        for host in record.hosts:
            self._by_host[host.lower()] = record
        if record.status not in CONNECTABLE and (before is None or before.status in CONNECTABLE):
            self.on_closed(record)

    def _remove(self, identifiers: Iterable[str]) -> None:
        for identifier in identifiers:
            gone = self._clusters.pop(identifier, None)
            if gone is not None:
                self._forget_hosts(gone)
                if gone.status in CONNECTABLE:
                    self.on_closed(gone)

    def _forget_hosts(self, record: ClusterRecord) -> None:
        for host in record.hosts:
            if self._by_host.get(host.lower()) == record:
                del self._by_host[host.lower()]

    def _leave_out(self, what: str, name: str) -> None:
        self.left_out += 1
        log.error(f"no room for one more {what}", name=name, left_out=self.left_out)


def _nobody(record: ClusterRecord) -> None:
    """Nobody wants to know."""


def _nothing() -> None:
    """Nobody wants to know."""
