"""Decisions about clusters: what is stored, and what is answered, given all that is known. No I/O, no clock.

Nothing is started for a cluster, so it could be ACTIVE at once. It is CREATING for a moment all the same: clients are
written for that, and those who follow (frontends, processors) have heard of it when they see ACTIVE.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from tausql.control.clusters import linking
from tausql.control.clusters.records import Cluster, Founded, Numbers, Status, Stream, new_identifier, switches_of
from tausql.control.faults import invalid, invalid_field, not_found, over_quota
from tausql.control.system.state import Decision, Image, Record
from tausql.protocol.clusters import FIRST_CLUSTER

AWS_OWNED_KEY = "AWS_OWNED_KMS_KEY"
TAGS_MAX = 200
NUMBER_MAX = 0x7FFF_FFFF
Answer = dict[str, Any]


class Place(NamedTuple):
    """Where a request is answered."""

    region: str
    account: str


class Quotas(NamedTuple):
    clusters: int = 20
    linked_clusters: int = 5
    streams: int = 5


class Ask(NamedTuple):
    """CreateCluster's members."""

    tags: dict[str, str]
    protected: bool = True
    kms_key: str | None = None
    wanted: linking.Wanted | None = None
    policy: str = ""


def find(image: Image, place: Place, identifier: str) -> Cluster:
    """Raises ResourceNotFoundException."""
    cluster = image.of(Cluster).get(identifier)
    if cluster is None or cluster.region != place.region or cluster.account != place.account:
        raise not_found("cluster", identifier)
    return cluster


def create(
    image: Image, place: Place, ask: Ask, quotas: Quotas, always: tuple[str, ...], now: float
) -> Decision[Answer]:
    """`always`: switches that all clusters of this fleet have on."""
    check_key(ask.kms_key)
    check_tags(ask.tags, {})
    witness, peers = linking.check(ask.wanted, place.region) if ask.wanted is not None else ("", ())
    _check_quota(image, place, quotas, bool(witness))
    number = next_number(image)
    puts: list[Record] = []
    if peers:
        number = linking.peer_for_new(image, peers[0], witness).number
    else:
        puts.append(Numbers(number + 1))
    cluster = Cluster(
        identifier=new_identifier(),
        number=number,
        region=place.region,
        account=place.account,
        status=Status.pending_setup if witness else Status.creating,
        created_at=now,
        protected=ask.protected,
        tags=ask.tags,
        policy=ask.policy,
        policy_version=new_version() if ask.policy else "",
        witness=witness,
        peers=peers,
        switches=switches_of(ask.tags, always),
        used_at=now,
    )
    answer = {
        **summary(cluster),
        "encryptionDetails": encryption(),
        "deletionProtectionEnabled": cluster.protected,
        "endpoint": cluster.endpoint,
    }
    if witness:
        answer["multiRegionProperties"] = links(cluster)
    return Decision(answer, (*puts, cluster))


def first(image: Image, place: Place, always: tuple[str, ...], now: float) -> Decision[None]:
    """The cluster that every region of a new fleet has: all of them lead to the same data, which was there before
    clusters had names."""
    if place.region in image.of(Founded):
        return Decision(None)
    founded = Founded(place.region)
    others = [one for one in image.of(Cluster).values() if one.number == FIRST_CLUSTER]
    if any(one.region == place.region for one in others) or (image.of(Numbers) and not others):
        return Decision(None, (founded,))
    cluster = Cluster(
        identifier=new_identifier(),
        number=FIRST_CLUSTER,
        region=place.region,
        account=place.account,
        status=Status.active,
        created_at=now,
        protected=True,
        peers=tuple(one.arn for one in others),
        switches=always,
        used_at=now,
    )
    numbers = [] if image.of(Numbers) else [Numbers(FIRST_CLUSTER + 1)]
    linked = [replace(one, peers=(*one.peers, cluster.arn)) for one in others]
    return Decision(None, (founded, *numbers, cluster, *linked))


def get(cluster: Cluster) -> Answer:
    answer = {
        **summary(cluster),
        "deletionProtectionEnabled": cluster.protected,
        "tags": cluster.tags,
        "encryptionDetails": encryption(),
        "endpoint": cluster.endpoint,
    }
    if cluster.witness or cluster.peers:
        answer["multiRegionProperties"] = links(cluster)
    return answer


def update(
    image: Image,
    cluster: Cluster,
    protected: bool | None,
    kms_key: str | None,
    wanted: linking.Wanted | None,
) -> Decision[Answer]:
    check_key(kms_key)
    _check_alive(cluster)
    puts: Sequence[Cluster] = (cluster,)
    if wanted is not None:
        puts = linking.linked(image, cluster, wanted)
    changed = puts[0]
    if protected is not None:
        changed = replace(changed, protected=protected)
    if changed.status in (Status.active, Status.idle, Status.inactive):
        changed = replace(changed, status=Status.updating)
    return Decision(summary(changed), (changed, *puts[1:]))


def delete(image: Image, cluster: Cluster) -> Decision[Answer]:
    """Whoever asks again is told how far it is."""
    if cluster.status in (Status.deleting, Status.pending_delete):
        return Decision(summary(cluster))
    if cluster.protected:
        raise invalid("Deletion protection is enabled for the cluster.", "deletionProtectionEnabled")
    puts = linking.deleted(image, cluster)
    streams = [stream for stream in image.of(Stream).values() if stream.cluster == cluster.identifier]
    return Decision(summary(puts[0]), puts, streams)


def tag(cluster: Cluster, tags: dict[str, str], always: tuple[str, ...]) -> Decision[Answer]:
    check_tags(tags, cluster.tags)
    together = {**cluster.tags, **tags}
    return Decision({}, (replace(cluster, tags=together, switches=switches_of(together, always)),))


def untag(cluster: Cluster, keys: Sequence[str], always: tuple[str, ...]) -> Decision[Answer]:
    left = {key: value for key, value in cluster.tags.items() if key not in keys}
    return Decision({}, (replace(cluster, tags=left, switches=switches_of(left, always)),))


# parts of answers


def summary(cluster: Cluster) -> Answer:
    return {
        "identifier": cluster.identifier,
        "arn": cluster.arn,
        "status": cluster.status.value,
        "creationTime": round(cluster.created_at, 3),
    }


def encryption() -> Answer:
    return {"encryptionType": AWS_OWNED_KEY, "encryptionStatus": "ENABLED"}


def links(cluster: Cluster) -> Answer:
    """As DSQL tells it, the cluster itself is among them once there is a peer."""
    told: Answer = {"witnessRegion": cluster.witness} if cluster.witness else {}
    if cluster.peers:
        told["clusters"] = [cluster.arn, *cluster.peers]
    return told


def new_version() -> str:
    return secrets.token_hex(8)


def next_number(image: Image) -> int:
    known = image.of(Numbers).get("clusters")
    number = known.next if known is not None else FIRST_CLUSTER
    if number > NUMBER_MAX:
        raise over_quota("You have reached the cluster limit.", "cluster", "", "numbers")
    return number


# checks


def check_key(kms_key: str | None) -> None:
    if kms_key is not None and kms_key != AWS_OWNED_KEY:
        raise invalid_field("kmsEncryptionKey", "Customer managed KMS keys are not supported")


def check_tags(tags: dict[str, str], there: dict[str, str]) -> None:
    if any(key.lower().startswith("aws:") for key in tags):
        raise invalid_field("tags", "Tag keys that begin with aws: are reserved")
    if len({*tags, *there}) > TAGS_MAX:
        raise over_quota(f"A resource can have {TAGS_MAX} tags.", "tag", "", "tags-per-resource")


def _check_alive(cluster: Cluster) -> None:
    if cluster.status in (Status.deleting, Status.pending_delete):
        raise invalid(f"Cluster {cluster.identifier} is in state {cluster.status.value}", "other")


def _check_quota(image: Image, place: Place, quotas: Quotas, linked: bool) -> None:
    alive = [
        cluster
        for cluster in image.of(Cluster).values()
        if cluster.region == place.region and cluster.status is not Status.deleting and bool(cluster.witness) is linked
    ]
    if len(alive) >= (quotas.linked_clusters if linked else quotas.clusters):
        code = "linked-clusters-per-region" if linked else "clusters-per-region"
        raise over_quota("You have reached the cluster limit.", "cluster", "", code)
