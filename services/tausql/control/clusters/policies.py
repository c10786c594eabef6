"""A cluster's resource policy: one, replaced as a whole, with a version so that nobody overwrites what he has not seen.

Refused are documents that cannot be read, that open the cluster to everybody, or that lock out whoever puts them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tausql.access.policies import PolicyRefused, parse
from tausql.access.public_policies import check_not_public
from tausql.control.clusters.life import Answer, new_version
from tausql.control.clusters.records import Cluster
from tausql.control.faults import conflict, invalid, invalid_field, not_found
from tausql.control.system.state import Decision

LOCKED_OUT = (
    "The new resource policy will not allow you to update it in the future. Use bypassPolicyLockoutSafetyCheck to put "
    "it all the same."
)


def check(policy: str, keeps_access: Callable[[str], bool] | None) -> None:
    """keeps_access: whether the caller may still change the policy under this one; None: he does not care. Raises
    ValidationException."""
    try:
        check_not_public(parse(policy, resource_based=True))
    except PolicyRefused as refused:
        raise invalid_field("policy", str(refused)) from refused
    if keeps_access is not None and not keeps_access(policy):
        raise invalid(LOCKED_OUT, "other")


def get(cluster: Cluster) -> Answer:
    if not cluster.policy:
        raise not_found("policy", cluster.identifier)
    return {"policy": cluster.policy, "policyVersion": cluster.policy_version}


def put(
    cluster: Cluster, policy: str, expected: str | None, keeps_access: Callable[[str], bool] | None
) -> Decision[Answer]:
    check(policy, keeps_access)
    _check_version(cluster, expected)
    changed = replace(cluster, policy=policy, policy_version=new_version())
    return Decision({"policyVersion": changed.policy_version}, (changed,))


def delete(cluster: Cluster, expected: str | None) -> Decision[Answer]:
    if not cluster.policy:
        raise not_found("policy", cluster.identifier)
    _check_version(cluster, expected)
    changed = replace(cluster, policy="", policy_version="")
    return Decision({"policyVersion": cluster.policy_version}, (changed,))


def _check_version(cluster: Cluster, expected: str | None) -> None:
    if expected is not None and expected != cluster.policy_version:
        raise conflict("The policy was changed since it was read.", "cluster", cluster.identifier)
