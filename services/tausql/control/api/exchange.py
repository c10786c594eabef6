"""One request to the API: whose it is, what it may do, and what the audit log says of it."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from tausql.access.actions import action_named
from tausql.access.decisions import Policies
from tausql.access.policies import Request as Wish
from tausql.access.request_context import context_of
from tausql.control.clusters.records import Cluster, cluster_arn
from tausql.control.events.shape import Call
from tausql.control.faults import Fault, denied
from tausql.control.tenancy import Tenancy
from tausql.protocol.clusters import KeyRecord

ANONYMOUS = KeyRecord("", "", "", "")


class Exchange:
    """Made by the guard, filled by whoever answers."""

    def __init__(self, tenancy: Tenancy, policies: Policies, request_id: str, client: str, agent: str) -> None:
        self.tenancy = tenancy
        self.policies = policies
        self.request_id = request_id
        self.client = client
        self.agent = agent
        self.secure = False
        self.key = ANONYMOUS
        self.region = tenancy.settings.region
        self.service = "dsql"
        self.body = b""
        # for the log
        self.operation = ""
        self.read_only = False
        self.resource = ""
        self.parameters: dict[str, Any] | None = None
        self.answer: dict[str, Any] | None = None
        self.fault: Fault | None = None
        self.status = 0  # HTTP's; 0: nobody waited for an answer

    @property
    def account(self) -> str:
        return self.tenancy.settings.account

    def begin(self, operation: str, parameters: dict[str, Any] | None = None, *, read_only: bool = False) -> None:
        self.operation, self.parameters, self.read_only = operation, parameters, read_only

    def arn_of(self, identifier: str) -> str:
        return cluster_arn(self.region, self.account, identifier)

    def permit(
        self,
        action: str,
        resource: str = "*",
        cluster: Cluster | None = None,
        *,
        tags: dict[str, str] | None = None,
        tag_keys: tuple[str, ...] | None = None,
        there: dict[str, str] | None = None,
        witness: str = "",
    ) -> None:
        """action: with its prefix. tags, tag_keys: that the request sets, or removes. there: the resource's, where it
        is no cluster. Raises AccessDeniedException."""
        decision, wish = self._decide(action, resource, cluster, tags, tag_keys, there, witness)
        self.resource = self.resource or (resource if resource != "*" else "")
        if not decision.allowed:
            raise denied(decision.message(wish))

    def allowed(self, action: str, cluster: Cluster, policy: str) -> bool:
        """Whether it would be, if that were the cluster's policy."""
        wish = self._wish(action, cluster.arn, context_tags=cluster.tags)
        return self.policies.decide(wish, self.key.policies, self.key.boundary, policy).allowed

    def _decide(
        self,
        action: str,
        resource: str,
        cluster: Cluster | None,
        tags: dict[str, str] | None,
        tag_keys: tuple[str, ...] | None,
        there: dict[str, str] | None,
        witness: str,
    ) -> Any:
        context_tags = cluster.tags if cluster is not None else there
        wish = self._wish(action, resource, context_tags=context_tags, tags=tags, tag_keys=tag_keys, witness=witness)
        known = action_named(action)
        asked = cluster is not None and known is not None and known.in_cluster_policy
        policy = cluster.policy if cluster is not None and asked else ""
        return self.policies.decide(wish, self.key.policies, self.key.boundary, policy), wish

    def _wish(
        self,
        action: str,
        resource: str,
        *,
        context_tags: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        tag_keys: tuple[str, ...] | None = None,
        witness: str = "",
    ) -> Wish:
        context = context_of(
            self.key,
            now=self.tenancy.now(),
            client=self.client,
            secure=self.secure,
            region=self.region,
            resource="" if resource == "*" else resource,
            resource_tags=context_tags,
            request_tags=tags,
            tag_keys=tag_keys,
            witness_region=witness,
        )
        return Wish(action, resource, self.key.principal, self.key.mapped, context)

    def told(self) -> Call:
        """For the log."""
        return Call(
            at=self.tenancy.now(),
            service=self.service,
            operation=self.operation,
            region=self.region,
            account=self.account,
            principal=self.key.principal,
            access_key_id=self.key.access_key_id,
            client=self.client,
            agent=self.agent,
            request_id=self.request_id,
            resource=self.resource,
            parameters=self.parameters,
            answer=None if self.read_only else self.answer,
            error=self.fault.code if self.fault else "",
            message=self.fault.message if self.fault else "",
            read_only=self.read_only,
        )


def exchange_of(request: Request) -> Exchange:
    found: Exchange = request.state.exchange
    return found
