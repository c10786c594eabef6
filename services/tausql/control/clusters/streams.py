"""Change streams, as control keeps them: what is to be delivered where, and how far that has come."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tausql.control.clusters.life import Answer, Quotas, check_tags
from tausql.control.clusters.records import Cluster, Status, Stream, new_identifier, stream_arn
from tausql.control.faults import invalid, not_found, over_quota
from tausql.control.system.state import Decision, Image

ORDERING, FORMAT = "UNORDERED", "JSON"


def find(image: Image, cluster: Cluster, identifier: str) -> Stream:
    """Raises ResourceNotFoundException."""
    stream = image.of(Stream).get(identifier)
    if stream is None or stream.cluster != cluster.identifier:
        raise not_found("stream", identifier)
    return stream


def of_cluster(image: Image, cluster: Cluster) -> list[Stream]:
    return [stream for stream in image.of(Stream).values() if stream.cluster == cluster.identifier]


def create(
    image: Image, cluster: Cluster, target: str, role: str, tags: dict[str, str], quotas: Quotas, now: float
) -> Decision[Answer]:
    if cluster.status is not Status.active:
        raise invalid(f"Cluster {cluster.identifier} must be ACTIVE, and is {cluster.status.value}", "other")
    check_tags(tags, {})
    if len(of_cluster(image, cluster)) >= quotas.streams:
        raise over_quota("You have reached the stream limit.", "stream", cluster.identifier, "streams-per-cluster")
    stream = Stream(new_identifier(), cluster.identifier, "CREATING", now, target, role, tags)
    return Decision({**summary(cluster, stream), "ordering": ORDERING, "format": FORMAT}, (stream,))


def delete(cluster: Cluster, stream: Stream) -> Decision[Answer]:
    """There is nothing to clean up: who delivers it hears that it is gone."""
    return Decision(summary(cluster, replace(stream, status="DELETING")), (), (stream,))


def get(cluster: Cluster, stream: Stream) -> Answer:
    answer: dict[str, Any] = {
        **summary(cluster, stream),
        "ordering": ORDERING,
        "format": FORMAT,
        "targetDefinition": {"kinesis": {"streamArn": stream.target, "roleArn": stream.role}},
        "tags": stream.tags,
    }
    if stream.error:
        answer["statusReason"] = {"error": stream.error, "updatedAt": round(stream.error_at, 3)}
    return answer


def summary(cluster: Cluster, stream: Stream) -> Answer:
    return {
        "clusterIdentifier": stream.cluster,
        "streamIdentifier": stream.identifier,
        "arn": stream_arn(cluster, stream.identifier),
        "status": stream.status,
        "creationTime": round(stream.created_at, 3),
    }
