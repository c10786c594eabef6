"""Trust policies: who may act for a role.

They are policies in which the role itself is the resource, so no statement names one. To be read as any other policy
they get one here, and nowhere else: what is stored and told is the document as it was given.
"""

from __future__ import annotations

import json
from typing import Any

from tausql.access.policies import PolicyRefused, Request, parse
from tausql.control.identities.faults import malformed_policy


def effective(document: str) -> str:
    """With the resource. Raises PolicyRefused."""
    try:
        read: Any = json.loads(document)
    except (ValueError, RecursionError):
        raise PolicyRefused("This policy contains invalid Json") from None
    statements = read.get("Statement") if isinstance(read, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not all(isinstance(one, dict) for one in statements):
        raise PolicyRefused("Syntax errors in policy.")
    if any("Resource" in one or "NotResource" in one for one in statements):
        raise PolicyRefused("Has prohibited field Resource")
    return json.dumps({**read, "Statement": [{**one, "Resource": "*"} for one in statements]})


def check(document: str) -> None:
    """Raises MalformedPolicyDocument."""
    try:
        parse(effective(document), resource_based=True)
    except PolicyRefused as refused:
        raise malformed_policy(str(refused)) from refused


def trusted(document: str, request: Request) -> bool:
    """Whether a statement allows it, and none denies it."""
    try:
        statements = parse(effective(document), resource_based=True).statements
    except PolicyRefused:
        return False
    meant = [one for one in statements if one.names(request) and one.applies(request)]
    return bool(meant) and all(one.allow for one in meant)
