"""What a proposer knows of one replica under its epoch: how far its log matches, and what is on its way."""

from __future__ import annotations

from tausql.protocol.journal import Appended, JournalClient


class Replica:
    """`match` (-1 = unknown) and `limit` count only while `incarnation` is the newest known of this replica."""

    __slots__ = (
        "client",
        "failures",
        "full",
        "generation",
        "in_flight",
        "incarnation",
        "index",
        "limit",
        "limit_sent",
        "match",
        "mute_until",
        "next_seq",
        "reading",
        "resting",
        "step",
        "tried",
        "trusted",
    )

    def __init__(self, index: int, client: JournalClient, next_seq: int) -> None:
        self.index = index
        self.client = client
        self.next_seq = next_seq  # the next record to send
        self.incarnation = 0
        self.match = -1
        self.limit = 0
        self.limit_sent = 0
        self.in_flight = 0
        self.generation = 0  # answers to appends of an earlier one cannot send us back again
        self.step = 0  # how far the last gap without a usable hint sent us back
        self.mute_until = 0.0  # monotonic: it refused a limit, spare it until then
        self.trusted = True  # its last answer was an acknowledgement
        self.tried = False  # not trusted, and an append to find out is on its way
        self.failures = 0  # calls in a row that nobody answered
        self.resting = False
        self.reading = False
        self.full = False

    def acknowledge(self, answer: Appended, upto: int, asked: int) -> None:
        """It holds our log up to `upto` (as far as the answer says so too), and a limit of at least what it says."""
        if answer.incarnation != self.incarnation:
            self.incarnation = answer.incarnation
            self.match = -1
            self.limit = 0
        seq = min(answer.seq, upto)
        if seq > self.match:
            self.match = seq
        limit = min(answer.limit, asked)
        if limit > self.limit:
            self.limit = limit
        if self.next_seq <= seq:
            self.next_seq = seq + 1
        self.step = 0
        self.trusted = True

    def go_back(self, seq: int, newest: int) -> None:
        """Send again from `seq`, or from where its log is known to match if that is later."""
        self.generation += 1
        self.trusted = False
        self.tried = False
        if self.incarnation != newest:
            self.match = -1
            self.limit = 0
        self.next_seq = max(seq, self.match + 1, 1)
        self.limit_sent = 0
