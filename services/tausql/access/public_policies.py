"""Cluster policies that would let in anybody are refused.

A statement for everybody is fine where a condition narrows it to somebody: a key that the caller cannot choose, asked
for a value that is more than a wildcard.
"""

from __future__ import annotations

from tausql.access.arns import is_arn_pattern
from tausql.access.conditions import Condition
from tausql.access.patterns import ANY, STAR
from tausql.access.policies import Policy, PolicyRefused, Statement

TRUSTED = (
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:UserId",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalIsAWSService",
    "aws:Ec2InstanceSourceVpc",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
)
_TRUSTED = frozenset(key.lower() for key in TRUSTED)
_NARROWING = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "Bool")


def check_not_public(policy: Policy) -> None:
    """Raises PolicyRefused."""
    for statement in policy.statements:
        if statement.allow and _for_all(statement) and not any(_narrows(c) for c in statement.conditions):
            raise PolicyRefused(
                "The policy allows public access. Name principals, or limit the wildcard principal by one of the "
                f"condition keys {', '.join(TRUSTED)}."
            )


def _for_all(statement: Statement) -> bool:
    return statement.not_principals or "*" in (statement.principals or ())


def _narrows(condition: Condition) -> bool:
    if condition.key not in _TRUSTED or condition.test not in _NARROWING:
        return False
    if condition.negated or condition.if_exists or condition.quantifier == "ForAllValues":
        return False
    return all(_fixed(condition, value) for value in condition.values)


def _fixed(condition: Condition, value: str) -> bool:
    if "${" in value:
        return False  # what the caller is asked about himself
    if condition.test == "Bool":
        return value.lower() == "true"
    if condition.test.startswith("StringEquals"):
        return True
    if is_arn_pattern(value):
        account = value.split(":")[4]
        return bool(account) and STAR not in account and ANY not in account
    return value[:1] not in ("", STAR, ANY)
