from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.frontend.http_values import EXACT_MAX, converter, type_name


@pytest.mark.parametrize(
    ("oid", "raw", "expected"),
    [
        (16, b"t", True),
        (16, b"f", False),
        (23, b"-5", -5),
        (20, b"9007199254740992", EXACT_MAX),
        (20, b"9007199254740993", "9007199254740993"),
        (701, b"1.5", 1.5),
        (701, b"NaN", "NaN"),
        (701, b"-Infinity", "-Infinity"),
        (1700, b"1.50", "1.50"),
        (25, "é".encode(), "é"),
        (17, b"\\x00ff", "\\x00ff"),
        (1082, b"2026-11-23", "2026-11-23"),
        (1114, b"2026-11-23 05:01:00.25", "2026-11-23T05:01:00.25"),
        (1184, b"2026-11-23 05:01:00+00", "2026-11-23T05:01:00+00:00"),
        (1184, b"2026-11-23 05:01:00-03:30", "2026-11-23T05:01:00-03:30"),
        (1184, b"infinity", "infinity"),
        (1114, b"0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"),
        (3802, b'{"a": [1, null]}', {"a": [1, None]}),
        (1007, b"{1,NULL,3}", [1, None, 3]),
        (1007, b"{}", []),
        (1007, b"{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        (1007, b"[0:1]={1,2}", [1, 2]),
        (1009, b'{a,"b,\\"c","NULL",""}', ["a", 'b,"c', "NULL", ""]),
        (1185, b'{"2026-11-23 05:01:00+00"}', ["2026-11-23T05:01:00+00:00"]),
        (1007, b"{1,", "{1,"),
        (999_999, b"what", "what"),
    ],
)
def test_values(oid: int, raw: bytes, expected: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(converter(oid)(raw))) == expected


@pytest.mark.parametrize(
    ("oid", "name"), [(23, "integer"), (1009, "text[]"), (1184, "timestamp with time zone"), (7, "oid 7")]
)
def test_type_names(oid: int, name: str) -> None:
    assert type_name(oid) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
@settings(max_examples=100, deadline=None)
def test_quoted_text_arrays_come_back(texts: list[str]) -> None:
    escaped = ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    assert converter(1009)(("{" + escaped + "}").encode()) == texts


@given(st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_array_of_garbage_is_shown_as_text(raw: bytes) -> None:
    assert isinstance(converter(1009)(raw), str | list)
