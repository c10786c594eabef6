"""However rows are spread over replicas, and however shards move meanwhile, reads say what one replica with all of them
would: random maps and random requests, with storage's own reader behind them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from processor_fleet import FakeStorage, TestFleet
from processor_shards import HIGH, LAST, LOW, entry_key, load, row_key, row_of, scanned
from test_processor_transactions import TABLE, begin, run

from tausql.processor.transaction import StatementView
from tausql.protocol.ranges import EVERYTHING, RangeSet, complement, united
from tausql.protocol.storage import Comparison, Read, Scan
from tausql.protocol.storage import Test as RowTest
from tausql.rpc.interface import Reply
from tausql.storage.memory_engine import MemoryEngine
from tausql.storage.reads import PageLimits, Reader
from tausql.storage.schema import SchemaHistory
from tausql.storage.versions import ROW, TOMBSTONE, version_key

COUNT, GROUPS = 80, 5
LIMITS = PageLimits(rows_max=13, bytes_max=700, examined_max=17, gets_bytes_max=150)


class ReaderStorage(FakeStorage):
    """A replica with storage's reader over everything there is, that serves some of it."""

    reader: Reader | None = None
    keys = 0  # it has read

    def _answer(self, request: Read, reply: Reply) -> None:
        if self.reader is None or self.keys < len(self.data.versions):
            self.keys = len(self.data.versions)
            engine = MemoryEngine()
            batch = engine.batch()
            for key, versions in self.data.versions.items():
                for tau, value in versions:
                    batch.put(version_key(key, tau), ROW + value if value is not None else TOMBSTONE)
            engine.write(batch)
            self.reader = Reader(engine, SchemaHistory(), EVERYTHING, 0, LIMITS)
        self.data.closed = max(self.data.closed, request.tau)
        self.reader.serve(self.ranges)
        reply.answer(self.reader.read(request))


class ReaderFleet(TestFleet):
    storage = ReaderStorage


def some_key(chance: random.Random) -> bytes:
    number = chance.randrange(COUNT)
    key = row_key([number]) if chance.random() < 0.5 else entry_key([number % GROUPS, number])
    return chance.choice([key, key + b"\x00", key[:-1], LOW, HIGH, LAST])


def some_shards(chance: random.Random, replicas: int) -> list[RangeSet]:
    """What each replica serves; together, everything."""
    bounds = [b"", *sorted({some_key(chance) for _ in range(chance.randrange(1, 6))}), b""]
    served: list[list[tuple[bytes, bytes]]] = [[] for _ in range(replicas)]
    for low, high in pairwise(bounds):
        for at in chance.sample(range(replicas), chance.randint(1, 2)):
            served[at].append((low, high))
    sets = [united(ranges) for ranges in served]
    assert not complement([one for ranges in sets for one in ranges])
    return sets


def some_scan(chance: random.Random) -> Scan:
    fetch = chance.random() < 0.6
    first, end = (HIGH, LAST) if fetch else (LOW, HIGH)
    low, high = sorted((some_key(chance), some_key(chance)))
    low, high = max(low, first), min(high, end)
    if low >= high or chance.random() < 0.4:
        low, high = first, end
    tests: tuple[RowTest, ...] = ()
    if chance.random() < 0.5:
        tests = (RowTest(0, Comparison.is_in, chance.sample(range(COUNT), chance.choice((2, 20, 60)))),)
    projection = chance.choice([None, None, (1,), (2, 0), ()])
    limit = chance.choice([0, 0, 1, 2, 5, 30])
    return Scan(low, high, chance.random() < 0.5, limit, tests, projection, fetch, chance.choice([1, 3, 10, 1000]))


def write(chance: random.Random, statement: StatementView) -> None:
    """Change some rows, and their entries, as the executor would."""
    for number in chance.sample(range(COUNT + 10), 8):
        key, group = row_key([number]), number % GROUPS
        if number >= COUNT:
            statement.insert_row(TABLE, key, row_of(number, GROUPS))
            statement.put_entry(TABLE, entry_key([group, number]), key, False)
        elif chance.random() < 0.4:
            statement.delete_row(TABLE, key)
            statement.delete_entry(TABLE, entry_key([group, number]), False)
        else:
            statement.update_row(TABLE, key, row_of(number + 1, GROUPS), False)


async def asked(chance: random.Random, fleet: TestFleet) -> list[Any]:
    """The answers to what `chance` asks in one transaction."""
    transaction = begin(fleet)
    if chance.random() < 0.4:
        write(chance, transaction.statement((), True))
    answers: list[Any] = []
    for _ in range(4):
        statement = transaction.statement((), False)
        keys = [some_key(chance) for _ in range(chance.choice([1, 2, 12]))]
        answers.append(await statement.get(TABLE, keys))
        answers.append(await scanned(statement, some_scan(chance)))
        answers.append(await statement.scan_many(TABLE, [some_scan(chance) for _ in range(chance.choice([1, 2, 9]))]))
    return answers


def sharded(seed: int, chance: random.Random) -> TestFleet:
    """With shards that move all the time, and replicas that fail now and again."""
    fleet = ReaderFleet(seed, storages="aaabb")
    load(fleet, COUNT, GROUPS)

    def move() -> None:
        for storage, ranges in zip(fleet.storages, some_shards(chance, len(fleet.storages)), strict=True):
            storage.ranges = ranges
            fleet.world.at(chance.uniform(0, 0.01), None, tell, storage, ranges)
        fleet.world.at(chance.uniform(0.001, 0.2), None, move)

    def tell(storage: FakeStorage, ranges: RangeSet) -> None:
        if storage.ranges is ranges:
            storage.serve(*ranges)

    def fail() -> None:
        storage = chance.choice(fleet.storages)
        storage.mood = chance.choice(["elsewhere", "refuse", "slow"])
        fleet.world.at(chance.uniform(0.01, 0.3), None, setattr, storage, "mood", "answer")
        fleet.world.at(chance.uniform(0.1, 1.0), None, fail)

    move()
    fail()
    fleet.run(0.1)
    return fleet


@pytest.mark.parametrize("seed", range(12))
def test_any_shards_say_what_one_replica_with_everything_says(seed: int) -> None:
    whole = ReaderFleet(seed, storages="a")
    load(whole, COUNT, GROUPS)
    parts = sharded(seed, random.Random(f"shards {seed}"))
    for number in range(6):
        one = run(whole, asked(random.Random(f"asked {seed} {number}"), whole))
        other = run(parts, asked(random.Random(f"asked {seed} {number}"), parts))
        assert one == other
    assert parts.processor.metrics.reads_split > 0
    assert parts.processor.metrics.rows_elsewhere > 0
    parts.run(1.0)
    assert parts.processor.reads.in_flight == 0
