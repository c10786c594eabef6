"""Allowed or not, by all policies together, as AWS combines them.

    1. an explicit Deny anywhere                       -> denied
    2. the cluster's policy allows who asks by name
       (or everybody)                                  -> allowed; for a role's session with a session policy only as
                                                          far as that goes, unless the session itself is named
    3. one of the identity's policies allows, and the
       session policy, where there is one, does too    -> allowed
    4. otherwise                                       -> denied

A cluster's policy that names the whole account leaves it to the account's identity policies, which is rule 3. Who comes
from another account needs both: the cluster's policy and his own.
"""

from __future__ import annotations

import msgspec

from tausql.access.arns import account_of
from tausql.access.policies import Policy, PolicyRefused, Request, parse

_KEPT_MAX = 4096


class Decision(msgspec.Struct, frozen=True):
    """reason: the end of AWS's sentence, `because ...` or `with an explicit deny in ...`; empty: allowed."""

    allowed: bool
    reason: str = ""

    def message(self, request: Request) -> str:
        """What the one who asked is told."""
        target = "" if request.resource == "*" else f" on resource: {request.resource}"
        return f"User: {request.principal} is not authorized to perform: {request.action}{target} {self.reason}"


_ALLOWED = Decision(True)


class Policies:
    """Decides, and keeps what it has read: the same documents are asked again with every connection."""

    __slots__ = ("_read",)

    def __init__(self) -> None:
        self._read: dict[tuple[str, bool], Policy | None] = {}

    @property
    def kept(self) -> int:
        return len(self._read)

    def decide(
        self, request: Request, identity: tuple[str, ...], boundary: str = "", resource_policy: str = ""
    ) -> Decision:
        """identity: documents of the user or role. boundary: a session policy. resource_policy: the cluster's.

        A document that cannot be read allows nothing, and denies everything if it is the cluster's or the boundary."""
        own = [policy for text in identity if (policy := self._policy(text, False)) is not None]
        limit = self._policy(boundary, False) if boundary else None
        resource = self._policy(resource_policy, True) if resource_policy else None
        for kind, denying in (
            ("a resource-based policy", _denied(resource, request) or bool(resource_policy and resource is None)),
            ("a session policy", _denied(limit, request) or bool(boundary and limit is None)),
            ("an identity-based policy", any(_denied(policy, request) for policy in own)),
        ):
            if denying:
                return Decision(False, f"with an explicit deny in {kind}")
        within = limit is None or any(_allowing(limit, request))
        by_resource = set(_allowing(resource, request)) if resource is not None else set()
        by_identity = any(name for policy in own for name in _allowing(policy, request))
        foreign = account_of(request.resource) not in ("", account_of(request.principal))
        if not foreign:
            if "session" in by_resource or (by_resource & {"role", "all"} and within):
                return _ALLOWED
        elif not by_resource:
            return Decision(False, f"because no resource-based policy allows the {request.action} action")
        if not by_identity:
            return Decision(False, f"because no identity-based policy allows the {request.action} action")
        if not within:
            return Decision(False, f"because no session policy allows the {request.action} action")
        return _ALLOWED

    def _policy(self, text: str, resource_based: bool) -> Policy | None:
        name = (text, resource_based)
        if name in self._read:
            return self._read[name]
        try:
            policy = parse(text, resource_based)
        except PolicyRefused:
            policy = None
        if len(self._read) >= _KEPT_MAX:
            del self._read[next(iter(self._read))]
        self._read[name] = policy
        return policy


def _denied(policy: Policy | None, request: Request) -> bool:
    if policy is None:
        return False
    return any(not s.allow and s.names(request) and s.applies(request) for s in policy.statements)


def _allowing(policy: Policy, request: Request) -> list[str]:
    """How the statements that allow it name who asks."""
    return [name for s in policy.statements if s.allow and (name := s.names(request)) and s.applies(request)]
