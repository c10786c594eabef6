"""In which protocol an error is told: REST-JSON for DSQL, XML for IAM and STS, JSON 1.1 for CloudTrail."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

import msgspec
from fastapi import Response

from tausql.control.api.answers import refused
from tausql.control.api.exchange import Exchange
from tausql.control.faults import Fault

_XML_NAMES = {  # where these protocols have other names for the same
    "AccessDeniedException": "AccessDenied",
    "ThrottlingException": "Throttling",
    "InternalServerException": "ServiceFailure",
    "ValidationException": "ValidationError",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ExpiredTokenException": "ExpiredToken",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
}
NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML has no way to say these


def error_for(exchange: Exchange, fault: Fault) -> Response:
    if exchange.service in NAMESPACES:
        return _as_xml(exchange, fault)
    if exchange.service == "cloudtrail":
        body = msgspec.json.encode({"__type": fault.code, "message": fault.message})
        return Response(body, fault.status, media_type="application/x-amz-json-1.1")
    return refused(fault)


def _as_xml(exchange: Exchange, fault: Fault) -> Response:
    code = _XML_NAMES.get(fault.code, fault.code)
    body = (
        f'<ErrorResponse xmlns="{NAMESPACES[exchange.service]}"><Error>'
        f"<Type>{'Sender' if fault.status < 500 else 'Receiver'}</Type>"
        f"<Code>{xml_text(code)}</Code><Message>{xml_text(fault.message)}</Message></Error>"
        f"<RequestId>{exchange.request_id}</RequestId></ErrorResponse>"
    )
    return Response(body.encode("utf-8", "replace"), fault.status, media_type="text/xml")


def xml_text(value: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", value))
