"""What Kubernetes has, as far as the fleet's map needs it: a few fields of every pod, and the zone of every node.

A pod's object is some 10 kB and changes several times in its first seconds, mostly in fields that mean nothing here.
So objects are cut down to small values as they are decoded, and only a change of such a value is a change.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

RPC_PORT, HTTP_PORT, SESSION_PORT = 7400, 8080, 7500  # of containers that name no ports
NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
COMPONENT_LABEL = "app.kubernetes.io/component"
ZONE_LABEL = "topology.kubernetes.io/zone"
GONE_MAX = 1_000


class Pod(msgspec.Struct, frozen=True):
    """One pod of the release."""

    name: str
    uid: str
    service: str = ""
    node: str = ""  # "" until it is scheduled
    ip: str = ""  # "" until it runs
    phase: str = ""
    created: int = 0  # Unix seconds
    terminating: bool = False
    host: str = ""  # `<hostname>.<subdomain>`: its stable name, if it has one
    rpc: int = RPC_PORT
    http: int = HTTP_PORT
    session: int = SESSION_PORT

    @property
    def over(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


class Node(msgspec.Struct, frozen=True):
    """One machine."""

    name: str
    uid: str
    zone: str


class _Metadata(msgspec.Struct):
    name: str = ""
    uid: str = ""
    resourceVersion: str = ""
    labels: dict[str, str] | None = None
    creationTimestamp: datetime | None = None
    deletionTimestamp: datetime | None = None


class _Port(msgspec.Struct):
    containerPort: int
    name: str = ""


class _Container(msgspec.Struct):
    ports: list[_Port] | None = None


class _PodSpec(msgspec.Struct):
    nodeName: str = ""
    hostname: str = ""
    subdomain: str = ""
    containers: list[_Container] | None = None


class _PodStatus(msgspec.Struct):
    phase: str = ""
    podIP: str = ""


class _Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Node(msgspec.Struct):
    metadata: _Metadata


def read_pod(raw: bytes | msgspec.Raw) -> tuple[Pod, str]:
    """A pod's JSON, and its resource version. Raises msgspec.DecodeError."""
    found = msgspec.json.decode(raw, type=_Pod)
    meta, spec = found.metadata, found.spec
    ports = {port.name: port.containerPort for one in spec.containers or () for port in one.ports or () if port.name}
    pod = Pod(
        name=meta.name,
        uid=meta.uid,
        service=(meta.labels or {}).get(COMPONENT_LABEL, ""),
        node=spec.nodeName,
        ip=found.status.podIP,
        phase=found.status.phase,
        created=int(meta.creationTimestamp.timestamp()) if meta.creationTimestamp is not None else 0,
        terminating=meta.deletionTimestamp is not None,
        host=f"{spec.hostname}.{spec.subdomain}" if spec.hostname and spec.subdomain else "",
        rpc=ports.get("rpc", RPC_PORT),
        http=ports.get("http", HTTP_PORT),
        session=ports.get("session", SESSION_PORT),
    )
    return pod, meta.resourceVersion


def read_node(raw: bytes | msgspec.Raw) -> tuple[Node, str]:
    """A node's JSON (its metadata is enough), and its resource version. Raises msgspec.DecodeError."""
    meta = msgspec.json.decode(raw, type=_Node).metadata
    return Node(meta.name, meta.uid, (meta.labels or {}).get(ZONE_LABEL) or meta.name), meta.resourceVersion


class Named(Protocol):
    """What every object has. A name taken up again after its object is gone comes with another `uid`."""

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...


Thing = TypeVar("Thing", bound=Named)


class Objects(Generic[Thing]):
    """The objects of one kind by name: a list replaces all, events change one. Every method tells whether anything
    changed."""

    __slots__ = ("by_name", "complete")

    def __init__(self) -> None:
        self.by_name: dict[str, Thing] = {}
        self.complete = False  # a whole list has been seen

    def replace(self, things: Iterable[Thing]) -> bool:
        made = {thing.name: thing for thing in things}
        changed = made != self.by_name or not self.complete
        self.by_name, self.complete = made, True
        return changed

    def put(self, thing: Thing) -> bool:
        changed = self.by_name.get(thing.name) != thing
        self.by_name[thing.name] = thing
        return changed

    def drop(self, thing: Thing) -> bool:
        """`thing` is gone. Its name may have been taken up again: then that one stays."""
        known = self.by_name.get(thing.name)
        if known is None or known.uid != thing.uid:
            return False
        del self.by_name[thing.name]
        return True


class Zones:
    """The zone of every node, and of those lately gone: their pods may run on for a while, and stay where they are."""

    __slots__ = ("_gone",)

    def __init__(self) -> None:
        self._gone: dict[str, str] = {}

    def of(self, nodes: Iterable[Node]) -> dict[str, str]:
        here = {node.name: node.zone for node in nodes}
        self._gone |= here
        while len(self._gone) > max(GONE_MAX, len(here)):
            oldest = next(name for name in self._gone if name not in here)
            del self._gone[oldest]
        return dict(self._gone)
