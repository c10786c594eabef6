"""Looks at all processes from outside, a hundred times a second: what no single process can check of itself."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from tausql.protocol.tau import opening
from tausql.runtime.check import I8, I10, I11, I12, check
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.journals import JournalDisks
from tausql.simulation.witness import Witness
from tausql.simulation.world import Process, World
from tausql.storage.applier import stored_state
from tausql.storage.checkpoint import TAKING_KEY
from tausql.storage.collection import stored_horizon
from tausql.storage.versions import DATA, DATA_END, TOMBSTONE

EVERY_SECONDS = 0.01
HASHES_KEPT = 10_000
HASH_FACTOR = 0x9E3779B97F4A7C15


def content_hash(engine: Any) -> int:
    """What `state_hash` must be of a store from which nothing was collected."""
    total = 0
    for key in engine.content.irange(DATA, DATA_END, (True, False)):
        value = engine.content[key]
        if value == TOMBSTONE:
            total += crc32(key) * HASH_FACTOR
        else:
            total += (crc32(key) << 32 | crc32(value[1:])) * HASH_FACTOR
    return total & ((1 << 64) - 1)


class Watch:
    """I11: storage replicas of one range at one watermark have the same state. I12: within a process's life its
    watermark never falls. I10: the log is not trimmed within the window, nor past what some storage holds. And, by
    `JournalDisks` and `Witness`, I1 to I5 and I12."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world, self._fleet = world, fleet
        self._disks = JournalDisks(fleet)
        self._witness = Witness(fleet, self._disks)
        self._hashes: dict[int, int] = {}
        self._watermarks: dict[tuple[str, int], int] = {}
        self._counted: dict[tuple[str, int], tuple[int, int]] = {}  # of storage: crossbars left, checkpoints taken
        self._merged: dict[Any, int] = {}  # feed -> up to which position it was looked at
        self._trimmed: dict[int, int] = {}

        world.on_death.append(self._died)

    def start(self) -> None:
        self._look()

    def _died(self, process: Process, _: Any) -> None:
        """I8: what a crash has left of a store is the rows of its watermark, no more and no less."""
        engine = process.stores.get("engine")
        if engine is None or engine.get(TAKING_KEY) is not None or stored_horizon(engine):
            return  # of collected versions nothing is left to count
        state = stored_state(engine)
        expected = state.state_hash if state is not None else 0
        check(I8, content_hash(engine) == expected, "rows and watermark fell apart", replica=process.name)

    def _look(self) -> None:
        self._look_at_storage()
        self._look_at_crossbars()
        self._disks.look()
        self._disks.look_at_majorities()
        self._look_at_trimming()
        self._world.at(EVERY_SECONDS, None, self._look)

    def _look_at_storage(self) -> None:
        for process in self._fleet.processes("storage"):
            service = process.services
            if not process.alive or service is None:
                continue
            kept = service.applier.state
            watermark = kept.watermark
            life = (process.name, process.generation)
            check(I12, watermark >= self._watermarks.get(life, 0), "a watermark fell", replica=process.name)
            self._watermarks[life] = watermark
            known = self._hashes.setdefault(watermark, kept.state_hash)
            check(I11, known == kept.state_hash, "replicas differ", replica=process.name, watermark=watermark)
            counted = (service.subscription.changes, service.metrics.checkpoints_taken)
            if counted != self._counted.get(life, (0, 0)):
                before = self._counted.get(life, (0, 0))
                self._counted[life] = counted
                if counted[0] > before[0]:
                    self._world.mark("a storage replica went to another crossbar")
                if counted[1] > before[1]:
                    self._world.mark("a checkpoint was taken")
        if len(self._hashes) > HASHES_KEPT:
            self._hashes.clear()

    def _look_at_crossbars(self) -> None:
        merged: dict[Any, int] = {}
        for service in self._fleet.services("crossbar"):
            for feed in service._feeds():
                ring = feed.ring
                position = max(self._merged.get(feed, 0), ring.first)
                for entry in ring.entries[position - ring.first :]:
                    self._witness.released(entry.stream, entry.epoch, entry.seq, entry.tau)
                merged[feed] = ring.end
        self._merged = merged

    def _look_at_trimming(self) -> None:
        for stream, seq in self._disks.trim_points().items():
            if seq <= self._trimmed.get(stream, 0):
                continue
            self._trimmed[stream] = seq
            window = opening(self._world.micros() - self._fleet.shape.crossbar.window_seconds * 1_000_000)
            tau = self._witness.tau_released(stream, seq)
            check(I10, tau <= window, "the log was trimmed inside the window", stream=stream, seq=seq)
            states = [stored_state(process.stores["engine"]) for process in self._fleet.processes("storage")
                      if "engine" in process.stores]  # fmt: skip
            held = [
                cursor
                for state in states
                if state is not None
                for cursor in state.cursors
                if cursor.stream == stream and cursor.seq >= seq
            ]
            check(I10, bool(held), "trimmed what no storage replica holds", stream=stream, seq=seq)
