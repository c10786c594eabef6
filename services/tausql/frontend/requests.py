"""What a client has asked and not been answered yet, when that is not simply one request in one piece.

Nearly every chunk from a client is exactly one request, and is answered before the next one comes: `relay` needs to
remember no more than that chunk. Here is the rest: clients that ask again before they are answered, statements larger
than a read, COPY. Messages are walked along their headers, and the bytes of what is unanswered are kept up to a limit,
so that another processor can be given them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from struct import Struct
from typing import NamedTuple

from tausql.pgwire.messages import Bind, Execute, Malformed, Parse, Query
from tausql.pgwire.reader import FrontendReader
from tausql.protocol.processor import CarriedStatement

KEPT_BYTES_MAX = 64 * 1024
_HEADER = Struct(">BI")
_QUERY, _SYNC, _TERMINATE = ord("Q"), ord("S"), ord("X")
_COPY_DATA, _COPY_DONE, _COPY_FAIL = ord("d"), ord("c"), ord("f")

_COMMITS = re.compile(r"\b(commit|end)\b", re.IGNORECASE)
_READS = re.compile(r"\s*(select|show|values|table)\b[^;]*;?\s*", re.IGNORECASE)


class Remainder(NamedTuple):
    """What is left of a client's stream once its first unanswered request has been given up."""

    terminated: bool  # the client has said the whole request: it may be told that it is over
    others: int  # further requests that cannot be run again: each has to be answered by an error, too
    open: bool  # the client is in the midst of a request (the first, unless `terminated`) that can only fail
    replay: bytes  # for the next processor
    swallow: int  # bytes of a message still to come, whose beginning is gone


class Requests:
    """One client's unanswered requests. `open_`: in the midst of a request, of which nothing is known."""

    __slots__ = (
        "_boundary",
        "_copying",
        "_ends",
        "_first",
        "_head",
        "_kept",
        "_kind",
        "_missing",
        "_open",
        "_total",
        "goodbye",
    )

    def __init__(self, open_: bool = False) -> None:
        # Places are counted in bytes of the client's stream, from this object's beginning.
        self._total = 0
        self._first = 0  # where `_kept` begins
        self._boundary = 0  # where the last whole message ends
        self._ends: deque[int] = deque()  # where each unanswered, whole request ends
        self._kept: bytearray | None = bytearray()  # None: it was too much
        self._open = open_
        self._head = b""  # the first bytes of a header that was cut
        self._missing = 0  # bytes of the present message still to come
        self._kind = 0  # of that message
        self._copying = False  # the client sends COPY data: a Sync counts for nothing
        self.goodbye = False  # it has said Terminate

    @property
    def settled(self) -> bool:
        """Everything is answered, and the client is in the midst of nothing."""
        return not (self._ends or self._open or self._missing or self._head)

    @property
    def copying(self) -> bool:
        """The client sends COPY data and has not come to its end."""
        return self._copying

    def sent_unkept(self) -> None:
        """One whole request, too large to be kept."""
        self._kept = None
        self._ends.append(0)

    def sent(self, data: bytes) -> None:
        kept = self._kept
        if kept is not None:
            kept += data
            if len(kept) > KEPT_BYTES_MAX:
                self._kept = None
        start = self._total - len(self._head)  # of `stream`
        self._total += len(data)
        stream = self._head + data if self._head else data
        available = len(stream)
        position = 0
        if self._missing:
            position = min(self._missing, available)
            self._missing -= position
            if self._missing:
                return
            self._whole(self._kind, start + position)
        while position + 5 <= available:
            kind, length = _HEADER.unpack_from(stream, position)
            end = position + 1 + max(length, 4)
            if end > available:
                self._kind = kind
                self._missing = end - available
                self._head = b""
                return
            self._whole(kind, start + end)
            position = end
        self._head = stream[position:]

    def answered(self, count: int) -> None:
        """So many ReadyForQuery have come."""
        for _ in range(count):
            self._copying = False
            if not self._ends:
                self._open = False
                continue
            end = self._ends.popleft()
            if self._kept is not None:
                del self._kept[: end - self._first]
            self._first = end
        if self._kept is None and self.settled:
            self._kept = bytearray()
            self._first = self._total

    def copy_begun(self, by_query: bool) -> None:
        """The server takes COPY data for the first request. One that is no simple Query goes on until a Sync after the
        data: those sent until now were for nothing."""
        self._copying = True
        if not by_query:
            self._open = True
            self._ends.clear()

    def all(self) -> bytes | None:
        """Every byte of the client's that is not answered; None if they were too many."""
        return None if self._kept is None else bytes(self._kept)

    def first(self) -> bytes | None:
        """The bytes of the first request, as far as they have come."""
        if self._kept is None:
            return None
        return bytes(self._kept[: self._ends[0] - self._first]) if self._ends else bytes(self._kept)

    @property
    def terminated(self) -> bool:
        return bool(self._ends)

    def whole(self) -> list[bytes] | None:
        """The bytes of each whole request, oldest first; None if they are gone."""
        kept = self._kept
        if kept is None:
            return None
        starts = [self._first, *self._ends]
        return [bytes(kept[start - self._first : end - self._first]) for start, end in pairwise(starts)]

    def unfinished(self) -> bytes | None:
        """The bytes of what has come of the last request, which is not whole; None if they are gone."""
        kept = self._kept
        if kept is None:
            return None
        return bytes(kept[self._ends[-1] - self._first :]) if self._ends else bytes(kept)

    def remainder(self, again: bool = True) -> Remainder:
        """again: further whole requests may be run by the next processor. Else each has to be answered by an error."""
        ends, kept = self._ends, self._kept
        if kept is None:
            # A Query is a whole request: once the rest of it has been dropped, nothing more is to come.
            query = bool(self._missing) and self._kind == _QUERY and not self._open
            count = len(ends) + query
            return Remainder(count > 0, max(count - 1, 0), self._open or not count, self._head, self._missing)
        if ends and not again:
            return Remainder(True, len(ends) - 1, False, bytes(kept[ends[-1] - self._first :]), 0)
        if ends:
            return Remainder(True, 0, False, bytes(kept[ends[0] - self._first :]), 0)
        return Remainder(False, 0, True, bytes(kept[self._boundary - self._first :]), 0)

    def _whole(self, kind: int, end: int) -> None:
        self._boundary = end
        if kind == _QUERY:
            self._ends.append(end)
            self._open = False
        elif kind == _SYNC:
            if not self._copying:
                self._ends.append(end)
                self._open = False
        elif kind in (_COPY_DONE, _COPY_FAIL):
            self._copying = False
        elif kind == _TERMINATE:
            self.goodbye = True
        elif kind != _COPY_DATA:
            self._open = True


def texts(request: bytes, statements: Mapping[str, CarriedStatement]) -> list[str] | None:
    """The SQL that a request runs; None where that cannot be told. `statements`: the session's prepared ones."""
    found: list[str] = []
    own: dict[str, str] = {}
    portals: set[str] = set()
    for message in FrontendReader().feed(request):
        if isinstance(message, Query):
            found.append(message.sql)
        elif isinstance(message, Parse):
            own[message.statement] = message.sql
        elif isinstance(message, Bind):
            name = message.statement
            text = own.get(name)
            if text is None:
                known = statements.get(name)
                if known is None:
                    return None
                text = known.text
            found.append(text)
            portals.add(message.portal)
        elif isinstance(message, Malformed) or (isinstance(message, Execute) and message.portal not in portals):
            return None
    return found


def only_reads(request: Iterable[str] | None) -> bool:
    """True if running it twice is as good as once."""
    return request is not None and all(_READS.fullmatch(text) for text in request)


def may_end_block(request: Iterable[str] | None) -> bool:
    """False if it certainly contains no COMMIT."""
    return request is None or any(_COMMITS.search(text) for text in request)
