"""A random walk over several streams with the real dockets: votes, decisions, lost messages, takeovers, handovers.

The journal is one fenced log a stream, clocks are arbitrary, and messages come late, out of order or never. After
every committed record all pairs of transactions are looked at: no two with incompatible modes on a key overlap, none
spans a change of the schema it relied on, none commits twice or after its client was told that it never will.
"""

from __future__ import annotations

import random
from functools import partial

import msgspec

from tausql.adjudicator.bounds import TenureLimits
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.docket import Docket
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.outcomes import Outcomes
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.schema import SchemaChanges
from tausql.protocol import journal
from tausql.protocol.adjudicator import Aborted, Commit, Committed, Part, Transaction
from tausql.protocol.tau import closing, micros_of
from tausql.runtime.host import Interval

STREAMS = 3
KEYS = [b"a0", b"a1", b"b0", b"b1", b"c0", b"c1"]
OWNER = {key: number // 2 for number, key in enumerate(KEYS)}
RANGES = [journal.Owned(b"", b"b"), journal.Owned(b"b", b"c"), journal.Owned(b"c", b"")]
SCHEMA = 7
NOW = 5_000_000
decode = msgspec.msgpack.Decoder(Transaction).decode


class Violation(Exception):
    pass


class Clock:
    """As wrong as it likes: nothing but latency may depend on it."""

    ready = True

    def __init__(self, walk, skew):
        self.walk, self.skew = walk, skew

    @property
    def micros(self):
        return self.walk.now + self.skew

    def now(self):
        return Interval(self.micros, self.micros)


class Host:
    def __init__(self, walk, skew):
        self.clock = Clock(walk, skew)

    def monotonic(self):
        return 0.0

    def soon(self, function, *arguments):
        function(*arguments)

    def later(self, *_):
        return None


class Nothing:
    """Stands for what a docket tells that the walk does not look at."""

    def busy(self):
        pass

    def wrote(self):
        pass


class Holder:
    """One epoch of one stream, alive or a zombie: it never knows."""

    def __init__(self, walk, stream, epoch, floor, skew):
        self.walk, self.stream, self.epoch = walk, stream, epoch
        self.host = Host(walk, skew)
        self.room, self.full = True, False
        self.seq = 0
        self.ended = False
        judge = Judge(
            stream, floor, Owned([RANGES[stream]]), Lead(1_000, 0), Conflicts(floor), SchemaChanges(floor)
        )
        self.judge = judge
        self.held = {}  # seq -> reply
        self.docket = Docket(
            self.host, stream, (epoch, 1), judge, self, Outcomes(), self, Nothing(), None, TenureLimits(),
            AdjudicatorMetrics(), self, lambda _: None, lambda: None, lambda: frozenset(range(1, STREAMS)),
        )  # fmt: skip
        self.docket.open = True

    # as a proposer, and as answers

    def enqueue(self, tau, kind, payload):
        self.seq += 1
        self.walk.appends.append((self, self.seq, tau, payload))
        return self.seq

    def hold(self, seq, tau, reply):
        self.held[seq] = (tau, reply)

    def committed(self, seq):
        for number in [number for number in self.held if number <= seq]:
            tau, reply = self.held.pop(number)
            reply.answer(Committed(tau))

    # as colleagues

    def vote(self, request, done):
        self.walk.messages.append(partial(self.walk.vote, request, done))

    def settle(self, verdict):
        self.walk.messages.append(partial(self.walk.settle, verdict))

    # life

    def raise_limit(self, micros_ahead):
        limit = closing(max(self.host.clock.micros, micros_of(self.judge.highest)) + micros_ahead)
        if limit > self.judge.limit and not self.fenced and not self.ended:
            self.judge.limit = limit
            self.walk.limits[self.stream] = max(self.walk.limits[self.stream], limit)
            self.docket.limit_rose()

    def beat(self):
        tau = min(closing(self.host.clock.micros + 1_000), self.judge.limit)
        self.judge.highest = max(self.judge.highest, tau)

    @property
    def fenced(self):
        return self.walk.epochs[self.stream] != self.epoch


class Client:
    """Whoever waits for the verdict on one transaction."""

    peer = None

    def __init__(self, walk, txn):
        self.walk, self.txn = walk, txn

    def answer(self, message):
        if isinstance(message, Aborted):
            self.walk.told_aborted.add(self.txn)
            self.walk.reasons[message.reason] = self.walk.reasons.get(message.reason, 0) + 1
            if self.txn in self.walk.committed:
                raise Violation("told that it never commits, after it had")


class Walk:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.limits = [0] * STREAMS
        self.epochs = [0] * STREAMS
        self.appends = []
        self.messages = []
        self.holders = []
        self.committed = {}  # txn -> (tau_start, tau, writes, shares, relied on the schema, changed it)
        self.told_aborted = set()
        self.reasons = {}
        self.number = 0
        self.across = 0
        self.durable = {}
        self.now = NOW
        for stream in range(STREAMS):
            self.take_over(stream)

    def take_over(self, stream, floor=0):
        self.appends = [one for one in self.appends if one[0].stream != stream]
        self.epochs[stream] += 1
        floor = floor or self.limits[stream]
        holder = Holder(self, stream, self.epochs[stream], floor, self.random.randint(-150_000, 150_000))
        self.holders.append(holder)
        holder.raise_limit(self.random.randint(60_000, 900_000))

    def hand_over(self, holder):
        """A planned end: the next epoch starts where this one says it went to."""
        if holder.fenced or holder.ended or any(one[0] is holder for one in self.appends):
            return
        holder.docket.close()
        holder.ended = True
        high = max(holder.judge.next_tau(holder.host.clock.micros), holder.docket.votes.highest_upper)
        self.take_over(holder.stream, high)

    def any_holder(self, stream):
        found = [one for one in self.holders if one.stream == stream]
        return found[-1] if self.random.random() < 0.8 else self.random.choice(found)

    def vote(self, request, done):
        answer = Answer(self, done)
        self.any_holder(request.stream).docket.vote(request, answer)

    def settle(self, verdict):
        self.any_holder(verdict.stream).docket.settle(verdict)

    def begin(self):
        chance = self.random
        self.number += 1
        txn = b"%016d" % self.number
        tau_start = closing(self.now + chance.randint(-300_000, 300_000))
        change = chance.random() < 0.12
        keys = chance.sample(KEYS, chance.choice((1, 2, 2, 3)))
        shared = [key for key in keys if chance.random() < 0.3 and not change]
        owners = sorted({OWNER[key] for key in keys}) if not change else list(range(STREAMS))
        by_owner = {
            owner: (
                [key for key in keys if OWNER[key] == owner and key not in shared],
                [key for key in shared if OWNER[key] == owner],
            )
            for owner in owners
        }
        coordinator = self.any_holder(owners[0])
        parts = tuple(Part(owner, *by_owner[owner]) for owner in owners[1:])
        relied = [SCHEMA] if change or chance.random() < 0.5 else []
        request = Commit(
            txn, tau_start, closing(self.now + 3_000_000), owners[0], (coordinator.epoch, 1), *by_owner[owners[0]],
            relied, [SCHEMA] if change else [], b"", b"", b"", parts,
        )  # fmt: skip
        self.messages.append(partial(coordinator.docket.commit, request, Client(self, txn)))
        self.schema_of = getattr(self, "schema_of", {})
        self.schema_of[txn] = (bool(relied), change)
        self.across += len(owners) > 1

    def deliver(self):
        """The next append of some holder reaches its log, unless the holder is fenced."""
        if not self.appends:
            return
        holder, seq, tau, payload = self.random.choice(self.appends)
        if self.durable.get(holder, 0) + 1 != seq:
            return
        self.appends = [one for one in self.appends if one[:2] != (holder, seq)]
        self.durable[holder] = seq
        self.commit(decode(payload), tau)
        holder.docket.durable(seq)

    def commit(self, record, tau):
        relied, changed = self.schema_of[record.txn]
        writes, shares = set(record.writes), set(record.shares)
        if record.txn in self.committed:
            raise Violation("committed twice")
        if record.txn in self.told_aborted:
            raise Violation("committed after its client was told that it never will")
        for start, other, wrote, shared, used, altered in self.committed.values():
            if start >= tau or record.tau_start >= other:
                continue
            if wrote & (writes | shares) or shared & writes:
                raise Violation("two transactions that overlap in time wrote one key")
            if altered and changed:
                raise Violation("two changes of one schema overlap")
            if (altered and relied and record.tau_start < other < tau) or (changed and used and start < tau < other):
                raise Violation("a transaction spans a change of its schema")
        self.committed[record.txn] = (record.tau_start, tau, writes, shares, relied, changed)

    def step(self):
        chance = self.random
        holder = chance.choice(self.holders[-2 * STREAMS :])
        x = chance.random()
        if x < 0.14:
            self.begin()
        elif x < 0.55 and self.messages:
            message = self.messages.pop(chance.randrange(len(self.messages)))
            if chance.random() > 0.03:
                message()
        elif x < 0.75:
            self.deliver()
        elif x < 0.85:
            self.now += chance.randint(0, 50_000)
            holder.host.clock.skew += chance.randint(0, 10_000)
        elif x < 0.93:
            holder.raise_limit(chance.randint(60_000, 900_000))
        elif x < 0.95:
            holder.beat()
        elif x < 0.98:
            holder.docket.votes.expire(closing(holder.host.clock.micros))
        elif x < 0.983:
            self.take_over(chance.randrange(STREAMS))
        elif x < 0.986:
            self.hand_over(holder)


class Answer:
    """A vote on its way back: it may come late, or never."""

    peer = None

    def __init__(self, walk, done):
        self.walk, self.done = walk, done

    def answer(self, message):
        self.walk.messages.append(partial(self.done, message))


def walk(seed, steps=1500):
    """Transactions committed, and of them those over several streams. Raises Violation, or what a check raises."""
    one = Walk(seed)
    for _ in range(steps):
        one.step()
    return one
