"""Aurora DSQL's operations on change streams, and on the tags of both."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response
from msgspec.structs import replace

from tausql.control.api import models
from tausql.control.api.answers import answered
from tausql.control.api.dsql import ERRORS, current, decided, known, permitted
from tausql.control.api.exchange import Exchange, exchange_of
from tausql.control.clusters import life, streams
from tausql.control.clusters.listing import page
from tausql.control.clusters.records import Cluster, Stream
from tausql.control.faults import invalid_field, not_found
from tausql.control.system.state import Decision, Image

_RESOURCE = re.compile(
    r"arn:aws(?:-[^:]+)?:dsql:([a-z0-9-]{1,20}):([0-9]{12}):cluster/([a-z0-9]{26})(?:/stream/([a-z0-9]{26}))?"
)
STREAM_PAGE = 10


class Resource(NamedTuple):
    """What an ARN names."""

    arn: str
    cluster: str
    stream: str  # empty: the cluster itself


def routes() -> APIRouter:
    router = APIRouter(responses=ERRORS)
    _stream_writes(router)
    _stream_reads(router)
    _tags(router)
    return router


def _stream_writes(router: APIRouter) -> None:
    @router.post("/stream/{clusterIdentifier}", summary="CreateStream", tags=["streams"])
    async def create_stream(
        request: Request, clusterIdentifier: models.ClusterId, body: models.CreateStream
    ) -> Response:
        exchange = exchange_of(request)
        asked = {
            "clusterIdentifier": clusterIdentifier,
            **body.model_dump(exclude_none=True, exclude={"clientToken"}),
        }
        exchange.begin("CreateStream", asked)
        tags = body.tags or {}
        await permitted(exchange, "dsql:CreateStream", clusterIdentifier, tags=tags)
        kinesis = body.targetDefinition.kinesis
        exchange.permit("iam:PassRole", kinesis.roleArn)
        tenancy = exchange.tenancy
        return await decided(
            exchange,
            body.clientToken,
            asked,
            lambda image: streams.create(
                image,
                current(exchange, image, clusterIdentifier),
                kinesis.streamArn,
                kinesis.roleArn,
                tags,
                tenancy.settings.quotas,
                tenancy.now(),
            ),
        )

    @router.delete("/stream/{clusterIdentifier}/{streamIdentifier}", summary="DeleteStream", tags=["streams"])
    async def delete_stream(
        request: Request,
        clusterIdentifier: models.ClusterId,
        streamIdentifier: models.StreamId,
        clientToken: models.QueryToken = None,
    ) -> Response:
        exchange = exchange_of(request)
        asked = {"clusterIdentifier": clusterIdentifier, "streamIdentifier": streamIdentifier}
        exchange.begin("DeleteStream", asked)
        await _permitted_stream(exchange, "dsql:DeleteStream", clusterIdentifier, streamIdentifier)

        def decide(image: Image) -> Decision[dict[str, Any]]:
            cluster = current(exchange, image, clusterIdentifier)
            return streams.delete(cluster, streams.find(image, cluster, streamIdentifier))

        return await decided(exchange, clientToken, asked, decide)


def _stream_reads(router: APIRouter) -> None:
    @router.get("/stream/{clusterIdentifier}", summary="ListStreams", tags=["streams"])
    async def list_streams(
        request: Request,
        clusterIdentifier: models.ClusterId,
        maxResults: models.MaxResults = STREAM_PAGE,
        nextToken: models.NextToken = None,
    ) -> Response:
        exchange = exchange_of(request)
        exchange.begin("ListStreams", {"clusterIdentifier": clusterIdentifier}, read_only=True)
        cluster = await permitted(exchange, "dsql:ListStreams", clusterIdentifier)
        every = streams.of_cluster(exchange.tenancy.image, cluster)
        found, more = page(every, lambda one: (round(one.created_at * 1e6), one.identifier), nextToken, maxResults)
        listed: dict[str, Any] = {"streams": [streams.summary(cluster, one) for one in found]}
        return answered({**listed, "nextToken": more} if more else listed)

    @router.get("/stream/{clusterIdentifier}/{streamIdentifier}", summary="GetStream", tags=["streams"])
    async def get_stream(
        request: Request, clusterIdentifier: models.ClusterId, streamIdentifier: models.StreamId
    ) -> Response:
        exchange = exchange_of(request)
        exchange.begin(
            "GetStream", {"clusterIdentifier": clusterIdentifier, "streamIdentifier": streamIdentifier}, read_only=True
        )
        cluster, stream = await _permitted_stream(exchange, "dsql:GetStream", clusterIdentifier, streamIdentifier)
        return answered(streams.get(cluster, stream))


def _tags(router: APIRouter) -> None:
    path = "/tags/{resourceArn:path}"

    @router.get(path, summary="ListTagsForResource", tags=["tags"])
    async def list_tags_for_resource(request: Request, resourceArn: models.Arn) -> Response:
        exchange = exchange_of(request)
        exchange.begin("ListTagsForResource", {"resourceArn": resourceArn}, read_only=True)
        await exchange.tenancy.state.look()
        resource = _resource(exchange, resourceArn)
        _permit(exchange, "dsql:ListTagsForResource", resource)
        return answered({"tags": _thing(exchange, exchange.tenancy.image, resource).tags})

    @router.post(path, summary="TagResource", tags=["tags"])
    async def tag_resource(request: Request, resourceArn: models.Arn, body: models.TagResource) -> Response:
        exchange = exchange_of(request)
        exchange.begin("TagResource", {"resourceArn": resourceArn, "tags": body.tags})
        await exchange.tenancy.state.look()
        resource = _resource(exchange, resourceArn)
        _permit(exchange, "dsql:TagResource", resource, tags=body.tags)

        def decide(image: Image) -> Decision[dict[str, Any]]:
            thing = _thing(exchange, image, resource)
            if isinstance(thing, Cluster):
                return life.tag(thing, body.tags, exchange.tenancy.settings.switches)
            life.check_tags(body.tags, thing.tags)
            return Decision({}, (replace(thing, tags={**thing.tags, **body.tags}),))

        return await decided(exchange, None, None, decide)

    @router.delete(path, summary="UntagResource", tags=["tags"])
    async def untag_resource(request: Request, resourceArn: models.Arn, tagKeys: models.TagKeys) -> Response:
        exchange = exchange_of(request)
        exchange.begin("UntagResource", {"resourceArn": resourceArn, "tagKeys": tagKeys})
        await exchange.tenancy.state.look()
        resource = _resource(exchange, resourceArn)
        _permit(exchange, "dsql:UntagResource", resource, tag_keys=tuple(tagKeys))

        def decide(image: Image) -> Decision[dict[str, Any]]:
            thing = _thing(exchange, image, resource)
            if isinstance(thing, Cluster):
                return life.untag(thing, tagKeys, exchange.tenancy.settings.switches)
            left = {key: value for key, value in thing.tags.items() if key not in tagKeys}
            return Decision({}, (replace(thing, tags=left),))

        return await decided(exchange, None, None, decide)


async def _permitted_stream(exchange: Exchange, action: str, cluster: str, identifier: str) -> tuple[Cluster, Stream]:
    await exchange.tenancy.state.look()
    image = exchange.tenancy.image
    stream = image.of(Stream).get(identifier)
    there = stream.tags if stream is not None and stream.cluster == cluster else None
    exchange.permit(action, f"{exchange.arn_of(cluster)}/stream/{identifier}", there=there)
    found = current(exchange, image, cluster)
    return found, streams.find(image, found, identifier)


def _resource(exchange: Exchange, arn: str) -> Resource:
    """Raises ValidationException, and ResourceNotFoundException for what is of another region or account."""
    found = _RESOURCE.fullmatch(arn)
    if found is None:
        raise invalid_field("resourceArn", "The ARN is not one of a cluster or a stream")
    region, account, cluster, stream = found.groups()
    if region != exchange.region or account != exchange.account:
        raise not_found("resource", arn)
    return Resource(arn, cluster, stream or "")


def _permit(exchange: Exchange, action: str, resource: Resource, **more: Any) -> None:
    if resource.stream:
        stream = exchange.tenancy.image.of(Stream).get(resource.stream)
        exchange.permit(action, resource.arn, there=stream.tags if stream is not None else None, **more)
    else:
        exchange.permit(action, resource.arn, known(exchange, resource.cluster), **more)


def _thing(exchange: Exchange, image: Image, resource: Resource) -> Cluster | Stream:
    cluster = current(exchange, image, resource.cluster)
    return streams.find(image, cluster, resource.stream) if resource.stream else cluster
