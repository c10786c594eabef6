"""Where a relayed session stands, without reading its messages.

A relay must know three things of a server's answers: whether they ended with ReadyForQuery (the session waits for its
client and could be moved or closed in good order), whether they ended between two messages (where an error of the
relay's own may be put), and where notes (`notes`) begin, which are not for the client. Reading every message for that
would cost more than relaying it. ReadyForQuery is always the last six bytes of an answer, so those are compared first;
but a row may end with the same six bytes, so a match is only believed after the headers before it have been walked.
"""

from __future__ import annotations

from struct import Struct

from tausql.pgwire.notes import NOTE

_HEADER = Struct(">xI")
_KIND_AND_LENGTH = Struct(">BI")
_READY_HEAD = b"Z\0\0\0\x05"
_STATUSES = b"ITE"
_READY = ord("Z")
_COPY_IN = ord("G")
_NOTE_BEGUN = bytes((NOTE,))


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

    def __init__(self, status: int = 0, kind: int = 0) -> None:
        self.status = status  # as `tail_status`, after the last chunk
        self.kind = kind  # type byte of the last message whose header has come
        self._head = b""  # the first bytes of a header that was cut
        self._missing = 0  # bytes of the present message still to come

    @property
    def at_boundary(self) -> bool:
        """True between two messages."""
        return self._missing == 0 and (not self._head or self._head[0] == NOTE)

    @property
    def unanswered(self) -> bool:
        """True if nothing has come since the last ReadyForQuery."""
        return self.kind == _READY and self.at_boundary

    def advance(self, chunk: bytes) -> int:
        """Count `chunk` in. Each header in it is looked at once. Returns -1, or where in `chunk` a note begins: what
        precedes it has been counted, and what comes after the note is to be given to `advance` by itself."""
        if self._head:
            return self._advance_cut(chunk)
        available = len(chunk)
        if available == 0:
            return -1
        position = self._missing
        begin = -1
        header = _HEADER.unpack_from
        while position + 5 <= available:
            begin = position
            (length,) = header(chunk, position)
            if length < 4:
                if chunk[position] == NOTE:
                    return self._stop(chunk, position)
                length = 4
            position += 1 + length
        if begin >= 0:
            self.kind = chunk[begin]
        if position == available:
            self._missing = 0
            self.status = chunk[-1] if self.kind == _READY else 0
        elif position > available:
            self._missing = position - available
            self.status = 0
        elif chunk[position] == NOTE:
            return self._stop(chunk, position)
        else:
            self._missing = 0
            self._head = chunk[position:]
            self.status = 0
        return -1

    def hold(self) -> None:
        """A note has begun and is not complete: `advance` returns 0 until `release`."""
        self._head = _NOTE_BEGUN

    def release(self) -> None:
        self._head = b""

    def _advance_cut(self, chunk: bytes) -> int:
        if self._head[0] == NOTE:
            return 0
        cut = len(self._head)
        chunk = self._head + chunk
        self._head = b""
        at = self.advance(chunk)
        return at if at < 0 else at - cut

    def _stop(self, chunk: bytes, position: int) -> int:
        if position:
            self.advance(chunk[:position])
        return position


class CountingTail(RelayTail):
    """A `RelayTail` that also counts what it passes: for clients that ask again before they are answered, where the
    last message alone does not tell how much is. Its `status` is always 0: `last` is what it would be."""

    __slots__ = ("copies_in", "last", "readies")

    def __init__(self, before: RelayTail, last: int) -> None:
        super().__init__(0, before.kind)
        self._head = before._head
        self._missing = before._missing
        self.last = last
        self.readies = 0  # ReadyForQuery messages that have come whole
        self.copies_in = 0  # CopyInResponse messages

    def advance(self, chunk: bytes) -> int:
        if self._head:
            return self._advance_cut(chunk)
        available = len(chunk)
        if available == 0:
            return -1
        position = self._missing
        header = _KIND_AND_LENGTH.unpack_from
        if position and position <= available and self.kind == _READY:
            self.readies += 1
            self.last = chunk[position - 1]
        while position + 5 <= available:
            kind, length = header(chunk, position)
            if length < 4:
                if kind == NOTE:
                    return self._stop(chunk, position)
                length = 4
            self.kind = kind
            position += 1 + length
            if kind == _READY and position <= available:
                self.readies += 1
                self.last = chunk[position - 1]
            elif kind == _COPY_IN:
                self.copies_in += 1
        if position < available:
            if chunk[position] == NOTE:
                self._missing = 0
                return position
            self._missing = 0
            self._head = chunk[position:]
        else:
            self._missing = position - available
        return -1

    def _stop(self, chunk: bytes, position: int) -> int:
        self._missing = 0
        return position
