"""A host on hand-turned time, replicas that answer when told to, and replies that remember."""

from __future__ import annotations

import heapq
import random
from collections import deque

from tausql.adjudicator.roster import Roster
from tausql.protocol.journal import Append, Appended, Description, Status
from tausql.rpc.interface import Cause, Encoded, Failure
from tausql.runtime.host import ClockUnsure, Interval

START_MICROS = 1_700_000_000_000_000


class FakeClock:
    def __init__(self, host, error_micros=20):
        self.host, self.error_micros, self.ready = host, error_micros, True

    def now(self):
        if not self.ready:
            raise ClockUnsure
        micros = START_MICROS + round(self.host.now * 1e6)
        return Interval(micros - self.error_micros, micros + self.error_micros)


class FakeTimer:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeHost:
    name, zone = "adjudicator-test", "a"

    def __init__(self):
        self.now = 0.0
        self.clock = FakeClock(self)
        self.random = random.Random(7)
        self._soon = deque()
        self._timers = []
        self._count = 0

    def monotonic(self):
        return self.now

    def soon(self, function, *arguments):
        self._soon.append((function, arguments))

    def later(self, delay_seconds, function, *arguments):
        self._count += 1
        timer = FakeTimer()
        heapq.heappush(self._timers, (self.now + delay_seconds, self._count, timer, function, arguments))
        return timer

    def turn(self):
        """Run what waits for its turn, and what that brings."""
        while self._soon:
            function, arguments = self._soon.popleft()
            function(*arguments)

    def pass_time(self, seconds):
        end = self.now + seconds
        self.turn()
        while self._timers and self._timers[0][0] <= end:
            when, _, timer, function, arguments = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not timer.cancelled:
                function(*arguments)
                self.turn()
        self.now = end

    @property
    def micros(self):
        return START_MICROS + round(self.now * 1e6)


class FakeReplica:
    """Stands for a JournalClient. Keeps what it was sent; a test answers."""

    def __init__(self, name, incarnation=1):
        self.name, self.incarnation, self.known = name, incarnation, (1, 1, 1)
        self.sent = deque()  # (Append, done)
        self.reads = deque()  # (ReadLog, done)

    def append(self, message, _, done):
        assert isinstance(message, Encoded)
        assert isinstance(message.message, Append)
        self.sent.append((message.message, done))

    def read_log(self, request, _, done):
        self.reads.append((request, done))

    def answer(self, status=Status.ok, seq=None, promised=(1, 1), limit=None):
        """Answer the oldest append."""
        append, done = self.sent.popleft()
        matched = append.previous_seq + len(append.records) if seq is None else seq
        stored = append.limit if limit is None else limit
        done(Appended(status, self.name, self.incarnation, self.known, promised, matched, stored))
        return append

    def fail(self):
        append, done = self.sent.popleft()
        done(Failure(Cause.deadline))
        return append

    def answer_all(self):
        while self.sent:
            self.answer()


class FakeReply:
    peer = None

    def __init__(self):
        self.answers = []

    def answer(self, message):
        self.answers.append(message)

    def fail(self, cause, message=""):
        raise AssertionError(cause, message)


def roster_of(replicas):
    """A roster that all replicas have introduced themselves to."""
    names = [replica.name for replica in replicas]
    roster = Roster(names, replicas)
    for index, replica in enumerate(replicas):
        assert roster.describe(index, Description("fleet", replica.name, replica.incarnation, True, tuple(names))) == ""
    return roster
