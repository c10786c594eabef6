"""Shards are cut, joined, moved and lost while commits go on: what is served is complete, and nothing is lost."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from storage_fleet import Ground
from storage_model import Model

from tausql.protocol.fleet import Shard
from tausql.protocol.ranges import EVERYTHING, covers, united, without
from tausql.protocol.storage import Digest, Digested, NotHere, Read, Rows, Scan, StorageClient
from tausql.simulation.engine import SimulatedEngine
from tausql.storage.applier import Applier
from tausql.storage.collection import HORIZON_KEY
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.versions import DATA_END, escaped

NAMES = ("storage-a", "storage-b", "storage-c", "storage-d")
TRIMMING = {"trim_seconds": 0.5, "window_seconds": 1, "hold_seconds": 3.0, "ring_records_max": 60}
STORING = {"report_seconds": 0.5, "window_seconds": 1, "sweep_seconds": 0.7, "scrub_seconds": 1.0}
CUTS = (b"\x00\x00\x00\x01k2", b"\x00\x00\x00\x01k4", b"\x00\x00\x00\x01k5", b"\x00\x00\x00\x01k7")


def key(number: int) -> bytes:
    return bytes([0, 0, 0, 1]) + b"k%02d" % number


def ground_of(seed: int, storages: int = 3, **more) -> Ground:
    ground = Ground(seed, storages=storages, crossbar=TRIMMING, storage=STORING | more)
    ground.world.run(0.5)
    return ground


def commit(ground: Ground, chance: Random, count: int) -> None:
    for _ in range(count):
        rows = {key(chance.randrange(80)): chance.choice([None, b"%d" % chance.randrange(1000)]) for _ in range(3)}
        ground.commit(rows, 0, (7,) if chance.random() < 0.05 else ())
        ground.world.run(chance.uniform(0, 0.004))


def alive(ground: Ground) -> list[str]:
    return [name for name in ground.engines if ground.world.processes[name].alive]


def model_of(ground: Ground) -> Model:
    return Model(sorted(ground.history, key=lambda one: one[0]))


def check_served(ground: Ground) -> None:
    """What is served is complete, at the replica's own watermark."""
    model = model_of(ground)
    for name in alive(ground):
        service = ground.service(name)
        tau = service.applier.watermark
        for low, high in service.reader.served.ranges:
            reader = service.reader
            reader.written()
            answer = reader.read(Read(tau, (), [], [Scan(low, high, page_rows=5000)]))
            assert isinstance(answer, Rows), (name, answer)
            page = answer.pages[0]
            assert page.resume is None
            found = list(zip(page.keys, page.values, strict=True))
            assert found == model.scan(low, high, tau), (name, low, high)


def check_map(ground: Ground) -> None:
    """Everybody serves exactly what the map wants of it."""
    for name in alive(ground):
        service = ground.service(name)
        wanted = united((one.low, one.high) for one in ground.fleet.shards if name in one.replicas)
        assert service.reader.served.ranges == wanted, (name, service.status())
        assert service.applier.shards.ranges() == wanted
        outside = [stored for low, high in without(EVERYTHING, wanted) for stored in held(service, low, high)]
        assert not outside, "the rows of what is not kept any more are gone"
        msgspec.json.encode(service.status())
        assert list(service.metrics.collect())


def held(service, low: bytes, high: bytes) -> list[bytes]:
    return list(service.engine.content.irange(escaped(low), escaped(high) if high else DATA_END, (True, False)))


def check_digests(ground: Ground) -> None:
    """Replicas of a shard have the same rows."""
    for shard in ground.fleet.shards:
        tau = max(ground.service(name).applier.watermark for name in shard.replicas)
        answers = {name: digest(ground, name, shard.low, shard.high, tau) for name in shard.replicas}
        assert len(set(answers.values())) == 1, answers
    assert all(ground.service(name).metrics.differences == 0 for name in alive(ground))


def digest(ground: Ground, name: str, low: bytes, high: bytes, tau: int) -> tuple[int, int]:
    rows = state_hash = 0
    client = StorageClient(ground.reader.network.connect(f"{name}:1", "storage"))
    while True:
        answers: list = []
        client.digest(Digest(low, high, tau), 5.0, answers.append)
        for _ in range(5000):
            if answers:
                break
            ground.world.run(0.001)
        assert isinstance(answers[0], Digested), answers
        rows, state_hash = rows + answers[0].rows, (state_hash + answers[0].state_hash) % 2**64
        if answers[0].resume is None:
            return rows, state_hash
        low = answers[0].resume


def shards_of(cuts, replicas) -> tuple[Shard, ...]:
    bounds = [b"", *cuts, b""]
    return tuple(Shard(bounds[at], bounds[at + 1], tuple(replicas(at))) for at in range(len(cuts) + 1))


def test_cutting_is_free_and_joining_too():
    ground = ground_of(1)
    commit(ground, Random(1), 30)
    names = NAMES[:3]
    for cuts in (CUTS, CUTS[1:2], ()):
        ground.remap(*shards_of(cuts, lambda at: names))
        commit(ground, Random(2), 10)
        ground.world.run(2.0)
        check_map(ground)
        assert [one.low for one in ground.service("storage-a").applier.shards.all] == [b"", *cuts]
        check_served(ground)
        check_digests(ground)
    assert all(ground.service(name).keeper.taken == 0 for name in names)


def test_shards_move_while_commits_go_on():
    ground = ground_of(2, 4)
    ground.forgets = True
    chance = Random(2)
    commit(ground, chance, 60)
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES[:2], NAMES[2:])[at]))
    for _ in range(30):
        commit(ground, chance, 5)
        check_served(ground)
    ground.world.run(8.0)
    check_map(ground)
    check_digests(ground)
    service = ground.service("storage-a")
    low = service.reader.served.ranges[0][1]
    assert ground.read("storage-a", Read(service.applier.watermark, (), [low], [])) == NotHere()
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES[1:3], (NAMES[0], NAMES[3]))[at]))
    for _ in range(30):
        commit(ground, chance, 5)
        check_served(ground)
    ground.world.run(8.0)
    check_map(ground)
    check_digests(ground)
    assert sum(ground.service(name).keeper.taken for name in NAMES) == 2


def test_nobody_waits_while_a_shard_is_taken(monkeypatch):
    monkeypatch.setattr("tausql.storage.peers.PART_BYTES", 200)
    ground = ground_of(3, 4)
    chance = Random(3)
    ground.commit({key(number): b"x" * 500 for number in range(80)})
    commit(ground, chance, 60)
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES[:3], NAMES)[at]))
    ground.world.run(9.0)
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES, NAMES)[at]))
    taker = ground.service("storage-d")
    late = latest = steps = 0
    while taker.reader.served.ranges != EVERYTHING:
        tau = ground.commit({key(chance.randrange(80)): b"x"})
        ground.world.run(0.002)
        assert taker.reader.served.holds(CUTS[1]), "what it has it goes on serving"
        late = 0 if taker.applier.watermark >= tau else late + 1
        latest = max(latest, late)
        steps += 1
        assert steps < 20_000
    assert steps > 10
    assert latest <= 3, "a few milliseconds without deliveries, while the subscription changes hands"
    check_served(ground)
    check_digests(ground)


def test_two_that_rely_on_each_other_do_not_both_let_go():
    ground = ground_of(4)
    commit(ground, Random(4), 30)
    ground.world.run(3.0)
    # Everybody has everything, and half of them have read a map that the other half has not.
    for other, own in ((("storage-b", "storage-c"), "storage-a"), (("storage-a", "storage-c"), "storage-b")):
        ground.remap(Shard(b"", b"", other), late=tuple({"storage-a", "storage-b", "storage-c"} - {own}))
    for _ in range(40):
        commit(ground, Random(5), 3)
        ground.world.run(0.2)
        kept = [ground.service(name).applier.shards.whole() for name in NAMES[:3]]
        assert sum(covers(one, EVERYTHING) for one in kept) >= 2
    check_served(ground)


def test_a_range_is_not_given_up_to_one_zone():
    ground = ground_of(5)
    commit(ground, Random(5), 30)
    ground.remap(Shard(b"", b"", ("storage-b",)))
    ground.world.run(8.0)
    assert all(ground.service(name).reader.served.ranges == EVERYTHING for name in NAMES[:3])


def test_a_wiped_replica_becomes_whole_shard_by_shard(monkeypatch):
    monkeypatch.setattr("tausql.storage.peers.PART_BYTES", 300)
    ground = ground_of(6)
    ground.forgets = True
    ground.remap(*shards_of(CUTS, lambda at: NAMES[:3]))
    chance = Random(6)
    commit(ground, chance, 100)
    ground.world.run(6.0)
    commit(ground, chance, 20)
    assert ground.trimmed[0] > 50
    ground.kill("storage-c")
    ground.engines["storage-c"] = MemoryEngine()
    ground.start("storage-c")
    service = ground.service("storage-c")
    steps = set()
    for _ in range(400):
        commit(ground, chance, 1)
        check_served(ground)
        if service.reader.served.ranges:
            steps.add(len(service.applier.shards.all))
        if service.reader.served.ranges == EVERYTHING:
            break
        ground.world.run(0.02)
    assert service.keeper.taken == len(CUTS) + 1
    assert len(steps) >= 3, "one after another"
    ground.world.run(2.0)
    check_map(ground)
    check_digests(ground)
    hashes = {tuple(ground.service(name).applier.shards.hashes()) for name in NAMES[:2]}
    assert len(hashes) == 1


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_nothing_is_lost(seed, monkeypatch):
    monkeypatch.setattr("tausql.storage.peers.PART_BYTES", 400)
    chance = Random(seed)
    ground = ground_of(200 + seed, 4)
    ground.forgets = True
    down: set[str] = set()
    for _ in range(25):
        commit(ground, chance, chance.randrange(12))
        check_served(ground)
        move = chance.random()
        if move < 0.35:
            cuts = sorted(chance.sample(CUTS, chance.randrange(len(CUTS))))
            late = tuple(chance.sample(NAMES, chance.randrange(2)))
            ground.remap(*shards_of(cuts, lambda at: chance.sample(NAMES, chance.choice((2, 3, 4)))), late=late)
        elif move < 0.5 and not down:
            name = chance.choice([*NAMES, "crossbar-a"])
            ground.kill(name)
            down.add(name)
            if name in NAMES and spare(ground, name) and chance.random() < 0.5:
                ground.engines[name] = MemoryEngine()
        elif down:
            name = down.pop()
            ground.start(name)
        ground.world.run(chance.choice((0.0, 0.05, 0.3, 1.5)))
        check_served(ground)
        check_kept(ground)
    for name in down:
        ground.start(name)
    ground.remap(*ground.fleet.shards)
    ground.remap(*shards_of(CUTS[1:3], lambda at: (NAMES[:2], NAMES[1:], NAMES)[at]))
    for _ in range(4):
        commit(ground, chance, 10)
        ground.world.run(3.0)
        check_served(ground)
    ground.world.run(6.0)
    check_map(ground)
    check_digests(ground)


def spare(ground: Ground, name: str) -> bool:
    """Two others, in two zones, have all that this one's disk has."""
    mine = Applier(ground.engines[name]).shards.ranges()
    others = [ground.service(one).reader.served.ranges for one in alive(ground) if one != name]
    return sum(covers(one, mine) for one in others) >= 2


def check_kept(ground: Ground) -> None:
    """Every key is whole on some disk."""
    disks = []
    for engine in ground.engines.values():
        disks += Applier(engine).shards.whole()
    assert covers(disks, EVERYTHING)


def test_a_replica_dies_of_a_damaged_store_also_when_it_finds_that_out_on_the_way_to_a_new_range():
    ground = ground_of(9, 4)
    commit(ground, Random(9), 30)
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES[:2], NAMES[2:])[at]))
    ground.world.run(4.0)
    ground.kill("storage-c")
    engine = SimulatedEngine()
    engine.content.update(ground.engines["storage-c"].content)
    ground.engines["storage-c"] = engine
    ground.start("storage-c")
    ground.world.run(1.0)
    assert ground.world.processes["storage-c"].alive
    engine.damaged.add(HORIZON_KEY)
    ground.remap(*shards_of(CUTS[1:2], lambda at: (NAMES[:3], NAMES[2:])[at]))
    ground.world.run(1.0)
    assert not ground.world.processes["storage-c"].alive
