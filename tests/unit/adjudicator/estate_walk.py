"""A random walk of ranges and streams: real estates, judges and votes over logs that are fenced and nothing else.

The journal is one linearizable log a stream: what reaches it under the promised epoch is committed, what comes from an
older epoch is not. Everything around it is hostile: holders die, or live on without knowing that they have been
replaced; messages wait, overtake each other, come twice, or never; what is known of other streams is old; clocks
disagree; the map wants something else all the time. What must hold all along: every key is judged by exactly one
stream, or is on its way to one; and no two committed transactions on a key overlap, whoever judged them.
"""

from __future__ import annotations

import random
from collections import deque
from functools import partial

import msgspec

from tausql.adjudicator import ownership as changes
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.estate import Estate, EstateLimits, NeverTaken
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.schema import SchemaChanges
from tausql.adjudicator.voting import Votes
from tausql.protocol.adjudicator import Commit, RangeTaken, StreamSealed, Undecided, Vote, Voted
from tausql.protocol.fleet import Fleet, Placed
from tausql.protocol.journal import EpochEnd, EpochStart, Kind, Record
from tausql.protocol.tau import TAU_MAX, closing
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.host import Interval

KEYS = [b"%c" % letter for letter in b"abcdef"]
LIMIT_MICROS = 400_000
_encode = msgspec.msgpack.Encoder().encode


class Violation(Exception):
    """What must never be so is so."""


class Host:
    """One holder's time: everybody's, and a clock that is wrong by a constant."""

    def __init__(self, walk):
        self.walk, self.skew = walk, walk.chance.randint(-300_000, 300_000)
        self.clock = self

    def now(self):
        micros = 10_000_000 + self.walk.micros + self.skew
        return Interval(micros - 1, micros + 1)

    def monotonic(self):
        return self.walk.micros / 1e6

    def soon(self, function, *arguments):
        self.walk.later(partial(function, *arguments))


class Answer:
    """Where a reply goes: once, perhaps not at all, after a while."""

    def __init__(self, walk, done):
        self.walk, self.done = walk, done

    def answer(self, message):
        done, self.done = self.done, None
        if done is not None:
            lost = self.walk.chance.random() < 0.25
            self.walk.later(partial(done, Failure(Cause.deadline) if lost else message))


class Holder:
    """One epoch of a stream, in a process that may die, or be replaced without knowing it."""

    def __init__(self, walk, stream):
        log = walk.logs[stream]
        self.walk, self.stream, self.epoch = walk, stream, log.promise()
        self.host = Host(walk)
        self.over = self.active = self.ending = False
        self.knows = len(walk.registries) - 1 if walk.chance.random() < 0.5 else 0
        self.queue = deque()  # on its way to the log: ("record", Record) or ("limit", tau)
        self.seq = len(log.records)
        self.log = self  # an estate looks at `proposer.log.last_seq`
        current = changes.begun(log.ownership(), log.limit)
        judge = Judge(
            stream, log.limit, Owned(current.owned), Lead(0, 0), Conflicts(log.limit), SchemaChanges(log.limit)
        )
        self.judge = judge
        self.votes = Votes(judge.conflicts, judge.schema)
        self.estate = Estate(
            self.host,
            stream,
            current,
            judge,
            self,
            self,
            EstateLimits(repeat_seconds=2.0, seal_seconds=0.2),
            lambda: self.serving,
            lambda: self.votes.highest_upper,
            lambda: None,
            self.seal,
            self.extend,
            lambda: None,
        )
        latest = self.host.now().latest
        judge.highest = judge.next_tau(latest)
        if log.sealed:
            self.ending = True
            self.enqueue(judge.highest, Kind.epoch_end, _encode(EpochEnd(judge.highest, True)))
        else:
            self.enqueue(judge.highest, Kind.epoch_start, _encode(EpochStart("", log.limit, current)))
        self.start_seq = self.seq
        self.extend(latest)

    @property
    def serving(self):
        return self.active and not self.ending and not self.over

    # what an estate needs of its epoch

    @property
    def last_seq(self):
        return self.seq

    def enqueue(self, tau, kind, payload):
        self.seq += 1
        self.queue.append(("record", Record((self.epoch, 1), self.seq, tau, kind, payload)))
        return self.seq

    def extend(self, latest):
        self.queue.append(("limit", closing(latest + LIMIT_MICROS)))

    def seal(self):
        self.ending = True
        tau = self.judge.highest = self.judge.next_tau(self.host.now().latest)
        self.enqueue(tau, Kind.epoch_end, _encode(EpochEnd(self.judge.limit, True)))

    # what it knows and does

    @property
    def wanted(self):
        return self.walk.fleet

    @property
    def registered(self):
        return self.walk.registries[self.knows]

    def reachable(self, stream):
        return True

    def offer(self, request, done):
        walk = self.walk
        if request.to not in self.registered and walk.logs[request.to].sealed:
            taken = changes.has_taken(walk.logs[request.to].ownership(), request.giver, request.floor)
            walk.mark("offered after the end, taken" if taken else "offered after the end, never taken")
            walk.later(partial(done, RangeTaken() if taken else NeverTaken()))
            return
        for _ in range(walk.chance.choice((0, 1, 1, 1, 2))):
            walk.later(partial(walk.ask, request.to, "take", request, Answer(walk, done)))
            done = lambda _: None  # noqa: E731  # a duplicate's answer goes nowhere
        walk.later(partial(done, Failure(Cause.deadline)))

    def unused(self, stream, done):
        self.walk.later(partial(done, not self.walk.logs[stream].records if stream in self.walk.logs else True))

    # the log's side

    def heard(self, what, value):
        """The log has acknowledged."""
        if self.over:
            return
        if what == "limit":
            self.judge.limit = max(self.judge.limit, value)
        elif value >= self.start_seq:
            if not self.active and not self.ending:
                self.active = True
                self.estate.begin(self.start_seq)
            self.estate.committed(value)
            if self.ending and value == self.seq:
                self.end()
                self.walk.sealed(self.stream)

    def end(self):
        if not self.over:
            self.over = True
            self.queue.clear()
            self.estate.close()


class Log:
    def __init__(self, stream, start):
        self.stream = stream
        self.records, self.limit, self.promised = [], start, 0
        self.sealed = False

    def promise(self):
        self.promised += 1
        return self.promised

    def ownership(self):
        for record in reversed(self.records):
            if record.kind in (Kind.epoch_start, Kind.ownership):
                return changes.ownership_of(record)
        return changes.genesis(self.stream)


class Walk:
    def __init__(self, seed, deaths=0.015):
        self.chance = random.Random(seed)
        self.deaths = deaths
        self.micros = 0
        self.waiting = []  # whatever is on its way
        self.logs = {0: Log(0, 0)}
        self.holders = []
        self.fleet = Fleet(streams=2)
        self.registries = [{0: 0}]
        self.committed = {key: [] for key in KEYS}  # (tau_start, tau)
        self.voted = []  # transactions that may commit elsewhere: (holder, request, Voted)
        self.marks = {}
        self.count = 0

    def mark(self, what):
        self.marks[what] = self.marks.get(what, 0) + 1

    def later(self, function):
        self.waiting.append(function)

    # messages

    def ask(self, stream, what, request, reply):
        """Whoever claims the stream gets it, right or wrong."""
        claiming = [one for one in self.holders if one.stream == stream and one.active and not one.over]
        if not claiming:
            reply.answer(Undecided())
        else:
            estate = self.chance.choice(claiming).estate
            if what == "take" and changes.has_taken(estate.current, request.giver, request.floor):
                self.mark("offered again")
            getattr(estate, what)(request, reply)

    def sealed(self, stream):
        """Somebody has ended `stream`, and says so until stream 0 has heard."""
        self.mark("sealed")
        last = self.logs[stream].records[-1]

        def told(answer):
            if type(answer).__name__ != "StreamRemoved" and stream in self.registries[-1]:
                self.later(tell)

        def tell():
            self.ask(0, "remove", StreamSealed(stream, (1, 1), last.seq, last.tau), Answer(self, told))

        tell()

    def deliver(self):
        if self.waiting:
            at = self.chance.randrange(len(self.waiting)) if self.chance.random() < 0.3 else 0
            self.waiting.pop(at)()

    def append(self):
        """The next thing of some holder reaches its log."""
        busy = [one for one in self.holders if one.queue and not one.over]
        if not busy:
            return
        holder = self.chance.choice(busy)
        log = self.logs[holder.stream]
        what, value = holder.queue.popleft()
        if holder.epoch < log.promised:
            holder.queue.clear()
            if self.chance.random() < 0.7:
                holder.end()
            return
        if what == "limit":
            log.limit = max(log.limit, value)
        else:
            self.commit(log, value)
            value = value.seq
        holder.acknowledged = partial(holder.heard, what, value)
        self.later(holder.acknowledged) if self.chance.random() < 0.8 else holder.acknowledged()

    def commit(self, log, record):
        if log.records and record.tau <= log.records[-1].tau:
            raise Violation("taus of a stream do not rise")
        if log.sealed and record.kind != Kind.epoch_end:
            raise Violation("something follows the last record of a stream")
        log.records.append(record)
        log.limit = max(log.limit, record.tau)  # an epoch begins with a limit above its first record
        if record.kind == Kind.transaction:
            self.settle(*msgspec.msgpack.decode(record.payload), record.tau)
        elif record.kind == Kind.epoch_end:
            log.sealed = True
        else:
            ownership = changes.ownership_of(record)
            if record.kind == Kind.epoch_start and ownership.given:
                self.mark("adopted with something given")
            self.owns(log, ownership)

    def owns(self, log, ownership):
        if log.stream == 0:
            registry = {one.stream: one.start for one in ownership.streams}
            for one in ownership.ended:
                if log.records[-1].tau <= self.logs[one.stream].records[one.seq - 1].tau:
                    raise Violation("a stream is dropped below its own end")
            if registry != self.registries[-1]:
                self.mark("registered" if len(registry) > len(self.registries[-1]) else "removed")
                self.registries.append(registry)
                for stream, start in registry.items():
                    if stream not in self.logs:
                        self.logs[stream] = Log(stream, start)
        for key in KEYS:
            judges = self.judges(key)
            if len(judges) != 1:
                raise Violation(f"{key!r} is judged by {judges}")

    def judges(self, key):
        """Streams that own a key, or that it is on its way to, by their logs alone."""
        found = []
        said = {stream: log.ownership() for stream, log in self.logs.items()}
        for stream, ownership in said.items():
            found += [stream for one in ownership.owned if one.low <= key and (not one.high or key < one.high)]
            for one in ownership.given:
                taken = changes.has_taken(said[one.to], stream, one.floor)
                if one.low <= key and (not one.high or key < one.high) and not taken:
                    found.append((stream, one.to))
        return found

    # transactions

    def transact(self):
        live = [one for one in self.holders if one.serving]
        if not live:
            return
        holder = self.chance.choice(live)
        latest = holder.host.now().latest + self.chance.choice((-400_000, -50_000, 0, 0, 100_000, 300_000))
        tau_start, key = closing(max(1, latest)), self.chance.choice(KEYS)
        self.count += 1
        txn = b"%d" % self.count
        if self.chance.random() < 0.4:
            vote = Vote(txn, tau_start, holder.stream, 1000, (1, 1), [key], [], [], [], key)
            given = holder.judge.vote(vote, holder.host.now().latest)
            if isinstance(given, Voted):
                holder.votes.give(vote, given.upper)
                self.voted.append((holder, vote, given))
            return
        request = Commit(txn, tau_start, TAU_MAX, holder.stream, (holder.epoch, 1), [key], [], [], [], key, key, b"")
        tau = holder.judge.judge(request, holder.host.now().latest)
        if isinstance(tau, int):
            holder.enqueue(tau, Kind.transaction, _encode((key, tau_start)))

    def decide(self):
        """A coordinator elsewhere commits what was voted for, as late as it likes, or gives up."""
        if not self.voted:
            return
        at = self.chance.randrange(len(self.voted))
        holder, vote, given = self.voted.pop(at)
        tau = 0
        if self.chance.random() < 0.7:
            tau = self.chance.choice((given.lower, given.upper, self.chance.randint(given.lower, given.upper)))
            self.settle(vote.writes[0], vote.tau_start, tau)
            self.mark("voted")
        if self.chance.random() < 0.7 and not holder.over:
            holder.votes.settle(vote.txn, tau)

    def settle(self, key, tau_start, tau):
        for other_start, other in self.committed[key]:
            if other_start < tau and tau_start < other:
                raise Violation(f"two transactions on {key!r} overlap")
        self.committed[key].append((tau_start, tau))
        self.mark("committed")

    # life

    def takeover(self):
        stream = self.chance.choice([one for one in self.logs if one in self.registries[-1]])
        if self.logs[stream].sealed and any(one.stream == stream and one.ending for one in self.holders):
            return
        for holder in self.holders:
            if holder.stream == stream and self.chance.random() < 0.5:
                holder.end()
        self.holders = [one for one in self.holders if not one.over][-12:]
        self.holders.append(Holder(self, stream))

    def want(self):
        streams = self.chance.choice((1, 2, 2, 3))
        cuts = sorted(self.chance.sample(KEYS[1:], self.chance.randint(0, 2)))
        numbers = list(self.registries[-1])
        placement = [
            Placed(low, high, self.chance.choice(numbers)) for low, high in zip([b"", *cuts], [*cuts, b""], strict=True)
        ]
        self.fleet = Fleet(streams=streams, placement=tuple(placement))

    def step(self):
        chance = self.chance
        self.micros += chance.choice((0, 100, 1_000, 10_000))
        move = chance.random()
        if move < 0.36:
            self.append()
        elif move < 0.62:
            self.deliver()
        elif move < 0.82:
            self.transact()
        elif move < 0.88:
            self.decide()
        elif move < 0.97 and self.holders:
            holder = chance.choice(self.holders)
            if not holder.over:
                holder.knows = chance.randint(holder.knows, len(self.registries) - 1)
                holder.votes.expire(holder.host.now().latest << 10)
                if not holder.ending:
                    holder.extend(holder.host.now().latest)
                holder.estate.tick()
        elif chance.random() > self.deaths / 0.03:
            self.want()
        else:
            self.takeover()

    def finish(self):
        """Nobody dies any more: what is wanted comes about."""
        self.fleet = Fleet(streams=2, placement=(Placed(b"", b"c", 0), Placed(b"c", b"", max(self.registries[-1]))))
        for holder in self.holders:
            if holder.epoch < self.logs[holder.stream].promised:
                holder.end()
        for _ in range(60):
            for stream in self.registries[-1]:
                last = self.logs[stream].promised
                live = [one for one in self.holders if one.stream == stream and not one.over and one.epoch == last]
                if not live and not (self.logs[stream].sealed and self.waiting):
                    self.holders.append(Holder(self, stream))
            for holder in self.holders:
                if not holder.over:
                    holder.knows = len(self.registries) - 1
                    holder.estate.tick()
            for _ in range(60):
                self.append()
                self.deliver()
            self.micros += 100_000
        owners = [self.judges(key) for key in KEYS]
        if any(len(one) != 1 or isinstance(one[0], tuple) for one in owners):
            raise Violation(f"a range is lost: {owners}")
        if len(self.registries[-1]) != 2:
            raise Violation(f"{len(self.registries[-1])} streams where 2 are wanted")


def run(seed, steps=900, finish=True, deaths=0.015):
    walk = Walk(seed, deaths)
    walk.takeover()
    for _ in range(steps):
        walk.step()
    if finish:
        walk.finish()
    return walk.marks
