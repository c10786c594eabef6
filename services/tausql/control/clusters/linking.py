"""Clusters over several regions: two of them lead to the same data.

Set up in two steps, because neither can name the other before it exists: the first is made with a witness region alone
and waits; the second names the first; then the first is told of the second. In one fleet over these regions both are
records of one number. The witness is a region of the fleet's journal; nothing of a cluster is there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec.structs import replace

from tausql.control.clusters.records import Cluster, Status
from tausql.control.faults import Fault, conflict, invalid_field
from tausql.control.system.state import Image

_ARN = re.compile(r"arn:aws(?:-[^:]+)?:dsql:([a-z0-9-]{1,20}):([0-9]{12}):cluster/([a-z0-9]{26})")
_FIELD = "multiRegionProperties"
PEERS_MAX = 1

# Only regions of one set can be linked; regions that are in none are a fleet's own names.
REGION_SETS = (
    frozenset({"us-east-1", "us-east-2", "us-west-2"}),
    frozenset({"ap-northeast-1", "ap-northeast-2", "ap-northeast-3"}),
    frozenset({"eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1"}),
)


class Wanted(NamedTuple):
    """`multiRegionProperties`, as asked for."""

    witness: str | None
    clusters: tuple[str, ...] | None


def identifier_of(arn: str) -> str | None:
    found = _ARN.fullmatch(arn)
    return found.group(3) if found else None


def check(wanted: Wanted, region: str, own: str = "") -> tuple[str, tuple[str, ...]]:
    """Witness and ARNs of the others. Raises ValidationException."""
    if not wanted.witness:
        raise _wrong("witnessRegion is required for a cluster of several Regions")
    if wanted.witness == region:
        raise _wrong("The witness Region must differ from the Regions of the clusters")
    others = tuple(dict.fromkeys(arn for arn in wanted.clusters or () if arn != own))
    if len(others) > PEERS_MAX:
        raise _wrong("A cluster can be linked to one other cluster")
    for arn in others:
        found = _ARN.fullmatch(arn)
        if found is None:
            raise _wrong(f"{arn} is not the ARN of a cluster")
        if found.group(1) == region:
            raise _wrong("Linked clusters must be in different Regions")
        if found.group(1) == wanted.witness:
            raise _wrong("The witness Region must differ from the Regions of the clusters")
        _in_one_set(region, found.group(1), wanted.witness)
    _in_one_set(region, wanted.witness)
    return wanted.witness, others


def peer_for_new(image: Image, arn: str, witness: str) -> Cluster:
    """The cluster that a new one is to be linked to. Raises ValidationException, ConflictException."""
    peer = _known(image, arn)
    if peer.witness != witness:
        raise _wrong("Linked clusters must have the same witness Region")
    if peer.status is not Status.pending_setup or peer.peers:
        raise conflict(f"Cluster {peer.identifier} is not waiting for a peer", "cluster", peer.identifier)
    return peer


def linked(image: Image, cluster: Cluster, wanted: Wanted) -> tuple[Cluster, ...]:
    """The records to put when `cluster` is told of its peer. Raises ValidationException, ConflictException."""
    witness, others = check(wanted, cluster.region, cluster.arn)
    if not cluster.witness:
        raise _wrong("A cluster of one Region cannot be linked")
    if witness != cluster.witness:
        raise _wrong("The witness Region of a cluster cannot be changed")
    if others == cluster.peers:
        return (cluster,)
    if cluster.peers or not others:
        raise _wrong("The link of a cluster cannot be changed: delete one of the clusters instead")
    peer = _known(image, others[0])
    if peer.peers != (cluster.arn,) or peer.witness != witness or peer.number != cluster.number:
        raise _wrong(f"Cluster {peer.identifier} was not made as a peer of this cluster")
    if cluster.status is not Status.pending_setup or peer.status is not Status.pending_setup:
        raise conflict("Both clusters must be in state PENDING_SETUP", "cluster", cluster.identifier)
    return (
        replace(cluster, status=Status.updating, peers=others),
        replace(peer, status=Status.creating),
    )


def deleted(image: Image, cluster: Cluster) -> tuple[Cluster, ...]:
    """The records to put when `cluster` is deleted: the last of two that are linked takes both with it."""
    peers = [peer for peer in map(image.of(Cluster).get, filter(None, map(identifier_of, cluster.peers))) if peer]
    linked_to = [peer for peer in peers if cluster.arn in peer.peers]
    if any(peer.status not in (Status.pending_delete, Status.deleting) for peer in linked_to):
        return (replace(cluster, status=Status.pending_delete),)
    waiting = [peer for peer in linked_to if peer.status is Status.pending_delete]
    return tuple(replace(one, status=Status.deleting) for one in (cluster, *waiting))


def _known(image: Image, arn: str) -> Cluster:
    peer = image.of(Cluster).get(identifier_of(arn) or "")
    if peer is None or peer.arn != arn or peer.status is Status.deleting:
        raise _wrong(f"Cluster {arn} does not exist")
    return peer


def _in_one_set(*regions: str) -> None:
    sets = {number for number, known in enumerate(REGION_SETS) if known & set(regions)}
    if len(sets) > 1:
        raise _wrong("The Regions of a cluster must belong to one set of Regions")


def _wrong(message: str) -> Fault:
    return invalid_field(_FIELD, message)
