"""The proposer against replicas that answer by hand."""

from __future__ import annotations

import pytest
from fake_surroundings import FakeHost, FakeReplica, roster_of

from tausql.adjudicator.lead import Lead
from tausql.adjudicator.log import Log
from tausql.adjudicator.metrics import AdjudicatorMetrics
from tausql.adjudicator.proposer import Proposer, ProposerLimits
from tausql.adjudicator.readback import Readback
from tausql.protocol.journal import NO_EPOCH, Kind, LogPart, Record, Status
from tausql.protocol.tau import closing
from tausql.runtime.check import InvariantViolation

OLD, EPOCH = (1, 5), (2, 6)


class Bench:
    """A proposer that adopted `adopted` records of epoch OLD, and three replicas."""

    def __init__(self, adopted=0, source=0, **limits):
        self.host = FakeHost()
        self.replicas = [FakeReplica(name) for name in "abc"]
        self.roster = roster_of(self.replicas)
        history = ((OLD, 1),) if adopted else ()
        self.log = Log(history, adopted, NO_EPOCH, 0, adopted)
        self.lead = Lead(1_000, 0)
        self.commits, self.limits, self.lost = [], [], []
        self.metrics = AdjudicatorMetrics()
        self.proposer = Proposer(
            self.host,
            self.roster,
            0,
            EPOCH,
            self.log,
            Readback(self.roster, 0, self.log, source),
            self.lead,
            ProposerLimits(**limits),
            lambda seq, tau: self.commits.append((seq, tau)),
            self.limits.append,
            self.lost.append,
            self.metrics,
        )

    def begin(self):
        self.proposer.ask(closing(1_000))
        self.write(1_000, Kind.epoch_start)
        return self

    def write(self, tau, kind=Kind.transaction, payload=b"p"):
        seq = self.proposer.enqueue(tau, kind, payload)
        self.proposer.flush()
        return seq

    def answer(self, *names, **answer):
        answer.setdefault("promised", EPOCH)
        return [self.replicas["abc".index(name)].answer(**answer) for name in names]

    def all_answer(self):
        for replica in self.replicas:
            while replica.sent:
                replica.answer(promised=EPOCH)


def test_committed_means_on_a_majority():
    bench = Bench().begin()
    bench.answer("a")
    assert bench.commits == []
    bench.answer("c")
    assert bench.commits == [(1, 1_000)]
    bench.answer("b")
    assert bench.commits == [(1, 1_000)]
    bench.write(1_001)
    bench.answer("b", "c")
    assert bench.commits[-1] == (2, 1_001)


def test_one_encoding_serves_replicas_at_the_same_position():
    bench = Bench().begin()
    sent = [replica.sent[0][0] for replica in bench.replicas]
    assert sent[0] is sent[1] is sent[2]


def test_an_append_follows_what_was_adopted():
    bench = Bench(adopted=4).begin()
    append = bench.replicas[0].sent[0][0]
    assert (append.previous_epoch, append.previous_seq) == (OLD, 4)
    assert [record.seq for record in append.records] == [5]


def test_a_limit_is_usable_once_a_majority_holds_it():
    bench = Bench().begin()
    bench.answer("a")
    assert bench.limits == []
    bench.answer("b")
    assert bench.limits == [closing(1_000)]
    bench.proposer.ask(closing(2_000))
    bench.proposer.flush()
    assert all(replica.sent[-1][0].records == [] for replica in bench.replicas[:2]), "an append without records"
    bench.answer("b", limit=closing(9_000))  # somebody else's higher limit is not ours
    bench.answer("a")
    assert bench.limits[-1] == closing(2_000)


def test_appends_are_pipelined_up_to_a_bound_and_then_batched():
    bench = Bench(in_flight_max=3).begin()
    for number in range(10):
        bench.write(2_000 + number)
    assert [len(replica.sent) for replica in bench.replicas] == [3, 3, 3]
    bench.answer("a")
    assert [record.seq for record in bench.replicas[0].sent[-1][0].records] == list(range(4, 12))


def test_one_append_holds_no_more_than_its_bounds():
    bench = Bench(append_bytes_max=100, in_flight_max=2).begin()
    bench.all_answer()
    for number in range(6):
        bench.proposer.enqueue(2_000 + number, Kind.transaction, b"x" * 60)
    bench.proposer.enqueue(3_000, Kind.transaction, b"x" * 500)
    bench.proposer.flush()
    sizes = []
    while bench.replicas[0].sent:
        sizes.append([len(record.payload) for record in bench.answer("a")[0].records])
    assert sizes == [[60], [60], [60], [60], [60], [60], [500]]


def test_a_lost_append_is_sent_again():
    bench = Bench().begin()
    bench.replicas[0].fail()
    assert not bench.replicas[0].sent
    bench.host.pass_time(0.06)
    assert bench.replicas[0].sent[0][0].records[0].seq == 1
    bench.answer("a", "b")
    assert bench.commits == [(1, 1_000)]


def test_a_silent_replica_gets_one_small_append_at_a_time_and_ever_fewer():
    bench = Bench(append_bytes_max=1 << 20).begin()
    bench.all_answer()
    for number in range(40):
        bench.proposer.enqueue(2_000 + number, Kind.transaction, b"x" * 10_000)
    bench.proposer.flush()
    sizes, began = [], bench.host.now
    for _ in range(8):
        sizes.append(len(bench.replicas[0].fail().records))
        while not bench.replicas[0].sent:
            bench.host.pass_time(0.01)
        assert len(bench.replicas[0].sent) == 1
    assert sizes == [40] + [6] * 7
    assert 1.9 < bench.host.now - began < 3.0
    bench.answer("a")
    assert [len(append.records) for append, _ in bench.replicas[0].sent] == [34], "trusted again"


def test_a_gap_sends_back_to_the_hint_once():
    bench = Bench().begin()
    bench.all_answer()
    for number in range(4):
        bench.write(2_000 + number)
    replica = bench.replicas[0]
    lost = replica.sent.popleft()  # the first of four never arrives; the others do not match
    bench.answer("a", status=Status.gap, seq=1)
    bench.answer("a", status=Status.gap, seq=1)
    bench.answer("a", status=Status.gap, seq=1)
    assert len(replica.sent) == 1, "one resend, not three"
    assert [record.seq for record in replica.sent[0][0].records] == [2, 3, 4, 5]
    bench.answer("a")
    assert bench.proposer.replicas[0].match == 5
    assert lost[0].previous_seq == 1


def test_a_diverging_replica_is_led_back_to_where_it_agrees():
    bench = Bench(adopted=20, source=1).begin()
    bench.answer("b", "c")  # committed
    replica = bench.replicas[0]
    bench.answer("a", status=Status.gap, seq=25)  # longer than ours, and of another epoch
    asked = []
    for _ in range(10):
        holders = [other for other in bench.replicas if other.reads]
        if not holders:
            break
        (request, done) = holders[0].reads.popleft()
        asked.append(request.seq)
        records = [Record(OLD, seq, seq, Kind.transaction, b"") for seq in range(request.seq, 21)]
        records.append(bench.log.tail[0])
        done(LogPart(Status.ok, records, EPOCH, 21, 21, NO_EPOCH, 0))
        append = replica.sent[0][0]
        if append.previous_seq > 12:
            bench.answer("a", status=Status.gap, seq=25)
        else:
            bench.answer("a")
    assert asked == [20, 18, 14, 6]
    assert bench.proposer.replicas[0].match == 21


def test_a_fence_ends_everything_at_once():
    bench = Bench().begin()
    bench.answer("a", status=Status.fenced, promised=(9, 1))
    assert len(bench.lost) == 1
    assert bench.proposer.over
    bench.answer("b", "c")
    assert bench.commits == []
    bench.proposer.flush()
    assert not any(replica.sent for replica in bench.replicas)


def test_a_newer_incarnation_voids_what_the_old_one_acknowledged():
    bench = Bench().begin()
    bench.answer("a")
    bench.replicas[1].known = (2, 1, 1)  # b has heard of a new disk of a's
    bench.answer("b")
    assert bench.commits == []
    assert bench.limits == []
    bench.answer("c")
    assert bench.commits == [(1, 1_000)]
    bench.replicas[0].incarnation = 2
    bench.write(1_001)
    bench.answer("a", status=Status.learner)
    bench.answer("b")
    assert bench.commits == [(1, 1_000)]
    bench.host.pass_time(1.1)
    bench.answer("a")
    assert bench.commits[-1] == (2, 1_001)


def test_an_answer_of_an_old_incarnation_counts_for_nothing():
    bench = Bench().begin()
    bench.replicas[1].known = (2, 1, 1)
    bench.answer("b")
    bench.answer("a")  # of incarnation 1
    assert bench.commits == []


def test_a_replica_that_refuses_limits_still_gets_records():
    bench = Bench().begin()
    bench.all_answer()
    bench.proposer.ask(closing(90_000))
    bench.write(2_000)
    bench.answer("a", status=Status.limit_refused)
    append = bench.answer("a")[0]
    assert append.limit == 0
    assert [record.seq for record in append.records] == [2]
    bench.host.pass_time(1.1)
    bench.proposer.flush()
    assert bench.replicas[0].sent[0][0].limit == closing(90_000), "asked again after a while"


def test_epoch_start_never_travels_without_its_limit():
    bench = Bench().begin()
    for _ in range(3):
        bench.answer("a", status=Status.limit_refused)
        bench.host.pass_time(0.06)
    assert bench.replicas[0].sent[0][0].limit == closing(1_000)


def test_full_is_said_when_a_majority_is():
    bench = Bench().begin()
    bench.all_answer()
    bench.write(2_000)
    bench.answer("a", status=Status.full)
    assert not bench.proposer.full
    bench.answer("b", status=Status.full)
    assert bench.proposer.full
    bench.host.pass_time(0.3)
    bench.answer("b")
    assert not bench.proposer.full


def test_room_is_bounded_by_records_and_bytes():
    bench = Bench(uncommitted_max=3).begin()
    bench.all_answer()
    for number in range(3):
        assert bench.proposer.room
        bench.write(2_000 + number)
    assert not bench.proposer.room
    bench.all_answer()
    assert bench.proposer.room
    narrow = Bench(uncommitted_bytes_max=2_000).begin()
    narrow.all_answer()
    narrow.write(2_000, payload=b"x" * 2_000)
    assert not narrow.proposer.room
    narrow.all_answer()
    assert narrow.proposer.room


def test_a_laggard_catches_up_from_another_disk_when_memory_has_moved_on():
    bench = Bench(tail_records_max=300).begin()
    bench.all_answer()
    everything = [bench.log.tail[0]]
    for number in range(1_500):
        seq = bench.write(2_000 + number)
        everything.append(bench.log.tail[seq - bench.log.tail_first])
        if number == 0:
            bench.replicas[2].sent.clear()
        bench.answer("a", "b")
        bench.replicas[2].sent.clear()  # c hears nothing
    assert bench.log.tail_first > 500
    lagging = bench.proposer.replicas[2]
    lagging.in_flight = 0
    bench.proposer._back(lagging, 2, 0.01)
    bench.host.pass_time(0.02)
    for _ in range(100):
        for holder in bench.replicas[:2]:
            if holder.reads:
                request, done = holder.reads.popleft()
                part = everything[request.seq - 1 : request.seq + 199]
                done(LogPart(Status.ok, part, EPOCH, len(everything), 0, NO_EPOCH, 0))
        bench.all_answer()
    assert lagging.match == len(everything)


def test_the_lead_is_measured_on_appends_that_found_nothing_in_flight():
    bench = Bench().begin()
    bench.all_answer()
    bench.host.now += 1.0
    before = bench.lead.micros
    bench.write(2_000)
    bench.host.now += 0.0001
    bench.write(2_001)  # queued behind the first
    bench.host.now += 0.4
    bench.all_answer()
    assert bench.lead.micros >= before
    for number in range(30):
        bench.write(3_000 + number)
        bench.host.now += 0.0003
        bench.all_answer()
    assert 290 <= bench.lead.micros <= 320


def test_a_replica_behind_the_trim_point_is_left_to_find_its_base():
    bench = Bench(adopted=50, source=1).begin()
    bench.answer("b", "c")
    bench.answer("a", status=Status.gap, seq=10)
    request, done = next(replica for replica in bench.replicas if replica.reads).reads.popleft()
    assert request.seq == 11
    done(LogPart(Status.trimmed, [], EPOCH, 51, 51, OLD, 30))
    bench.host.pass_time(0.12)
    for _ in range(3):
        for holder in bench.replicas:
            if holder.reads:
                request, done = holder.reads.popleft()
                assert request.seq == 31
                records = [Record(OLD, seq, seq, Kind.transaction, b"") for seq in range(31, 51)]
                done(LogPart(Status.ok, records, EPOCH, 51, 51, OLD, 30))
        assert len(bench.replicas[0].sent) == 1
        bench.answer("a", status=Status.gap, seq=10)
        assert not bench.replicas[0].sent, "asked again after a rest, not in a circle"
        bench.host.pass_time(1.05)
    holder = next(replica for replica in bench.replicas if replica.reads)
    request, done = holder.reads.popleft()
    done(LogPart(Status.ok, [*records, bench.log.tail[0]], EPOCH, 51, 51, OLD, 30))
    bench.answer("a")  # it has taken (30, OLD) as its base meanwhile
    assert bench.proposer.replicas[0].match == 51


def test_taus_of_a_log_rise():
    bench = Bench().begin()
    with pytest.raises(InvariantViolation):
        bench.write(1_000)


def test_the_epoch_of_any_position_is_known():
    log = Log((((1, 1), 3), ((4, 2), 7)), 9, (1, 1), 4, 0)
    assert [log.epoch_at(seq) for seq in (4, 5, 6, 7, 9)] == [(1, 1), (1, 1), (1, 1), (4, 2), (4, 2)]
    assert log.append((5, 1), 10, Kind.epoch_start, b"") == 10
    assert log.epoch_at(10) == (5, 1)
    empty = Log((), 0, NO_EPOCH, 0, 0)
    assert empty.epoch_at(0) == NO_EPOCH
    trimmed = Log((), 19, (3, 3), 19, 0)
    assert trimmed.epoch_at(19) == (3, 3)


def test_ways_to_each_replica_and_to_a_majority_are_measured():
    bench = Bench().begin()
    bench.host.pass_time(0.001)
    bench.answer("a")
    assert bench.metrics.quorum_seconds.count == 0
    bench.host.pass_time(0.004)
    bench.answer("c")
    assert bench.metrics.quorum_seconds.count == 1
    assert bench.metrics.quorum_seconds.sum == pytest.approx(0.005)
    bench.host.pass_time(0.010)
    bench.answer("b")
    seconds = [bench.metrics.append_seconds[replica.name].sum for replica in bench.replicas]
    assert seconds == pytest.approx([0.001, 0.015, 0.005])
    assert bench.metrics.quorum_seconds.count == 1
