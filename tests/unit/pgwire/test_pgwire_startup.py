from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tausql.pgwire import client
from tausql.pgwire.messages import Malformed, Password
from tausql.pgwire.startup import CancelRequest, GssRequest, SslRequest, Startup, StartupPacket

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


def packet(code: int, body: bytes) -> bytes:
    return pack(">II", len(body) + 8, code) + body


def refusal(raw: bytes, encrypted: bool = False) -> tuple[str, str]:
    machine = Startup(encrypted)
    event = machine.feed(raw)
    assert type(event) is Malformed
    assert event.error.severity == "FATAL"
    assert machine.feed(b"more") is None
    return event.error.sqlstate, event.error.message


def test_the_usual_way_in() -> None:
    machine = Startup(False)
    assert machine.feed(client.gss_request()) == GssRequest()
    assert machine.feed(client.ssl_request()) == SslRequest()
    machine.encrypted = True
    event = machine.feed(client.startup("admin", "postgres", {"application_name": "x"}))
    assert event == StartupPacket("admin", "postgres", {"application_name": "x"})
    assert not event.needs_negotiation
    machine.expect_password()
    assert machine.feed(client.password("säcret") + b"first bytes") == Password("säcret".encode())
    assert machine.rest == b"first bytes"


@given(
    st.dictionaries(
        names.filter(lambda name: name not in ("user", "database") and not name.startswith("_pq_.")), names, max_size=4
    ),
    names,
    names,
    st.lists(st.integers(1, 9)),
)
@settings(max_examples=80, deadline=None)
def test_startup_packet_is_the_same_however_it_is_cut(
    parameters: dict[str, str], user: str, database: str, cuts: list[int]
) -> None:
    raw = client.startup(user, database, parameters) + client.password(user)
    machine = Startup(True)
    events: list[object] = []
    pieces = []
    for size in cuts:
        pieces.append(raw[:size])
        raw = raw[size:]
    pieces.append(raw)
    for piece in [*pieces, b""]:
        event = machine.feed(piece)
        if event is not None:
            events.append(event)
            machine.expect_password()
    assert events == [StartupPacket(user, database, parameters), Password(user.encode())]


def test_newer_minor_version_and_unknown_options_ask_for_negotiation() -> None:
    event = Startup(True).feed(client.startup("admin", "postgres", {"_pq_.x": "1"}, minor=2))
    assert event == StartupPacket("admin", "postgres", {}, 2, ("_pq_.x",))
    assert event.needs_negotiation


def test_database_is_the_user_where_none_is_named() -> None:
    assert Startup(True).feed(packet(3 << 16, b"user\0bob\0\0")) == StartupPacket("bob", "bob", {})


def test_cancel_request() -> None:
    assert Startup(False).feed(client.cancel_request(7, 2**32 - 1)) == CancelRequest(7, 2**32 - 1)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (pack(">II", 10_001, 3 << 16), "invalid length of startup packet"),
        (pack(">II", 7, 3 << 16), "invalid length of startup packet"),
        (b"GET / HTTP/1.1\r\n", "invalid length of startup packet"),
        (packet(3 << 16, b"user\0admin"), "invalid startup packet layout: expected terminator as last byte"),
        (packet(3 << 16, b"user\0admin\0x\0\0"), "invalid startup packet layout: expected terminator as last byte"),
        (packet(3 << 16, b""), "invalid startup packet layout: expected terminator as last byte"),
        (packet(3 << 16, b"user\0\xff\0\0"), "invalid startup packet layout: the text is not UTF-8"),
        (client.ssl_request() + b"x", "received unencrypted data after SSL request"),
        (client.gss_request() + b"x", "received unencrypted data after GSSAPI encryption request"),
        (packet(1234 << 16 | 5678, b"1234567"), "invalid length of cancel request"),
    ],
)
def test_broken_packets_are_refused_by_name(raw: bytes, message: str) -> None:
    assert refusal(raw) == ("08P01", message)


def test_other_refusals() -> None:
    assert refusal(client.ssl_request(), encrypted=True) == ("08P01", "unexpected SSL request")
    assert refusal(packet(2 << 16, b"\0")) == (
        "0A000",
        "unsupported frontend protocol 2.0: server supports 3.0 to 3.0",
    )
    assert refusal(packet(3 << 16, b"\0")) == ("28000", "no PostgreSQL user name specified in startup packet")


@pytest.mark.parametrize(
    "raw",
    [client.query("select 1"), b"p\0\0\0\x04", b"p\xff\xff\xff\xff", b"p\0\0\0\x06a\0"[:-1] + b"b", b"p\0\0\0\x07a\0b"],
)
def test_what_is_no_password_is_refused(raw: bytes) -> None:
    machine = Startup(True)
    machine.feed(client.startup("admin", "postgres"))
    machine.expect_password()
    event = machine.feed(raw)
    assert type(event) is Malformed
    assert event.error.sqlstate == "08P01"


@given(st.lists(st.binary(max_size=30), max_size=6), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises(chunks: list[bytes], encrypted: bool, password: bool) -> None:
    machine = Startup(encrypted)
    if password:
        machine.expect_password()
    for chunk in chunks:
        machine.feed(chunk)
