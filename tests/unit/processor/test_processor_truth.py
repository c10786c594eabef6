"""Whatever befalls the fleet: who is told "committed" finds it there, who is told 40001 does not; nothing is lost."""

from __future__ import annotations

import pytest
from processor_client import Client, add_table, errors, items, rows, status
from processor_fleet import TestFleet

from tausql.pgwire import client
from tausql.pgwire.client import ReadyForQuery

ACCOUNTS = 6
START = 100


class Teller:
    """A client that counts its own row up and moves money between accounts in one transaction, again and again."""

    def __init__(self, fleet: TestFleet, number: int) -> None:
        self.fleet = fleet
        self.number = number
        self.client = Client(fleet, number % 2)
        self.chance = fleet.world.random
        self.lowest = self.highest = 0  # what its own row may hold
        self.commits = 0
        self.unknown = 0
        self.done = False
        self._script: list[str] = []
        self._committing = False
        self.client.out.on_write = self._on_write
        self._next_transaction()

    def _next_transaction(self) -> None:
        source, target = self.chance.sample(range(ACCOUNTS), 2)
        self._committing = False
        self._script = [
            "BEGIN",
            f"UPDATE items SET grp = grp + 1 WHERE id = {1_000 + self.number} RETURNING grp",
            f"UPDATE items SET grp = grp - 1 WHERE id = {source}",
            f"UPDATE items SET grp = grp + 1 WHERE id = {target}",
            "COMMIT",
        ]
        self._send()

    def _send(self) -> None:
        sql = self._script.pop(0)
        self._committing = sql == "COMMIT"
        self.fleet.world.at(self.chance.uniform(0, 0.01), None, self.client.send, client.query(sql))

    def _on_write(self) -> None:
        if not any(isinstance(message, ReadyForQuery) for message in self.client.out.messages):
            return
        answer = self.client.take()
        failed = errors(answer)
        told = rows(answer)
        if told:
            value = int(told[0][0] or 0)
            assert self.lowest + 1 <= value <= self.highest + 1, "its own row is not what it was told"
            self.lowest = self.highest = value - 1
        if failed:
            assert failed[0][0] in ("40001", "40003", "57P03"), failed
            if failed[0][0] == "40003":
                self.unknown += 1
                self.highest += 1
        elif self._committing:
            self.commits += 1
            self.lowest += 1
            self.highest += 1
        if self.done:
            if status(answer) != "I":
                self._script = ["ROLLBACK"]
                self._send()
        elif failed and status(answer) != "I":
            self._script = ["ROLLBACK"]
            self._send()
        elif failed or self._committing or not self._script:
            self._next_transaction()
        else:
            self._send()


def trouble(fleet: TestFleet) -> None:
    """One thing going wrong, now and again a little later."""
    chance = fleet.world.random
    holder, other = sorted(fleet.adjudicators, key=lambda one: not one.holds)
    kind = chance.randrange(5)
    if kind == 0:
        epoch = (holder.epoch[0] + 1, chance.randrange(1 << 30))
        holder.hold(False, holder.epoch)
        fleet.world.at(chance.uniform(0, 0.5), None, other.hold, True, epoch)
    elif kind == 1:
        holder.mood = "mute"
        fleet.world.at(0.3, None, setattr, holder, "mood", "judge")
    elif kind == 2:
        fleet.storages[0].mood = chance.choice(["drop", "refuse", "elsewhere"])
        fleet.world.at(0.5, None, setattr, fleet.storages[0], "mood", "answer")
    elif kind == 3:
        fleet.world.links.loss = 0.05
        fleet.world.at(0.2, None, setattr, fleet.world.links, "loss", 0.0)
    else:
        for process in fleet.world.processes.values():
            process.clock.drift()
    fleet.world.at(chance.uniform(0.5, 2.0), None, trouble, fleet)


@pytest.mark.parametrize("seed", range(6))
def test_everyone_is_told_the_truth(seed: int) -> None:
    fleet = TestFleet(seed, processors=2)
    add_table(fleet, items(index=False))
    setup = Client(fleet)
    values = [f"({number}, {START}, '')" for number in range(ACCOUNTS)]
    values += [f"({1_000 + number}, 0, '')" for number in range(4)]
    setup.query(f"INSERT INTO items VALUES {', '.join(values)}")
    tellers = [Teller(fleet, number) for number in range(4)]
    fleet.world.at(0.5, None, trouble, fleet)
    fleet.run(12)
    for teller in tellers:
        teller.done = True
    fleet.run(60)
    assert sum(teller.commits for teller in tellers) > 50
    answer = Client(fleet, 1).query("SELECT id, grp FROM items")
    final = {int(one or 0): int(two or 0) for one, two in rows(answer)}
    assert sum(final[number] for number in range(ACCOUNTS)) == ACCOUNTS * START
    for teller in tellers:
        assert teller.lowest <= final[1_000 + teller.number] <= teller.highest
    assert len(fleet.data.received) == len(set(fleet.data.received))
