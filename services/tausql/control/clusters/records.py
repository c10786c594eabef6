"""What is kept of clusters."""

from __future__ import annotations

import base64
import hashlib
import secrets
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

import msgspec

from tausql.control.system.state import Record
from tausql.protocol.clusters import ClusterRecord

SWITCHES = ("extensions", "lenient", "testing")
SWITCHES_TAG = "tausql:switches"  # a cluster's tag that turns them on: names, separated by blanks
VPC_SERVICE_DIGITS = 6


class Status(StrEnum):
    """As the API names them."""

    creating = "CREATING"
    active = "ACTIVE"
    idle = "IDLE"
    inactive = "INACTIVE"
    updating = "UPDATING"
    pending_setup = "PENDING_SETUP"
    pending_delete = "PENDING_DELETE"
    deleting = "DELETING"
    failed = "FAILED"


USABLE = frozenset({Status.active, Status.idle, Status.inactive, Status.updating})


class Cluster(Record, frozen=True):
    """One cluster. Two that are linked over regions have one number: the same data."""

    kind: ClassVar[str] = "cluster"

    identifier: str
    number: int
    region: str
    account: str
    status: Status
    created_at: float  # seconds since 1970
    protected: bool = True
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    policy: str = ""
    policy_version: str = ""
    witness: str = ""  # region; empty: a cluster of one region
    peers: tuple[str, ...] = ()  # ARNs of the clusters it is linked to
    switches: tuple[str, ...] = ()
    used_at: float = 0.0  # somebody was connected then, about
    full: bool = False  # it keeps more bytes than it may

    @property
    def name(self) -> str:
        return self.identifier

    @property
    def arn(self) -> str:
        return cluster_arn(self.region, self.account, self.identifier)

    @property
    def endpoint(self) -> str:
        return f"{self.identifier}.dsql.{self.region}.on.aws"

    @property
    def vpc_service(self) -> str:
        """The part of the private endpoint's name that says which service it is: the same for a whole region."""
        return "dsql-" + hashlib.sha256(f"{self.account}/{self.region}".encode()).hexdigest()[:VPC_SERVICE_DIGITS]

    @property
    def vpc_endpoint(self) -> str:
        return f"{self.identifier}.{self.vpc_service}.{self.region}.on.aws"


class Stream(Record, frozen=True):
    """One change stream."""

    kind: ClassVar[str] = "stream"

    identifier: str
    cluster: str
    status: str
    created_at: float
    target: str
    role: str
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    error: str = ""
    error_at: float = 0.0
    watermark: int = 0
    cursors: list[Any] = msgspec.field(default_factory=list)

    @property
    def name(self) -> str:
        return self.identifier


class Numbers(Record, frozen=True):
    """Which number the next cluster gets: none is ever used twice, or old keys could be taken for new ones."""

    kind: ClassVar[str] = "numbers"

    next: int

    @property
    def name(self) -> str:
        return "clusters"


class Founded(Record, frozen=True):
    """This region has had its first cluster: nobody makes it again when it has been deleted."""

    kind: ClassVar[str] = "founded"

    region: str

    @property
    def name(self) -> str:
        return self.region


class Token(Record, frozen=True):
    """A request that was answered, by the token its client gave it."""

    kind: ClassVar[str] = "token"

    token: str  # hash of account, operation and the client's token
    request: str  # hash of what was asked
    answer: dict[str, Any]
    at: float

    @property
    def name(self) -> str:
        return self.token


class Leftover(Record, frozen=True):
    """The number of a cluster that is gone: looked through once more when the last transaction that may have begun
    before has certainly ended."""

    kind: ClassVar[str] = "leftover"

    number: int
    again_at: float

    @property
    def name(self) -> str:
        return str(self.number)


def cluster_arn(region: str, account: str, identifier: str) -> str:
    return f"arn:aws:dsql:{region}:{account}:cluster/{identifier}"


def stream_arn(cluster: Cluster, identifier: str) -> str:
    return f"{cluster.arn}/stream/{identifier}"


def new_identifier() -> str:
    """16 random bytes, as 26 letters and digits."""
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def switches_of(tags: dict[str, str], always: tuple[str, ...]) -> tuple[str, ...]:
    asked = tags.get(SWITCHES_TAG, "").split()
    return tuple(switch for switch in SWITCHES if switch in asked or switch in always)


class Limits(NamedTuple):
    """Of each cluster."""

    connections_max: int = 10_000
    connections_per_second: float = 100.0
    connections_burst: int = 1_000
    storage_bytes_max: int = 10 << 40


def told(cluster: Cluster, limits: Limits) -> ClusterRecord:
    """What the data plane is told of it."""
    return ClusterRecord(
        identifier=cluster.identifier,
        number=cluster.number,
        status=cluster.status.value,
        arn=cluster.arn,
        hosts=(cluster.endpoint, cluster.vpc_endpoint),
        switches=cluster.switches,
        connections_max=limits.connections_max,
        connections_per_second=limits.connections_per_second,
        connections_burst=limits.connections_burst,
        storage_bytes_max=limits.storage_bytes_max,
        full=cluster.full,
        policy=cluster.policy,
        tags=cluster.tags,
    )
