"""Random faults over the whole adjudicator, and proof that this walk finds what it is there to find.

Every mutation removes one guard of the protocol from the real code; the walk must then meet a broken promise. (That
incarnations count has tests of its own, in `test_proposer`: the walk would take too long to meet it.)
"""

from __future__ import annotations

import logging
import re

import pytest
from adjudicator_faults import Faults
from adjudicator_fleet import AdjudicatorFleet, Broken, Client

from tausql.adjudicator.answers import Answers
from tausql.adjudicator.conflicts import Conflicts
from tausql.adjudicator.heartbeat import Heartbeat
from tausql.adjudicator.outcomes import Outcomes, Recovered
from tausql.adjudicator.proposer import Proposer
from tausql.adjudicator.schema import SchemaChanges
from tausql.adjudicator.takeover import Candidate
from tausql.adjudicator.tenure import Tenure
from tausql.protocol.adjudicator import Aborted, Reason
from tausql.protocol.tau import TAU_MAX
from tausql.runtime.check import InvariantViolation
from tausql.runtime.host import Interval

SEEDS = 120
MUTATION_SEEDS = 300


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def walk(seed):
    """One run with faults. Returns what it reached; raises on a broken promise."""
    fleet = AdjudicatorFleet(seed, duplicates=0.05)
    Faults(fleet)
    for _ in range(4):
        Client(fleet, 40, pause=0.03)
    fleet.world.run(4.5)
    log, transactions = fleet.check()
    return len(transactions), len({record.epoch for record in log}), fleet.world.marks


def test_no_promise_is_broken_under_faults():
    committed, epochs, marks = 0, 0, {}
    for seed in range(SEEDS):
        one, two, reached = walk(seed)
        committed, epochs = committed + one, epochs + two
        for mark, count in reached.items():
            marks[mark] = marks.get(mark, 0) + count
    assert committed > 40 * SEEDS
    assert epochs > 3 * SEEDS
    for mark in ("cut", "rejoin", "unresolved", "no answer"):
        assert marks.get(mark, 0) > 0, f"the walk never reached {mark!r}"


def limit_ignored(patch):
    rose = Tenure._limit_rose
    patch.setattr(Tenure, "_limit_rose", lambda self, _: rose(self, TAU_MAX))


def limit_used_before_majority(patch):
    ask = Proposer.ask

    def asked(self, limit):
        ask(self, limit)
        self.limit = limit
        self._on_limit(limit)

    patch.setattr(Proposer, "ask", asked)


def beats_without_records_in_flight(patch):
    now = Heartbeat.now

    def counted(self):
        publish = self._publish

        def less(beat):
            beat.n = max(beat.commit_seq, self._proposer.start_seq)
            publish(beat)

        self._publish = less
        now(self)
        self._publish = publish

    patch.setattr(Heartbeat, "now", counted)


def start_below_the_limit(patch):
    win = Candidate._win

    def low(self, won):
        last = won.log.tau - (900_000 << 10)  # about where records were given out, not where they might have been
        won.log.tau = max(0, last)
        win(self, won._replace(floor=max(0, last)))

    patch.setattr(Candidate, "_win", low)


def answer_before_majority(patch):
    hold = Answers.hold

    def held(self, seq, tau, reply):
        hold(self, seq, tau, reply)
        self.committed(seq)

    patch.setattr(Answers, "hold", held)


def answer_before_its_time(patch):
    release = Answers._release

    def early(self):
        now = self._host.clock.now

        class Hasty:
            def now(self):
                return Interval(now().latest + 10_000_000, 0)

        class Host:
            clock = Hasty()
            monotonic = self._host.monotonic
            later = self._host.later

        host, self._host = self._host, Host()
        release(self)
        self._host = host

    patch.setattr(Answers, "_release", early)


def lost_stream_aborts_what_is_in_flight(patch):
    def abandon(self):
        for _, _, _, reply in self._queue:
            reply.answer(Aborted(Reason.not_holder))
        self._queue.clear()

    patch.setattr(Answers, "abandon", abandon)


def adopt_any_log(patch):
    adopt = Candidate._adopt

    def shortest(self, epoch, grants):
        def end(grant):
            return grant.last_seq

        index = min(grants, key=lambda at: end(grants[at]))
        limit = max(grant.limit for grant in grants.values())
        grants[index].limit = limit
        adopt(self, epoch, {index: grants[index]})

    patch.setattr(Candidate, "_adopt", shortest)


def minority_commits(patch):
    advance = Proposer._advance

    def one_is_enough(self):
        majority, self._roster.majority = self._roster.majority, 1
        advance(self)
        self._roster.majority = majority

    patch.setattr(Proposer, "_advance", one_is_enough)


def outcome_absent_means_aborted(patch):
    patch.setattr(Recovered, "covers", lambda self, _: True)


def outcome_forgets_the_verdict(patch):
    remember = Outcomes.remember

    def forgetful(self, txn, deadline, verdict):
        if not isinstance(verdict, Aborted):
            remember(self, txn, deadline, verdict)

    patch.setattr(Outcomes, "remember", forgetful)


def conflicts_unchecked(patch):
    patch.setattr(Conflicts, "find", lambda *_: None)


def shares_unchecked(patch):
    find = Conflicts.find
    patch.setattr(Conflicts, "find", lambda self, txn, tau_start, writes, _: find(self, txn, tau_start, writes, ()))


def schema_unchecked(patch):
    patch.setattr(SchemaChanges, "find", lambda *_: None)


def floor_forgotten(patch):
    create = Conflicts.__init__

    def without(self, floor, *rest):
        create(self, 0, *rest)

    patch.setattr(Conflicts, "__init__", without)
    schema = SchemaChanges.__init__
    patch.setattr(SchemaChanges, "__init__", lambda self, floor: schema(self, 0))


MUTATIONS = (
    (limit_ignored, "I4"),
    (limit_used_before_majority, "I4"),
    (beats_without_records_in_flight, "I5"),
    (start_below_the_limit, "I4|I6"),
    (answer_before_majority, "I3"),
    (answer_before_its_time, "I9"),
    (lost_stream_aborts_what_is_in_flight, "I7"),
    (adopt_any_log, "I3"),
    (minority_commits, "I3|I4"),
    (outcome_absent_means_aborted, "I7"),
    (outcome_forgets_the_verdict, "I7"),
    (conflicts_unchecked, "I6"),
    (shares_unchecked, "I6"),
    (schema_unchecked, "I6"),
    (floor_forgotten, "I6"),
)


@pytest.mark.parametrize(("mutation", "promise"), MUTATIONS, ids=[mutation.__name__ for mutation, _ in MUTATIONS])
def test_the_walk_finds(mutation, promise, monkeypatch):
    mutation(monkeypatch)
    found = next(filter(None, map(broken_promise, range(MUTATION_SEEDS))), "nothing")
    assert re.search(promise, found)


def broken_promise(seed):
    """What a run breaks, "" if nothing."""
    try:
        walk(seed)
    except (Broken, InvariantViolation, AssertionError) as broken:
        return str(broken)
    return ""
