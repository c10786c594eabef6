"""What may be forgotten, and who has to be told that somebody waits."""

from __future__ import annotations

import pytest

from tausql.crossbar.nudges import REPEAT_SECONDS, Nudges
from tausql.crossbar.trimming import Trimming
from tausql.protocol.adjudicator import Nudge
from tausql.protocol.crossbar import Cursor, Durable
from tausql.protocol.tau import closing

EPOCH = (1, 1)


def report(replica: str, watermark: int, seq: int, low: bytes = b"", high: bytes = b"", streams=(0,)) -> Durable:
    ranges = ((low, high),)
    return Durable(replica, replica[-1], ranges, watermark, tuple(Cursor(one, EPOCH, seq) for one in streams))


def seqs(points) -> dict[int, int]:
    return {cursor.stream: cursor.seq for cursor in points}


@pytest.fixture
def trimming() -> Trimming:
    return Trimming(2, 120.0)


def test_two_zones_must_hold_it(trimming):
    trimming.report(report("s-a", 50, 10), 0.0)
    assert trimming.trim_points(100, 0.0) == []
    trimming.report(report("s-b", 60, 20), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 10}


def test_two_replicas_of_one_zone_are_one_zone(trimming):
    trimming.report(report("s1-a", 50, 10), 0.0)
    trimming.report(report("s2-a", 50, 20), 0.0)
    assert trimming.trim_points(100, 0.0) == []


def test_every_replica_heard_from_lately_holds_the_log(trimming):
    for name, seq in (("s-a", 30), ("s-b", 20), ("s-c", 5)):
        trimming.report(report(name, 50, seq), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 5}
    for name, seq in (("s-a", 30), ("s-b", 20)):
        trimming.report(report(name, 60, seq), 200.0)
    assert seqs(trimming.trim_points(100, 200.0)) == {0: 20}


def test_a_replica_that_is_gone_vouches_for_nothing(trimming):
    trimming.report(report("s-a", 50, 30), 0.0)
    trimming.report(report("s-b", 50, 20), 200.0)
    assert trimming.trim_points(100, 200.0) == []


def test_never_inside_the_window(trimming):
    for name in ("s-a", "s-b"):
        for watermark in range(10, 100, 10):
            trimming.report(report(name, watermark, watermark), 0.0)
    assert seqs(trimming.trim_points(55, 0.0)) == {0: 50}
    assert trimming.trim_points(55, 0.0) == []
    assert seqs(trimming.trim_points(70, 0.0)) == {0: 70}


def test_a_new_replica_holds_everything_until_it_has_a_report_outside_the_window(trimming):
    for name in ("s-a", "s-b"):
        trimming.report(report(name, 50, 10), 0.0)
    trimming.report(report("s-c", 90, 80), 0.0)
    assert trimming.trim_points(60, 0.0) == []
    trimming.report(Durable("s-c", "c", ((b"", b""),), 0, ()), 0.0)
    assert trimming.trim_points(60, 0.0) == []


def test_every_range_must_be_reported(trimming):
    for name in ("s1-a", "s1-b"):
        trimming.report(report(name, 50, 10, high=b"m"), 0.0)
    assert trimming.trim_points(100, 0.0) == []
    for name in ("s2-a", "s2-b"):
        trimming.report(report(name, 50, 7, low=b"n"), 0.0)
    assert trimming.trim_points(100, 0.0) == []
    for name in ("s3-a", "s3-b"):
        trimming.report(report(name, 50, 9, low=b"m", high=b"n"), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 7}


def ranged(replica: str, watermark: int, seq: int, *ranges) -> Durable:
    return Durable(replica, replica[-1], ranges, watermark, (Cursor(0, EPOCH, seq),))


def test_ranges_may_be_cut_differently_everywhere(trimming):
    trimming.report(ranged("s1-a", 50, 40, (b"", b"m")), 0.0)
    trimming.report(ranged("s2-a", 50, 30, (b"m", b"")), 0.0)
    trimming.report(ranged("s1-b", 50, 20, (b"", b"f"), (b"t", b"")), 0.0)
    assert trimming.trim_points(100, 0.0) == [], "nobody else has what lies from f to t"
    trimming.report(ranged("s1-c", 50, 50, (b"d", b"v")), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 20}
    trimming.report(ranged("s1-b", 60, 45, (b"", b"f"), (b"t", b"")), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 30}


def test_a_range_counts_from_its_first_report_on(trimming):
    trimming.report(ranged("s-a", 50, 10, (b"", b"")), 0.0)
    trimming.report(ranged("s-b", 50, 10, (b"", b"m")), 0.0)
    trimming.report(ranged("s-b", 60, 12, (b"", b"")), 0.0)
    assert trimming.trim_points(55, 0.0) == [], "at 50 it did not have everything"
    assert seqs(trimming.trim_points(65, 0.0)) == {0: 10}


def test_what_is_given_up_does_not_count_any_more(trimming):
    for name in ("s-a", "s-b"):
        trimming.report(ranged(name, 50, 10, (b"", b"")), 0.0)
    trimming.report(ranged("s-b", 80, 20, (b"", b"m")), 0.0)
    assert trimming.trim_points(60, 0.0) == []


def test_who_takes_a_checkpoint_holds_the_log_and_vouches_for_nothing(trimming):
    trimming.report(ranged("s-a", 50, 30, (b"", b"")), 0.0)
    trimming.report(ranged("s-b", 50, 10), 0.0)
    assert trimming.trim_points(60, 0.0) == []
    trimming.report(ranged("s-c", 50, 40, (b"", b"")), 0.0)
    assert seqs(trimming.trim_points(60, 0.0)) == {0: 10}
    trimming.report(Durable("s-b", "b", (), 50, ()), 0.0)
    assert seqs(trimming.trim_points(60, 0.0)) == {0: 30}, "it needs nothing any more"


def test_the_zones_needed_only_rise():
    trimming = Trimming(1, 120.0)
    trimming.report(report("s-a", 50, 10), 0.0)
    assert trimming.zones_needed == 1
    trimming.report(report("s-b", 50, 12), 0.0)
    assert trimming.zones_needed == 2
    trimming.report(report("s-a", 60, 20), 500.0)
    assert trimming.trim_points(100, 500.0) == [], "one zone is not enough, though the other is silent"


def test_the_slowest_replica_that_speaks_is_told():
    trimming = Trimming(2, 120.0)
    second = 1_000_000
    for at in range(6):
        trimming.report(report("s-a", closing((100 + at) * second), at), float(at), (101 + at) * second)
        trimming.report(report("s-b", closing(50 * second), 1), float(at), (101 + at) * second)
        lag = trimming.lag_micros(float(at))
        assert lag == (0 if at < 2 else (51 + at - 2) * second), "one late report says nothing"
    assert trimming.lag_micros(500.0) == 0
    trimming.report(report("s-b", closing(600 * second), 1), 501.0, 601 * second)
    assert trimming.lag_micros(501.0) == second


def test_streams_somebody_does_not_name_stay(trimming):
    trimming.report(report("s-a", 50, 10, streams=(0, 1)), 0.0)
    trimming.report(report("s-b", 50, 12), 0.0)
    assert seqs(trimming.trim_points(100, 0.0)) == {0: 10}


def test_one_nudge_a_stream_at_a_time():
    nudges = Nudges()
    closed = {0: 10, 1: 30}
    assert nudges.want(20, closed, 0.0) == [Nudge(0, 20)]
    assert nudges.want(20, closed, 0.001) == []
    assert nudges.want(15, closed, 0.001) == []
    assert nudges.want(40, closed, 0.002) == [Nudge(0, 40), Nudge(1, 40)]
    assert nudges.want(40, closed, 0.003 + REPEAT_SECONDS) == [Nudge(0, 40), Nudge(1, 40)]
    assert nudges.want(40, {0: 40, 1: 50}, 9.0) == []
    assert nudges.wanted == 40
