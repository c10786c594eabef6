"""Three replicas as services, over the simulated network: genesis, lost disks, reluctance, trimming, tails."""

from __future__ import annotations

import msgspec
import pytest

from tausql.journal.app import create_app
from tausql.journal.service import JournalService
from tausql.journal.settings import JournalSettings
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import (
    NO_EPOCH,
    Append,
    Describe,
    Ended,
    EpochEnd,
    Introduce,
    Kind,
    Open,
    Ownership,
    Probe,
    ReadLog,
    Record,
    Status,
    Tail,
    Trim,
)
from tausql.protocol.tau import opening
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Directory
from tausql.runtime.metrics import exposition
from tausql.simulation.world import World

NAMES = ("journal-a", "journal-b", "journal-c")
EPOCH = (1, 7)


class Fixture:
    """A world with three replicas and clients."""

    def __init__(self, seed=1, **settings):
        self.world = World(seed)
        self.world.links.delay = (0.0001, 0.0002)
        self.settings = JournalSettings(**settings)
        self.fleet = Fleet(journal=tuple(Member(name=name, zone=name[-1], address=f"{name}:1") for name in NAMES))
        self.replicas = {name: self.world.add(name, name[-1], self.build) for name in NAMES}
        self.clients = {}
        self.client("client")
        self.id = ""

    def build(self, process):
        service = JournalService(process, process.network, Directory(self.fleet), self.settings, process.disk)
        service.start()
        return service

    def up(self):
        for replica in self.replicas.values():
            replica.start()
        self.run(0.5)
        self.id = self.service("journal-a")._replica.membership.fleet
        return self

    def run(self, seconds):
        self.world.run(seconds)

    def client(self, name):
        process = self.clients[name] = self.world.add(name, "a", lambda process: process)
        process.start()
        return process

    def service(self, name):
        return self.replicas[name].services

    def ready(self):
        return [self.service(name).ready()[0] for name in NAMES]

    def call(self, name, request, client="client", seconds=0.02):
        answers = []
        channel = self.clients[client].network.connect(f"{name}:1", "journal")
        channel.call(request, 1.0, answers.append)
        self.run(seconds)
        assert len(answers) == 1, request
        return answers[0]

    def all(self, request, names=NAMES):
        return [self.call(name, request) for name in names]

    def tau(self, seq):
        return opening(self.world.micros()) + seq

    def append(
        self, name, first, count, *, epoch=EPOCH, previous=None, commit_seq=0, limit=0, client="client", owned=0
    ):
        records = [
            Record(epoch, seq, 1000 * epoch[0] + seq, Kind.ownership if seq == owned else Kind.transaction, b"payload")
            for seq in range(first, first + count)
        ]
        if previous is None:
            previous = epoch if first > 1 else NO_EPOCH
        request = Append(self.id, 0, epoch, previous, first - 1, records, commit_seq, limit)
        return self.call(name, request, client)

    def tail(self, name, epoch=NO_EPOCH, seq=0):
        parts, ends = [], []
        channel = self.clients["client"].network.connect(f"{name}:1", "journal")
        channel.stream(Tail(self.id, 0, epoch, seq), parts.append, ends.append)
        self.run(0.02)
        return parts, ends


@pytest.fixture
def journal():
    return Fixture().up()


def test_genesis_makes_three_blank_replicas_voters_of_one_fleet(journal):
    descriptions = journal.all(Describe())
    assert {d.fleet for d in descriptions} == {journal.id}
    assert len(journal.id) == 32
    assert all(d.voter and d.replicas == NAMES for d in descriptions)


def test_nobody_votes_before_all_are_there():
    journal = Fixture()
    journal.replicas["journal-a"].start()
    journal.replicas["journal-c"].start()
    journal.run(2)
    for name in ("journal-a", "journal-c"):
        assert not journal.service(name).ready()[0]
        assert journal.call(name, Open("", 0, EPOCH, "h")).status == Status.learner
    journal.replicas["journal-b"].start()
    journal.run(1)
    assert journal.ready() == [True] * 3


@pytest.mark.parametrize("seed", range(12))
def test_genesis_survives_crashes_at_any_point(seed):
    journal = Fixture(seed)
    chance = journal.world.random
    for process in journal.replicas.values():
        process.start()
    for _ in range(chance.randint(1, 6)):
        journal.run(chance.choice((0.0003, 0.001, 0.1, 0.11)))
        victim = chance.choice(list(journal.replicas.values()))
        victim.kill()
        journal.run(chance.choice((0.0, 0.01, 0.3)))
        victim.start()
    journal.run(3)
    entries = [journal.service(name)._replica.membership.entry for name in NAMES]
    accepted = {entry.genesis for entry in entries if entry.genesis}
    assert len(accepted) <= 1
    for entry in entries:  # a disk that lost its unsynced identity is a new one: then genesis waits for a person
        assert entry.voter == all(pair in entry.genesis for pair in ((e.name, e.incarnation) for e in entries))


def test_restart_keeps_identity_promises_and_records(journal):
    assert journal.call("journal-a", Open(journal.id, 0, EPOCH, "h")).status == Status.ok
    journal.append("journal-a", 1, 3, limit=journal.tau(0))
    journal.replicas["journal-a"].kill()
    journal.replicas["journal-a"].start()
    journal.run(0.1)
    opened = journal.call("journal-a", Open(journal.id, 0, (1, 6), "h"))
    assert opened.status == Status.fenced
    assert (opened.promised, opened.last_epoch, opened.last_seq) == (EPOCH, EPOCH, 3)
    assert opened.history == ((EPOCH, 1),)
    part = journal.call("journal-a", ReadLog(journal.id, 0, 2, 1 << 20))
    assert [record.seq for record in part.records] == [2, 3]


def test_lost_disk_comes_back_as_a_learner_with_everything(journal):
    for name in NAMES:
        journal.call(name, Open(journal.id, 0, EPOCH, "h"))
        journal.append(name, 1, 50, limit=journal.tau(0))
    journal.append("journal-b", 51, 1)
    before = journal.call("journal-a", Describe()).incarnation
    process = journal.replicas["journal-c"]
    process.kill()
    process.wipe()
    journal.replicas["journal-b"].kill()
    process.start()
    journal.run(2)
    assert journal.service("journal-c").ready() == (False, "blank: learning from the other replicas")
    assert journal.append("journal-c", 51, 1).status == Status.learner
    _, ends = journal.tail("journal-c")
    assert ends == [Failure(Cause.refused, "learner")]
    journal.replicas["journal-b"].start()
    journal.run(1)
    assert journal.ready() == [True] * 3
    part = journal.call("journal-c", ReadLog(journal.id, 0, 1, 1 << 20))
    assert [record.seq for record in part.records] == list(range(1, 52))
    opened = journal.call("journal-c", Open(journal.id, 0, EPOCH, "h"))
    assert opened.status == Status.fenced
    assert opened.limit > 0
    answer = journal.append("journal-a", 51, 1)
    assert answer.known[2] == journal.call("journal-c", Describe()).incarnation
    assert answer.known[0] == before


def test_two_lost_disks_never_vote_again(journal):
    for name in ("journal-a", "journal-b"):
        journal.replicas[name].kill()
        journal.replicas[name].wipe()
        journal.replicas[name].start()
    journal.run(5)
    assert journal.ready() == [False, False, True]


def test_an_old_disk_under_a_name_that_a_newer_one_took_leaves(journal):
    process = journal.replicas["journal-c"]
    process.kill()
    old = process.disk
    process.wipe()
    process.start()
    journal.run(1)
    assert journal.ready() == [True] * 3
    process.kill()
    process.disk = old
    process.start()
    journal.run(2)
    assert not process.alive


def test_strangers_are_told_so(journal):
    assert journal.call("journal-a", Open("other", 0, EPOCH, "h")).status == Status.stranger
    assert journal.call("journal-a", Probe("other", 0)).status == Status.stranger
    refused = journal.call("journal-a", Introduce("", "journal-x", 1, ()))
    assert refused.cause is Cause.refused


def test_replicas_are_reluctant_while_the_holder_raises_its_limit(journal):
    journal.client("holder")
    journal.call("journal-a", Open(journal.id, 0, EPOCH, "one"), "holder")
    assert journal.append("journal-a", 1, 1, limit=journal.tau(0), client="holder").status == Status.ok
    probed = journal.call("journal-a", Probe(journal.id, 0))
    assert (probed.status, probed.promised, probed.holder) == (Status.reluctant, EPOCH, "one")
    assert journal.call("journal-a", Open(journal.id, 0, (2, 8), "two")).status == Status.reluctant
    journal.run(1.0)
    journal.append("journal-a", 2, 1, client="holder")  # does not raise the limit: says nothing about the holder
    journal.run(0.6)
    assert journal.call("journal-a", Probe(journal.id, 0)).status == Status.ok
    assert journal.call("journal-a", Open(journal.id, 0, (2, 8), "two")).status == Status.ok


def test_a_broken_connection_ends_the_reluctance_at_once(journal):
    holder = journal.client("holder")
    journal.call("journal-a", Open(journal.id, 0, EPOCH, "one"), "holder")
    journal.append("journal-a", 1, 1, limit=journal.tau(0), client="holder")
    assert journal.call("journal-a", Probe(journal.id, 0)).status == Status.reluctant
    holder.kill()
    journal.run(0.01)
    assert journal.call("journal-a", Probe(journal.id, 0)).status == Status.ok


def test_limits_are_bound_to_the_replicas_own_clock(journal):
    journal.call("journal-a", Open(journal.id, 0, EPOCH, "h"))
    far = opening(journal.world.micros() + 3_100_000)
    refused = journal.append("journal-a", 1, 1, limit=far)
    assert refused.status == Status.limit_refused
    assert abs(refused.clock - journal.world.micros()) < 100_000
    assert journal.append("journal-a", 1, 1, limit=opening(journal.world.micros() + 2_900_000)).status == Status.ok
    journal.replicas["journal-a"].clock.lost = True
    assert journal.append("journal-a", 2, 1, limit=far).status == Status.limit_refused
    assert journal.append("journal-a", 2, 1).status == Status.ok


def test_gaps_say_where_to_go_back_to(journal):
    journal.call("journal-a", Open(journal.id, 0, EPOCH, "h"))
    journal.append("journal-a", 1, 4)
    ahead = journal.append("journal-a", 9, 1)
    assert (ahead.status, ahead.seq) == (Status.gap, 4)
    other = journal.append("journal-a", 5, 1, epoch=(3, 1), previous=(2, 1))
    assert (other.status, other.seq, other.promised) == (Status.gap, 0, (3, 1))


def test_full_disk_says_so_takes_what_is_on_its_way_and_refuses_more(journal):
    disk = journal.replicas["journal-a"].disk
    disk.capacity = sum(file.size for file in disk.files.values())
    assert journal.call("journal-a", Open(journal.id, 0, EPOCH, "h")).status == Status.ok
    answer = journal.append("journal-a", 1, 1)
    assert (answer.status, answer.room) == (Status.ok, False)  # out of the reserve
    assert journal.append("journal-a", 2, 40_000).status == Status.full
    assert journal.append("journal-b", 1, 1).room
    disk.capacity = 1 << 30
    answer = journal.append("journal-a", 2, 1)
    assert (answer.status, answer.room) == (Status.ok, True)


def test_full_disk_takes_the_beginning_of_an_epoch_and_limits(journal):
    journal.append("journal-a", 1, 1)
    disk = journal.replicas["journal-a"].disk
    disk.capacity = sum(file.size for file in disk.files.values()) - (3 << 20)
    assert journal.append("journal-a", 2, 0, limit=journal.tau(500)).status == Status.ok
    later = (EPOCH[0] + 1, 1)
    start = Record(later, 2, 10_000, Kind.epoch_start, b"start")
    limit = journal.tau(1_000)
    answer = journal.call("journal-a", Append(journal.id, 0, later, EPOCH, 1, [start], 0, limit))
    assert (answer.status, answer.seq, answer.limit, answer.room) == (Status.ok, 2, limit, False)
    transaction = Record(later, 3, 10_001, Kind.transaction, b"payload")
    refused = journal.call("journal-a", Append(journal.id, 0, later, later, 2, [transaction], 0, 0))
    assert refused.status == Status.full


def test_a_failed_sync_ends_the_process_before_anything_is_said(journal):
    process = journal.replicas["journal-a"]
    process.disk.sync_fails = True
    answer = journal.call("journal-a", Open(journal.id, 0, EPOCH, "h"), seconds=1.1)
    assert isinstance(answer, Failure)
    assert not process.alive


def test_a_replica_behind_the_trim_point_begins_there():
    journal = Fixture(segment_bytes_max=300).up()
    behind = journal.replicas["journal-c"]
    behind.kill()
    for name in ("journal-a", "journal-b"):
        for seq in range(1, 31):
            journal.append(name, seq, 1, commit_seq=seq, owned=24)
        trimmed = journal.call(name, Trim(journal.id, 0, EPOCH, 20))
        assert trimmed.status == Status.ok
        assert 0 < trimmed.seq <= 20
    behind.start()
    journal.run(0.1)
    assert journal.append("journal-c", 31, 1).status == Status.gap
    journal.run(0.1)
    state = journal.service("journal-c")._store.streams[0]
    assert (state.trim_epoch, state.trim_seq) == (EPOCH, trimmed.seq)
    assert journal.append("journal-c", trimmed.seq + 1, 11).status == Status.ok
    part = journal.call("journal-a", ReadLog(journal.id, 0, 1, 100))
    assert (part.status, part.trim_seq) == (Status.trimmed, trimmed.seq)
    _, ends = journal.tail("journal-a", EPOCH, trimmed.seq - 1)
    assert ends[0].message.startswith("trimmed")
    parts, ends = journal.tail("journal-a", EPOCH, trimmed.seq)
    assert parts[0].records[0].seq == trimmed.seq + 1
    assert ends == []


def test_a_stream_that_is_over_goes_with_the_record_that_says_so():
    journal = Fixture(segment_bytes_max=300).up()

    def write(stream, seq, kind, payload=b"payload"):
        record = Record(EPOCH, seq, 1000 + seq, kind, payload)
        previous = EPOCH if seq > 1 else NO_EPOCH
        for name in journal.replicas:
            if journal.replicas[name].alive:
                journal.call(name, Append(journal.id, stream, EPOCH, previous, seq - 1, [record], seq - 1, 0))

    def logs(name):
        return journal.service(name)._store.streams

    for seq in range(1, 101):
        write(1, seq, Kind.ownership if seq == 98 else Kind.transaction)
    write(1, 101, Kind.epoch_end, msgspec.msgpack.encode(EpochEnd(2000, True)))
    write(0, 1, Kind.epoch_start)
    behind = journal.replicas["journal-c"]
    behind.kill()
    write(0, 2, Kind.ownership, msgspec.msgpack.encode(Ownership(ended=(Ended(1, EPOCH, 101),))))
    for seq in range(3, 20):
        write(0, seq, Kind.ownership if seq == 10 else Kind.transaction, msgspec.msgpack.encode(Ownership()))
    before = len(journal.service("journal-a")._store.segments)
    for name in ("journal-a", "journal-b"):
        journal.call(name, Trim(journal.id, 0, EPOCH, 18))
        assert logs(name)[1].trim_seq == 97, "what it owned last, and its end, are kept"
        assert logs(name)[1].ownership_at(101) == 98
        assert 2 <= logs(name)[0].trim_seq <= 9
    journal.run(0.1)
    assert len(journal.service("journal-a")._store.segments) < before // 2
    behind.start()
    journal.run(0.1)
    assert logs("journal-c")[1].trim_seq == 0
    journal.call("journal-c", Trim(journal.id, 0, EPOCH, 18))
    journal.run(0.2)
    assert logs("journal-c")[0].trim_seq == logs("journal-a")[0].trim_seq
    assert logs("journal-c")[1].trim_seq == 97, "it learned of no end, but asked"


def test_tails_get_what_is_synced_and_what_is_cut(journal):
    parts, ends = journal.tail("journal-a")
    assert parts[0].records == []
    journal.append("journal-a", 1, 3)
    journal.append("journal-a", 4, 2)
    journal.append("journal-a", 3, 1, epoch=(2, 1), previous=EPOCH, commit_seq=2)
    assert [(part.keep_seq, [r.seq for r in part.records]) for part in parts[1:]] == [
        (0, [1, 2, 3]),
        (3, [4, 5]),
        (2, [3]),
    ]
    assert parts[-1].commit_seq == 2
    assert ends == []


def test_commit_seqs_alone_are_told_together_and_late(journal):
    parts, _ = journal.tail("journal-a")
    journal.append("journal-a", 1, 5)
    del parts[:]
    request = [Append(journal.id, 0, EPOCH, EPOCH, 5, [], seq, 0) for seq in range(1, 6)]
    channel = journal.clients["client"].network.connect("journal-a:1", "journal")
    for one in request:
        channel.call(one, 1.0, lambda answer: None)
    journal.run(0.01)
    assert parts == []
    journal.run(0.03)
    assert [(part.keep_seq, part.records, part.commit_seq) for part in parts] == [(5, [], 5)]


def test_a_tail_that_starts_late_gets_everything_from_its_cursor(journal):
    for seq in range(1, 41):
        journal.append("journal-a", seq, 1, commit_seq=seq - 1)
    parts, _ = journal.tail("journal-a", EPOCH, 10)
    journal.append("journal-a", 41, 1)
    assert [record.seq for part in parts for record in part.records] == list(range(11, 42))


def test_a_tail_ahead_of_its_replica_waits_and_a_false_one_ends(journal):
    journal.append("journal-a", 1, 2)
    ahead, ahead_ends = journal.tail("journal-a", EPOCH, 3)
    false, false_ends = journal.tail("journal-a", (1, 99), 2)
    assert (ahead, false, ahead_ends, false_ends) == ([], [], [], [])
    journal.append("journal-a", 3, 2, commit_seq=3)
    assert [record.seq for part in ahead for record in part.records] == [4]
    assert false_ends[0].message.startswith("diverged")


def test_status_and_metrics_say_what_happened(journal):
    journal.call("journal-a", Open(journal.id, 0, EPOCH, "h"))
    journal.append("journal-a", 1, 5)
    service = journal.service("journal-a")
    assert service.status()["streams"]["0"]["last_seq"] == 5
    text = exposition([service.metrics]).decode()
    assert "tausql_journal_append_records_total 5.0" in text
    assert create_app(service).title
