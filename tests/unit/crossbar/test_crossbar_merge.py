"""The merge releases only what is committed, in tau order, and closes no time too early.

Random walks against the truth, and the same walks with one rule broken at a time, which must be noticed."""

from __future__ import annotations

import heapq
from random import Random

import msgspec
import pytest
from crossbar_ground import GroundStream, Reader, is_sealed, registered_in

from tausql.crossbar import merge as merging
from tausql.crossbar.merge import Merge, StreamTail, advance
from tausql.protocol.crossbar import Cursor
from tausql.protocol.journal import Kind, Ownership, Registered
from tausql.runtime.check import InvariantViolation


class Wrong(Exception):
    """The merge said something that is not so."""


class Walk:
    """Stream 0 is there from the start; it begins others while the walk goes on, and some of these end."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.more = self.chance.choice((0, 0, 1, 2, 3))
        self.grounds = {0: GroundStream(0, self.chance)}
        self.readers = {0: Reader(self.grounds[0])}
        self.merge = Merge(0, {})
        self.emitted: list = []
        self.said = 0
        self.left = 0  # streams that have left a merge

    def run(self, steps: int) -> None:
        for _ in range(steps):
            stream = self.chance.choice(list(self.grounds))
            move = self.chance.random()
            if move < 0.6:
                self.live(stream)
            elif stream not in self.merge.tails:
                if move < 0.98 and self.grounds[stream].beats:
                    self.merge.hear(self.chance.choice(self.grounds[stream].beats[-8:]))
            elif move < 0.8:
                part = self.readers[stream].next_part()
                if part is not None:
                    self.merge.take(part)
            elif move < 0.98:
                beats = self.grounds[stream].beats
                if beats:
                    self.merge.hear(self.chance.choice(beats[-8:]))
            elif move < 0.99:
                self.readers[stream].restart(self.merge.tails[stream].released_seq)
                self.merge.tails[stream].restart()
            else:
                self.move_on()
            self.look()

    def live(self, stream: int) -> None:
        ground = self.grounds[stream]
        before = len(ground.truth)
        if self.chance.random() < 0.03:
            if stream:
                ground.seal()
            elif self.chance.random() < 0.3:
                ground.repeat()
            elif len(self.grounds) <= self.more:
                ground.register(max(one.stream for one in (*registered_in(ground.holder.log), *self.named())) + 1)
        else:
            ground.step()
        tail = self.merge.tails.get(stream)
        for record in ground.truth[before:]:
            if record.tau <= self.merge.watermark and not is_sealed(ground.truth):
                raise Wrong("a record is committed at or below the watermark")
            if tail is not None and not tail.ended and record.tau <= tail.closed:
                raise Wrong("a record is committed in closed time")
            if stream == 0 and record.kind == Kind.ownership:
                self.begin(record)
        if is_sealed(ground.truth):
            self.grounds[0].over.add(stream)

    def named(self):
        return [Registered(stream, 0) for stream in self.grounds]

    def begin(self, record) -> None:
        for one in msgspec.msgpack.decode(record.payload, type=Ownership).streams:
            if one.stream not in self.grounds:
                ground = self.grounds[one.stream] = GroundStream(one.stream, self.chance, one.start)
                self.readers[one.stream] = Reader(ground)

    def move_on(self) -> None:
        """Another crossbar goes on from a subscriber's watermark and cursors."""
        merge = self.merge
        cursors = {0: Cursor(0, (0, 0), 0)}
        for item in self.emitted:
            advance(cursors, [item])
        if cursors != merge.cursors and (merge.cursors or self.emitted):
            raise Wrong("the merge's cursors are not those of what left it")
        self.merge = Merge(merge.watermark, cursors if self.emitted else {})
        for stream in self.merge.tails:
            self.readers[stream].restart(cursors[stream].seq)

    def look(self) -> None:
        for stream, record in self.merge.drain():
            truth = self.grounds[stream].truth
            if record.seq > len(truth) or truth[record.seq - 1] != record:
                raise Wrong("a record left the merge that is not committed")
            self.emitted.append((stream, record))
        if self.merge.watermark < self.said:
            raise Wrong("the watermark fell")
        self.said = self.merge.watermark
        if self.merge.changed:
            self.merge.changed = False
            self.left += len(self.grounds) > len(self.merge.tails)

    def finish(self) -> None:
        """Everybody settles: all that was assigned is committed, shown and closed."""
        for _ in range(3):  # a stream may begin with what another one settles
            for stream, ground in list(self.grounds.items()):
                while (record := ground.commit()) is not None:
                    if stream == 0 and record.kind == Kind.ownership:
                        self.begin(record)
            for stream in list(self.merge.tails):
                self.settle(stream)
            self.look()
        truth = heapq.merge(*(until_sealed(ground.truth) for ground in self.grounds.values()), key=lambda one: one.tau)
        expected = [record for record in truth if record.tau <= self.merge.watermark]
        if [record for _, record in self.emitted] != expected:
            raise Wrong("what left the merge is not the merged truth")
        open_grounds = [ground for ground in self.grounds.values() if not is_sealed(ground.truth)]
        if self.merge.watermark < min(ground.beats[-1].tau for ground in open_grounds):
            raise Wrong("the watermark does not reach what the last beats closed")

    def settle(self, stream: int) -> None:
        ground, reader = self.grounds[stream], self.readers[stream]
        ground.extend()
        ground.beat()
        ground.views[reader.index] = list(ground.holder.log)
        ground.view_commits[reader.index] = len(ground.truth)
        part = reader.next_part(everything=True)
        if part is not None:
            self.merge.take(part)
        if ground.beats:
            self.merge.hear(ground.beats[-1])


def until_sealed(truth: list) -> list:
    """What may be seen of a stream: its last record may be said twice."""
    for number, record in enumerate(truth):
        if record.kind == Kind.epoch_end:
            return truth[: number + 1]
    return list(truth)


def walk(seed: int) -> Walk:
    made = Walk(seed)
    made.run(250)
    made.finish()
    return made


def test_random_walks_against_the_truth():
    records = epochs = begun = left = 0
    for seed in range(400):
        made = walk(seed)
        records += len(made.emitted)
        epochs += sum(ground.counter for ground in made.grounds.values())
        begun += len(made.grounds) - 1
        left += made.left
    assert records > 5000
    assert epochs > 4000
    assert begun > 100
    assert left > 20


def blind_commit(self: StreamTail, beat) -> int:
    return beat.commit_seq


def careless_advance(*, epochs: bool = True, all_records: bool = True):
    def advance(self: StreamTail) -> None:
        beat = self.beat
        committed = self.replica_commit
        if beat is not None and beat.commit_seq > committed and self.unreleased:
            committed = max(committed, self._matched(beat))
        while self.unreleased and self.unreleased[0].seq <= committed:
            self._release(self.unreleased.popleft())
        if beat is None or (epochs and beat.epoch != self.released_epoch):
            return
        if self.released_seq >= beat.n or not all_records:
            self.closed = max(self.closed, beat.tau)
        elif self.unreleased and (self.unreleased[0].epoch == beat.epoch or not epochs):
            self.closed = max(self.closed, min(beat.tau, self.unreleased[0].tau - 1))

    return advance


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("_matched", blind_commit),
        ("_advance", careless_advance(all_records=False)),
        ("_advance", careless_advance(epochs=False)),
    ],
    ids=["a beat's commit_seq taken blindly", "closed before all records are here", "epochs not compared"],
)
def test_a_broken_rule_is_noticed(monkeypatch, name, broken):
    monkeypatch.setattr(StreamTail, name, broken)
    for seed in range(400):
        try:
            walk(seed)
        except (Wrong, InvariantViolation):
            return
    pytest.fail("nothing was noticed")


def test_the_rule_that_is_broken_holds_as_it_stands(monkeypatch):
    monkeypatch.setattr(StreamTail, "_advance", careless_advance())
    for seed in range(100):
        walk(seed)


def everybody_begins(stream, record):
    if stream != 0 or record.kind != Kind.ownership:
        return ()
    return msgspec.msgpack.decode(record.payload, type=Ownership).streams


def nobody_begins(stream, record):
    return ()


def nothing_ends(record):
    return False


@pytest.mark.parametrize(
    ("name", "broken"),
    [("begun_by", everybody_begins), ("begun_by", nobody_begins), ("ends_with", nothing_ends)],
    ids=["a stream that is only named again begins", "streams do not begin", "streams do not end"],
)
def test_streams_that_do_not_come_and_go_as_they_should_are_noticed(monkeypatch, name, broken):
    monkeypatch.setattr(merging, name, broken)
    for seed in range(400):
        try:
            walk(seed)
        except (Wrong, InvariantViolation):
            return
    pytest.fail("nothing was noticed")
