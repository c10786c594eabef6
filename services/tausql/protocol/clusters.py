"""What frontends and processors need to know of the fleet's clusters, and who tells them: control.

A fleet serves many clusters: each a key prefix, a catalogue and an endpoint name. Control keeps them as rows of the
system cluster (number 0, that no client can reach) and streams them to whoever follows, so that nobody has to ask
anybody when a client connects. Keys to sign with are another stream: only frontends and controls see secrets.

Both streams begin with everything (`full`) and go on with what has changed. A follower that was cut off begins anew.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tausql.rpc.interface import Channel, Failure, Stream

SYSTEM_CLUSTER = 0  # control's own tables; never in a `ClusterRecord`
FIRST_CLUSTER = 1  # the one every new fleet has
CONNECTABLE = frozenset({"ACTIVE", "IDLE", "INACTIVE", "UPDATING"})


class ClusterRecord(msgspec.Struct, frozen=True, array_like=True):
    """One cluster, as the data plane sees it."""

    identifier: str  # 26 characters a-z2-7
    number: int  # the first 4 bytes of its keys
    status: str  # as the API names it; see CONNECTABLE
    arn: str
    hosts: tuple[str, ...]  # endpoint names: the first is what the API tells, `{id}.dsql.{region}.on.aws`
    switches: tuple[str, ...] = ()  # of `extensions`, `lenient`, `testing`
    connections_max: int = 10_000
    connections_per_second: float = 100.0
    connections_burst: int = 1_000
    storage_bytes_max: int = 10 << 40
    full: bool = False  # it keeps more bytes than that: writes are refused (53100)
    policy: str = ""  # its resource policy, JSON; empty: none
    tags: dict[str, str] = {}  # policies may ask for them


class KeyRecord(msgspec.Struct, frozen=True, array_like=True):
    """One access key, permanent or temporary, that may sign tokens and requests."""

    access_key_id: str
    secret: str
    principal: str  # ARN of the user or assumed role: what policies and error texts name
    mapped: str  # ARN that `AWS IAM GRANT` names: the user's, or the role's behind an assumed role
    policies: tuple[str, ...] = ()  # identity policies, JSON documents
    session_token: str = ""  # what a request must carry beside a temporary key; empty: a permanent one
    expires_at: int = 0  # seconds since 1970; 0: never
    boundary: str = ""  # a session policy that narrows `policies`, JSON; empty: none

    def __repr__(self) -> str:
        """Without what must not be in a log."""
        return f"KeyRecord({self.access_key_id!r}, principal={self.principal!r})"


class WatchClusters(msgspec.Struct, tag="watch_clusters", array_like=True, gc=False):
    """Stream request: all clusters now, and what changes from then on."""

    name: str  # who asks, for control's status page


class Clusters(msgspec.Struct, tag="clusters", array_like=True):
    """full: forget all that was told before."""

    full: bool
    changed: tuple[ClusterRecord, ...]
    removed: tuple[str, ...] = ()  # identifiers


class WatchKeys(msgspec.Struct, tag="watch_keys", array_like=True, gc=False):
    """Stream request: all keys now, and what changes from then on."""

    name: str


class Keys(msgspec.Struct, tag="keys", array_like=True):
    """full: forget all that was told before."""

    full: bool
    changed: tuple[KeyRecord, ...]
    removed: tuple[str, ...] = ()  # access key ids


class ConnectEvent(msgspec.Struct, frozen=True, array_like=True):
    """For the audit log: somebody connected, or tried to."""

    at_us: int  # microseconds since 1970
    cluster: str  # identifier; empty: none could be told
    principal: str
    access_key_id: str
    action: str  # DbConnect, DbConnectAdmin
    user: str  # the database role asked for
    client: str  # address
    error: str = ""  # why not; empty: let in


class ClusterUse(msgspec.Struct, frozen=True, array_like=True):
    """How much a frontend's clients use a cluster: control tells ACTIVE from IDLE and INACTIVE by it."""

    cluster: str
    connections: int
    used_at_us: int  # last time a client was there


class ReportUse(msgspec.Struct, tag="report_use", array_like=True):
    """Request of a frontend, every few seconds where there is anything to say: bounded lists, oldest events first."""

    name: str
    uses: tuple[ClusterUse, ...]
    events: tuple[ConnectEvent, ...]
    events_lost: int = 0  # that found no room


class UseReported(msgspec.Struct, tag="use_reported", array_like=True, gc=False):
    """Answer: the events are in the log."""


class ClustersClient:
    """Typed calls to control, about clusters and keys."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def watch_clusters(
        self, name: str, on_change: Callable[[Clusters], None], on_end: Callable[[Failure | None], None]
    ) -> Stream:
        return self.channel.stream(WatchClusters(name), on_change, on_end)

    def watch_keys(
        self, name: str, on_change: Callable[[Keys], None], on_end: Callable[[Failure | None], None]
    ) -> Stream:
        return self.channel.stream(WatchKeys(name), on_change, on_end)

    def report_use(
        self, report: ReportUse, deadline_seconds: float, done: Callable[[UseReported | Failure], None]
    ) -> None:
        self.channel.call(report, deadline_seconds, done)


MESSAGES = WatchClusters | Clusters | WatchKeys | Keys | ReportUse | UseReported
