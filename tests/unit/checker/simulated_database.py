"""A snapshot-isolated database of lists and registers in a few lines, to make good histories with, and ways to spoil
them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from tausql.checker.history import Attempt, Operation


@dataclass
class Running:
    attempt: Attempt
    snapshot: dict[str, tuple[int, ...]]
    version: int
    own: dict[str, tuple[int, ...]] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)


class Database:
    """First committer wins; locks count as writes against writers."""

    def __init__(self, chance: random.Random, keys: int) -> None:
        self.chance = chance
        self.keys = [f"l{number}" for number in range(keys)] + [f"r{number}" for number in range(keys)]
        self.now = 0.0
        self.version = 0
        self.state: dict[str, tuple[int, ...]] = {}
        self.written: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.value = 0
        self.attempts: list[Attempt] = []

    def tick(self) -> float:
        self.now += self.chance.choice((0.0, 0.001, 0.002))
        return self.now

    def begin(self, client: str) -> Running:
        attempt = Attempt(len(self.attempts), client, self.tick(), 0.0, "fail", [])
        self.attempts.append(attempt)
        return Running(attempt, dict(self.state), self.version)

    def step(self, running: Running, read_first: float) -> None:
        key = self.chance.choice(self.keys)
        if self.chance.random() < 0.5:
            self.read(running, key, self.chance.random() < 0.2)
            return
        if self.chance.random() < read_first:
            self.read(running, key, False)
        self.value += 1
        kind = "append" if key[0] == "l" else "write"
        running.attempt.operations.append(Operation(kind, key, self.value))  # type: ignore[arg-type]
        before = running.own.get(key, running.snapshot.get(key, ())) if kind == "append" else ()
        running.own[key] = (*before, self.value)

    def read(self, running: Running, key: str, shared: bool) -> None:
        values = running.own.get(key, running.snapshot.get(key, ()))
        kind = "read" if key[0] == "l" else "get"
        running.attempt.operations.append(Operation(kind, key, values=values, shared=shared))  # type: ignore[arg-type]
        if shared:
            running.locked.add(key)

    def end(self, running: Running, unknown: float) -> None:
        attempt = running.attempt
        refused = any(self.written.get(key, 0) > running.version for key in {*running.own, *running.locked})
        refused = refused or any(self.held.get(key, 0) > running.version for key in running.own)
        said = self.chance.random() < unknown
        if running.own and not refused and not (said and self.chance.random() < 0.5):
            self.version += 1
            self.state.update(running.own)
            self.written.update(dict.fromkeys(running.own, self.version))
            self.held.update(dict.fromkeys(running.locked, self.version))
            attempt.status = "ok"
        elif not running.own:
            attempt.status = "ok"
        if said and running.own:
            attempt.status = "info"
        attempt.completed = self.tick()


def good_history(
    seed: int, transactions: int, clients: int = 4, keys: int = 3, steps: int = 3, unknown: float = 0.1,
    read_first: float = 0.7, final: bool = True,
) -> list[Attempt]:  # fmt: skip
    """What clients of that database see; in the end one reads everything."""
    chance = random.Random(seed)
    database = Database(chance, keys)
    running: list[Running | None] = [None] * clients
    for _ in range(transactions):
        number = chance.randrange(clients)
        one = running[number]
        if one is not None:
            database.end(one, unknown)
        running[number] = fresh = database.begin(f"c{number}")
        for _ in range(chance.randint(1, steps)):
            database.step(fresh, read_first)
    for one in running:
        if one is not None:
            database.end(one, unknown)
    if final:
        database.now += 1.0
        last = database.begin("final")
        for key in database.keys:
            database.read(last, key, shared=False)
        database.end(last, 0.0)
    return database.attempts


Spoil = Callable[[list[Attempt], random.Random], bool]  # whether there was anything to spoil


def _replace(attempt: Attempt, at: int, values: tuple[int, ...]) -> None:
    attempt.operations[at] = msgspec.structs.replace(attempt.operations[at], values=values)


def _reads(attempts: list[Attempt], length: int) -> list[tuple[Attempt, int]]:
    """First reads of lists before anything was appended there, of the acknowledged."""
    found = []
    for attempt in attempts:
        touched: set[str] = set()
        for at, operation in enumerate(attempt.operations):
            if operation.kind == "read" and operation.key not in touched and len(operation.values) >= length:
                later = [one.key for one in attempt.operations[at + 1 :]]
                if attempt.status == "ok" and operation.key not in later:
                    found.append((attempt, at))
            touched.add(operation.key)
    return found


def lose_from_the_end(attempts: list[Attempt], chance: random.Random) -> bool:
    """An acknowledged append vanishes out of all that anybody read."""
    final = attempts[-1]
    writers = {write: one for one in attempts if one.status == "ok" for write in one.appends()}
    there = [(one.key, value) for one in final.operations for value in one.values if (one.key, value) in writers]
    there = [write for write in there if len([key for key, _ in writers[write].appends() if key == write[0]]) == 1]
    if not there:
        return False
    key, lost = chance.choice(there)
    for attempt in attempts:
        for at, operation in enumerate(attempt.operations):
            if operation.key == key and attempt is not writers[key, lost] and lost in operation.values:
                _replace(attempt, at, tuple(value for value in operation.values if value != lost))
    return True


def refuse_what_was_read(attempts: list[Attempt], chance: random.Random) -> bool:
    seen = {(one.key, value) for attempt in attempts[-1:] for one in attempt.operations for value in one.values}
    writers = [one for one in attempts if one.status == "ok" and seen & set(one.writes())]
    if not writers:
        return False
    chance.choice(writers).status = "fail"
    return True


def read_something_old(attempts: list[Attempt], chance: random.Random) -> bool:
    """The last transaction misses what another had been told was there."""
    final = attempts[-1]
    writers = {write: one for one in attempts for write in one.appends()}
    places = [
        at
        for at, operation in enumerate(final.operations)
        if operation.kind == "read" and operation.values and writers[operation.key, operation.values[-1]].status == "ok"
    ]
    if not places:
        return False
    at = chance.choice(places)
    _replace(final, at, final.operations[at].values[:-1])
    return True


def swap_two(attempts: list[Attempt], chance: random.Random) -> bool:
    """One reader sees two elements in the other order, while the last one sees them as they are."""
    places = [place for place in _reads(attempts, 2) if place[0] is not attempts[-1]]
    if not places:
        return False
    attempt, at = chance.choice(places)
    values = list(attempt.operations[at].values)
    values[-1], values[-2] = values[-2], values[-1]
    _replace(attempt, at, tuple(values))
    return True


def see_twice(attempts: list[Attempt], chance: random.Random) -> bool:
    places = _reads(attempts, 1)
    if not places:
        return False
    attempt, at = chance.choice(places)
    values = attempt.operations[at].values
    _replace(attempt, at, (*values, values[0]))
    return True


def see_what_nobody_wrote(attempts: list[Attempt], chance: random.Random) -> bool:
    places = _reads(attempts, 0)
    if not places:
        return False
    attempt, at = chance.choice(places)
    _replace(attempt, at, (*attempt.operations[at].values, 1_000_000))
    return True


def see_the_future(attempts: list[Attempt], chance: random.Random) -> bool:
    """A reader that was over before an append began has seen it."""
    final = {operation.key: operation.values for operation in attempts[-1].operations}
    begun = {write: one.invoked for one in attempts for write in one.appends()}
    places = [
        (attempt, at)
        for attempt, at in _reads(attempts, 0)
        if len(final[attempt.operations[at].key]) > len(attempt.operations[at].values)
        and begun[attempt.operations[at].key, final[attempt.operations[at].key][-1]] > attempt.completed
    ]
    if not places:
        return False
    attempt, at = chance.choice(places)
    _replace(attempt, at, final[attempt.operations[at].key])
    return True


def update_unseen(attempts: list[Attempt], chance: random.Random) -> bool:
    """Somebody appends after a read, and the read lacks the element that stands before its own."""
    final = {operation.key: operation.values for operation in attempts[-1].operations}
    writers = {write: one for one in attempts for write in one.appends()}
    places = []
    for attempt in attempts[:-1]:
        if attempt.status != "ok" or len(attempt.operations) < 2:
            continue
        for at, (first, second) in enumerate(pairwise(attempt.operations)):
            alone = sum(one.key == first.key for one in attempt.operations) == 2
            if (first.kind, second.kind, first.key) != ("read", "append", second.key) or not first.values or not alone:
                continue
            if second.value in final[first.key] and writers[first.key, first.values[-1]] is not attempt:
                places.append((attempt, at))
    if not places:
        return False
    attempt, at = chance.choice(places)
    _replace(attempt, at, attempt.operations[at].values[:-1])
    return True


SPOILS: dict[str, Spoil] = {
    spoil.__name__: spoil
    for spoil in (
        lose_from_the_end, refuse_what_was_read, read_something_old, swap_two, see_twice, see_what_nobody_wrote,
        see_the_future, update_unseen,
    )
}  # fmt: skip
