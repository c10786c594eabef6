"""CloudTrail's LookupEvents over the audit log."""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.control.api.exchange import Exchange
from tausql.control.faults import Fault
from tausql.control.system.store import Event

TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"
PAGE_MAX = 50
READ_AT_ONCE = 500
READS_MAX = 20  # for one answer: whoever looks for a needle asks again with the token
ATTRIBUTES = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)
Answer = dict[str, Any]


class Attribute(msgspec.Struct, frozen=True):
    AttributeKey: str
    AttributeValue: str


class Lookup(msgspec.Struct, frozen=True):
    LookupAttributes: list[Attribute] = msgspec.field(default_factory=list)
    StartTime: float | None = None
    EndTime: float | None = None
    MaxResults: int = PAGE_MAX
    NextToken: str = ""


async def look_up(exchange: Exchange) -> Answer:
    """Newest first."""
    lookup = _read(exchange.body)
    exchange.permit("cloudtrail:LookupEvents")
    events, tenancy = exchange.tenancy.events, exchange.tenancy
    since = lookup.StartTime or 0.0
    before = lookup.EndTime + 1 if lookup.EndTime is not None else tenancy.now() + 60
    found: list[Answer] = []
    last = lookup.NextToken
    for _ in range(READS_MAX):
        page = await events.read(since, before, last, READ_AT_ONCE)
        for event in page:
            last = event.id
            told = _told(event)
            if all(_fits(told, wanted) for wanted in lookup.LookupAttributes):
                found.append(told)
                if len(found) == lookup.MaxResults:
                    return {"Events": found, "NextToken": last}
        if len(page) < READ_AT_ONCE:
            return {"Events": found}
    return {"Events": found, "NextToken": last}


def _read(body: bytes) -> Lookup:
    try:
        lookup = msgspec.json.decode(body or b"{}", type=Lookup)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Fault("InvalidParameterCombinationException", 400, "The request cannot be parsed") from error
    if not 1 <= lookup.MaxResults <= PAGE_MAX:
        raise Fault("InvalidMaxResultsException", 400, f"MaxResults must be between 1 and {PAGE_MAX}")
    if any(one.AttributeKey not in ATTRIBUTES for one in lookup.LookupAttributes) or len(lookup.LookupAttributes) > 1:
        raise Fault(
            "InvalidLookupAttributesException", 400, f"One attribute can be looked for: {', '.join(ATTRIBUTES)}"
        )
    if lookup.StartTime is not None and lookup.EndTime is not None and lookup.StartTime > lookup.EndTime:
        raise Fault("InvalidTimeRangeException", 400, "The start is after the end")
    if len(lookup.NextToken) > 100:
        raise Fault("InvalidNextTokenException", 400, "The token is not valid")
    return lookup


def _told(event: Event) -> Answer:
    body = msgspec.json.decode(event.body)
    identity = body.get("userIdentity", {})
    return {
        "EventId": body.get("eventID", ""),
        "EventName": body.get("eventName", ""),
        "ReadOnly": "true" if body.get("readOnly") else "false",
        "AccessKeyId": identity.get("accessKeyId", ""),
        "EventTime": int(event.id.partition("-")[0]) / 1e6,
        "EventSource": body.get("eventSource", ""),
        "Username": identity.get("userName", identity.get("principalId", "")),
        "Resources": [
            {"ResourceType": one.get("type", ""), "ResourceName": one.get("ARN", "")}
            for one in body.get("resources", [])
        ],
        "CloudTrailEvent": event.body,
    }


def _fits(told: Answer, wanted: Attribute) -> bool:
    if wanted.AttributeKey in ("ResourceType", "ResourceName"):
        return any(one[wanted.AttributeKey] == wanted.AttributeValue for one in told["Resources"])
    return bool(told[wanted.AttributeKey] == wanted.AttributeValue)
