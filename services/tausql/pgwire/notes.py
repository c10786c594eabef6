"""Notes: what one process of the fleet tells another between the protocol's messages.

    ~                  no PostgreSQL server sends this kind
    0 0 0 0            where the length of a message would be; no message's can be less than 4
    length             4 bytes, big-endian, of what follows
    body

The impossible length is the point: whoever walks along the headers has to look at lengths anyway, and so finds notes
without looking at a single kind more. See `tail`.
"""

from __future__ import annotations

NOTE = ord("~")
NOTE_BYTES_MAX = 1024 * 1024
_HEAD = b"~\0\0\0\0"
_HEAD_BYTES = 9


class NoteBroken(Exception):
    """A note is longer than any may be."""


def frame(body: bytes) -> bytes:
    """A whole note. Raises `NoteBroken`."""
    if len(body) > NOTE_BYTES_MAX:
        raise NoteBroken(f"{len(body)} bytes")
    return _HEAD + len(body).to_bytes(4, "big") + body


def split(data: bytes) -> tuple[bytes, list[bytes]]:
    """Whole messages and notes: (the messages, the notes' bodies). Raises `NoteBroken`."""
    messages: list[bytes] = []
    bodies: list[bytes] = []
    while len(data) >= 5:
        if data[0] == NOTE:
            body, data = NoteReader().feed(data)
            if body is None:
                raise NoteBroken("cut short")
            bodies.append(body)
            continue
        end = 1 + max(int.from_bytes(data[1:5], "big"), 4)
        messages.append(data[:end])
        data = data[end:]
    return b"".join(messages), bodies


class NoteReader:
    """Reads one note at a time, from chunks cut anywhere. Holds at most one note."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> tuple[bytes | None, bytes]:
        """`data` begins with a note, or goes on with the one begun. (its body, what follows it), or (None, b"") while
        it is incomplete. Raises `NoteBroken`."""
        if self._data:
            data = self._data + data
            self._data = b""
        if len(data) >= _HEAD_BYTES:
            length = int.from_bytes(data[5:_HEAD_BYTES], "big")
            if length > NOTE_BYTES_MAX or data[:5] != _HEAD:
                raise NoteBroken(f"{length} bytes")
            end = _HEAD_BYTES + length
            if len(data) >= end:
                return data[_HEAD_BYTES:end], data[end:]
        self._data = data
        return None, b""
