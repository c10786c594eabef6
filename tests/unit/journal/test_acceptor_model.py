"""The design's acceptor model, walked over the real replica core and store: it holds, and each guard is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tausql.journal import acceptor, entries, membership
from tausql.journal.acceptor import Acceptor, AppendAnswer
from tausql.journal.entries import LogEntry
from tausql.journal.rejoin import Rejoin
from tausql.journal.replica import Replica
from tausql.protocol.journal import Append, Appended, Epoch, Status
from tausql.runtime.check import InvariantViolation
from tausql.runtime.disk import DiskFailed

from .walk import Violation, Walk, run

Patch = Callable[[pytest.MonkeyPatch], None]
BROKEN = (Violation, InvariantViolation, DiskFailed)


@pytest.mark.parametrize(("replicas", "seeds"), [(3, 400), (5, 120)])
def test_walk_keeps_every_invariant_and_reaches_every_corner(replicas, seeds):
    reached: dict[str, int] = {}
    for seed in range(seeds):
        for what, count in run(seed, replicas=replicas).items():
            reached[what] = reached.get(what, 0) + count
    for what in ("commit", "takeover", "crash", "disk lost", "rejoin", "cut", "trimmed"):
        assert reached.get(what, 0) > 10, what


def promise_not_on_disk(patch):
    def promise(self: Acceptor, epoch: Epoch) -> Status:
        if epoch <= self.state.promised:
            return Status.fenced
        self.state.promised = epoch
        return Status.ok

    patch.setattr(Acceptor, "open", promise)


def limit_not_on_disk(patch):
    original = Acceptor._take

    def take(self, request, keep_seq, records):
        limit = max(self.state.limit, request.limit)
        request = Append(*(0 if name == "limit" else getattr(request, name) for name in request.__struct_fields__))
        original(self, request, keep_seq, records)
        self.state.limit = limit

    def lenient(self, entry):  # what is written may now be below what is remembered
        self.promised = max(self.promised, entry.promised)
        self.limit = max(self.limit, entry.limit)
        self.take(entry.keep_seq, entry.records)

    def persisted(self, epoch: Epoch) -> Status:
        if epoch <= self.state.promised:
            return Status.fenced
        self.effects.persist(LogEntry(self.state.stream, epoch, 0, self.state.last_seq, []))
        return Status.ok

    patch.setattr(entries.LogState, "apply", lenient)
    patch.setattr(Acceptor, "_take", take)
    patch.setattr(Acceptor, "open", persisted)


def lower_epochs_may_append(patch):
    original = Acceptor.append

    def append(self, request):
        epoch = max(request.epoch, self.state.promised)
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        return original(self, Append(**{**fields, "epoch": epoch}))

    patch.setattr(Acceptor, "append", append)


def fenced_limits_count(patch):
    original = Replica.append

    def append(self, request, peer):
        answer = original(self, request, peer)
        if answer.status == Status.fenced:
            entry = self.membership.entry
            return Appended(Status.ok, self.name, entry.incarnation, entry.known, request.epoch, 0, request.limit)
        return answer

    patch.setattr(Replica, "append", append)


def append_does_not_raise_the_promise(patch):
    original = Acceptor._take

    def take(self, request, keep_seq, records):
        fields = {name: getattr(request, name) for name in request.__struct_fields__}
        original(self, Append(**{**fields, "epoch": self.state.promised}), keep_seq, records)

    patch.setattr(Acceptor, "_take", take)


def every_append_cuts(patch):
    def overlap(self, request):
        self._take(request, max(request.previous_seq, self.state.trim_seq), _above(self, request))
        return request.previous_seq + len(request.records)

    patch.setattr(Acceptor, "_overlap", overlap)


def _above(self, request):
    return [record for record in request.records if record.seq > self.state.trim_seq]


def commit_seq_counts_beyond_what_matched(patch):
    original = Acceptor.append

    def append(self, request) -> AppendAnswer:
        answer = original(self, request)
        if answer.status in (Status.ok, Status.gap):
            self.commit_seq = max(self.commit_seq, min(request.commit_seq, self.state.last_seq))
        return answer

    patch.setattr(Acceptor, "append", append)


def previous_is_not_compared(patch):
    original = Acceptor.append

    def append(self, request):
        state = self.state
        if state.trim_seq <= request.previous_seq <= state.last_seq:
            fields = {name: getattr(request, name) for name in request.__struct_fields__}
            request = Append(**{**fields, "previous_epoch": state.epoch_at(request.previous_seq)})
        return original(self, request)

    patch.setattr(Acceptor, "append", append)


def the_newest_ownership_is_trimmed(patch):
    original = Acceptor.wanted_trim

    def wanted_trim(self, epoch, seq, based=False):
        return seq if original(self, epoch, seq, based) is not None else None

    patch.setattr(Acceptor, "wanted_trim", wanted_trim)


def blank_replicas_answer(patch):
    patch.setattr(Replica, "refusal", lambda self, fleet, stream: None)


def learners_hear_too_few(patch):
    original = Rejoin.__init__

    def fewer(self, others, effects, finish):
        original(self, others, effects, finish)
        self._need = 1

    patch.setattr(Rejoin, "__init__", fewer)


def learners_take_no_limit(patch):
    original = Rejoin._complete

    def complete(self):
        self._limits = dict.fromkeys(self._limits, 0)
        original(self)

    patch.setattr(Rejoin, "_complete", complete)


def learners_take_no_promise(patch):
    original = Rejoin._complete

    def complete(self):
        self._promises = dict.fromkeys(self._promises, (0, 0))
        original(self)

    patch.setattr(Rejoin, "_complete", complete)


def lost_disks_go_on_counting(patch):
    def changed(method):
        def answer(self, request, peer):
            answer = method(self, request, peer)
            fields = {name: getattr(answer, name) for name in answer.__struct_fields__}
            return type(answer)(**{**fields, "known": (), "incarnation": 1})

        return answer

    patch.setattr(Replica, "append", changed(Replica.append))
    patch.setattr(Replica, "open", changed(Replica.open))


MUTATIONS: dict[Patch, int] = {  # guard removed -> within how many walks it must show
    promise_not_on_disk: 400,
    limit_not_on_disk: 400,
    lower_epochs_may_append: 100,
    fenced_limits_count: 100,
    append_does_not_raise_the_promise: 400,
    every_append_cuts: 200,
    commit_seq_counts_beyond_what_matched: 400,
    previous_is_not_compared: 400,
    blank_replicas_answer: 100,
    learners_hear_too_few: 400,
    learners_take_no_limit: 400,
    learners_take_no_promise: 1500,
}


TRIMMING: dict[Patch, int] = {
    the_newest_ownership_is_trimmed: 100,
}


def _first_violation(seeds: int, speak_early: bool = False, roll: bool = False) -> int | None:
    for seed in range(seeds):
        try:
            run(seed, speak_early=speak_early, roll=roll)
        except BROKEN:
            return seed
    return None


@pytest.fixture
def unchecked(monkeypatch):
    """The replica's own checks off: the walk must find it."""
    for module in (acceptor, entries, membership):
        monkeypatch.setattr(module, "check", lambda *_, **__: None)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_walk_finds_a_missing_guard(mutation, monkeypatch):
    mutation(monkeypatch)
    assert _first_violation(MUTATIONS[mutation]) is not None


@pytest.mark.parametrize("mutation", TRIMMING, ids=lambda mutation: mutation.__name__)
def test_walk_finds_who_judges_what_trimmed_away(mutation, monkeypatch):
    mutation(monkeypatch)
    assert _first_violation(TRIMMING[mutation], roll=True) is not None


@pytest.mark.usefixtures("unchecked")
def test_walk_finds_answers_spoken_before_the_sync():
    assert _first_violation(100, speak_early=True) is not None


def _acknowledged_by_a_lost_disk() -> None:
    """A record is acknowledged by a disk that is lost before that is heard, and by one other replica after; then an
    epoch begins on the replaced disk and the third replica, which never saw it. Random walks find this one in
    thousands."""
    walk = Walk(1, 3, speak_early=False, roll=False)
    walk.send = lambda *message: walk.wire.append(message)  # nothing is lost here

    def deliver(wanted):
        while found := [message for message in walk.wire if wanted(message)]:
            for message in found:
                walk.wire.remove(message)
                walk.arrive(message)
                for node in walk.nodes:
                    node.sync()

    def to(*places):
        return lambda message: message[0] == "to" and message[1] in places

    walk.open()
    deliver(lambda message: True)
    first = walk.proposers[0]
    assert first.commit_seq == first.start
    first.limit = first.high + 1
    while len(first.log) == first.start:
        walk.write(first)
    deliver(to(0))
    node = walk.nodes[0]
    walk.wipe(node)
    deliver(lambda message: message[0] in ("ask", "told"))
    node.replica.tick()
    node.sync()
    deliver(lambda message: message[0] in ("ask", "told"))
    assert node.replica.voter
    deliver(lambda message: message[0] == "answer")
    deliver(to(1))
    deliver(lambda message: message[0] == "answer")
    walk.wire.clear()
    walk.open()
    deliver(to(0, 2))
    deliver(lambda message: message[0] == "answer")
    deliver(to(0, 2))
    deliver(lambda message: message[0] == "answer")
    assert walk.proposers[1].commit_seq > 0


def test_acknowledgements_of_a_lost_disk_do_not_count():
    _acknowledged_by_a_lost_disk()


def test_without_incarnations_a_lost_disk_loses_a_committed_record(monkeypatch):
    lost_disks_go_on_counting(monkeypatch)
    with pytest.raises(Violation, match="I3"):
        _acknowledged_by_a_lost_disk()
