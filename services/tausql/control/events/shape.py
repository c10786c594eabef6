"""One event, as CloudTrail has it.

Calls of the API are management events; connections are data events of `AWS::DSQL::Cluster`.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from tausql.access.arns import account_of, parts_of, principal_name
from tausql.control.system.store import Event
from tausql.protocol.clusters import ConnectEvent

VERSION = "1.11"
TEXT_MAX = 1_024  # of what others have said
RESOURCE_TYPE = "AWS::DSQL::Cluster"
_TYPES = {"user": "IAMUser", "assumed-role": "AssumedRole", "root": "Root"}


class Call(NamedTuple):
    """One call of an API, and what became of it."""

    at: float
    service: str  # dsql, iam, sts
    operation: str
    region: str
    account: str
    principal: str
    access_key_id: str
    client: str
    agent: str
    request_id: str
    resource: str = ""  # ARN
    parameters: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
    error: str = ""
    message: str = ""
    read_only: bool = False


def of_call(call: Call) -> Event:
    body = {
        **_head(call.at, call.principal, call.access_key_id, call.account),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": call.operation[:TEXT_MAX],
        "awsRegion": call.region,
        "sourceIPAddress": call.client,
        "userAgent": call.agent[:TEXT_MAX],
        "requestParameters": call.parameters,
        "responseElements": call.answer,
        "requestID": call.request_id,
        "readOnly": call.read_only,
        "managementEvent": True,
        "eventCategory": "Management",
    }
    return _event(call.at, _refused(body, call.error, call.message), call.resource, call.account)


def of_connection(event: ConnectEvent, resource: str, region: str, account: str) -> Event:
    at = event.at_us / 1e6
    body = {
        **_head(at, event.principal, event.access_key_id, account),
        "eventSource": "dsql.amazonaws.com",
        "eventName": event.action or "DbConnect",
        "awsRegion": region,
        "sourceIPAddress": event.client[:TEXT_MAX],
        "userAgent": "",
        "requestParameters": {"clusterIdentifier": event.cluster, "databaseUser": event.user[:TEXT_MAX]},
        "responseElements": None,
        "readOnly": False,
        "managementEvent": False,
        "eventCategory": "Data",
    }
    return _event(at, _refused(body, "AccessDenied" if event.error else "", event.error), resource, account)


def place_of(seconds: float) -> str:
    """Below the ids of all events from then on."""
    return f"{max(0, round(seconds * 1e6)):017d}"


def _head(at: float, principal: str, access_key_id: str, account: str) -> dict[str, Any]:
    kind = parts_of(principal)[5].partition("/")[0]
    identity: dict[str, Any] = {"type": _TYPES.get(kind, "Unknown"), "accountId": account_of(principal) or account}
    if principal:
        identity["arn"] = principal
        identity["principalId"] = parts_of(principal)[5].partition("/")[2]
    if access_key_id:
        identity["accessKeyId"] = access_key_id[:TEXT_MAX]
    if kind == "user":
        identity["userName"] = principal_name(principal)
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"eventVersion": VERSION, "userIdentity": identity, "eventTime": time}


def _refused(body: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    return {**body, "errorCode": code, "errorMessage": message[:TEXT_MAX]} if code else body


def _event(at: float, body: dict[str, Any], resource: str, account: str) -> Event:
    identifier = str(uuid.uuid4())
    body |= {"eventID": identifier, "eventType": "AwsApiCall", "recipientAccountId": account}
    if resource:
        body["resources"] = [{"accountId": account, "type": RESOURCE_TYPE, "ARN": resource}]
    return Event(f"{place_of(at)}-{identifier}", msgspec.json.encode(body).decode())
