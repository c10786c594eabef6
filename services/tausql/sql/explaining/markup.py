"""EXPLAIN's document as YAML and as XML, laid out as PostgreSQL does it.

A library's YAML would mean the same and look otherwise: PostgreSQL quotes every string and no number, leaves a blank
behind a label, and programs that were written against it read it line by line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

NAMESPACE: Final = "http://www.postgresql.org/2009/explain"

_STEP: Final = "  "
_NO_TAG = re.compile(r"[^A-Za-z0-9_.-]")
_DIGITS: Final = (("Cost", 2), ("Time", 3))  # by how a label ends
_OTHER_DIGITS: Final = 5


def yaml(document: Mapping[str, Any]) -> str:
    return "- " + "\n".join(_yaml(document, 1))[len(_STEP) :]


def _yaml(group: Mapping[str, Any], level: int) -> Iterator[str]:
    indent = _STEP * level
    for label, value in group.items():
        if isinstance(value, Mapping):
            yield f"{indent}{label}: "
            yield from _yaml(value, level + 1)
        elif isinstance(value, list):
            yield f"{indent}{label}: "
            for item in value:
                if isinstance(item, Mapping):
                    first, *rest = _yaml(item, level + 2)
                    yield f"{indent}{_STEP}- {first.lstrip()}"
                    yield from rest
                else:
                    yield f"{indent}{_STEP}- {_quoted(item)}"
        else:
            yield f"{indent}{label}: {_quoted(value) if isinstance(value, str) else _number(label, value)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def xml(document: Mapping[str, Any]) -> str:
    lines = [f'<explain xmlns="{NAMESPACE}">', *_xml("Query", document, 1), "</explain>"]
    return "\n".join(lines)


def _xml(label: str, value: object, level: int) -> Iterator[str]:
    indent = _STEP * level
    tag = _NO_TAG.sub("-", label)
    if isinstance(value, Mapping):
        yield f"{indent}<{tag}>"
        for inner, part in value.items():
            yield from _xml(inner, part, level + 1)
        yield f"{indent}</{tag}>"
    elif isinstance(value, list):
        yield f"{indent}<{tag}>"
        for item in value:
            yield from _xml("Plan" if isinstance(item, Mapping) else "Item", item, level + 1)
        yield f"{indent}</{tag}>"
    else:
        text = escape(value, {"\r": "&#x0d;"}) if isinstance(value, str) else _number(label, value)
        yield f"{indent}<{tag}>{text}</{tag}>"


def _number(label: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value).lower()  # true, false
    digits = next((digits for end, digits in _DIGITS if label.endswith(end)), _OTHER_DIGITS)
    return f"{value:.{digits}f}"
