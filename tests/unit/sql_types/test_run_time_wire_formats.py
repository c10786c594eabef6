"""Binary forms of the types that are no columns, as PostgreSQL sends them."""

from __future__ import annotations

import pytest

from tausql.sql.types import SessionFormat, type_by_name
from tausql.sql.types.records import record, shape_of


@pytest.mark.parametrize(
    ("name", "text", "sent"),
    [
        ("int4range", "[1,5)", "0200000004000000010000000400000005"),
        ("int4range", "empty", "01"),
        ("numrange", "(,2.5]", "0c0000000c000200000000000100021388"),
        ("tstzrange", '["2020-01-01 00:00:00+00",)', "120000000800023e0786c26000"),
        ("int4multirange", "{[1,3)}", "00000001000000110200000004000000010000000400000003"),
        ("varbit", "10110", "00000005b0"),
        ("inet", "192.168.1.5/24", "02180004c0a80105"),
        ("inet", "::1", "0380001000000000000000000000000000000001"),
        ("cidr", "10.0.0.0/8", "020801040a000000"),
        ("jsonpath", '$."a"[*]?(@ > 1)', "01242e2261225b2a5d3f2840203e203129"),
        ("tsvector", "'a':1A 'b':2,3", "0000000261000001c0016200000200020003"),
        ("tsquery", "'a' & !'b':*A", "000000040202020101080162000100006100"),
        ("_inet", "{10.0.0.1}", "000000010000000000000365000000010000000100000008022000040a000001"),
    ],
)
def test_values_are_sent_and_received_as_postgresql_sends_them(name: str, text: str, sent: str):
    type, format = type_by_name(name), SessionFormat()
    value = type.text_in(text, format, -1)
    assert type.binary_out(value).hex() == sent
    assert type.text_out(type.binary_in(bytes.fromhex(sent)), format) == type.text_out(value, format) == text


def test_records_are_sent_with_the_types_of_their_fields():
    int4, text = type_by_name("int4"), type_by_name("text")
    value = record((1, "a", None), shape_of([("f1", int4, -1), ("f2", text, -1), ("f3", int4, -1)]))
    sent = type_by_name("record").binary_out(value)
    assert sent.hex() == (
        "00000003" "00000017" "00000004" "00000001" "00000019" "00000001" "61" "00000017" "ffffffff"
    )  # fmt: skip
