"""Aurora DSQL's operations on clusters: permission first, then the decision, then the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from tausql.control.api import models
from tausql.control.api.answers import answered
from tausql.control.api.exchange import Exchange, exchange_of
from tausql.control.clusters import life, linking, policies
from tausql.control.clusters.listing import page
from tausql.control.clusters.records import Cluster, cluster_arn
from tausql.control.clusters.tokens import once
from tausql.control.faults import invalid_field
from tausql.control.system.state import Decision, Image

Answer = dict[str, Any]
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "ValidationException"},
    402: {"description": "ServiceQuotaExceededException"},
    403: {"description": "AccessDeniedException"},
    404: {"description": "ResourceNotFoundException"},
    409: {"description": "ConflictException"},
    429: {"description": "ThrottlingException"},
    500: {"description": "InternalServerException"},
}


async def seen(exchange: Exchange, identifier: str) -> Cluster | None:
    """The cluster, as it is now; None: there is none."""
    await exchange.tenancy.state.look()
    return known(exchange, identifier)


def known(exchange: Exchange, identifier: str) -> Cluster | None:
    cluster = exchange.tenancy.image.of(Cluster).get(identifier)
    return cluster if cluster is not None and cluster.region == exchange.region else None


async def permitted(exchange: Exchange, action: str, identifier: str, **more: Any) -> Cluster:
    """The cluster, if the caller may do this to it. Raises AccessDeniedException, ResourceNotFoundException: whether a
    cluster exists is told only to those who may."""
    cluster = await seen(exchange, identifier)
    exchange.permit(action, exchange.arn_of(identifier), cluster, **more)
    return life.find(exchange.tenancy.image, exchange.tenancy.place(exchange.region), identifier)


async def decided(
    exchange: Exchange, token: str | None, asked: Any, decide: Callable[[Image], Decision[Answer]]
) -> Response:
    """What is decided, once for a token."""
    tenancy = exchange.tenancy
    operation = f"{exchange.region}/{exchange.key.principal}/{exchange.operation}"
    exchange.answer = await tenancy.change(
        lambda image: once(image, operation, token, asked, tenancy.now(), lambda: decide(image))
    )
    return answered(exchange.answer)


def current(exchange: Exchange, image: Image, identifier: str) -> Cluster:
    return life.find(image, exchange.tenancy.place(exchange.region), identifier)


def routes() -> APIRouter:
    router = APIRouter(tags=["clusters"], responses=ERRORS)
    _reads(router)
    _writes(router)
    _policies(router)
    return router


def _reads(router: APIRouter) -> None:
    @router.get("/cluster", summary="ListClusters")
    async def list_clusters(
        request: Request, maxResults: models.MaxResults = 100, nextToken: models.NextToken = None
    ) -> Response:
        exchange = exchange_of(request)
        exchange.begin("ListClusters", {"maxResults": maxResults, "nextToken": nextToken}, read_only=True)
        exchange.permit("dsql:ListClusters")
        await exchange.tenancy.state.look()
        here = [one for one in exchange.tenancy.image.of(Cluster).values() if one.region == exchange.region]
        found, more = page(here, lambda one: (one.number, one.identifier), nextToken, maxResults)
        listed: Answer = {"clusters": [{"identifier": one.identifier, "arn": one.arn} for one in found]}
        return answered({**listed, "nextToken": more} if more else listed)

    @router.get("/cluster/{identifier}", summary="GetCluster")
    async def get_cluster(request: Request, identifier: models.ClusterId) -> Response:
        exchange = exchange_of(request)
        exchange.begin("GetCluster", {"identifier": identifier}, read_only=True)
        return answered(life.get(await permitted(exchange, "dsql:GetCluster", identifier)))

    @router.get("/clusters/{identifier}/vpc-endpoint-service-name", summary="GetVpcEndpointServiceName")
    async def get_vpc_endpoint_service_name(request: Request, identifier: models.ClusterId) -> Response:
        exchange = exchange_of(request)
        exchange.begin("GetVpcEndpointServiceName", {"identifier": identifier}, read_only=True)
        cluster = await permitted(exchange, "dsql:GetVpcEndpointServiceName", identifier)
        name = f"com.amazonaws.{cluster.region}.{cluster.vpc_service}"
        return answered({"serviceName": name, "clusterVpcEndpoint": cluster.vpc_endpoint})


def _writes(router: APIRouter) -> None:
    @router.post("/cluster", summary="CreateCluster")
    async def create_cluster(request: Request, body: Annotated[models.CreateCluster | None, Body()] = None) -> Response:
        exchange = exchange_of(request)
        body = body or models.CreateCluster()
        asked = body.model_dump(exclude_none=True, exclude={"clientToken"})
        exchange.begin("CreateCluster", asked)
        tenancy = exchange.tenancy
        ask = _ask(body)
        _permit_creation(exchange, ask)
        if body.policy:
            policies.check(body.policy, None)

        def decide(image: Image) -> Decision[Answer]:
            place, settings = tenancy.place(exchange.region), tenancy.settings
            decision = life.create(image, place, ask, settings.quotas, settings.switches, tenancy.now())
            created = next(one for one in decision.puts if isinstance(one, Cluster))
            if created.policy and not body.bypassPolicyLockoutSafetyCheck:
                policies.check(created.policy, lambda policy: _keeps(exchange, created, policy))
            return decision

        response = await decided(exchange, body.clientToken, asked, decide)
        exchange.resource = exchange.answer["arn"] if exchange.answer else ""
        return response

    @router.post("/cluster/{identifier}", summary="UpdateCluster")
    async def update_cluster(
        request: Request, identifier: models.ClusterId, body: Annotated[models.UpdateCluster | None, Body()] = None
    ) -> Response:
        exchange = exchange_of(request)
        body = body or models.UpdateCluster()
        asked = {"identifier": identifier, **body.model_dump(exclude_none=True, exclude={"clientToken"})}
        exchange.begin("UpdateCluster", asked)
        _no_metric_groups(body.metricGroups)
        wanted = _wanted(body.multiRegionProperties)
        witness = wanted.witness or "" if wanted else ""
        cluster = await permitted(exchange, "dsql:UpdateCluster", identifier, witness=witness)
        _permit_link(exchange, cluster.arn, cluster, wanted)
        return await decided(
            exchange,
            body.clientToken,
            asked,
            lambda image: life.update(
                image,
                current(exchange, image, identifier),
                body.deletionProtectionEnabled,
                body.kmsEncryptionKey,
                wanted,
            ),
        )

    @router.delete("/cluster/{identifier}", summary="DeleteCluster")
    async def delete_cluster(
        request: Request, identifier: models.ClusterId, clientToken: models.QueryToken = None
    ) -> Response:
        exchange = exchange_of(request)
        exchange.begin("DeleteCluster", {"identifier": identifier})
        await permitted(exchange, "dsql:DeleteCluster", identifier)
        return await decided(
            exchange,
            clientToken,
            {"identifier": identifier},
            lambda image: life.delete(image, current(exchange, image, identifier)),
        )


def _policies(router: APIRouter) -> None:
    path = "/cluster/{identifier}/policy"

    @router.get(path, summary="GetClusterPolicy")
    async def get_cluster_policy(request: Request, identifier: models.ClusterId) -> Response:
        exchange = exchange_of(request)
        exchange.begin("GetClusterPolicy", {"identifier": identifier}, read_only=True)
        return answered(policies.get(await permitted(exchange, "dsql:GetClusterPolicy", identifier)))

    @router.post(path, summary="PutClusterPolicy")
    async def put_cluster_policy(
        request: Request, identifier: models.ClusterId, body: models.PutClusterPolicy
    ) -> Response:
        exchange = exchange_of(request)
        asked = {"identifier": identifier, **body.model_dump(exclude_none=True, exclude={"clientToken"})}
        exchange.begin("PutClusterPolicy", asked)
        await permitted(exchange, "dsql:PutClusterPolicy", identifier)

        def decide(image: Image) -> Decision[Answer]:
            cluster = current(exchange, image, identifier)
            bypass = body.bypassPolicyLockoutSafetyCheck
            keeps = None if bypass else lambda policy: _keeps(exchange, cluster, policy)
            return policies.put(cluster, body.policy, body.expectedPolicyVersion, keeps)

        return await decided(exchange, body.clientToken, asked, decide)

    @router.delete(path, summary="DeleteClusterPolicy")
    async def delete_cluster_policy(
        request: Request,
        identifier: models.ClusterId,
        expectedPolicyVersion: models.PolicyVersion = None,
        clientToken: models.QueryToken = None,
    ) -> Response:
        exchange = exchange_of(request)
        asked = {"identifier": identifier, "expectedPolicyVersion": expectedPolicyVersion}
        exchange.begin("DeleteClusterPolicy", asked)
        await permitted(exchange, "dsql:DeleteClusterPolicy", identifier)
        return await decided(
            exchange,
            clientToken,
            asked,
            lambda image: policies.delete(current(exchange, image, identifier), expectedPolicyVersion),
        )


# what is asked for


def _ask(body: models.CreateCluster) -> life.Ask:
    _no_metric_groups(body.metricGroups)
    return life.Ask(
        tags=body.tags or {},
        protected=body.deletionProtectionEnabled is not False,
        kms_key=body.kmsEncryptionKey,
        wanted=_wanted(body.multiRegionProperties),
        policy=body.policy or "",
    )


def _wanted(properties: models.MultiRegionProperties | None) -> linking.Wanted | None:
    if properties is None:
        return None
    clusters = properties.clusters
    return linking.Wanted(properties.witnessRegion, None if clusters is None else tuple(clusters))


def _no_metric_groups(groups: Any) -> None:
    if groups:
        raise invalid_field("metricGroups", "Metric groups are not supported")


def _permit_creation(exchange: Exchange, ask: life.Ask) -> None:
    """All that one request does, each by its own action."""
    anywhere = cluster_arn(exchange.region, exchange.account, "*")
    witness = ask.wanted.witness or "" if ask.wanted else ""
    exchange.permit("dsql:CreateCluster", anywhere, tags=ask.tags, witness=witness)
    if ask.tags:
        exchange.permit("dsql:TagResource", anywhere, tags=ask.tags)
    if ask.policy:
        exchange.permit("dsql:PutClusterPolicy", anywhere)
    _permit_link(exchange, anywhere, None, ask.wanted)


def _permit_link(exchange: Exchange, arn: str, cluster: Cluster | None, wanted: linking.Wanted | None) -> None:
    if wanted is None:
        return
    exchange.permit("dsql:PutMultiRegionProperties", arn, cluster)
    if wanted.witness:
        exchange.permit("dsql:PutWitnessRegion", arn, cluster, witness=wanted.witness)
    for peer in wanted.clusters or ():
        if peer != arn:
            exchange.permit("dsql:AddPeerCluster", arn, cluster)
            exchange.permit("dsql:AddPeerCluster", peer)


def _keeps(exchange: Exchange, cluster: Cluster, policy: str) -> bool:
    return exchange.allowed("dsql:PutClusterPolicy", cluster, policy)
