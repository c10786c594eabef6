"""What policies may ask about a request: IAM's global condition keys, and Aurora DSQL's own.

aws:userid is not there: our users have a name and no second, secret one. Policies that ask for it do not match.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tausql.access.arns import account_of, parts_of, principal_name
from tausql.protocol.clusters import KeyRecord


def context_of(
    key: KeyRecord,
    *,
    now: float,
    client: str,
    secure: bool,
    region: str,
    resource: str = "",
    resource_tags: Mapping[str, str] | None = None,
    request_tags: Mapping[str, str] | None = None,
    tag_keys: tuple[str, ...] | None = None,
    witness_region: str = "",
) -> dict[str, tuple[str, ...]]:
    """Condition keys, in lower case, and their values.

    client: address, with or without a port. resource: ARN. request_tags: that the request sets. tag_keys: that it sets
    or removes, where they are not those.
    """
    kind = parts_of(key.principal)[5].partition("/")[0]
    context: dict[str, tuple[str, ...]] = {
        "aws:principalarn": (key.mapped or key.principal,),
        "aws:principalaccount": (account_of(key.principal),),
        "aws:principaltype": (_PRINCIPAL_TYPES.get(kind, "User"),),
        "aws:principalisawsservice": ("false",),
        "aws:currenttime": (datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now)),),
        "aws:securetransport": ("true" if secure else "false",),
        "aws:requestedregion": (region,),
        "aws:viaawsservice": ("false",),
    }
    if kind == "user":
        context["aws:username"] = (principal_name(key.principal),)
    address = address_of(client)
    if address:
        context["aws:sourceip"] = (address,)
    account = account_of(resource)
    if account:
        context["aws:resourceaccount"] = (account,)
    if witness_region:
        context["dsql:witnessregion"] = (witness_region,)
    for name, value in (resource_tags or {}).items():
        context[f"aws:resourcetag/{name.lower()}"] = (value,)
    for name, value in (request_tags or {}).items():
        context[f"aws:requesttag/{name.lower()}"] = (value,)
    keys = tuple(request_tags or ()) if tag_keys is None else tag_keys
    if keys:
        context["aws:tagkeys"] = keys
    return context


def address_of(client: str) -> str:
    """Without the port, and IPv6 without its brackets."""
    if client.startswith("["):
        return client[1:].partition("]")[0]
    return client.rpartition(":")[0] if client.count(":") == 1 else client


_PRINCIPAL_TYPES = {"user": "User", "assumed-role": "AssumedRole", "root": "Account", "federated-user": "FederatedUser"}
