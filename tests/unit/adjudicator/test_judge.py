"""Verdicts, and the taus that commits get."""

from __future__ import annotations

import pytest

from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.lead import Lead
from tausql.adjudicator.placement import EVERYTHING, Owned
from tausql.adjudicator.schema import SchemaChanges
from tausql.protocol import journal
from tausql.protocol.adjudicator import Aborted, Commit, Reason
from tausql.protocol.tau import TAU_MAX, closing, micros_of, stream_of

NOW = 5_000_000
FLOOR = closing(1_000_000)


def judge_of(stream=3, ranges=EVERYTHING, lead=1_000):
    judge = Judge(stream, FLOOR, Owned(ranges), Lead(lead), Conflicts(FLOOR), SchemaChanges(FLOOR))
    judge.limit = closing(NOW + 1_000_000)
    return judge


def commit(tau_start=NOW, writes=(b"k",), shares=(), schema=(), changes=(), deadline=TAU_MAX, txn=b"t", low=b""):
    return Commit(
        txn,
        closing(tau_start),
        deadline,
        3,
        (1, 1),
        list(writes),
        list(shares),
        list(schema),
        list(changes),
        low,
        low,
        b"",
    )


def test_a_tau_lies_one_lead_ahead_of_now_and_names_its_stream():
    tau = judge_of().judge(commit(NOW - 10), NOW)
    assert (micros_of(tau), stream_of(tau)) == (NOW + 1_000, 3)


def test_taus_rise_when_the_clock_stands_still():
    judge = judge_of()
    taus = [judge.judge(commit(NOW - 1, [b"%d" % number]), NOW) for number in range(100)]
    assert taus == sorted(set(taus))


def test_a_tau_lies_above_a_snapshot_from_the_future():
    tau = judge_of().judge(commit(NOW + 500_000), NOW)
    assert micros_of(tau) == NOW + 500_001


def test_a_tau_lies_above_closed_time():
    judge = judge_of()
    judge.highest = closing(NOW + 30_000)
    assert judge.judge(commit(), NOW) > closing(NOW + 30_000)


def test_members_of_a_batch_meet_the_earlier_ones():
    judge = judge_of()
    assert isinstance(judge.judge(commit(NOW - 5), NOW), int)
    refused = judge.judge(commit(NOW - 5, txn=b"u"), NOW)
    assert (refused.reason, refused.key) == (Reason.conflict, b"k")


def test_a_commit_above_the_limit_waits_and_leaves_nothing_behind():
    judge = judge_of()
    judge.limit = closing(NOW + 999)
    assert judge.judge(commit(), NOW) is None
    assert judge.highest == FLOOR
    judge.limit = closing(NOW + 1_000)
    assert isinstance(judge.judge(commit(), NOW), int)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (commit(micros_of(FLOOR)), Reason.floor),
        (commit(deadline=closing(NOW + 999)), Reason.deadline),
        (commit(tau_start=NOW + 2_000_000, deadline=closing(NOW + 1_999_999)), Reason.deadline),
    ],
)
def test_refusals(request_, reason):
    judge = judge_of()
    refused = judge.judge(request_, NOW)
    assert isinstance(refused, Aborted)
    assert refused.reason == reason
    assert judge.highest == FLOOR
    assert refused.floor == (FLOOR if reason == Reason.floor else 0)


def test_keys_outside_the_ranges_are_refused():
    judge = judge_of(ranges=(journal.Owned(b"b", b"d"), journal.Owned(b"m", b"")))
    for writes, shares in (([b"a"], []), ([b"c"], [b"d"]), ([], [b"e"])):
        assert judge.judge(commit(writes=writes, shares=shares), NOW).reason == Reason.wrong_shard
    assert isinstance(judge.judge(commit(writes=[b"b", b"cz", b"zz"]), NOW), int)
    assert judge_of(ranges=()).judge(commit(), NOW).reason == Reason.wrong_shard


def test_ranges_may_not_overlap():
    with pytest.raises(ValueError, match="overlap"):
        Owned((journal.Owned(b"a", b""), journal.Owned(b"b", b"c")))


def test_a_range_has_a_floor_of_its_own():
    floor = closing(NOW - 50)
    judge = judge_of(ranges=(journal.Owned(b"a", b"d"), journal.Owned(b"d", b"m", floor)))
    assert isinstance(judge.judge(commit(NOW - 50, writes=[b"b"]), NOW), int)
    for writes, shares in (([b"d"], []), ([b"a", b"e"], []), ([], [b"l"])):
        assert judge.judge(commit(NOW - 50, writes=writes, shares=shares), NOW) == Aborted(Reason.floor, floor)
    assert isinstance(judge.judge(commit(NOW - 49, writes=[b"d"]), NOW), int)


def test_many_keys_are_told_from_strangers_as_few_are():
    ranges = (journal.Owned(b"b", b"d"), journal.Owned(b"f", b"h"))
    owned = Owned(ranges)
    for first in (b"b", b"f", b"g"):
        assert owned.stranger([first, *(b"b%d" % number for number in range(9))]) is None
    assert owned.stranger([b"c", *(b"c%d" % number for number in range(9)), b"d"]) == b"d"
    assert owned.stranger([*(b"g%d" % number for number in range(9)), b"a"]) == b"a"
    assert owned.stranger([b"e"] * 9) == b"e"
    assert Owned(()).stranger([b"e"] * 9) == b"e"
    assert Owned(()).stranger([]) is None


def test_a_schema_change_refuses_who_relied_on_the_old_one():
    judge = judge_of()
    changed = judge.judge(commit(NOW - 100, [b"catalogue"], schema=[0, 7], changes=[0, 7]), NOW)
    assert isinstance(changed, int)
    assert judge.judge(commit(NOW - 100, [b"x"], schema=[7]), NOW).reason == Reason.schema
    assert isinstance(judge.judge(commit(NOW - 100, [b"y"], schema=[8]), NOW), int)
    # Another schema change of the cluster, of another relation: both list relation 0.
    assert judge.judge(commit(NOW - 100, [b"z"], schema=[0, 9], changes=[0, 9]), NOW).reason == Reason.schema
    assert isinstance(judge.judge(commit(micros_of(changed), [b"x"], schema=[7]), NOW), int)


def test_a_schema_change_of_one_cluster_leaves_the_others_alone():
    judge = judge_of()
    one, other = (1).to_bytes(4, "big"), (2).to_bytes(4, "big")
    changed = judge.judge(commit(NOW - 100, [one + b"catalogue"], schema=[0, 7], changes=[0, 7], low=one + b"c"), NOW)
    assert isinstance(changed, int)
    assert isinstance(judge.judge(commit(NOW - 100, [other + b"x"], schema=[7], low=other + b"x"), NOW), int)
    late = commit(NOW - 100, [other + b"catalogue"], schema=[0, 7], changes=[0, 7], low=other + b"c")
    assert isinstance(judge.judge(late, NOW), int)
    assert judge.judge(commit(NOW - 100, [one + b"x"], schema=[7], low=one + b"x"), NOW).reason == Reason.schema


def test_many_schema_changes_raise_the_floor():
    changes = SchemaChanges(0, relations_max=10)
    for relation in range(30):
        changes.record(closing(relation + 1), b"", [relation])
    assert len(changes) == 10
    assert changes.floor == closing(20)
    changes.forget(closing(25))
    assert len(changes) == 5
    assert changes.find(closing(26), b"", [25, 26]) == 26


def test_the_lead_follows_unqueued_appends_within_its_cap():
    lead = Lead(1_000, 200, 50_000)
    for _ in range(60):
        lead.observe(0.0005)
    assert 690 <= lead.micros <= 710
    lead.observe(0.2)
    assert lead.micros < 1_100, "one slow append says little"
    for _ in range(200):
        lead.observe(0.2)
    assert lead.micros == 50_000
