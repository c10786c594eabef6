"""A random walk over real acceptors: proposers, zombies, a reader, crashes, lost disks, trimming, a bad network.

The moves and invariants are those of the design's acceptor model, with `Replica` and `Store` in its acceptors' place.
Proposers and the reader belong to the walk; they look into a granting replica's store rather than ask for its log.
"""

from __future__ import annotations

import random
from typing import Any

from tausql.journal.replica import Replica
from tausql.protocol.journal import Append, Appended, Epoch, Introduce, Kind, Open, Opened, Record, Status, Trim
from tausql.rpc.interface import Cause, Failure
from tausql.simulation.disk import SimulatedDisk

from .ground import Ground

STREAM = 3
LOG_MAX = 40


class Violation(Exception):
    """An invariant of the protocol was broken."""


class Node:
    """One replica: its disk outlives it."""

    def __init__(self, world: Walk, place: int) -> None:
        self.world, self.place = world, place
        self.disk = SimulatedDisk(world.chance)
        self.ground = self.open()
        self.generation = 0  # rises with each crash: what was to be sent is gone

    def open(self) -> Ground:
        world = self.world
        return Ground(
            world.names[self.place], world.names, self.disk, world.chance, segment_bytes_max=world.segment_bytes_max
        )

    @property
    def replica(self) -> Replica:
        return self.ground.replica

    def sync(self) -> None:
        self.ground.sync(lambda replica, request, number: self.world.send_ask(self, replica, request, number))

    def crash(self) -> None:
        self.generation += 1
        self.disk.crash()
        self.ground = self.open()

    def wipe(self) -> None:
        self.generation += 1
        self.disk = SimulatedDisk(self.world.chance)
        self.ground = self.open()

    def log(self) -> list[Record]:
        """All of it: what was trimmed, out of the committed log."""
        store = self.ground.store
        state = store.stream(STREAM)
        records = list(self.world.committed[: state.trim_seq])
        while len(records) < state.last_seq:
            part = store.read(STREAM, len(records) + 1, 1 << 20)
            if not part or part[0].seq != len(records) + 1:
                raise Violation("a log cannot be read")
            records += part
        return records


class Proposer:
    def __init__(self, epoch: Epoch, replicas: int) -> None:
        self.epoch = epoch
        self.running = False
        self.dead = False
        self.incarnations = [0] * replicas
        self.grants: dict[int, tuple[int, list[Record], int, int]] = {}
        self.matched: dict[int, tuple[int, int]] = {}
        self.limits: dict[int, tuple[int, int]] = {}
        self.log: list[Record] = []
        self.start = self.commit_seq = self.high = self.limit = self.asked = self.floor = 0

    def current(self, place: int, incarnation: int, known: tuple[int, ...]) -> bool:
        """Drop what disks said that are gone; whether this answer comes from one that is not."""
        for other, newest in enumerate(known):
            self.incarnations[other] = max(self.incarnations[other], newest)
        self.incarnations[place] = max(self.incarnations[place], incarnation)
        for said in (self.grants, self.matched, self.limits):
            for other in [other for other, what in said.items() if what[0] < self.incarnations[other]]:
                del said[other]
        return incarnation >= self.incarnations[place]


class Walk:
    def __init__(self, seed: int, replicas: int, speak_early: bool, roll: bool) -> None:
        self.chance = random.Random(seed)
        self.names = [f"j{place}" for place in range(replicas)]
        self.majority = replicas // 2 + 1
        self.segment_bytes_max = self.chance.choice((300, 1500, 1 << 20)) if roll else 1 << 20
        self.speak_early = speak_early
        self.wire: list[tuple[Any, ...]] = []
        self.proposers: list[Proposer] = []
        self.committed: list[Record] = []
        self.floors: dict[Epoch, int] = {}
        self.used: dict[Epoch, int] = {}
        self.cursor, self.closed, self.seen = 0, 0, (0, 0)
        self.beats: list[tuple[Epoch, int, int]] = []
        self.marks: dict[str, int] = {}
        self.nodes: list[Node] = []
        self.nodes += [Node(self, place) for place in range(replicas)]
        self.genesis()
        self.fleet = self.nodes[0].replica.membership.fleet

    def mark(self, what: str) -> None:
        self.marks[what] = self.marks.get(what, 0) + 1

    def genesis(self) -> None:
        for _ in range(50):
            for node in self.nodes:
                node.replica.tick()
                node.sync()
            while self.wire:
                self.arrive(self.wire.pop(0))
            if all(node.replica.voter for node in self.nodes):
                return
        raise Violation("genesis did not come about")

    # the network

    def send(self, *message: Any) -> None:
        self.wire += [message] * self.chance.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 2))

    def send_ask(self, node: Node, replica: str, request: Any, number: int) -> None:
        self.wire.append(("ask", node, node.generation, self.names.index(replica), request, number))

    def arrive(self, message: tuple[Any, ...], lossy: bool = False) -> None:
        kind = message[0]
        if kind == "to":
            self.serve(self.nodes[message[1]], message[2], message[3])
        elif kind == "answer":
            self.answered(message[1], message[2], message[3])
        elif kind == "ask":
            _, asker, generation, place, request, number = message
            target = self.nodes[place]
            if lossy and self.chance.random() < 0.1:
                answer: Any = Failure(Cause.deadline)
                self.wire.append(("told", asker, generation, self.names[place], request, number, answer))
                return
            replica = target.replica
            answer = replica.introduce(request) if isinstance(request, Introduce) else replica.read_log(request)
            reply = ("told", asker, generation, self.names[place], request, number, answer)
            self.speak(target, lambda: self.wire.append(reply))
        else:
            _, asker, generation, name, request, number, answer = message
            if asker.generation == generation:
                before = asker.replica.voter
                base = asker.ground.store.stream(STREAM).trim_seq
                asker.replica.answered(name, request, number, answer)
                if asker.replica.voter and not before:
                    self.mark("rejoin")
                elif before and asker.ground.store.stream(STREAM).trim_seq > base:
                    self.mark("begun anew")
                asker.sync()

    def speak(self, node: Node, function: Any) -> None:
        if self.speak_early:
            function()
            if self.chance.random() < 0.3:
                node.sync()
        else:
            node.ground.say(function)
            if self.chance.random() < 0.7:
                node.sync()

    def deliver(self) -> None:
        if not self.wire:
            return
        late = self.chance.random() < 0.4
        low = 0 if late else max(0, len(self.wire) - 6)
        self.arrive(self.wire.pop(self.chance.randrange(low, len(self.wire))), lossy=True)

    def serve(self, node: Node, request: Any, proposer: Proposer | None) -> None:
        replica = node.replica
        node.ground.seconds += 0.3
        if isinstance(request, Trim):
            state = node.ground.store.stream(STREAM)
            before = state.trim_seq
            replica.trim(request)
            if replica.voter and state.trim_seq > before:
                self.mark("trimmed")
            if self.chance.random() < 0.7:
                node.sync()
            return
        if isinstance(request, Open):
            opened = replica.open(request, proposer)
            log = node.log() if opened.status == Status.ok else []
            self.speak(node, lambda: self.send("answer", proposer, node.place, (opened, log)))
        else:
            last = node.ground.store.stream(STREAM).last_seq
            appended = replica.append(request, proposer)
            pushed = node.ground.pushed
            if pushed and pushed[-1][1] < last:
                self.mark("cut")
            pushed.clear()
            self.speak(node, lambda: self.send("answer", proposer, node.place, (appended, [])))

    # proposers

    def open(self) -> None:
        counter = max((proposer.epoch[0] for proposer in self.proposers), default=0) + 1
        self.proposers.append(Proposer((counter, 7), len(self.names)))
        self.ask(self.proposers[-1])

    def ask(self, proposer: Proposer) -> None:
        for place in range(len(self.names)):
            self.send("to", place, Open(self.fleet, STREAM, proposer.epoch, "p"), proposer)

    def answered(self, proposer: Proposer, place: int, told: tuple[Any, list[Record]]) -> None:
        answer, log = told
        if proposer.dead or answer.status in (Status.fenced, Status.learner):
            return
        if isinstance(answer, Opened):
            self.granted(proposer, place, answer, log)
        elif answer.status == Status.gap:
            self.push(proposer, place, back_to=answer.seq if self.chance.random() < 0.8 else 0)
        else:
            self.acknowledged(proposer, place, answer)

    def granted(self, proposer: Proposer, place: int, answer: Opened, log: list[Record]) -> None:
        if proposer.running or not proposer.current(place, answer.incarnation, answer.known):
            return
        if (answer.last_epoch, answer.last_seq) != ((log[-1].epoch, log[-1].seq) if log else ((0, 0), 0)):
            raise Violation("a grant does not describe the log")
        proposer.grants[place] = (answer.incarnation, log, answer.limit, answer.ownership_seq)
        if len(proposer.grants) < self.majority:
            return
        grants = list(proposer.grants.values())
        adopted = max((grant[1] for grant in grants), key=lambda log: (log[-1].epoch, len(log)) if log else ((0, 0), 0))
        for grant in grants:
            newest = max((one.seq for one in grant[1] if one.kind != Kind.transaction), default=0)
            if grant[1] is adopted and grant[3] != newest:
                raise Violation("a log is adopted whose newest ownership is not there")
        tail = adopted[-1].tau if adopted else 0
        proposer.floor = max(tail, *(grant[2] for grant in grants))
        self.floors[proposer.epoch] = proposer.floor
        for epoch, tau in self.used.items():
            if epoch < proposer.epoch and tau > proposer.floor:
                raise Violation("I4 floor below what an earlier epoch used")
        proposer.high = proposer.floor + self.chance.randint(1, 3)
        start = Record(proposer.epoch, len(adopted) + 1, proposer.high, Kind.epoch_start, b"")
        proposer.log = [*adopted, start]
        proposer.start, proposer.running = len(proposer.log), True
        proposer.asked = proposer.high + self.chance.randint(2, 15)
        self.mark("takeover")
        self.push(proposer)

    def push(self, proposer: Proposer, only: int | None = None, back_to: int | None = None) -> None:
        if not proposer.running:
            return
        log = proposer.log
        for place in range(len(self.names)) if only is None else (only,):
            have = min(proposer.matched.get(place, (0, proposer.start - 1))[1], len(log))
            low = min(back_to, len(log)) if back_to is not None else max(0, have - self.chance.choice((0, 0, 1, 2)))
            high = self.chance.choice((len(log), len(log), self.chance.randint(low, len(log))))
            previous = log[low - 1].epoch if low else (0, 0)
            self.send(
                "to",
                place,
                Append(
                    self.fleet,
                    STREAM,
                    proposer.epoch,
                    previous,
                    low,
                    log[low:high],
                    proposer.commit_seq,
                    proposer.asked,
                ),
                proposer,
            )

    def acknowledged(self, proposer: Proposer, place: int, answer: Appended) -> None:
        if not proposer.running or not proposer.current(place, answer.incarnation, answer.known):
            return
        incarnation = answer.incarnation
        matched, limits = proposer.matched, proposer.limits
        matched[place] = (incarnation, max(answer.seq, matched.get(place, (0, 0))[1]))
        limits[place] = (incarnation, max(answer.limit, limits.get(place, (0, 0))[1]))
        stored = sorted((min(limit, proposer.asked) for _, limit in limits.values()), reverse=True)
        if len(stored) >= self.majority:
            proposer.limit = max(proposer.limit, stored[self.majority - 1])
        seqs = sorted((seq for _, seq in matched.values()), reverse=True)
        if len(seqs) >= self.majority and seqs[self.majority - 1] >= proposer.start:
            self.declare(proposer, seqs[self.majority - 1])

    def declare(self, proposer: Proposer, seq: int) -> None:
        if seq <= proposer.commit_seq:
            return
        proposer.commit_seq = seq
        for place, record in enumerate(proposer.log[:seq]):
            if place < len(self.committed):
                if self.committed[place] != record:
                    raise Violation("I3 a committed record was replaced")
                continue
            if self.committed:
                last = self.committed[-1]
                if record.tau <= last.tau or record.epoch < last.epoch:
                    raise Violation("I1 order")
            if record.tau <= self.closed:
                raise Violation("I5 committed at or below closed time")
            self.committed.append(record)
            self.mark("commit")
        if len(self.committed) > seq and self.committed[seq].epoch < proposer.epoch:
            raise Violation("I3 a committed record is missing in a later epoch")

    def use(self, proposer: Proposer, tau: int) -> None:
        self.used[proposer.epoch] = max(self.used.get(proposer.epoch, 0), tau)
        for epoch, floor in self.floors.items():
            if epoch > proposer.epoch and tau > floor:
                raise Violation("I4 tau used above a later epoch's floor")

    def write(self, proposer: Proposer) -> None:
        tau = proposer.high + self.chance.randint(1, 2)
        if proposer.running and tau <= proposer.limit and len(proposer.log) < LOG_MAX:
            self.use(proposer, tau)
            proposer.high = tau
            payload = b"x" * self.chance.randint(0, 60)
            kind = Kind.ownership if self.chance.random() < 0.2 else Kind.transaction
            proposer.log.append(Record(proposer.epoch, len(proposer.log) + 1, tau, kind, payload))
            self.push(proposer)

    def extend(self, proposer: Proposer) -> None:
        if proposer.running:
            proposer.asked = max(proposer.asked, proposer.high + self.chance.randint(2, 15))
            self.push(proposer)

    def vote(self, proposer: Proposer) -> None:
        if proposer.running and proposer.limit > proposer.floor:
            self.use(proposer, self.chance.randint(proposer.floor + 1, proposer.limit))

    def beat(self, proposer: Proposer) -> None:
        if not proposer.running or proposer.commit_seq < proposer.start:
            return
        tau = min(proposer.high + self.chance.randint(0, 3), proposer.limit)
        if tau >= proposer.high:
            self.use(proposer, tau)
            proposer.high = tau
            self.beats.append((proposer.epoch, len(proposer.log), tau))

    # the reader, trimming, lost disks

    def read(self) -> None:
        node = self.chance.choice(self.nodes)
        replica = node.replica
        state = node.ground.store.stream(STREAM)
        if replica.voter and replica.commit_seq(STREAM) > self.cursor >= state.trim_seq:
            records = node.ground.store.read(STREAM, self.cursor + 1, 1)
            if not records or self.cursor >= len(self.committed) or self.committed[self.cursor] != records[0]:
                raise Violation("a reader was served a record that is not committed")
            if records[0].tau <= self.closed:
                raise Violation("I5 record at or below closed time")
            self.cursor, self.closed, self.seen = self.cursor + 1, records[0].tau, records[0].epoch
        elif self.beats:
            epoch, n, tau = self.chance.choice(self.beats[-8:])
            if self.cursor >= n and tau > self.closed and self.seen == epoch:
                self.closed = tau
                if len(self.committed) > self.cursor and self.committed[self.cursor].tau <= tau:
                    raise Violation("I5 closed over a committed record")

    def trim(self) -> None:
        if self.cursor:
            last = self.committed[self.chance.randint(1, self.cursor) - 1]
            for place in range(len(self.names)):
                self.send("to", place, Trim(self.fleet, STREAM, last.epoch, last.seq), None)

    def wipe(self, node: Node) -> None:
        learners = sum(not other.replica.voter for other in self.nodes)
        if learners < len(self.nodes) - self.majority and self.committed:
            self.mark("disk lost")
            node.wipe()
            node.replica.tick()
            node.sync()

    def step(self) -> None:
        chance = self.chance
        x = chance.random()
        if x < 0.62:
            return self.deliver()
        if (x < 0.645 and len(self.proposers) < 10) or not self.proposers:
            return self.open()
        proposer = chance.choice(self.proposers[-2:] if chance.random() < 0.8 else self.proposers)
        node = chance.choice(self.nodes)
        if x < 0.66:
            if not proposer.running and not proposer.dead:
                self.ask(proposer)
        elif x < 0.665:
            proposer.dead = proposer is not self.proposers[-1]
        elif x < 0.685:
            node.crash()
            self.mark("crash")
        elif x < 0.693:
            self.wipe(node)
        elif x < 0.72:
            for other in self.nodes:
                if not other.replica.voter:
                    other.replica.tick()
                    other.sync()
        elif x < 0.73:
            self.trim()
        elif x < 0.80:
            return None if proposer.dead else self.write(proposer)
        elif x < 0.84:
            return None if proposer.dead else self.extend(proposer)
        elif x < 0.87:
            return None if proposer.dead else self.vote(proposer)
        elif x < 0.91:
            return None if proposer.dead else self.beat(proposer)
        else:
            self.read()
        return None


def run(seed: int, steps: int = 600, replicas: int = 3, speak_early: bool = False, roll: bool = True) -> dict[str, int]:
    """One walk. Raises `Violation` (or InvariantViolation), returns how often it reached interesting places.

    `roll`: with small segments, so that logs are trimmed and snapshots read."""
    walk = Walk(seed, replicas, speak_early, roll)
    for _ in range(steps):
        walk.step()
    return walk.marks
