"""Genesis and incarnations, answer by answer."""

from __future__ import annotations

import random

import pytest

from tausql.journal.membership import fleet_id
from tausql.protocol.journal import Introduce, Introduced, LogPart, ReadLog, Record, Status, StreamState
from tausql.rpc.interface import Cause, Failure
from tausql.simulation.disk import SimulatedDisk

from .ground import Ground

NAMES = ["a", "b", "c", "d", "e"]
GENESIS = tuple((name, 1) for name in NAMES)
ASK = Introduce("", "a", 0, ())


class Blank(Ground):
    """Replica `a` of five, blank, with what it was asked to send."""

    def __init__(self, names=NAMES):
        super().__init__("a", names, SimulatedDisk(random.Random(1)), random.Random(1))

    @property
    def incarnation(self):
        return self.replica.membership.entry.incarnation

    def hears(self, name, known_of_a, streams=()):
        known = (known_of_a, 1, 1, 1, 1)
        answer = Introduced(fleet_id(GENESIS), name, 1, True, GENESIS, known, streams)
        self.replica.answered(name, ASK, 0, answer)

    def hears_blank(self, name, incarnation=5, genesis=()):
        self.replica.answered(name, ASK, 0, Introduced("", name, incarnation, False, genesis, (), ()))

    def reads(self):
        return [(name, request, number) for name, request, number in self.asked if isinstance(request, ReadLog)]


def test_a_majority_of_all_others_must_have_recorded_the_learner():
    blank = Blank()
    blank.hears("b", blank.incarnation)
    blank.hears("b", blank.incarnation)
    blank.hears("c", blank.incarnation)
    assert not blank.replica.voter
    blank.hears("d", blank.incarnation)
    assert blank.replica.voter
    assert blank.replica.membership.fleet == fleet_id(GENESIS)


def test_records_of_an_incarnation_given_up_do_not_count():
    blank = Blank()
    old = blank.incarnation
    blank.hears("b", old)
    blank.hears("c", old)
    blank.hears("d", old + 100)
    assert blank.incarnation == old + 101
    blank.hears("d", old + 101)
    blank.hears("b", old)  # late: recorded the incarnation given up
    assert not blank.replica.voter
    blank.hears("b", old + 101)
    blank.hears("c", old + 101)
    assert blank.replica.voter


def state(last_epoch, last_seq, promised, limit):
    return (StreamState(0, promised, limit, last_epoch, last_seq, (0, 0), 0),)


def learner():
    """Hears three voters: the log is b's, the promise d's, the limit c's."""
    blank = Blank()
    blank.hears("b", blank.incarnation, state((3, 1), 2, (3, 1), 10))
    blank.hears("c", blank.incarnation, state((2, 1), 9, (3, 1), 90))
    blank.hears("d", blank.incarnation, state((1, 1), 1, (7, 1), 5))
    return blank


def part(records, status=Status.ok, trim=((0, 0), 0)):
    return LogPart(status, records, (3, 1), 2, 0, *trim)


def test_a_learner_takes_the_highest_of_everything():
    blank = learner()
    [(source, request, number)] = blank.reads()
    assert (source, request.seq) == ("b", 1)
    records = [Record((1, 1), 1, 5, 3, b""), Record((3, 1), 2, 6, 3, b""), Record((3, 1), 3, 7, 3, b"")]
    blank.replica.answered(source, request, number, part(records))
    log = blank.store.streams[0]
    assert blank.replica.voter
    assert (log.promised, log.limit, log.last_epoch, log.last_seq) == ((7, 1), 90, (3, 1), 2)


def test_a_source_that_changed_meanwhile_starts_the_round_over():
    blank = learner()
    [(source, request, number)] = blank.reads()
    blank.replica.answered(source, request, number, part([Record((1, 1), 1, 5, 3, b"")]))
    request = blank.reads()[-1][1]
    assert request.seq == 1  # the last record held proves that nothing before has changed
    changed = [Record((2, 1), 1, 5, 3, b""), Record((3, 1), 2, 6, 3, b"")]
    blank.replica.answered(source, request, number, part(changed))
    assert not blank.replica.voter
    assert not blank.replica.rejoin.copying
    blank.replica.answered(source, request, number, part(changed))  # of the round given up
    assert not blank.replica.voter


def test_a_source_cut_to_another_end_starts_the_round_over():
    blank = learner()
    [(source, request, number)] = blank.reads()
    other = [Record((1, 1), 1, 5, 3, b""), Record((4, 1), 2, 6, 3, b"")]
    blank.replica.answered(source, request, number, part(other))
    assert not blank.replica.voter
    assert not blank.replica.rejoin.copying


def test_a_lost_answer_starts_the_round_over_and_a_trimmed_source_moves_the_base():
    blank = learner()
    [(source, request, number)] = blank.reads()
    blank.replica.answered(source, request, number, Failure(Cause.deadline))
    assert not blank.replica.rejoin.copying
    blank = learner()
    [(source, request, number)] = blank.reads()
    blank.replica.answered(source, request, number, part([], Status.trimmed, ((3, 1), 2)))
    log = blank.store.streams[0]
    assert blank.replica.voter
    assert (log.trim_epoch, log.trim_seq, log.last_seq) == ((3, 1), 2, 2)


def test_genesis_needs_all_and_accepts_one_list_only():
    blank = Blank()
    for name in "bcd":
        blank.hears_blank(name)
    assert blank.replica.membership.entry.genesis == ()
    blank.hears_blank("e")
    accepted = blank.replica.membership.entry.genesis
    assert accepted == (("a", blank.incarnation), ("b", 5), ("c", 5), ("d", 5), ("e", 5))
    other = (*accepted[:4], ("e", 6))
    blank.hears_blank("e", 6, other)
    assert blank.replica.membership.entry.genesis == accepted
    for name in "bcd":
        blank.hears_blank(name, 5, accepted)
    assert not blank.replica.voter
    blank.hears_blank("e", 5, accepted)
    assert blank.replica.voter


def test_a_list_without_this_disk_is_not_accepted():
    blank = Blank()
    blank.hears_blank("b", 5, (("a", blank.incarnation + 1), ("b", 5), ("c", 5), ("d", 5), ("e", 5)))
    assert blank.replica.membership.entry.genesis == ()


def test_a_single_replica_is_its_own_fleet():
    blank = Blank(["a"])
    blank.replica.tick()
    assert blank.replica.voter


def test_a_disk_of_another_replica_is_not_used():
    blank = Blank()
    blank.store.flush()
    for name, names in (("b", NAMES), ("a", ["a", "b"])):
        with pytest.raises(ValueError, match="this disk belongs to a"):
            Ground(name, names, blank.disk, random.Random(1))
