"""Messages that come too late, and processes that die in the middle of what takes several steps.

What adjudicators ask each other is under way for a fraction of a millisecond, and a range that moves for a few: chance
alone hardly ever lets anything happen in between.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tausql.protocol.adjudicator import Commit, RangeTaken, Settle, TakeRange, Vote, Voted
from tausql.protocol.journal import Append, EpochEnd, Kind, Record, Trim
from tausql.runtime.fault_points import LATE_SYNC
from tausql.simulation.faults import Kind as FaultKind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World

OVERTAKEN: tuple[type, ...] = (Commit, Vote, Voted, Settle, TakeRange, RangeTaken)
VOTES: tuple[type, ...] = (Vote, Voted, Settle)
OVERTAKEN_SHARE = 0.4  # of those messages, while they are
LATE_SECONDS = (0.03, 0.1, 0.45)
STEPS = ("written", "slowed", "offered", "sealed")
SLOWED_SECONDS = (0.05, 0.2)
PATIENCE_SECONDS = 3.0

_decode_end = msgspec.msgpack.Decoder(EpochEnd).decode


class Interruptions:
    """`kinds`: as of `Faults`."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self._overtaken: type | None = None  # messages that arrive after what is sent long after them
        self._interrupting = ""  # the next move of a range, or end of a stream, at this step
        self._trims = False  # the next trim is what a sync is missed by
        self._hear_appends()
        for kind in OVERTAKEN:
            self._hear(kind)
        self.kinds: list[FaultKind] = [("overtaken", self._overtake, 3), ("move interrupted", self._interrupt, 3)]
        if LATE_SYNC in world.points:
            self._hear_trims()
            self.kinds.append(("killed before a sync", self._before_sync, 4))

    def _hear_appends(self) -> None:
        before = self._world.links.observers.get(Append)

        def heard(speaker: str, append: Append) -> None:
            if before is not None:
                before(speaker, append)
            if not self._interrupting or not append.records:
                return
            if self._interrupting in _WRITES and any(one.kind == Kind.ownership for one in append.records):
                step, self._interrupting = self._interrupting, ""
                _WRITES[step](self, speaker)
            elif self._interrupting == "sealed" and any(map(_seals, append.records)):
                self._interrupting = ""
                seconds = self._world.random.choice((0.001, 0.005, 0.02))
                self._world.at(seconds, None, self._bounce, self._world.processes[speaker])

        self._world.links.observers[Append] = heard

    def _hear(self, kind: type) -> None:
        """Make messages of a kind late, one by one, while they are to be overtaken."""
        links = self._world.links
        before = links.observers.get(kind)

        def heard(speaker: str, message: Any) -> None:
            if before is not None:
                before(speaker, message)
            if kind is TakeRange and self._interrupting == "offered":
                self._interrupting = ""
                giver, taker = self._world.processes[speaker], self._fleet.holder(message.to)
                victim = taker if taker is not None and self._world.random.random() < 0.5 else giver
                self._world.at(self._world.random.choice((0.0003, 0.001, 0.01)), None, self._bounce, victim)
            if self._overtaken is not kind or self._world.random.random() >= OVERTAKEN_SHARE:
                return
            seconds = self._world.random.choice(LATE_SECONDS)
            pairs = [(speaker, other.name) for other in self._fleet.processes("adjudicator") if other.name != speaker]
            links.late.update((pair, seconds) for pair in pairs)

            def over() -> None:
                for pair in pairs:
                    links.late.pop(pair, None)

            self._world.at(0.00001, None, over)

        links.observers[kind] = heard

    def _overtake(self) -> bool:
        """What adjudicators are asked, tell each other or answer each other comes late: after the question what became
        of it, after the vote has expired, after the next epoch has begun."""
        if self._overtaken is not None:
            return False
        self._overtaken = self._world.random.choice(OVERTAKEN + VOTES)

        def over() -> None:
            self._overtaken = None

        self._world.at(self._world.random.uniform(0.5, 2.0), None, over)
        return True

    def _interrupt(self) -> bool:
        """A giver or a taker dies as a range moves, with the record on no majority or the offer under way; or it is
        slow. Or the last holder of a stream dies, as it is sealed."""
        if self._interrupting:
            return False
        self._interrupting = self._world.random.choice(STEPS)

        def over() -> None:
            self._interrupting = ""

        self._world.at(PATIENCE_SECONDS, None, over)
        return True

    def _lose_tail(self, name: str) -> None:
        """What this holder sends to the journal is lost from this very message on, but for one disk perhaps; then so
        is the holder."""
        journals = [process.name for process in self._fleet.processes("journal")]
        self._world.random.shuffle(journals)
        mend = self._world.links.sever({name}, set(journals[self._world.random.choice((0, 1)) :]))

        def strike() -> None:
            self._world.processes[name].kill("killed as it moves a range")
            self._world.at(self._world.random.uniform(0.005, 0.5), None, self._world.processes[name].start)
            mend()

        self._world.at(self._world.random.choice((0.005, 0.05, 0.3)), None, strike)

    def _slow_down(self, name: str) -> None:
        """It takes this holder longer than usual to reach the journal."""
        links = self._world.links
        seconds = self._world.random.choice(SLOWED_SECONDS)
        pairs = [(name, journal.name) for journal in self._fleet.processes("journal")]
        links.late.update((pair, seconds) for pair in pairs)

        def over() -> None:
            for pair in pairs:
                links.late.pop(pair, None)

        self._world.at(1.5 * seconds, None, over)

    def _hear_trims(self) -> None:
        before = self._world.links.observers.get(Trim)

        def heard(speaker: str, trim: Trim) -> None:
            if before is not None:
                before(speaker, trim)
            if self._trims:
                self._trims = False
                self._when_dirty(self._world.random.choice(self._fleet.processes("journal")), 100)

        self._world.links.observers[Trim] = heard

    def _before_sync(self) -> bool:
        """A journal replica dies with something written and not synced: an append, a promise, what a trim leaves."""
        self._trims = self._fleet.shape.trims and self._world.random.random() < 0.5
        if not self._trims:
            self._when_dirty(self._world.random.choice(self._fleet.processes("journal")), 2_000)
        return True

    def _when_dirty(self, process: Process, looks: int) -> None:
        service = process.services
        if service is not None and service._store.dirty:
            process.kill("killed before its sync")
            self._world.mark("a replica died before its sync")
            self._world.at(self._world.random.choice((0.01, 0.3)), None, process.start)
        elif looks > 0:
            self._world.at(0.0002, None, self._when_dirty, process, looks - 1)

    def _bounce(self, process: Process) -> None:
        process.kill("bounced in the middle of it")
        self._world.at(self._world.random.choice((0.002, 0.3)), None, process.start)


def _seals(record: Record) -> bool:
    return record.kind == Kind.epoch_end and _decode_end(record.payload).sealed


_WRITES = {"written": Interruptions._lose_tail, "slowed": Interruptions._slow_down}
