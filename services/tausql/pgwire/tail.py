"""Where a relayed session stands, without reading its messages.

A relay must know two things of a server's answers: whether they ended with ReadyForQuery (the session waits for its
client and could be moved or closed in good order), and whether they ended between two messages (where an error of the
relay's own may be put). Reading every message for that would cost more than relaying it. ReadyForQuery is always the
last six bytes of an answer, so those are compared first; but a row may end with the same six bytes, so a match is
only believed after the headers before it have been walked.
"""

from __future__ import annotations

from struct import Struct

_HEADER = Struct(">xI")
_READY_HEAD = b"Z\0\0\0\x05"
_STATUSES = b"ITE"
_READY = ord("Z")


def tail_status(buffer: bytes) -> int:
    """The status byte (`ord` of I, T or E) if `buffer`, which starts at a message's first byte, ends with
    ReadyForQuery; else 0."""
    if buffer[-6:-1] != _READY_HEAD or buffer[-1] not in _STATUSES:
        return 0
    last = len(buffer) - 6
    position = 0
    header = _HEADER.unpack_from
    while position < last:
        (length,) = header(buffer, position)
        position += 1 + max(length, 4)
    return buffer[-1] if position == last else 0


class RelayTail:
    """`tail_status` over chunks cut anywhere. Holds at most four bytes of them."""

    __slots__ = ("_head", "_missing", "kind", "status")

    def __init__(self) -> None:
        self.status = 0  # as `tail_status`, after the last chunk
        self.kind = 0  # type byte of the last message whose header has come
        self._head = b""  # the first bytes of a header that was cut
        self._missing = 0  # bytes of the present message still to come

    @property
    def at_boundary(self) -> bool:
        """True between two messages."""
        return self._missing == 0 and not self._head

    def advance(self, chunk: bytes) -> None:
        """Count `chunk` in. Each header in it is looked at once."""
        if self._head:
            chunk = self._head + chunk
            self._head = b""
        available = len(chunk)
        if available == 0:
            return
        position = self._missing
        begin = -1
        header = _HEADER.unpack_from
        while position + 5 <= available:
            begin = position
            (length,) = header(chunk, position)
            position += 1 + (length if length >= 4 else 4)
        if begin >= 0:
            self.kind = chunk[begin]
        if position == available:
            self._missing = 0
            self.status = chunk[-1] if self.kind == _READY else 0
        elif position > available:
            self._missing = position - available
            self.status = 0
        else:
            self._missing = 0
            self._head = chunk[position:]
            self.status = 0
