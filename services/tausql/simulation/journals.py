"""What the journals' disks hold, dead or alive: the ground on which a majority is counted.

The living are asked for their state, which is on the disk unless something waits for a flush. Of the dead the disk
itself is read, as a restart would: there it shows whether a replica had synced what it had said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tausql.journal.entries import Genesis, LogState
from tausql.journal.store import Store
from tausql.protocol.journal import Epoch
from tausql.runtime.check import I2, I12, check
from tausql.runtime.disk import DiskFailed
from tausql.simulation.disk import SimulatedDisk
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process

LIE_SECONDS = 10.0


class Known(NamedTuple):
    """A stream as a disk was last seen to hold it."""

    promised: Epoch
    limit: int
    trim_seq: int
    last_epoch: Epoch
    last_seq: int


class JournalDisks:
    """`states` and `count`; checks I2 and I12 on every death and every `look`."""

    def __init__(self, fleet: SimulatedFleet) -> None:
        self._fleet = fleet
        self._names = [member.name for member in fleet.fleet.journal]
        self.majority = len(self._names) // 2 + 1
        self._dead: dict[str, tuple[SimulatedDisk, dict[int, LogState]]] = {}
        self._known: dict[str, tuple[SimulatedDisk, dict[int, Known]]] = {}
        self._promised: dict[int, Epoch] = {}  # the highest epoch that a majority has promised
        self._limits: dict[int, int] = {}  # and the highest limit it has stored
        self._syncs: dict[str, tuple[SimulatedDisk, int]] = {}  # when a replica was last looked at
        self.founded = False  # all have accepted one list
        self._first = {name: fleet.world.processes[name].disk for name in self._names}
        fleet.world.on_death.append(self._died)

    def states(self, name: str) -> dict[int, LogState] | None:
        """By stream; None while the replica's disk is blank or learns: its old disk may have held anything."""
        process = self._fleet.world.processes[name]
        if process.alive and process.services is not None:
            if not process.services._replica.voter:
                return None
            streams: dict[int, LogState] = process.services._store.streams
            return streams
        disk, found = self._dead.get(name, (None, None))
        return found if disk is process.disk else None

    def holding(self, stream: int, epoch: Epoch, seq: int) -> int:
        """How many disks hold the record (or, lost or blank, may have held it)."""
        count = 0
        for name in self._names:
            states = self.states(name)
            state = states.get(stream) if states is not None else None
            count += states is None or (state is not None and (seq <= state.trim_seq or state.agrees(epoch, seq)))
        return count

    def limited(self, stream: int, limit: int) -> int:
        """How many disks hold a limit at or above `limit` (or, lost or blank, may have held it)."""
        count = 0
        for name in self._names:
            states = self.states(name)
            count += states is None or (stream in states and states[stream].limit >= limit)
        return count

    def lying(self) -> bool:
        """Have the clocks of a majority lied of late?"""
        world = self._fleet.world
        clocks = [world.processes[name].clock for name in self._names]
        return sum(clock.lied_after(world.now - LIE_SECONDS) for clock in clocks) >= self.majority

    def accepted(self, genesis: Genesis) -> bool:
        """Have all disks of the list accepted it? Of one that was lost since nothing is known."""
        for name in self._names:
            process = self._fleet.world.processes[name]
            if process.disk is self._first[name]:
                service = process.services
                entry = service._replica.membership.entry if service is not None else _read(process.disk, name).member
                if entry is None or entry.genesis != genesis:
                    return False
        self.founded = True
        return True

    def look(self) -> bool:
        """Compare every living replica that has synced since with what its disk held before. False if none has."""
        world = self._fleet.world
        changed = False
        for name in self._names:
            process = world.processes[name]
            service = process.services
            if not process.alive or service is None or service._store.dirty or not service._replica.voter:
                continue
            synced = (process.disk, process.disk.syncs)
            if self._syncs.get(name) == synced:
                continue
            self._syncs[name] = synced
            changed = True
            disk, known = self._known.get(name, (None, {}))
            if disk is not process.disk:
                if disk is not None:
                    world.mark("a learner has rejoined")
                known = {}
            states = service._store.streams
            for state in states.values():
                above = state.promised >= state.last_epoch
                check(I2, above, "a log above its promise", replica=name, stream=state.stream)
            for stream, before in known.items():
                self._compare(name, stream, before, states.get(stream))
                now = states[stream]
                if before.last_seq > now.trim_seq and not now.agrees(before.last_epoch, before.last_seq):
                    world.mark("a tail was cut")
                if now.trim_seq > before.trim_seq:
                    world.mark("the log was trimmed")
            spoken = {stream: _known(state) for stream, state in states.items() if not state.blank}
            self._known[name] = (process.disk, spoken)
        if changed:
            self._look_at_majorities()
        return changed

    def _look_at_majorities(self) -> None:
        """What a majority has promised or stored, a majority holds for ever, wiped disks or not (I12)."""
        found: list[dict[int, LogState]] = []
        blank = 0
        for name in self._names:
            process = self._fleet.world.processes[name]
            if process.services is not None and process.services._store.dirty:
                return
            states = self.states(name)
            if states is None:
                blank += 1
            else:
                found.append(states)
        need = self.majority - blank
        for stream in sorted({stream for states in found for stream in states}):
            here = [states[stream] for states in found if stream in states]
            promises = sorted((state.promised for state in here), reverse=True)
            limits = sorted((state.limit for state in here), reverse=True)
            if len(here) < self.majority:
                continue
            if need > 0:
                promised, limit = promises[need - 1], limits[need - 1]
                check(I12, promised >= self._promised.get(stream, (0, 0)), "a majority's promise fell", stream=stream)
                check(I12, limit >= self._limits.get(stream, 0), "a majority's limit fell", stream=stream)
            if not blank:
                self._promised[stream] = promises[self.majority - 1]
                self._limits[stream] = limits[self.majority - 1]

    def trim_points(self) -> dict[int, int]:
        """By stream, the highest trim point of any living replica."""
        points: dict[int, int] = {}
        for service in self._fleet.services("journal"):
            for stream, state in service._store.streams.items():
                points[stream] = max(points.get(stream, 0), state.trim_seq)
        return points

    def _died(self, process: Process, service: Any) -> None:
        name = process.name
        if name not in self._names:
            return
        if process.disk.damaged:  # nobody can tell what it holds, and it is not coming back
            self._dead.pop(name, None)
            return
        store = _read(process.disk, name)
        streams = dict(store.streams)
        voter = store.member is not None and store.member.voter
        self._dead.pop(name, None)
        if not voter:
            return
        self._dead[name] = (process.disk, streams)
        if process.disk.torn:
            process.world.mark("an append was torn by a crash")
        disk, known = self._known.get(name, (None, {}))
        for stream, before in known.items() if disk is process.disk else ():
            self._compare(name, stream, before, streams.get(stream))
        if service is None or service._store.dirty or not service._replica.voter:
            return
        for stream, state in service._store.streams.items():
            if not state.blank:
                found = streams.get(stream)
                same = found is not None and _known(found) == _known(state)
                check(I2, same, "a crash took what had been spoken of", replica=name, stream=stream)

    def _compare(self, name: str, stream: int, before: Known, now: LogState | None) -> None:
        check(I12, now is not None, "a stream is gone", replica=name, stream=stream)
        assert now is not None
        check(I12, now.promised >= before.promised, "a promise fell", replica=name, stream=stream)
        check(I12, now.limit >= before.limit, "a limit fell", replica=name, stream=stream)
        check(I12, now.trim_seq >= before.trim_seq, "a trim point fell", replica=name, stream=stream)


def _known(state: LogState) -> Known:
    return Known(state.promised, state.limit, state.trim_seq, state.last_epoch, state.last_seq)


def _read(disk: SimulatedDisk, name: str) -> Store:
    """The store that a restart would find."""
    try:
        return Store(disk.twin(), reserve_bytes=0, spare_bytes=0, cache_bytes_max=0)
    except DiskFailed as failure:
        check(I2, False, "a crash damaged the log", replica=name, why=str(failure))
        raise
