"""Rounds of votes: who is asked, what the votes leave, who is told what and when."""

from __future__ import annotations

import pytest
from fake_surroundings import FakeReply

from tausql.adjudicator.coordinator import Coordinator
from tausql.protocol.adjudicator import Aborted, Commit, Part, Reason, Settle, Voted
from tausql.protocol.tau import TAU_MAX
from tausql.rpc.interface import Cause, Failure

EPOCH = (4, 1)


class FakeColleagues:
    def __init__(self):
        self.asked = []  # (Vote, done)
        self.told = []

    def vote(self, request, done):
        self.asked.append((request, done))

    def settle(self, verdict):
        self.told.append(verdict)

    def answer(self, stream, message):
        next(done for request, done in self.asked if request.stream == stream)(message)


class Rounds:
    def __init__(self):
        self.colleagues = FakeColleagues()
        self.decided, self.refused = [], []
        self.coordinator = Coordinator(0, EPOCH, self.colleagues, self.decided.append, self.refuse)

    def refuse(self, one, aborted):
        self.refused.append((one.request.txn, aborted))
        self.coordinator.aborted(one)

    def begin(self, txn=b"t", streams=(1, 2)):
        parts = tuple(Part(stream, [b"w%d" % stream], [b"s"]) for stream in streams)
        request = Commit(txn, 10, TAU_MAX, 0, EPOCH, [b"own"], [], [5], [], b"low", b"high", b"", parts)
        self.coordinator.begin(request, FakeReply())


@pytest.fixture
def rounds():
    return Rounds()


def test_every_part_is_asked_for_its_own_keys(rounds):
    rounds.begin()
    votes = [request for request, _ in rounds.colleagues.asked]
    assert [(vote.stream, vote.writes, vote.coordinator, vote.epoch) for vote in votes] == [
        (1, [b"w1"], 0, EPOCH),
        (2, [b"w2"], 0, EPOCH),
    ]
    assert {(vote.txn, vote.tau_start, tuple(vote.schema), vote.low) for vote in votes} == {(b"t", 10, (5,), b"low")}


def test_the_last_vote_decides_within_all_of_them(rounds):
    rounds.begin()
    rounds.colleagues.answer(2, Voted(30, 90))
    assert not rounds.decided
    assert b"t" in rounds.coordinator
    rounds.colleagues.answer(1, Voted(20, 70))
    (one,) = rounds.decided
    assert (one.lower, one.upper) == (30, 70)


def test_the_first_refusal_ends_it_and_everybody_is_told(rounds):
    rounds.begin()
    rounds.colleagues.answer(1, Aborted(Reason.conflict, 0, b"w1"))
    assert rounds.refused == [(b"t", Aborted(Reason.conflict, 0, b"w1"))]
    assert rounds.colleagues.told == [Settle(b"t", 1, 0), Settle(b"t", 2, 0)]
    rounds.colleagues.answer(2, Voted(20, 70))
    assert not rounds.decided
    assert b"t" not in rounds.coordinator


def test_no_answer_is_a_refusal(rounds):
    rounds.begin()
    rounds.colleagues.answer(2, Failure(Cause.deadline, ""))
    assert rounds.refused == [(b"t", Aborted(Reason.votes))]


def test_who_refuses_at_once_spares_the_others_the_question(rounds):
    rounds.colleagues.vote = lambda request, done: done(Aborted(Reason.not_holder))
    rounds.begin()
    assert len(rounds.refused) == 1
    assert rounds.colleagues.told == [Settle(b"t", 1, 0)]


def test_nobody_hears_of_a_commit_before_it_is_on_a_majority(rounds):
    rounds.begin(b"t")
    rounds.begin(b"u", (2,))
    for request, done in list(rounds.colleagues.asked):
        done(Voted(20, 90))
        if request.txn == b"u":
            rounds.coordinator.committed(rounds.decided[-1], 8, 50)
        elif request.stream == 2:
            rounds.coordinator.committed(rounds.decided[-1], 7, 40)
    rounds.coordinator.durable(6)
    assert not rounds.colleagues.told
    rounds.coordinator.durable(7)
    assert rounds.colleagues.told == [Settle(b"t", 1, 40), Settle(b"t", 2, 40)]
    rounds.coordinator.durable(8)
    assert rounds.colleagues.told[2:] == [Settle(b"u", 2, 50)]


def test_an_epoch_that_ends_lets_go_of_what_it_has_not_decided(rounds):
    rounds.begin(b"t", (1,))
    rounds.begin(b"u", (1,))
    rounds.colleagues.asked[0][1](Voted(20, 90))
    rounds.coordinator.committed(rounds.decided[0], 7, 40)
    assert [one.request.txn for one in rounds.coordinator.abandon()] == [b"u"]
    assert rounds.colleagues.told == [Settle(b"u", 1, 0)]
    rounds.colleagues.asked[1][1](Voted(20, 90))
    assert len(rounds.decided) == 1
