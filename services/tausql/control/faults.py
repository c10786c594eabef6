"""Why the API says no: one exception, in the shapes of Aurora DSQL's model.

ValidationException             400   reason, fieldList
AccessDeniedException           403
ServiceQuotaExceededException   402   resourceId, resourceType, serviceCode, quotaCode
ResourceNotFoundException       404   resourceId, resourceType
ConflictException               409   resourceId, resourceType
ThrottlingException             429   Retry-After
InternalServerException         500   Retry-After
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

RETRY_AFTER_SECONDS = 1
SERVICE_CODE = "dsql"


class Fault(Exception):
    """code: the exception's name at AWS. status: HTTP's. more: members of the body beside the message."""

    def __init__(
        self, code: str, status: int, message: str, more: dict[str, Any] | None = None, retry_seconds: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.more = more or {}
        self.retry_seconds = retry_seconds


def invalid(message: str, reason: str = "fieldValidationFailed", fields: Sequence[tuple[str, str]] = ()) -> Fault:
    """fields: names and what is wrong with each."""
    more: dict[str, Any] = {"reason": reason}
    if fields:
        more["fieldList"] = [{"name": name, "message": wrong} for name, wrong in fields]
    return Fault("ValidationException", 400, message, more)


def invalid_field(name: str, wrong: str) -> Fault:
    return invalid(wrong, fields=((name, wrong),))


def unknown_operation() -> Fault:
    return Fault("ValidationException", 400, "Unknown operation", {"reason": "unknownOperation"})


def not_found(kind: str, identifier: str) -> Fault:
    return Fault(
        "ResourceNotFoundException",
        404,
        f"The requested resource was not found: {kind} {identifier}",
        {"resourceId": identifier, "resourceType": kind},
    )


def conflict(message: str, kind: str = "cluster", identifier: str = "") -> Fault:
    return Fault("ConflictException", 409, message, {"resourceId": identifier, "resourceType": kind})


def over_quota(message: str, kind: str, identifier: str, quota: str) -> Fault:
    return Fault(
        "ServiceQuotaExceededException",
        402,
        message,
        {"resourceId": identifier, "resourceType": kind, "serviceCode": SERVICE_CODE, "quotaCode": quota},
    )


def denied(message: str) -> Fault:
    return Fault("AccessDeniedException", 403, message)


def throttled() -> Fault:
    return Fault("ThrottlingException", 429, "Rate exceeded", {"serviceCode": SERVICE_CODE}, RETRY_AFTER_SECONDS)


def internal(message: str = "The service cannot answer now. Try again.") -> Fault:
    return Fault("InternalServerException", 500, message, retry_seconds=RETRY_AFTER_SECONDS)
