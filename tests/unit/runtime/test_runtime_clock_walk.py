"""Clocks over real timekeepers on a simulated network: they are replaced, one lies, messages are late, machines sleep.

One liar of three: true time must lie within the interval, always, and mostly there must be one.
"""

from __future__ import annotations

import logging

import pytest

from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.timekeeper import TimekeeperClient
from tausql.runtime.clock import EstimatedClock, Estimator
from tausql.runtime.fleet import Directory, Neighbours
from tausql.runtime.host import ClockUnsure
from tausql.runtime.sampler import Sampler
from tausql.simulation.world import World
from tausql.timekeeper.service import TimekeeperService
from tausql.timekeeper.settings import TimekeeperSettings

ERROR_US = 100
DRIFT_PPM = 200


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Observer:
    """A process whose clock is estimated, on an oscillator of its own."""

    def __init__(self, ground: Ground, process) -> None:
        self.world = ground.world
        self.rate = 1 + self.world.random.uniform(-DRIFT_PPM, DRIFT_PPM) / 1e6
        self.slept = 0.0
        self.directory = Directory(ground.fleet)
        timekeepers = Neighbours(
            self.directory,
            "timekeeper",
            process.zone,
            lambda address: TimekeeperClient(process.network.connect(address, "timekeeper")),
            joined=lambda one: self.sampler.admit(one.member.name, one.client),
            left=lambda one: self.sampler.dismiss(one.member.name),
        )
        clients = dict(timekeepers.named())
        self.estimator = Estimator(list(clients), DRIFT_PPM, self.world.seed % 2 * 2 + 1)
        self.clock = EstimatedClock(
            self.estimator, self.raw, 20_000, self.raw, lambda: self.raw() + int(self.slept * 1e6)
        )
        self.sampler = Sampler(process, clients, self.estimator, self.clock, self.raw, 2.0, 0.25)
        self.sampler.start()
        self.looks = self.known = 0
        self.earliest = 0

    def raw(self) -> int:
        return int((self.world.now - self.slept) * 1e6 * self.rate)

    def look(self) -> None:
        self.looks += 1
        try:
            now = self.clock.now()
        except ClockUnsure:
            return
        self.known += 1
        assert now.earliest <= self.world.micros() <= now.latest, (now, self.world.micros())
        assert now.earliest >= self.earliest
        self.earliest = now.earliest


class Ground:
    """Timekeepers in three zones, one of which may lie, and two observers."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.world.links.delay = (0.0001, 0.003)
        self.world.links.loss = self.world.random.choice((0.0, 0.02))
        self.lies: dict[str, int] = {}  # name -> by how many us its clock is wrong
        self.count = 0
        self.members: list[Member] = []
        for zone in "abc":
            self.join(zone)
        self.observers = [self.world.add(f"observer-{zone}", zone, lambda one: Observer(self, one)) for zone in "ab"]
        for observer in self.observers:
            observer.start()

    @property
    def fleet(self) -> Fleet:
        return Fleet(timekeeper=tuple(self.members))

    def join(self, zone: str, lie: int = 0) -> None:
        self.count += 1
        member = Member(f"timekeeper-{self.count}", zone, f"timekeeper-{self.count}:1")
        if lie:
            self.lies[member.name] = lie
        chance = self.world.random

        def build(process):
            service = TimekeeperService(
                process,
                process.network,
                Directory(self.fleet),
                TimekeeperSettings(),
                read_us=lambda: self.world.micros() + lie + chance.randint(-ERROR_US, ERROR_US),
                bound_us=lambda: ERROR_US,
            )
            service.start()
            return service

        self.world.add(member.name, zone, build, member.address).start()
        self.members.append(member)

    def replace(self) -> None:
        """One leaves, another takes its place: a liar's successor on the same machine lies as well."""
        leaving = self.world.random.choice(self.members)
        self.members.remove(leaving)
        self.world.processes[leaving.name].kill()
        self.join(leaving.zone, self.lies.get(leaving.name, 0))
        self.tell()

    def tell(self, fleet: Fleet | None = None) -> None:
        for observer in self.observers:
            if observer.alive:
                delay = self.world.random.uniform(0.0, 0.5)
                self.world.at(delay, observer, observer.services.directory.replace, fleet or self.fleet)

    def run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.run(0.02)
            for observer in self.observers:
                if observer.alive:
                    observer.services.look()


@pytest.mark.parametrize("seed", range(12))
def test_true_time_is_within_the_interval_while_timekeepers_come_and_go(seed):
    ground = Ground(seed)
    chance = ground.world.random
    if seed % 3:
        liar = ground.members[0]
        ground.world.processes[liar.name].kill()
        ground.members.remove(liar)
        ground.join("a", chance.choice((-1, 1)) * chance.choice((2_000, 50_000, 10**9)))
        ground.tell()
    ground.run(10.0)
    looks = known = 0
    for _ in range(8):
        what = chance.choice(("replace", "wrong map", "restart", "sleep"))
        observer = chance.choice(ground.observers)
        if what == "replace":
            ground.replace()
        elif what == "wrong map":  # lists one only, for some seconds
            ground.tell(Fleet(timekeeper=(chance.choice(ground.members),)))
            ground.run(chance.uniform(0.5, 5.0))
            ground.tell()
        elif what == "restart":
            looks, known = looks + observer.services.looks, known + observer.services.known
            observer.kill()
            observer.start()
        else:
            observer.services.slept += chance.uniform(0.01, 2.0)
        ground.run(chance.uniform(0.5, 8.0))
    looks += sum(observer.services.looks for observer in ground.observers)
    known += sum(observer.services.known for observer in ground.observers)
    assert known > 0.9 * looks
