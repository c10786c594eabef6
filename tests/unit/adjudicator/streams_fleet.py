"""Adjudicators over the real journal, whose map asks for streams and places ranges."""

from __future__ import annotations

import msgspec
from real_journal import RealJournal

from tausql.adjudicator.service import AdjudicatorService
from tausql.adjudicator.settings import AdjudicatorSettings
from tausql.protocol.adjudicator import Aborted, AdjudicatorClient, Commit
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import LogPart, ReadLog
from tausql.protocol.tau import closing
from tausql.runtime.fleet import Directory
from tausql.simulation.world import World

EVERYTHING = ((b"", b""),)


class StreamsFleet:
    def __init__(self, seed, adjudicators=3, streams=2, placement=(), **settings):
        self.world = World(seed)
        self.journal = RealJournal(self.world)
        self.settings = AdjudicatorSettings(**{"seal_seconds": 0.5, **settings})
        self.fleet = Fleet(
            streams=streams,
            placement=placement,
            journal=tuple(Member(name, name[-1], f"{name}:1") for name in self.journal.names),
            adjudicator=tuple(
                Member(f"adjudicator-{index}", "abc"[index % 3], f"adjudicator-{index}:1", index=index)
                for index in range(adjudicators)
            ),
        )
        self.directories = {}
        self.adjudicators = [self.world.add(one.name, one.zone, self._build) for one in self.fleet.adjudicator]
        self.client_process = self.world.add("client", "a", self._build_client)
        for process in self.world.processes.values():
            process.start()

    def _build(self, process):
        directory = self.directories[process.name] = Directory(self.fleet)
        service = AdjudicatorService(process, process.network, directory, self.settings)
        service.start()
        return service

    def _build_client(self, process):
        self.channels = {
            member.name: AdjudicatorClient(process.network.connect(member.address, "adjudicator"))
            for member in self.fleet.adjudicator
        }

    def want(self, **changes):
        self.fleet = msgspec.structs.replace(self.fleet, **changes)
        for process in self.adjudicators:
            if process.alive:
                self.directories[process.name].replace(self.fleet)

    def tenures(self):
        """stream -> (process, tenure) of the newest epoch that serves."""
        found = {}
        for process in self.adjudicators:
            for stream, tenure in process.services.tenures.items() if process.alive else ():
                if tenure.serving and (stream not in found or tenure.epoch > found[stream][1].epoch):
                    found[stream] = (process, tenure)
        return found

    def owned(self):
        """stream -> the ranges its holder judges."""
        return {stream: tenure.holding.ranges for stream, (_, tenure) in sorted(self.tenures().items())}

    def registered(self):
        held = self.tenures()
        return held[0][1].holding.streams if 0 in held else ()

    def run_until(self, condition, seconds=10.0):
        end = self.world.now + seconds
        while not condition():
            assert self.world.now < end, f"nothing of the sort within {seconds} s: {self.owned()} {self.registered()}"
            self.world.run(0.001)

    def request(self, key, stream, back_micros=0, tau_start=0, **changes):
        latest = self.client_process.clock.now().latest
        commit = Commit(
            self.world.random.randbytes(16),
            tau_start or closing(latest - back_micros),
            closing(latest + 5_000_000),
            stream,
            self.tenures()[stream][1].epoch,
            [key],
            [],
            [5],
            [],
            key,
            key,
            b"",
        )
        return msgspec.structs.replace(commit, **changes) if changes else commit

    def ask(self, request, at=None):
        answers = []
        self.channels[at or self.tenures()[request.stream][0].name].commit(request, 5.0, answers.append)
        self.run_until(lambda: answers)
        return answers[0]

    def commit(self, key, tries=50):
        """Commit one write of `key` wherever it is judged, again and again. Returns (tau, stream)."""
        for _ in range(tries):
            owners = [stream for stream, ranges in self.owned().items() if holds(ranges, key)]
            if owners:
                answer = self.ask(self.request(key, owners[0]))
                if not isinstance(answer, Aborted):
                    return answer.tau, owners[0]
            self.world.run(0.05)
        raise AssertionError(f"no commit of {key!r} in {tries} tries")

    def log(self, stream):
        """The longest log of `stream` there is, as far as it is not trimmed."""
        logs = []
        fleet = next(one.services.status()["fleet"] for one in self.journal.processes if one.alive)
        for client in self.journal.clients:
            answers = []
            client.read_log(ReadLog(fleet, stream, 1, 4 << 20), 1.0, answers.append)
            self.run_until(lambda answers=answers: answers)
            if isinstance(answers[0], LogPart):
                logs.append(answers[0].records)
        return max(logs, key=lambda log: (log[-1].epoch, log[-1].seq) if log else ((0, 0), 0))


def holds(ranges, key):
    return any(low <= key and (not high or key < high) for low, high in ranges)


def whole(owned):
    """Do the ranges of all streams together hold every key, and each once?"""
    reached = b""
    for number, (low, high) in enumerate(sorted(one for ranges in owned.values() for one in ranges)):
        if low != reached or (number and not low):
            return False
        if not high:
            return number == sum(len(ranges) for ranges in owned.values()) - 1
        reached = high
    return False
