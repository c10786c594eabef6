"""Answers and errors as AWS's REST-JSON protocol has them."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response

from tausql.control.faults import Fault

JSON = "application/json"


def answered(body: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(body), 200, media_type=JSON)


def refused(fault: Fault) -> Response:
    """The exception's name is in a header, where SDKs look first, and the members of the model in the body."""
    body = msgspec.json.encode({"message": fault.message, **fault.more})
    headers = {"x-amzn-ErrorType": fault.code}
    if fault.retry_seconds:
        headers["Retry-After"] = str(fault.retry_seconds)
    return Response(body, fault.status, headers, media_type=JSON)
