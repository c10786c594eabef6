"""Answers in AWS's query protocol: a tree of elements, lists of `member`s."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from tausql.control.api.exchange import Exchange
from tausql.control.api.formats import NAMESPACES, xml_text


def answered(exchange: Exchange, body: dict[str, Any]) -> Response:
    name = exchange.operation
    result = f"<{name}Result>{_children(body)}</{name}Result>" if body else ""
    text = (
        f'<{name}Response xmlns="{NAMESPACES[exchange.service]}">{result}'
        f"<ResponseMetadata><RequestId>{exchange.request_id}</RequestId></ResponseMetadata></{name}Response>"
    )
    return Response(text.encode(), 200, media_type="text/xml")


def _children(body: dict[str, Any]) -> str:
    return "".join(f"<{name}>{_content(value)}</{name}>" for name, value in body.items())


def _content(value: Any) -> str:
    if isinstance(value, dict):
        return _children(value)
    if isinstance(value, list):
        return "".join(f"<member>{_content(one)}</member>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return xml_text(str(value))
