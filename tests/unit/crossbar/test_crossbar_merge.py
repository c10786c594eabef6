"""The merge releases only what is committed, in tau order, and closes no time too early.

Random walks against the truth, and the same walks with one rule broken at a time, which must be noticed."""

from __future__ import annotations

import heapq
from random import Random

import pytest
from crossbar_ground import GroundStream, Reader

from tausql.crossbar.merge import Merge, StreamTail
from tausql.protocol.crossbar import Cursor
from tausql.runtime.check import InvariantViolation


class Wrong(Exception):
    """The merge said something that is not so."""


class Walk:
    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.grounds = [GroundStream(stream, self.chance) for stream in range(self.chance.choice((1, 1, 2, 3)))]
        self.readers = [Reader(ground) for ground in self.grounds]
        self.merge = Merge(range(len(self.grounds)), 0, {})
        self.emitted: list = []
        self.said = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            stream = self.chance.randrange(len(self.grounds))
            move = self.chance.random()
            if move < 0.6:
                before = len(self.grounds[stream].truth)
                self.grounds[stream].step()
                for record in self.grounds[stream].truth[before:]:
                    if record.tau <= self.merge.tails[stream].closed:
                        raise Wrong("a record is committed in closed time")
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

    def move_on(self) -> None:
        """Another crossbar goes on from a subscriber's watermark and cursors."""
        merge, count = self.merge, len(self.grounds)
        cursors = {stream: Cursor(stream, (0, 0), 0) for stream in range(count)}
        for stream, record in self.emitted:
            cursors[stream] = Cursor(stream, record.epoch, record.seq)
        self.merge = Merge(range(count), merge.watermark, cursors)
        for stream in range(count):
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

    def finish(self) -> None:
        """Everybody settles: all that was assigned is committed, shown and closed."""
        for stream, ground in enumerate(self.grounds):
            while ground.commit() is not None:
                pass
            ground.extend()
            ground.beat()
            reader = self.readers[stream]
            ground.views[reader.index] = list(ground.holder.log)
            part = reader.next_part(everything=True)
            if part is not None:
                self.merge.take(part)
            self.merge.hear(ground.beats[-1])
        self.look()
        truth = heapq.merge(*(list(ground.truth) for ground in self.grounds), key=lambda one: one.tau)
        expected = [record for record in truth if record.tau <= self.merge.watermark]
        if [record for _, record in self.emitted] != expected:
            raise Wrong("what left the merge is not the merged truth")
        closed = min(ground.beats[-1].tau for ground in self.grounds)
        if self.merge.watermark < closed:
            raise Wrong("the watermark does not reach what the last beats closed")


def walk(seed: int) -> Walk:
    made = Walk(seed)
    made.run(250)
    made.finish()
    return made


def test_random_walks_against_the_truth():
    records = epochs = 0
    for seed in range(400):
        made = walk(seed)
        records += len(made.emitted)
        epochs += sum(ground.counter for ground in made.grounds)
    assert records > 5000
    assert epochs > 4000


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
