"""Votes across streams: nothing wrong on random walks, and each guard that is taken out is missed."""

from __future__ import annotations

import pytest
from votes_walk import Violation, walk

from tausql.adjudicator import judge as judging
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.coordinator import Coordinator
from tausql.adjudicator.judge import Judge
from tausql.adjudicator.schema import SchemaChanges
from tausql.adjudicator.voting import Votes
from tausql.protocol.adjudicator import Voted
from tausql.protocol.tau import TAU_MAX
from tausql.runtime.check import InvariantViolation

SEEDS = 150
MISSED_WITHIN = 1500


def test_no_walk_goes_wrong():
    committed = across = 0
    for seed in range(SEEDS):
        one = walk(seed)
        committed += len(one.committed)
        across += one.across
    assert committed > SEEDS * 10
    assert across > SEEDS * 50


def _keys_not_held_back(patch):
    patch.setattr(Conflicts, "reserve", lambda *_: None)


def _schema_not_held_back(patch):
    patch.setattr(SchemaChanges, "reserve", lambda *_: None)


def _upper_not_obeyed(patch):
    told = Coordinator._told

    def deaf(self, one, answer):
        if isinstance(answer, Voted):
            answer = Voted(answer.lower, TAU_MAX)
        told(self, one, answer)

    patch.setattr(Coordinator, "_told", deaf)


def _lower_not_obeyed(patch):
    told = Coordinator._told

    def deaf(self, one, answer):
        if isinstance(answer, Voted):
            answer = Voted(0, answer.upper)
        told(self, one, answer)

    patch.setattr(Coordinator, "_told", deaf)


def _vote_above_the_limit(patch):
    patch.setattr(judging, "min", lambda _, far: far + (1 << 40), raising=False)
    patch.setattr(judging, "check", lambda *_, **__: None)


def _forgotten_at_its_end(patch):
    let_go = Votes._let_go
    patch.setattr(Votes, "expire", lambda self, tau: [let_go(self, self._pending.pop(txn), 0)
                  for txn, one in list(self._pending.items()) if one.upper <= tau])  # fmt: skip


def _end_below_votes(patch):
    patch.setattr(Votes, "highest_upper", 0)


def _told_before_the_end(patch):
    settle = Votes.settle
    patch.setattr(Votes, "settle", lambda self, txn, tau: settle(self, txn, 0))


def _own_keys_judged_early(patch):
    judge = Judge.judge

    def careless(self, request, latest, lower=0, upper=TAU_MAX):
        if not request.parts:
            return judge(self, request, latest, lower, upper)
        patch.setattr(Judge, "refusal", lambda *_: None)
        try:
            return judge(self, request, latest, lower, upper)
        finally:
            patch.setattr(Judge, "refusal", refusal)

    refusal = Judge.refusal
    patch.setattr(Judge, "judge", careless)


GUARDS = (
    _keys_not_held_back,
    _schema_not_held_back,
    _upper_not_obeyed,
    _lower_not_obeyed,
    _vote_above_the_limit,
    _forgotten_at_its_end,
    _end_below_votes,
    _told_before_the_end,
    _own_keys_judged_early,
)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__.strip("_"))
def test_a_guard_is_missed(guard, monkeypatch):
    guard(monkeypatch)
    for seed in range(MISSED_WITHIN):
        try:
            walk(seed)
        except (Violation, InvariantViolation):
            return
    raise AssertionError("nothing went wrong without it")
