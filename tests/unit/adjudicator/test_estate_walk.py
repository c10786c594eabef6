"""Ranges and streams move while everybody dies: nothing wrong on random walks, and each guard taken out is missed."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from estate_walk import Violation, run

from tausql.adjudicator import estate, ownership
from tausql.adjudicator.estate import Estate, NeverTaken
from tausql.adjudicator.placement import Owned
from tausql.adjudicator.voting import Votes
from tausql.protocol.adjudicator import RangeTaken
from tausql.runtime.check import InvariantViolation


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_every_key_has_one_judge_whatever_happens():
    reached = Counter()
    for seed in range(150):
        reached.update(run(seed))
    for what in (
        "committed",
        "voted",
        "registered",
        "sealed",
        "removed",
        "offered again",
        "adopted with something given",
        "offered after the end, taken",
        "offered after the end, never taken",
    ):
        assert reached[what] > 3, (what, reached)


def offers_are_not_remembered(patch):
    patch.setattr(ownership, "has_taken", lambda *_: False)


def a_move_ignores_votes(patch):
    patch.setattr(Votes, "highest_upper", 0)


def a_given_range_is_judged_until_that_is_durable(patch):
    original = Estate._give

    def give(self, low, high, to):
        judge, owned = self._judge, self._judge.owned
        original(self, low, high, to)
        judge.owned = owned

    patch.setattr(Estate, "_give", give)


def takers_are_told_before_a_majority_is(patch):
    original = Estate._give

    def give(self, low, high, to):
        original(self, low, high, to)
        self._pending = None
        self._offer()

    patch.setattr(Estate, "_give", give)


def takers_answer_before_a_majority_has_it(patch):
    original = Estate._write

    def write(self, following, tau):
        original(self, following, tau)
        replies, self._replies = self._replies, []
        for reply, answer in replies:
            reply.answer(answer)

    patch.setattr(Estate, "_write", write)


def a_taken_range_has_no_floor(patch):
    patch.setattr(Owned, "floor", lambda self, keys: 0)


def what_is_known_is_answered_though_it_is_not_durable(patch):
    original = Estate.take

    def take(self, request, reply):
        if ownership.has_taken(self.current, request.giver, request.floor):
            reply.answer(RangeTaken())
        else:
            original(self, request, reply)

    patch.setattr(Estate, "take", take)


def a_silent_taker_is_taken_for_a_dead_one(patch):
    original = Estate._offered

    def offered(self, given, answer):
        original(self, given, answer if isinstance(answer, RangeTaken) else NeverTaken())

    patch.setattr(Estate, "_offered", offered)


def a_new_epoch_forgets_what_was_taken(patch):
    original = ownership.begun

    def begun(before, floor):
        after = original(before, floor)
        return ownership.Ownership(after.owned, after.given, (), after.streams)

    patch.setattr(ownership, "begun", begun)


def a_new_epoch_forgets_what_was_given(patch):
    original = ownership.begun

    def begun(before, floor):
        after = original(before, floor)
        return ownership.Ownership(after.owned, (), after.taken, after.streams)

    patch.setattr(ownership, "begun", begun)


def floors_of_offers_need_not_rise(patch):
    original = Estate._give

    def give(self, low, high, to):
        self._given_floor = 0
        original(self, low, high, to)

    patch.setattr(Estate, "_give", give)
    patch.setattr(Votes, "highest_upper", property(lambda self: max((1 << 36), 0)))


GUARDS = {
    offers_are_not_remembered: 100,
    a_move_ignores_votes: 400,
    a_given_range_is_judged_until_that_is_durable: 500,
    takers_are_told_before_a_majority_is: 200,
    takers_answer_before_a_majority_has_it: 200,
    a_taken_range_has_no_floor: 100,
    what_is_known_is_answered_though_it_is_not_durable: 400,
    a_silent_taker_is_taken_for_a_dead_one: 100,
    a_new_epoch_forgets_what_was_taken: 200,
    a_new_epoch_forgets_what_was_given: 100,
    floors_of_offers_need_not_rise: 200,
}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_the_walk_finds(guard, monkeypatch):
    guard(monkeypatch)
    for module in (estate, ownership):
        if hasattr(module, "check"):
            monkeypatch.setattr(module, "check", lambda *_, **__: None)
    for seed in range(GUARDS[guard]):
        try:
            run(seed, finish=False, deaths=0.02)
        except (Violation, InvariantViolation, ValueError):
            return
    pytest.fail("nothing was noticed")
