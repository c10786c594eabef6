"""COPY's binary format: cut anywhere, and refused where it is not what it says it is."""

from __future__ import annotations

import struct

import pytest

from tausql.pgwire.copy_binary import HEADER, SIGNATURE, TRAILER, BinaryReader, binary_row
from tausql.protocol.errors import SqlError

ROWS = [[b"\0\0\0\1", b"one"], [b"\0\0\0\2", None], [b"\0\0\0\3", b""]]
WHOLE = HEADER + b"".join(map(binary_row, ROWS)) + TRAILER


@pytest.mark.parametrize("size", [1, 2, 3, 7, 19, 1000])
def test_rows_come_whole_however_the_data_is_cut(size: int) -> None:
    reader = BinaryReader("t", ["a", "b"])
    found = []
    for at in range(0, len(WHOLE), size):
        found += reader.feed(WHOLE[at : at + size])
    assert found + reader.finish() == ROWS


def test_the_trailer_may_be_missing_and_the_header_may_be_longer() -> None:
    reader = BinaryReader("t", ["a", "b"])
    longer = SIGNATURE + struct.pack("!Ii", 0, 3) + b"xyz"
    assert reader.feed(longer + binary_row(ROWS[0])) == ROWS[:1]
    assert reader.finish() == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1\tone\n", "COPY file signature not recognized"),
        (b"PGCOPY\n\xff", "COPY file signature not recognized"),
        (SIGNATURE + struct.pack("!Ii", 1 << 16, 0), "invalid COPY file header (WITH OIDS)"),
        (SIGNATURE + struct.pack("!Ii", 1 << 20, 0), "unrecognized critical flags in COPY file header"),
        (SIGNATURE + struct.pack("!Ii", 0, -1), "invalid COPY file header (wrong length)"),
        (HEADER + binary_row([b"x"]), "row field count is 1, expected 2"),
        (HEADER + struct.pack("!hi", 2, -2), "invalid field size"),
        (WHOLE + b"x", "received copy data after EOF marker"),
        (HEADER + binary_row(ROWS[0])[:-1], "unexpected EOF in COPY data"),
    ],
)
def test_what_is_broken_is_refused(data: bytes, message: str) -> None:
    reader = BinaryReader("t", ["a", "b"])
    with pytest.raises(SqlError) as caught:  # noqa: PT012  (either of the two)
        reader.feed(data)
        reader.finish()
    assert (caught.value.sqlstate, caught.value.message) == ("22P04", message)
    assert str(caught.value.where).startswith("COPY t")
