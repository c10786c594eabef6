"""The proposer of one stream under one epoch: gets its log and its limit onto a majority of the journal.

Waiting for each append before the next would bound the stream by the slowest round trip, and one queue for all replicas
would let a slow one hold back the rest. So every replica has its own position in the log, several appends on the way,
and goes back alone where something was lost; what all of them need next is encoded once.

Committed is what a majority acknowledged under this epoch, and nothing at all before the EpochStart is: a record of an
earlier epoch may sit on a majority and still be replaced (the figure-8 rule).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tausql.adjudicator.lead import Lead
from tausql.adjudicator.log import RECORD_COST_BYTES, Log
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.readback import Readback
from tausql.adjudicator.replica import Replica
from tausql.adjudicator.roster import Roster
from tausql.protocol.journal import Append, Appended, Epoch, Record, Status
from tausql.rpc.interface import Encoded
from tausql.runtime.check import I1, I4, check
from tausql.runtime.fault_points import SMALL_BATCH, fault
from tausql.runtime.host import Host

_TRIAL_BYTES_MAX = 64 << 10  # payload for a replica that may not even be there

_Built = dict[tuple[int, int, bool], tuple[Encoded, int]]  # (first seq, limit, trusted) -> (append, last seq)


class ProposerLimits(NamedTuple):
    """Bounds, and how long to leave a replica alone."""

    in_flight_max: int = 8  # appends a replica
    append_bytes_max: int = 4 << 20
    append_records_max: int = 1024
    uncommitted_max: int = 8192  # records
    uncommitted_bytes_max: int = 64 << 20
    tail_bytes_max: int = 96 << 20
    tail_records_max: int = 65_536
    append_deadline_seconds: float = 2.0
    rest_seconds: float = 0.05  # after a failure, doubled with every further one in a row
    rest_failed_seconds_max: float = 0.4
    rest_hopeless_seconds: float = 1.0  # learner, stranger, below the trim point
    rest_full_seconds: float = 0.2
    mute_seconds: float = 1.0  # no limits for a replica that refused one


class Proposer:
    """`on_commit(seq, tau of that record)`, `on_limit(limit)` and `on_lost(why)` are called from within answers, never
    from within `enqueue` or `flush`."""

    __slots__ = (
        "_cost_committed",
        "_cost_enqueued",
        "_flushed_seq",
        "_host",
        "_lead",
        "_limits",
        "_observe_append",
        "_observe_quorum",
        "_on_commit",
        "_on_limit",
        "_on_lost",
        "_readback",
        "_roster",
        "_sample_at",
        "_sample_seq",
        "_sent",
        "_stream",
        "appends",
        "asked",
        "commit_seq",
        "commit_tau",
        "epoch",
        "leaving",
        "limit",
        "log",
        "over",
        "replicas",
        "resends",
        "start_seq",
    )

    def __init__(
        self,
        host: Host,
        roster: Roster,
        stream: int,
        epoch: Epoch,
        log: Log,
        readback: Readback,
        lead: Lead,
        limits: ProposerLimits,
        on_commit: Callable[[int, int], None],
        on_limit: Callable[[int], None],
        on_lost: Callable[[str], None],
        metrics: AdjudicatorMetrics,
    ) -> None:
        self._host, self._roster, self._stream = host, roster, stream
        self.epoch, self.log = epoch, log
        self._readback, self._lead, self._limits = readback, lead, limits
        self._on_commit, self._on_limit, self._on_lost = on_commit, on_limit, on_lost
        self.replicas = [Replica(index, client, log.last_seq + 1) for index, client in enumerate(roster.clients)]
        self.start_seq = log.last_seq + 1  # EpochStart's
        self.commit_seq = 0  # nothing is committed before EpochStart is
        self.commit_tau = 0
        self.limit = 0  # usable: a majority acknowledged it, or a higher one, under this epoch
        self.asked = 0  # the highest limit sent, or to be sent
        self.leaving = False  # the log's last record, now and for ever, is EpochEnd
        self.over = False
        self.appends = 0
        self.resends = 0
        self._cost_enqueued = 0
        self._cost_committed = 0
        self._flushed_seq = 0
        self._sample_seq = 0
        self._sample_at = 0.0
        self._sent: deque[tuple[int, float]] = deque()  # up to this seq sent, and when
        self._observe_quorum = metrics.quorum_seconds.observe
        self._observe_append = [metrics.appends_of(name).observe for name in roster.names]

    # what the holder wants

    def enqueue(self, tau: int, kind: int, payload: bytes) -> int:
        """Add a record to the log; its seq. Goes out with the next `flush`."""
        self._cost_enqueued += len(payload) + RECORD_COST_BYTES
        return self.log.append(self.epoch, tau, kind, payload)

    @property
    def room(self) -> bool:
        """May another record be enqueued?"""
        limits = self._limits
        return (
            self.log.last_seq - max(self.commit_seq, self.start_seq - 1) < limits.uncommitted_max
            and self._cost_enqueued - self._cost_committed < limits.uncommitted_bytes_max
        )

    @property
    def full(self) -> bool:
        """No majority of the disks has room."""
        full = 0
        for replica in self.replicas:
            full += replica.full
        return len(self.replicas) - full < self._roster.majority

    def ask(self, limit: int) -> None:
        """Ask for a limit (a closing tau); usable only once `on_limit` says so. Goes out with the next `flush`."""
        if limit > self.asked:
            self.asked = limit

    def flush(self) -> None:
        """Send what each replica lacks."""
        if self.over:
            return
        last = self.log.last_seq
        if last > self._flushed_seq:
            now = self._host.monotonic()
            if self._flushed_seq == self.commit_seq:  # nothing else is on its way: worth measuring
                self._sample_seq, self._sample_at = last, now
            self._flushed_seq = last
            self._sent.append((last, now))
        built: _Built = {}
        for replica in self.replicas:
            self._send(replica, built)

    def close(self) -> None:
        """Send and report nothing more."""
        self.over = True

    # sending

    def _send(self, replica: Replica, built: _Built) -> None:
        log, limits = self.log, self._limits
        while not (replica.resting or replica.reading or self.over) and replica.in_flight < limits.in_flight_max:
            trusted = replica.trusted
            if replica.tried and not trusted:
                return  # one small append until it answers again
            first = replica.next_seq
            limit = self.asked if replica.mute_until <= 0.0 or self._unmuted(replica) else 0
            if first > log.last_seq and limit <= replica.limit_sent:
                return
            if first < log.tail_first:
                self._catch_up(replica)
                return
            made = built.get((first, limit, trusted))
            if made is None:
                bytes_max = limits.append_bytes_max if trusted else min(_TRIAL_BYTES_MAX, limits.append_bytes_max)
                records_max = 1 if fault(self._host, SMALL_BATCH) else limits.append_records_max
                records = log.block(first, bytes_max, records_max)
                made = built[first, limit, trusted] = self._encode(first, records, limit)
            self._transmit(replica, first, made[1], made[0], limit)

    def _encode(self, first: int, records: list[Record], limit: int) -> tuple[Encoded, int]:
        upto = first + len(records) - 1
        append = Append(
            self._roster.fleet,
            self._stream,
            self.epoch,
            self.log.epoch_at(first - 1),
            first - 1,
            records,
            self.commit_seq,
            limit,
            self.leaving and upto == self.log.last_seq,
        )
        return Encoded(append), upto

    def _transmit(self, replica: Replica, first: int, upto: int, message: Encoded, limit: int) -> None:
        replica.next_seq = upto + 1
        if limit > replica.limit_sent:
            replica.limit_sent = limit
        replica.in_flight += 1
        replica.tried = not replica.trusted
        self.appends += 1
        done = partial(self._answered, replica, replica.generation, first, upto, self._host.monotonic())
        replica.client.append(message, self._limits.append_deadline_seconds, done)

    def _unmuted(self, replica: Replica) -> bool:
        if self._host.monotonic() < replica.mute_until:
            return False
        replica.mute_until = 0.0
        return True

    def _catch_up(self, replica: Replica) -> None:
        """It lacks records that are no longer, or never were, in memory: have them read from another replica."""
        first = replica.next_seq
        holders = [
            other.index
            for other in self.replicas
            if other is not replica and other.match >= self.start_seq and self._counts(other)
        ]
        if first <= self.log.trim_seq:
            self._back(replica, first, self._limits.rest_seconds)
            return
        if not self._readback.read(first, holders, replica.index, self._caught_up):
            self._rest(replica, self._limits.rest_hopeless_seconds)
            return
        replica.reading = True

    def _caught_up(self, index: int, first: int, records: list[Record] | None) -> None:
        replica = self.replicas[index]
        replica.reading = False
        if self.over:
            return
        if records is None:
            self._rest(replica, self._limits.rest_seconds)
        elif replica.next_seq == first:
            limit = 0 if replica.mute_until > 0.0 else self.asked
            message, upto = self._encode(first, records, limit)
            self.resends += 1
            self._transmit(replica, first, upto, message, limit)
        else:
            self._send(replica, {})

    def _rest(self, replica: Replica, seconds: float) -> None:
        if not replica.resting:
            replica.resting = True
            self._host.later(seconds, self._wake, replica)

    def _wake(self, replica: Replica) -> None:
        replica.resting = False
        self._send(replica, {})

    # answers

    def _answered(self, replica: Replica, generation: int, first: int, upto: int, sent: float, answer: Any) -> None:
        replica.in_flight -= 1
        if self.over:
            return
        if answer.__class__ is not Appended:  # lost or late: it may or may not have been taken
            if generation == replica.generation:
                seconds = self._limits.rest_seconds * (1 << min(replica.failures, 10))
                replica.failures += 1
                self._back(replica, first, min(seconds, self._limits.rest_failed_seconds_max))
            return
        replica.failures = 0
        newest = self._roster.newest[replica.index]
        current = self._roster.current(replica.index, answer.incarnation, answer.known)
        if answer.status == Status.fenced:
            if answer.promised > self.epoch:
                self._lose(f"fenced by epoch {answer.promised}")
                return
            self._back(replica, first, self._limits.rest_seconds)
        elif not current:
            self._back(replica, first, self._limits.rest_seconds)
        elif answer.status == Status.ok:
            replica.full = not answer.room
            self._observe_append[replica.index](self._host.monotonic() - sent)
            replica.acknowledge(answer, upto, self.asked)
            self._advance()
            self._send(replica, {})
        else:
            self._refused(replica, generation, first, answer)
        if self._roster.newest[replica.index] != newest and not self.over:
            self._advance()

    def _refused(self, replica: Replica, generation: int, first: int, answer: Appended) -> None:
        limits = self._limits
        if answer.status == Status.full:
            replica.full = True
        if generation != replica.generation:
            return
        if answer.status == Status.gap:
            if first <= self.log.trim_seq + 1:  # what it lacks is gone: it has to find its new base by itself
                self._back(replica, first, limits.rest_hopeless_seconds)
            elif answer.seq < first - 1:
                self._back(replica, answer.seq + 1, 0.0)
            else:  # as long as ours, and different: go back ever faster until an epoch matches
                replica.step = max(1, replica.step * 2)
                self._back(replica, first - replica.step, 0.0)
        elif answer.status == Status.full:
            self._back(replica, first, limits.rest_full_seconds)
        elif answer.status == Status.limit_refused and self.commit_seq >= self.start_seq:
            replica.mute_until = self._host.monotonic() + limits.mute_seconds
            self._back(replica, first, 0.0)
        elif answer.status == Status.limit_refused:
            # EpochStart lies above every earlier limit: it may not be stored without a limit that covers it
            self._back(replica, first, limits.rest_seconds)
        else:
            self._back(replica, first, limits.rest_hopeless_seconds)

    def _back(self, replica: Replica, seq: int, rest_seconds: float) -> None:
        self.resends += 1
        replica.go_back(max(seq, self.log.trim_seq + 1), self._roster.newest[replica.index])
        if rest_seconds > 0.0:
            self._rest(replica, rest_seconds)
        else:
            self._send(replica, {})

    def _counts(self, replica: Replica) -> bool:
        """Does what this replica acknowledged still count?"""
        return replica.incarnation == self._roster.newest[replica.index] and replica.match >= 0

    def _advance(self) -> None:
        """What does a majority hold now?"""
        newest = self._roster.newest
        seqs = []
        taus = []
        for replica in self.replicas:
            if replica.match >= 0 and replica.incarnation == newest[replica.index]:
                seqs.append(replica.match)
                taus.append(replica.limit)
        majority = self._roster.majority
        if len(seqs) < majority:
            return
        seqs.sort()
        taus.sort()
        limit, seq = taus[-majority], seqs[-majority]
        if limit > self.limit:
            check(I4, limit <= self.asked, "a limit that was never asked for", limit=limit, asked=self.asked)
            self.limit = limit
            self._on_limit(limit)
        if seq > self.commit_seq and seq >= self.start_seq and not self.over:
            self._commit(seq)

    def _commit(self, seq: int) -> None:
        log = self.log
        check(I1, seq <= log.last_seq, "more was acknowledged than sent", seq=seq, last_seq=log.last_seq)
        before = max(self.commit_seq, self.start_seq - 1)
        first = log.tail_first
        for record in log.tail[before + 1 - first : seq + 1 - first]:
            self._cost_committed += len(record.payload) + RECORD_COST_BYTES
        self.commit_seq = seq
        self.commit_tau = log.tail[seq - first].tau
        now = self._host.monotonic()
        sent, last = self._sent, 0.0
        while sent and sent[0][0] <= seq:
            last = sent.popleft()[1]
            self._observe_quorum(now - last)
        if self._sample_seq and seq >= self._sample_seq:
            if seq == self._sample_seq:
                self._lead.observe(now - self._sample_at)
            self._sample_seq = 0
        elif last:
            self._lead.queued(now - last)
        if len(log.tail) >= 512:
            self._let_go()
        self._on_commit(seq, self.commit_tau)

    def _let_go(self) -> None:
        """Forget records that every replica has; any committed ones when there are too many."""
        log, limits = self.log, self._limits
        keep = min(replica.match if self._counts(replica) else 0 for replica in self.replicas)
        if log.tail_bytes > limits.tail_bytes_max or len(log.tail) > limits.tail_records_max:
            keep = self.commit_seq
        keep = min(keep, self.commit_seq - 1)  # the last one stays: its tau is asked for
        if keep - log.tail_first >= 256:
            log.drop(keep)

    def _lose(self, why: str) -> None:
        if not self.over:
            self.over = True
            self._on_lost(why)
