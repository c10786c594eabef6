"""Nothing is said before its time; time is closed no further than it may be."""

from __future__ import annotations

from types import SimpleNamespace

from fake_surroundings import START_MICROS, FakeHost, FakeReply

from tausql.adjudicator.answers import Answers
from tausql.adjudicator.heartbeat import CALM_LEAD_MICROS, Heartbeat
from tausql.adjudicator.lead import Lead
from tausql.protocol.adjudicator import Committed, Unresolved
from tausql.protocol.tau import closing, commit_tau, micros_of


def _unheard(seconds):
    assert seconds >= 0.0


def answers_of(host):
    observed = []
    return Answers(host, observed.append, _unheard), observed


def test_an_answer_waits_for_the_majority_and_for_the_clock():
    host = FakeHost()
    answers, observed = answers_of(host)
    reply = FakeReply()
    tau = commit_tau(START_MICROS + 3_000, 0)
    answers.hold(1, tau, reply)
    host.pass_time(0.01)
    assert reply.answers == [], "no majority yet"
    answers.committed(1)
    assert reply.answers == [Committed(tau)]
    assert observed == [0.01]


def test_the_clock_alone_holds_an_answer_until_every_clock_has_passed():
    host = FakeHost()
    answers, _ = answers_of(host)
    reply = FakeReply()
    answers.hold(1, commit_tau(START_MICROS + 3_000, 0), reply)
    answers.committed(1)
    host.pass_time(0.003_019)
    assert reply.answers == [], "earliest has not passed it yet"
    host.pass_time(0.000_01)
    assert len(reply.answers) == 1


def test_a_timer_that_fires_early_tells_nothing_early():
    host = FakeHost()
    later = host.later
    host.later = lambda seconds, function, *arguments: later(seconds * 0.5, function, *arguments)
    answers, _ = answers_of(host)
    reply = FakeReply()
    tau = commit_tau(START_MICROS + 5_000, 0)
    answers.hold(1, tau, reply)
    answers.committed(1)
    while not reply.answers:
        assert host.clock.now().earliest <= micros_of(tau)
        host.pass_time(0.000_05)
    assert host.clock.now().earliest > micros_of(tau)


def test_one_timer_serves_all_in_order():
    host = FakeHost()
    answers, _ = answers_of(host)
    replies = [FakeReply() for _ in range(20)]
    for seq, reply in enumerate(replies, 1):
        answers.hold(seq, commit_tau(START_MICROS + seq * 1_000, 0), reply)
    answers.committed(15)
    host.pass_time(0.010_5)
    assert [len(reply.answers) for reply in replies] == [1] * 10 + [0] * 10
    host.pass_time(0.1)
    assert [len(reply.answers) for reply in replies] == [1] * 15 + [0] * 5
    assert len(answers) == 5


def test_a_lost_stream_leaves_what_is_in_flight_unresolved():
    host = FakeHost()
    answers, _ = answers_of(host)
    replies = [FakeReply() for _ in range(3)]
    for seq, reply in enumerate(replies, 1):
        answers.hold(seq, commit_tau(START_MICROS + seq, 0), reply)
    answers.abandon()
    assert all(reply.answers == [Unresolved()] for reply in replies)
    host.pass_time(1.0)
    assert all(len(reply.answers) == 1 for reply in replies)


def test_an_unsure_clock_holds_answers_back():
    host = FakeHost()
    answers, _ = answers_of(host)
    reply = FakeReply()
    answers.hold(1, commit_tau(START_MICROS, 0), reply)
    host.clock.ready = False
    answers.committed(1)
    host.pass_time(1.0)
    assert reply.answers == []
    host.clock.ready = True
    host.pass_time(0.01)
    assert len(reply.answers) == 1


class Beats:
    """A heartbeat over a judge and a proposer made of plain numbers."""

    def __init__(self, limit=10_000_000, lead=1_000):
        self.host = FakeHost()
        self.judge = SimpleNamespace(highest=0, limit=closing(START_MICROS + limit))
        self.proposer = SimpleNamespace(epoch=(1, 1), log=SimpleNamespace(last_seq=5), commit_seq=3)
        self.out = []
        self.heartbeat = Heartbeat(self.host, 2, self.judge, self.proposer, Lead(lead, 0), self.out.append)

    def start(self):
        self.heartbeat.start()
        return self


def test_a_beat_counts_records_in_flight_and_closes_one_lead_ahead():
    beats = Beats()
    beats.heartbeat.wrote()
    (beat,) = beats.start().out
    assert (beat.stream, beat.epoch, beat.n, beat.commit_seq) == (2, (1, 1), 5, 3)
    assert beat.tau == closing(START_MICROS + 20 + 1_000)
    assert beats.judge.highest == beat.tau, "nothing may be assigned at or below it"


def test_where_nobody_writes_time_is_closed_further_ahead():
    (beat,) = Beats().start().out
    assert beat.tau == closing(START_MICROS + 20 + CALM_LEAD_MICROS)


def test_a_beat_covers_what_was_assigned_further_ahead():
    beats = Beats()
    beats.judge.highest = commit_tau(START_MICROS + 500_000, 2)
    beats.start()
    assert beats.out[0].tau == closing(START_MICROS + 500_000)


def test_nothing_is_closed_above_the_limit():
    beats = Beats(limit=300).start()
    assert beats.out[0].tau == closing(START_MICROS + 300)
    beats.judge.limit = 0
    beats.judge.highest = closing(START_MICROS)
    beats.heartbeat.now()
    assert len(beats.out) == 1, "the limit lies below what was assigned: nothing can be closed"


def test_idle_streams_beat_slowly_and_busy_ones_often():
    beats = Beats(limit=100_000_000).start()
    beats.host.pass_time(10.0)
    assert 10 <= len(beats.out) <= 12
    beats.out.clear()
    beats.heartbeat.busy()
    beats.host.pass_time(0.1)
    assert 15 <= len(beats.out) <= 22
    beats.host.pass_time(0.1)
    beats.out.clear()
    beats.host.pass_time(3.0)
    assert len(beats.out) <= 4
    taus = [beat.tau for beat in beats.out]
    assert taus == sorted(taus)


def test_a_nudge_is_answered_at_once_unless_it_is_covered():
    beats = Beats().start()
    beats.heartbeat.want(closing(START_MICROS))
    assert len(beats.out) == 1
    beats.heartbeat.want(closing(START_MICROS + 9_000))
    assert beats.out[-1].tau == closing(START_MICROS + 9_000)
    beats.heartbeat.want(closing(START_MICROS + 99_000_000))
    assert beats.out[-1].tau == beats.judge.limit, "up to the limit only"


def test_an_unsure_clock_closes_nothing():
    beats = Beats()
    beats.host.clock.ready = False
    beats.start()
    assert beats.out == []


def test_a_ceiling_holds():
    beats = Beats().start()
    beats.judge.highest = commit_tau(START_MICROS + 7_000, 2)
    beats.heartbeat.ceiling = beats.judge.highest
    beats.host.pass_time(5.0)
    assert max(beat.tau for beat in beats.out) == beats.heartbeat.ceiling


def test_waiting_for_the_clock_is_measured_from_the_majority_on():
    host = FakeHost()
    waited = []
    answers = Answers(host, _unheard, waited.append)
    at_once, late = FakeReply(), FakeReply()
    answers.hold(1, commit_tau(START_MICROS + 500, 0), at_once)
    host.pass_time(0.002)
    answers.committed(1)
    answers.hold(2, commit_tau(START_MICROS + 10_000, 0), late)
    answers.committed(2)
    host.pass_time(0.02)
    assert len(at_once.answers) == len(late.answers) == 1
    assert waited[0] == 0.0
    assert 0.007 < waited[1] < 0.02
