"""A journal of reference acceptors: the rules of the transaction protocol, written for reading and nothing else.

Durable state lives in `Disk` objects that outlive the simulated processes; everything is durable the moment it is
changed, since what an acceptor loses in a crash is the journal's own tests' business.
"""

from __future__ import annotations

from tausql.protocol.journal import (
    NO_EPOCH,
    Append,
    Appended,
    Describe,
    Description,
    Kind,
    LogPart,
    Open,
    Opened,
    Probe,
    Probed,
    ReadLog,
    Status,
)
from tausql.rpc.interface import Routes

FLEET = "fleet"
OWNERSHIP_KINDS = (Kind.epoch_start, Kind.ownership)
RELUCTANT_SECONDS = 0.6
LIMIT_AHEAD_MICROS = 3_000_000


class Disk:
    def __init__(self, index, incarnation, count):
        self.index, self.incarnation, self.voter = index, incarnation, True
        self.known = [1] * count
        self.known[index] = incarnation
        self.promised, self.limit, self.commit_seq, self.log = NO_EPOCH, 0, 0, []
        self.full = False

    @property
    def end(self):
        return (self.log[-1].epoch, len(self.log)) if self.log else (NO_EPOCH, 0)


class Journal:
    """N acceptors of one stream on a simulated world."""

    def __init__(self, world, zones="abc", duplicates=0.0):
        self.world, self.duplicates = world, duplicates
        self.names = tuple(f"journal-{zone}" for zone in zones)
        self.disks = [Disk(index, 1, len(zones)) for index in range(len(zones))]
        self.wipes = 0
        self.processes = [world.add(name, name[-1], self._builder(at)) for at, name in enumerate(self.names)]

    def _builder(self, index):
        return lambda process: Acceptor(self, index, process)

    @property
    def majority(self):
        return len(self.names) // 2 + 1

    def on_majority(self, tau):
        """Is the record with this tau on a majority of the disks?"""
        return sum(any(record.tau == tau for record in disk.log) for disk in self.disks) >= self.majority

    def wipe(self, index):
        """A disk is lost while its replica is down; never more than a minority at once."""
        if sum(not disk.voter for disk in self.disks) >= len(self.names) - self.majority:
            return False
        self.wipes += 1
        disk = Disk(index, 1 + self.wipes, len(self.names))
        disk.known = [0] * len(self.names)
        disk.known[index] = disk.incarnation
        disk.voter = False
        self.disks[index] = disk
        return True

    def rejoin(self):
        """Learners become voters where a majority of all others is alive."""
        for disk in self.disks:
            others = [other for other in self.disks if other is not disk and other.voter]
            alive = [other for other in others if self.processes[other.index].alive]
            if disk.voter or len(alive) < (len(self.disks) - 1) // 2 + 1:
                continue
            for other in alive:
                other.known[disk.index] = disk.incarnation
            disk.promised = max(other.promised for other in alive)
            disk.limit = max(other.limit for other in alive)
            disk.log = list(max(alive, key=lambda other: other.end).log)
            disk.known = [max(column) for column in zip(disk.known, *(other.known for other in alive), strict=True)]
            disk.voter = True
            self.world.mark("rejoin")


class Acceptor:
    def __init__(self, journal, index, process):
        self.journal, self.index, self.process = journal, index, process
        self.name = journal.names[index]
        self.raised_at, self.holder, self.holder_peer = -10.0, "", None
        routes = Routes(
            calls={
                Describe: self.describe,
                Probe: self.probe,
                Open: self.open,
                Append: self.append,
                ReadLog: self.read_log,
            },
            on_disconnect=self.disconnected,
        )
        process.network.serve("journal", routes)

    @property
    def disk(self):
        return self.journal.disks[self.index]

    @property
    def reluctant(self):
        return self.journal.world.now - self.raised_at < RELUCTANT_SECONDS

    def disconnected(self, peer):
        if peer is self.holder_peer:
            self.raised_at = -10.0

    def describe(self, _, reply):
        disk = self.disk
        reply.answer(Description(FLEET, self.name, disk.incarnation, disk.voter, self.journal.names))

    def probe(self, _, reply):
        status = Status.learner if not self.disk.voter else Status.reluctant if self.reluctant else Status.ok
        reply.answer(Probed(status, self.disk.promised, self.holder))

    def open(self, request, reply):
        disk = self.disk
        status = Status.ok
        if not disk.voter:
            status = Status.learner
        elif request.epoch <= disk.promised:
            status = Status.fenced
        elif self.reluctant and request.epoch[1] != disk.promised[1]:
            status = Status.reluctant
        else:
            disk.promised = request.epoch
            self.holder = request.holder
        history = []
        for record in disk.log:
            if not history or history[-1][0] != record.epoch:
                history.append((record.epoch, record.seq))
        last_epoch, last_seq = disk.end
        reply.answer(
            Opened(
                status,
                self.name,
                disk.incarnation,
                tuple(disk.known),
                disk.promised,
                last_epoch,
                last_seq,
                tuple(history),
                disk.limit,
                disk.commit_seq,
                NO_EPOCH,
                0,
                ownership_seq=max((one.seq for one in disk.log if one.kind in OWNERSHIP_KINDS), default=0),
            )
        )

    def append(self, request, reply):
        reply.answer(self.appended(request, reply.peer))
        world = self.journal.world
        if world.random.random() < self.journal.duplicates:  # a late duplicate, whose answer nobody gets
            world.at(world.random.uniform(0.0, 0.05), self.process, self.appended, request, None)

    def appended(self, request, peer):
        disk = self.disk
        status, seq = self.judged(request, peer)
        clock = self.process.clock.now().latest if status == Status.limit_refused else 0
        return Appended(status, self.name, disk.incarnation, tuple(disk.known), disk.promised, seq, disk.limit, clock)

    def judged(self, request, peer):
        disk = self.disk
        if not disk.voter:
            return Status.learner, 0
        if request.epoch < disk.promised:
            return Status.fenced, 0
        disk.promised = request.epoch
        if request.limit >> 10 > self.process.clock.now().latest + LIMIT_AHEAD_MICROS:
            return Status.limit_refused, 0
        if disk.full and request.records:
            return Status.full, 0
        previous = request.previous_seq
        if previous > len(disk.log) or (previous and disk.log[previous - 1].epoch != request.previous_epoch):
            return Status.gap, len(disk.log)
        for record in request.records:
            assert record.seq == previous + 1 + request.records.index(record)
            if record.seq <= len(disk.log) and disk.log[record.seq - 1].epoch != record.epoch:
                assert record.seq > disk.commit_seq, "I3: cut at or below commit_seq"
                del disk.log[record.seq - 1 :]
                self.journal.world.mark("cut")
            if record.seq > len(disk.log):
                disk.log.append(record)
        last = previous + len(request.records)
        if request.limit > disk.limit:
            disk.limit = request.limit
            self.raised_at, self.holder_peer = self.journal.world.now, peer
        if request.leaving:
            self.raised_at = -10.0
        disk.commit_seq = max(disk.commit_seq, min(request.commit_seq, last))
        return Status.ok, last

    def read_log(self, request, reply):
        disk = self.disk
        status = Status.ok if disk.voter else Status.learner
        records, size = [], 0
        for record in disk.log[request.seq - 1 :] if disk.voter else ():
            size += len(record.payload) + 50
            if records and size > request.bytes_max:
                break
            records.append(record)
        last_epoch, last_seq = disk.end
        reply.answer(LogPart(status, records, last_epoch, last_seq, disk.commit_seq, NO_EPOCH, 0))
