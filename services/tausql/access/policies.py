"""Policies in IAM's JSON: read, and asked one statement at a time.

A document that is not understood to the letter is refused when it is stored. Guessing what it means would either lock
people out or let them in, and both are only noticed when it is too late.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from tausql.access.arns import account_of, arn_matches, is_arn_pattern, is_principal
from tausql.access.conditions import Condition, ConditionRefused, conditions_of
from tausql.access.patterns import Context, matches, resolved, wild

BYTES_MAX = 20_480
STATEMENTS_MAX = 256

_VERSIONS = ("2012-10-17", "2008-10-17")
_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ACTION = re.compile(r"\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+")
_ACCOUNT = re.compile(r"\d{12}")
_SID = re.compile(r"[a-zA-Z0-9 ]*")


class PolicyRefused(Exception):
    """The document cannot be used; the message says why."""


class Request(msgspec.Struct, frozen=True):
    """What somebody wants to do."""

    action: str  # `dsql:DbConnect`
    resource: str  # ARN, or `*` where there is none
    principal: str  # ARN of the user, or of the session of a role
    mapped: str = ""  # ARN of that role
    context: Context = {}  # condition keys in lower case


class Statement(msgspec.Struct, frozen=True):
    allow: bool
    actions: tuple[str, ...]  # patterns, in lower case
    not_actions: bool
    resources: tuple[str, ...]  # patterns
    not_resources: bool
    conditions: tuple[Condition, ...]
    principals: tuple[str, ...] | None = None  # `*`, ARNs, account numbers; None: an identity's own policy
    not_principals: bool = False

    def applies(self, request: Request) -> bool:
        """Whoever asks; see `names` for that."""
        action = request.action.lower()
        if any(matches(pattern, action) for pattern in self.actions) == self.not_actions:
            return False
        if any(_covers(pattern, request) for pattern in self.resources) == self.not_resources:
            return False
        return all(condition.holds(request.context) for condition in self.conditions)

    def names(self, request: Request) -> str:
        """How the Principal element means who asks: `session` (himself), `role` (the role he acts for), `all`,
        `account` (as one of many), or not at all: empty."""
        if self.principals is None:
            return "session"
        kinds = {_kind(principal, request) for principal in self.principals} - {""}
        if self.not_principals:
            return "" if kinds else "all"
        return next((kind for kind in ("session", "role", "all", "account") if kind in kinds), "")


class Policy(msgspec.Struct, frozen=True):
    statements: tuple[Statement, ...]


def parse(text: str, resource_based: bool) -> Policy:
    """resource_based: a cluster's, whose statements name principals; else an identity's. Raises PolicyRefused."""
    if len(text.encode(errors="replace")) > BYTES_MAX:
        raise PolicyRefused(f"The policy is larger than {BYTES_MAX} bytes.")
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise PolicyRefused("Syntax errors in policy: it is not a JSON document.") from None
    if not isinstance(document, dict):
        raise PolicyRefused("Syntax errors in policy: it must be a JSON object.")
    _only(document, _ELEMENTS)
    if document.get("Version", _VERSIONS[1]) not in _VERSIONS:
        raise PolicyRefused("Policy document must be version 2012-10-17 or greater.")
    if not isinstance(document.get("Id", ""), str):
        raise PolicyRefused("Syntax errors in policy: Id must be a string.")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise PolicyRefused("Missing required field Statement")
    if len(statements) > STATEMENTS_MAX:
        raise PolicyRefused(f"The policy has more than {STATEMENTS_MAX} statements.")
    policy = Policy(tuple(_statement(statement, resource_based) for statement in statements))
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) != len(sids):
        raise PolicyRefused("Statement IDs (SID) in a single policy must be unique.")
    return policy


def _statement(element: Any, resource_based: bool) -> Statement:
    if not isinstance(element, dict):
        raise PolicyRefused("Syntax errors in policy: a statement must be an object.")
    _only(element, _STATEMENT_ELEMENTS)
    sid = element.get("Sid", "")
    if not isinstance(sid, str) or _SID.fullmatch(sid) is None:
        raise PolicyRefused("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the rule.")
    effect = element.get("Effect")
    if effect is None:
        raise PolicyRefused("Missing required field Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyRefused(f"Invalid effect: {str(effect)[:32]}")
    actions, not_actions = _either(element, "Action")
    resources, not_resources = _either(element, "Resource")
    for action in actions:
        if _ACTION.fullmatch(action) is None:
            raise PolicyRefused("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    for resource in resources:
        if resource != "*" and not is_arn_pattern(resource):
            raise PolicyRefused(f'Resource {resource[:256]} must be in ARN format or "*".')
    try:
        conditions = conditions_of(element["Condition"]) if "Condition" in element else ()
    except ConditionRefused as error:
        raise PolicyRefused(str(error)) from None
    principals, not_principals = _principals(element, resource_based)
    return Statement(
        effect == "Allow",
        tuple(wild(action.lower()) for action in actions),
        not_actions,
        tuple(wild(resource) for resource in resources),
        not_resources,
        conditions,
        principals,
        not_principals,
    )


def _principals(element: dict[str, Any], resource_based: bool) -> tuple[tuple[str, ...] | None, bool]:
    has = [name for name in ("Principal", "NotPrincipal") if name in element]
    if not resource_based:
        if has:
            raise PolicyRefused("Policy document should not specify a principal.")
        return None, False
    if not has:
        raise PolicyRefused("Missing required field Principal")
    if len(has) == 2:
        raise PolicyRefused("Syntax errors in policy: Principal and NotPrincipal exclude each other.")
    given = element[has[0]]
    if given == "*":
        given = {"AWS": "*"}
    if not isinstance(given, dict) or not given:
        raise PolicyRefused("Invalid principal in policy")
    principals: list[str] = []
    for kind, values in given.items():
        if kind not in ("AWS", "Service", "Federated", "CanonicalUser"):
            raise PolicyRefused(f"Invalid principal in policy: {kind[:64]}")
        for value in _texts(values, kind):
            if kind != "AWS":
                principals.append(f"{kind}:{value}")  # never one of ours
            elif value == "*" or _ACCOUNT.fullmatch(value) or is_principal(value):
                principals.append(value)
            else:
                raise PolicyRefused(f'Invalid principal in policy: "AWS":"{value[:256]}"')
    return tuple(principals), has[0] == "NotPrincipal"


def _kind(principal: str, request: Request) -> str:
    if principal == "*":
        return "all"
    if principal == request.principal:
        return "session"
    if principal == request.mapped:
        return "role"
    account = account_of(request.principal)
    if account and principal in (account, f"arn:aws:iam::{account}:root"):
        return "account"
    return ""


def _covers(pattern: str, request: Request) -> bool:
    text = resolved(pattern, request.context)
    if text is None:
        return False
    return text == wild("*") or arn_matches(text, request.resource)


def _either(element: dict[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    opposite = f"Not{name}"
    if name in element and opposite in element:
        raise PolicyRefused(f"Syntax errors in policy: {name} and {opposite} exclude each other.")
    if name not in element and opposite not in element:
        noun = "resources" if name == "Resource" else "actions"
        raise PolicyRefused(f"Policy statement must contain {noun}.")
    negated = opposite in element
    return _texts(element[opposite if negated else name], name), negated


def _texts(values: Any, name: str) -> tuple[str, ...]:
    listed = values if isinstance(values, list) else [values]
    if not listed or not all(isinstance(value, str) and value for value in listed):
        raise PolicyRefused(f"Syntax errors in policy: {name} must be a string or a list of strings.")
    return tuple(listed)


def _only(element: dict[str, Any], known: set[str]) -> None:
    for name in element:
        if name not in known:
            raise PolicyRefused(f"Syntax errors in policy: unknown element {name[:64]}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    element = dict(pairs)
    if len(element) != len(pairs):
        raise ValueError("a name twice")
    return element


def _no_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and the infinities, which JSON has not
