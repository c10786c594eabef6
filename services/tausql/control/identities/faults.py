"""Why IAM and STS say no, in their words."""

from __future__ import annotations

from tausql.control.faults import Fault


def no_entity(kind: str, name: str) -> Fault:
    return Fault("NoSuchEntity", 404, f"The {kind} with name {name} cannot be found.")


def no_entity_of(message: str) -> Fault:
    return Fault("NoSuchEntity", 404, message)


def exists(kind: str, name: str) -> Fault:
    return Fault("EntityAlreadyExists", 409, f"{kind} with name {name} already exists.")


def over_limit(quota: str, count: int) -> Fault:
    return Fault("LimitExceeded", 409, f"Cannot exceed quota for {quota}: {count}")


def in_use(message: str) -> Fault:
    return Fault("DeleteConflict", 409, message)


def malformed_policy(message: str) -> Fault:
    return Fault("MalformedPolicyDocument", 400, message)


def wrong_input(message: str) -> Fault:
    return Fault("ValidationError", 400, message)


def invalid_web_token(message: str) -> Fault:
    return Fault("InvalidIdentityToken", 400, message)
