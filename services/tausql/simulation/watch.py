"""Looks at all processes from outside, often: what no single process can check of itself.

What can be heard is judged as it is said (`Witness`), what a death leaves as it dies; the rest is looked at, and only
where something has changed since the last look.
"""

from __future__ import annotations

from typing import Any

from tausql.protocol.ranges import EVERYTHING, RangeSet, common, covers, united
from tausql.protocol.tau import opening
from tausql.runtime.check import I4, I6, I10, I11, I12, check
from tausql.simulation.copies import Copies
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.held import Held
from tausql.simulation.journals import JournalDisks
from tausql.simulation.truth import Truth
from tausql.simulation.witness import Witness
from tausql.simulation.world import Process, World
from tausql.storage.applier import stored_state

HASHES_KEPT = 10_000


class Watch:
    """I11: storage replicas of one range at one watermark have the same state. I12: within a process's life its
    watermark never falls. I10: the log is not trimmed within the window, nor past what some storage holds. And, by
    `JournalDisks`, `Witness` and `Truth`, I1 to I8 and I12."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world, self._fleet = world, fleet
        self._every = fleet.shape.look_seconds
        self._disks = JournalDisks(fleet)
        self.truth = Truth()
        self._witness = Witness(fleet, self._disks, self.truth)
        self._held = Held(fleet)
        self._copies = Copies(fleet)
        self._ownerships: tuple[int, ...] = ()  # as they were looked at last
        self._hashes: dict[tuple[bytes, bytes, int], int] = {}
        self._watermarks: dict[str, tuple[int, int]] = {}  # process -> generation, watermark
        self._counted: dict[str, tuple[int, int, int]] = {}  # of storage: generation, crossbars left, checkpoints taken
        self._merged: dict[Any, int] = {}  # feed -> up to which position it was looked at
        self._trimmed: dict[int, int] = {}
        world.on_death.append(self._died)

    def start(self) -> None:
        self._look()

    def finish(self) -> None:
        """In peace: every replica has exactly the rows of its watermark, and every key its judge."""
        self._finish_owners()
        for process in self._fleet.processes("storage"):
            if process.alive:
                self.truth.check_store(process.stores["engine"], process.name)

    def _died(self, process: Process, _: Any) -> None:
        """I8: what a crash has left of a store is the rows of its watermark, no more and no less."""
        engine = process.stores.get("engine")
        if engine is not None and not engine.damaged:
            self.truth.check_store(engine, process.name)

    def _look(self) -> None:
        self._look_at_votes()
        self._look_at_owners()
        self._look_at_storage()
        self._look_at_crossbars()
        if self._disks.look():
            self._look_at_trimming()
        self._world.at(self._every, None, self._look)

    def _look_at_votes(self) -> None:
        """I4: no vote binds beyond the limit, which is where the next epoch starts."""
        for service in self._fleet.services("adjudicator"):
            for tenure in service.tenures.values():
                upper, limit = tenure.docket.votes.highest_upper, tenure.proposer.limit
                check(I4, upper <= limit, "a vote above the limit", stream=tenure.stream, upper=upper, limit=limit)
                end = self._witness.judges.ends.get((tenure.stream, tenure.epoch), limit)
                check(I4, upper <= end, "a vote above the end of its epoch", stream=tenure.stream, upper=upper, end=end)

    def _owners(self) -> dict[int, Any]:
        """By stream, what the newest epoch owns and gives; nothing of a stream whose newest epoch nobody holds."""
        newest: dict[int, Any] = {}
        for service in self._fleet.services("adjudicator"):
            for stream, tenure in service.tenures.items():
                if tenure.epoch < self._witness.newest(stream):
                    continue  # a zombie, perhaps of a stream that has ended since
                if stream not in newest or tenure.epoch > newest[stream].epoch:
                    newest[stream] = tenure
        return {stream: tenure.estate.current for stream, tenure in newest.items()}

    def _look_at_owners(self) -> None:
        """I6 rests on it: no key has two judges."""
        owners = self._owners()
        seen = tuple(map(id, owners.values()))
        if seen == self._ownerships:
            return
        self._ownerships = seen
        owned: list[RangeSet] = []
        for ownership in owners.values():
            ranges = united((one.low, one.high) for one in ownership.owned)
            for other in owned:
                check(I6, not common(ranges, other), "a range has two owners", one=ranges, other=other)
            owned.append(ranges)

    def _finish_owners(self) -> None:
        """In peace: every key has a judge, or is on its way to one."""
        owners = self._owners()
        if owners.keys() >= set(self._fleet.streams_registered() or [-1]):
            found = [one for ownership in owners.values() for one in (*ownership.owned, *ownership.given)]
            ranges = united((one.low, one.high) for one in found)
            check(I6, covers(ranges, EVERYTHING), "a range that nobody owns", owned=ranges)

    def _look_at_storage(self) -> None:
        self._copies.look()
        for process in self._fleet.processes("storage"):
            service = process.services
            if not process.alive or service is None:
                continue
            applier = service.applier
            watermark, name = applier.watermark, process.name
            generation, before = self._watermarks.get(name, (0, 0))
            if generation == process.generation:
                if watermark == before:
                    continue
                check(I12, watermark >= before, "a watermark fell", replica=name)
            self._watermarks[name] = (process.generation, watermark)
            for shard in applier.shards.all:
                if shard.whole and shard.state_hash is not None and shard.base <= watermark:
                    where = (shard.low, shard.high, watermark)
                    known = self._hashes.setdefault(where, shard.state_hash)
                    same = known == shard.state_hash
                    check(I11, same, "replicas differ", replica=name, low=shard.low, watermark=watermark)
            self._count(process, service)
        if len(self._hashes) > HASHES_KEPT:
            self._hashes.clear()

    def _count(self, process: Process, service: Any) -> None:
        counted = (process.generation, service.subscription.changes, service.keeper.taken)
        before = self._counted.get(process.name, (0, 0, 0))
        if counted == before:
            return
        self._counted[process.name] = counted
        if before[0] != counted[0]:
            before = (0, 0, 0)
        if counted[1] > before[1]:
            self._world.mark("a storage replica went to another crossbar")
        if counted[2] > before[2]:
            self._world.mark("a checkpoint was taken")

    def _look_at_crossbars(self) -> None:
        merged: dict[Any, int] = {}
        for service in self._fleet.services("crossbar"):
            for feed in service._feeds():
                ring = feed.ring
                seen = self._merged.get(feed, 0)
                if seen != ring.end:
                    position = max(seen, ring.first)
                    for entry in ring.entries[position - ring.first :]:
                        self._witness.released(entry.stream, entry.epoch, entry.seq, entry.tau)
                merged[feed] = ring.end
        self._merged = merged

    def _look_at_trimming(self) -> None:
        for stream, seq in self._disks.trim_points().items():
            if seq <= self._trimmed.get(stream, 0):
                continue
            self._trimmed[stream] = seq
            tau = self._witness.tau_released(stream, seq)
            if not self._fleet.shape.clocks_lie:  # else a crossbar may think that more time has passed
                window = opening(self._world.micros() - self._fleet.shape.crossbar.window_seconds * 1_000_000)
                check(I10, tau <= window, "the log was trimmed inside the window", stream=stream, seq=seq)
            states = [stored_state(process.stores["engine"]) for process in self._fleet.processes("storage")
                      if "engine" in process.stores and not process.stores["engine"].damaged]  # fmt: skip
            held = any(
                (cursor.stream == stream and cursor.seq >= seq) or 0 < tau <= state.watermark  # it may have ended
                for state in states
                if state is not None
                for cursor in state.cursors
            )
            check(I10, held, "trimmed what no storage replica holds", stream=stream, seq=seq)
            if len(set(self._fleet.layout.storage)) > 1:
                two = self._held.in_zones(stream, seq, tau)
                check(I10, two, "trimmed what two zones do not hold", stream=stream, seq=seq)
