"""IAM, STS and CloudTrail at `POST /`: which operation of which of them, and in which protocol it is answered."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from tausql.control.api import form, iam, trail, xml
from tausql.control.api.exchange import Exchange, exchange_of
from tausql.control.api.sts import Sts
from tausql.control.faults import Fault
from tausql.control.identities.web_identity import WebIdentities


def routes(identities: WebIdentities) -> APIRouter:
    router = APIRouter(tags=["identities"])
    operations = iam.operations()
    sts = Sts(identities)

    @router.post("/", summary="IAM and STS: query protocol; CloudTrail: JSON 1.1")
    async def root(request: Request) -> Response:
        exchange = exchange_of(request)
        if exchange.service == "cloudtrail":
            if request.headers.get("x-amz-target") != trail.TARGET:
                raise Fault("UnknownOperationException", 400, "Unknown operation")
            exchange.begin("LookupEvents", read_only=True)
            body = msgspec.json.encode(await trail.look_up(exchange))
            return Response(body, media_type="application/x-amz-json-1.1")
        asked = form.read(exchange.body)
        operation = asked.text("Action")
        if exchange.service == "sts":
            exchange.begin(operation, read_only=operation.startswith("Get"))
            answer = await sts.answer(exchange, asked)
        else:
            known = operations.get(operation)
            exchange.begin(operation, asked.told(), read_only=known is not None and known.read is not None)
            answer = await _iam(exchange, asked, known) if known is not None else None
        if answer is None:
            raise Fault("InvalidAction", 400, f"Could not find operation {operation[:100]}")
        return xml.answered(exchange, answer)

    return router


async def _iam(exchange: Exchange, asked: form.Form, operation: iam.Operation) -> dict[str, Any]:
    await exchange.tenancy.state.look()
    exchange.permit(f"iam:{exchange.operation}", operation.resource(exchange, asked))
    if operation.read is not None:
        return operation.read(exchange, asked, exchange.tenancy.image)
    assert operation.decide is not None
    decide = operation.decide
    return await exchange.tenancy.change(lambda image: decide(exchange, asked, image))
