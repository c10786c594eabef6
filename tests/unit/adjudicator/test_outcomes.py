"""Verdicts remembered, and the log read back for those of earlier epochs."""

from __future__ import annotations

import msgspec
import pytest
from fake_surroundings import FakeHost, FakeReplica, roster_of

from tausql.adjudicator.log import Log
from tausql.adjudicator.lookback import Lookback
from tausql.adjudicator.outcomes import Outcomes, Recovered
from tausql.adjudicator.readback import Readback
from tausql.protocol.adjudicator import Aborted, Reason, Transaction
from tausql.protocol.journal import Kind, LogPart, Record, Status
from tausql.protocol.tau import TAU_MAX, closing
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.check import InvariantViolation

EPOCH = (1, 9)


def txn(seq):
    return b"%016d" % seq


def record(seq, epoch=EPOCH):
    payload = msgspec.msgpack.encode(Transaction(txn(seq), 0, [], [], [], b"", b"", b""))
    return Record(epoch, seq, seq * 10, Kind.transaction, payload)


def test_a_verdict_is_final():
    outcomes = Outcomes()
    outcomes.remember(b"t", closing(10), Aborted(Reason.conflict))
    with pytest.raises(InvariantViolation):
        outcomes.remember(b"t", closing(10), 12345)


def test_verdicts_go_when_their_deadline_is_closed():
    outcomes = Outcomes()
    for second in range(1, 60):
        outcomes.remember(b"%d" % second, closing(second * 2_000_000), second)
    outcomes.prune(closing(60_000_000))
    kept = sorted(outcomes.verdicts.values())
    assert kept[-1] == 59
    assert kept[0] in (29, 30, 31)
    assert outcomes.forgotten <= closing(60_000_000) + 1
    assert all(outcomes.forgotten < closing(second * 2_000_000) for second in kept)


def test_too_many_verdicts_forget_the_earliest_deadlines():
    outcomes = Outcomes(count_max=100)
    for second in range(1, 1_000):
        outcomes.remember(b"%d" % second, closing(second * 2_000_000), second)
    assert len(outcomes.verdicts) <= 100
    assert outcomes.forgotten > closing(1_700_000_000)


def test_a_deadline_without_end_is_not_remembered_without_end():
    outcomes = Outcomes()
    outcomes.horizon = closing(10_000_000)
    outcomes.remember(b"t", TAU_MAX, 5)
    outcomes.prune(closing(12_000_000))
    assert outcomes.verdicts == {}
    assert outcomes.forgotten < closing(12_000_000)


def lookback_over(records, bytes_max=2_000):
    host = FakeHost()
    replicas = [FakeReplica(name) for name in "abc"]
    log = Log(((EPOCH, 1),), len(records), (0, 0), 0, 10_000)
    readback = Readback(roster_of(replicas), 0, log, 1, bytes_max)
    return host, replicas, Lookback(host, readback, Recovered(len(records), 0), list)


def serve(replica, records):
    request, done = replica.reads.popleft()
    taken, size = [], 0
    for one in records[request.seq - 1 :]:
        size += len(one.payload)
        if taken and size > request.bytes_max:
            break
        taken.append(one)
    done(LogPart(Status.ok, taken, EPOCH, len(records), 0, (0, 0), 0))


def test_reading_back_stops_at_the_snapshot_asked_for():
    records = [record(seq) for seq in range(1, 501)]
    _, replicas, lookback = lookback_over(records)
    lookback.want(4_000)
    while replicas[1].reads:
        serve(replicas[1], records)
    recovered = lookback.recovered
    assert recovered.covers(4_000)
    assert not recovered.covers(1_000)
    assert recovered.taus[txn(450)] == 4_500
    assert txn(100) not in recovered.taus
    lookback.want(0)
    while replicas[1].reads:
        serve(replicas[1], records)
    assert recovered.exhausted
    assert recovered.covers(0)
    assert len(recovered.taus) == 500


def test_a_failed_read_is_tried_again_later():
    records = [record(seq) for seq in range(1, 11)]
    host, replicas, lookback = lookback_over(records)
    lookback.want(0)
    replicas[1].reads.popleft()[1](Failure(Cause.unavailable))
    assert not replicas[1].reads
    host.pass_time(0.03)
    serve(replicas[1], records)
    assert lookback.recovered.covers(0)


def test_records_of_another_history_are_not_believed():
    records = [record(seq, (2, 1)) for seq in range(1, 11)]
    _, replicas, lookback = lookback_over(records)
    lookback.want(0)
    serve(replicas[1], records)
    assert not lookback.recovered.taus


def test_what_is_forgotten_is_no_longer_covered():
    recovered = Recovered(10, 0)
    recovered.take([record(seq) for seq in range(1, 11)])
    assert recovered.covers(0)
    recovered.forget(50)
    assert sorted(recovered.taus.values()) == [60, 70, 80, 90, 100]
    assert not recovered.covers(49)
    assert recovered.covers(51)


def test_an_empty_log_proves_absence():
    assert Recovered(0, 0).covers(0)
    assert not Recovered(5, 0).covers(0)
    assert not Recovered(5, 5).covers(0), "what was trimmed is unknown"
