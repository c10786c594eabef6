"""Adjudicators over a reference journal, clients that never give up, and what must be true of it all at the end."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import msgspec
from reference_journal import Journal

from tausql.adjudicator.service import AdjudicatorService
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.protocol.adjudicator import (
    Aborted,
    AdjudicatorClient,
    Commit,
    Committed,
    Nudge,
    Outcome,
    Transaction,
    Unresolved,
)
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import EpochStart, Kind
from tausql.protocol.tau import closing, micros_of
from tausql.rpc.interface import Failure
from tausql.runtime.fleet import Directory
from tausql.simulation.world import World

KEYS = [b"k%d" % number for number in range(12)]


class Broken(Exception):
    """A promise of the protocol was broken."""


def must(condition, text, *facts):
    if not condition:
        raise Broken(text, *facts)


class AdjudicatorFleet:
    """`streams` streams on one reference journal would need one each; everything here is stream 0."""

    def __init__(self, seed, adjudicators=3, duplicates=0.0, settings=None, journal=None):
        self.world = World(seed)
        self.journal = journal(self.world) if journal else Journal(self.world, duplicates=duplicates)
        self.settings = settings or AdjudicatorSettings()
        self.fleet = Fleet(
            streams=1,
            journal=tuple(Member(name, name[-1], f"{name}:1") for name in self.journal.names),
            adjudicator=tuple(
                Member(f"adjudicator-{index}", "abc"[index % 3], f"adjudicator-{index}:1", index=index)
                for index in range(adjudicators)
            ),
        )
        self.beats = []  # (beat, true micros at which it was published)
        self.seen_committed = []  # (tau, record known on a majority)
        self.adjudicators = [self.world.add(member.name, member.zone, self._build) for member in self.fleet.adjudicator]
        self.clients = []
        self.client_process = self.world.add("client", "a", self._build_client)
        for process in self.world.processes.values():
            process.start()

    def _build(self, process):
        service = AdjudicatorService(process, process.network, Directory(self.fleet), self.settings)
        publish = service.beaten

        def beaten(beat):
            self.beats.append(beat)
            publish(beat)

        service.beaten = beaten
        service.start()
        return service

    def _build_client(self, process):
        self.channels = [
            AdjudicatorClient(process.network.connect(member.address, "adjudicator"))
            for member in self.fleet.adjudicator
        ]

    # looking

    def holders(self):
        """(process, tenure) of those that serve, by what they themselves believe."""
        return [
            (process, process.services.tenures[0])
            for process in self.adjudicators
            if process.alive and 0 in process.services.tenures and process.services.tenures[0].serving
        ]

    def run_until(self, condition, seconds=10.0):
        end = self.world.now + seconds
        while not condition():
            must(self.world.now < end, f"nothing of the sort within {seconds} s")
            self.world.run(0.0002)

    def settle(self, seconds=6.0):
        """End all faults; wait for a holder and for every client's answer."""
        world = self.world
        world.links.heal()
        world.links.loss = 0.0
        for process in world.processes.values():
            process.start()
        for disk in self.journal.disks:
            disk.full = False
        self.journal.rejoin()
        world.run(2.0)
        self.run_until(lambda: self.holders() and all(client.done for client in self.clients), seconds)
        world.run(0.5)
        (_, tenure) = max(self.holders(), key=lambda pair: pair[1].epoch)
        disk = max(self.journal.disks, key=lambda one: one.end)
        must(tenure.proposer.commit_seq == len(disk.log), "the log is not committed to its end")
        return disk.log

    # checking

    def check(self):
        """Everything that must be true of a run, over the log it ended with."""
        log = self.settle()
        self._check_order(log)
        transactions = {}
        for record in log:
            if record.kind == Kind.transaction:
                transaction = msgspec.msgpack.decode(record.payload, type=Transaction)
                must(transaction.txn not in transactions, "I7: committed twice")
                transactions[transaction.txn] = (record.tau, transaction)
        self._check_conflicts(list(transactions.values()))
        self._check_beats(log)
        for client in self.clients:
            client.check(transactions)
        return log, transactions

    def _check_order(self, log):
        for seq, (before, record) in enumerate(pairwise(log), 2):
            must(record.seq == seq and record.tau > before.tau and record.epoch >= before.epoch, "I1: order", record)

    def _check_conflicts(self, committed):
        for tau, one in committed:
            must(one.tau_start < tau, "I6: at or before its snapshot")
            for other_tau, other in committed:
                if one.tau_start < other_tau < tau:
                    theirs = set(other.writes) | set(other.shares)
                    clash = set(one.writes) & theirs or set(one.shares) & set(other.writes)
                    must(not clash, "I6: first committer did not win", clash)
                    must(not (other.changes and set(one.changes) & set(other.changes)), "I6: schema changes overlap")

    def _check_beats(self, log):
        starts = [
            (record.epoch, msgspec.msgpack.decode(record.payload, type=EpochStart).floor, record.tau)
            for record in log
            if record.kind == Kind.epoch_start
        ]
        for beat in self.beats:
            for epoch, floor, tau in starts:
                must(
                    epoch <= beat.epoch or (beat.tau <= floor and beat.tau < tau),
                    "I4: closed above a later floor",
                    beat,
                )
            if beat.n <= len(log) and log[beat.n - 1].epoch == beat.epoch:
                following = log[beat.n].tau if beat.n < len(log) else beat.tau + 1
                must(following > beat.tau, "I5: a record at or below closed time", beat, following)
            if beat.commit_seq:
                must(beat.commit_seq <= len(log), "I3: a committed record is missing", beat)
                must(log[beat.commit_seq - 1].epoch <= beat.epoch, "I3: a committed record was replaced", beat)


class Client:
    """One transaction at a time, each followed to its end."""

    def __init__(self, fleet, commits, share_odds=0.3, pause=0.05, schema_odds=0.15):
        self.fleet, self.world, self.chance = fleet, fleet.world, fleet.world.random
        self.left, self.pause = commits, pause
        self.share_odds, self.schema_odds = share_odds, schema_odds
        self.told = {}  # txn -> tau, or None for aborted
        self.overheard = []  # (txn, answer) of outcome calls sent while the commit was still on its way
        self.reasons = []
        self.floor = 0
        self.done = False
        self.request = None
        fleet.clients.append(self)
        self.later(self.chance.uniform(0, pause), self.next)

    def later(self, seconds, function, *arguments):
        self.world.at(seconds, self.fleet.client_process, function, *arguments)

    def next(self):
        if self.left == 0:
            self.done = True
            return
        holders = self.fleet.holders()
        if not holders:
            self.later(0.02, self.next)
            return
        self.left -= 1
        process, tenure = self.chance.choice(holders)
        self.request = self.make(tenure)
        self.channels = self.fleet.channels
        at = self.fleet.adjudicators.index(process)
        self.channels[at].commit(self.request, 1.0, self.answered)
        if self.chance.random() < 0.1:
            self.channels[at].nudge(Nudge(0, self.request.tau_start))
        if self.chance.random() < 0.1:  # an impatient client, whose question may overtake its commit
            self.channels[at].outcome(self.question(), 1.0, partial(self.overhear, self.request.txn))

    def make(self, tenure):
        latest = self.fleet.client_process.clock.now().latest
        tau_start = closing(latest - self.chance.choice((0, 0, 500, 5_000, 200_000)))
        if self.chance.random() < 0.8:
            tau_start = max(tau_start, closing(micros_of(max(self.floor, tenure.floor)) + 1))
        keys = self.chance.sample(KEYS, self.chance.randint(1, 3))
        shares = [key for key in keys if self.chance.random() < self.share_odds]
        writes = [key for key in keys if key not in shares]
        schema = [0, 5] if self.chance.random() < self.schema_odds else []
        return Commit(
            self.chance.randbytes(16),
            tau_start,
            closing(latest + 5_000_000),
            0,
            tenure.epoch,
            writes,
            shares,
            schema or [5],
            schema,
            b"a",
            b"z",
            self.chance.randbytes(20),
        )

    def answered(self, answer):
        if isinstance(answer, Committed):
            self.tell(answer.tau)
        elif isinstance(answer, Aborted):
            self.reasons.append(answer.reason)
            self.floor = max(self.floor, answer.floor)
            self.tell(None)
        elif isinstance(answer, Unresolved | Failure):
            self.world.mark("unresolved" if isinstance(answer, Unresolved) else "no answer")
            self.ask()
        else:
            self.later(0.02, self.ask)

    def overhear(self, txn, answer):
        self.overheard.append((txn, answer))

    def question(self):
        request = self.request
        return Outcome(request.txn, request.tau_start, request.deadline, request.stream, request.epoch)

    def ask(self):
        holders = self.fleet.holders()
        at = self.fleet.adjudicators.index(holders[-1][0]) if holders else 0
        self.channels[at].outcome(self.question(), 0.5, lambda answer: self.later(0.01, self.answered, answer))

    def tell(self, tau):
        must(self.request.txn not in self.told, "answered twice")
        self.told[self.request.txn] = tau
        if tau is not None:
            must(self.world.micros() > micros_of(tau), "I9: told before its time")
            self.world.mark("committed")
            must(self.fleet.journal.wipes or self.fleet.journal.on_majority(tau), "I3: told before a majority")
        self.later(self.chance.uniform(0, self.pause), self.next)

    def check(self, transactions):
        for txn, tau in self.told.items():
            if tau is None:
                must(txn not in transactions, "I7: told aborted, and committed")
            else:
                must(txn in transactions and transactions[txn][0] == tau, "I3: told committed, and gone")
        for txn, answer in self.overheard:
            if isinstance(answer, Aborted):
                must(txn not in transactions, "I7: outcome said aborted, and committed")
            elif isinstance(answer, Committed):
                must(txn in transactions, "I3: outcome said committed, and gone")
