"""The fleet of `adjudicator_fleet` over the journal service itself, on simulated disks."""

from __future__ import annotations

from types import SimpleNamespace

from tausql.journal.service import JournalService
from tausql.journal.settings import JournalSettings
from tausql.protocol.fleet import Fleet, Member
from tausql.protocol.journal import NO_EPOCH, JournalClient, LogPart, ReadLog
from tausql.runtime.fleet import Directory


class RealJournal:
    """Has the same handles for faults as `reference_journal.Journal`."""

    def __init__(self, world, zones="abc"):
        self.world = world
        self.names = tuple(f"journal-{zone}" for zone in zones)
        self.wipes = 0
        self.fleet = Fleet(journal=tuple(Member(name, name[-1], f"{name}:1") for name in self.names))
        self.settings = JournalSettings(
            reluctance_seconds=0.6, segment_bytes_max=1 << 16, spare_bytes=0, reserve_bytes=0
        )
        self.processes = [world.add(name, name[-1], self._build) for name in self.names]
        self.reader = world.add("reader", "a", self._build_reader)

    def _build(self, process):
        service = JournalService(process, process.network, Directory(self.fleet), self.settings, process.disk)
        service.start()
        return service

    def _build_reader(self, process):
        self.clients = [
            JournalClient(process.network.connect(member.address, "journal")) for member in self.fleet.journal
        ]

    @property
    def majority(self):
        return len(self.names) // 2 + 1

    def voters(self):
        return [process for process in self.processes if process.alive and process.services.ready()[0]]

    def wipe(self, index):
        voters = self.voters()
        if self.processes[index] in voters or len(voters) < self.majority:
            return False
        self.wipes += 1
        self.processes[index].wipe()
        return True

    def on_majority(self, _):
        """Not looked at here: what was told is compared with the log at the end."""
        return True

    def rejoin(self):
        """They do so by themselves."""

    @property
    def disks(self):
        """Each replica's log, read through its service."""
        logs = []
        for index, process in enumerate(self.processes):
            parts = []
            seq = 1
            while process.alive:
                answers = []
                fleet = process.services.status()["fleet"]
                self.clients[index].read_log(ReadLog(fleet, 0, seq, 1 << 20), 1.0, answers.append)
                while not answers:
                    self.world.run(0.0002)
                part = answers[0]
                if not isinstance(part, LogPart) or not part.records:
                    break
                parts += part.records
                seq = parts[-1].seq + 1
            end = (parts[-1].epoch, len(parts)) if parts else (NO_EPOCH, 0)
            logs.append(SimpleNamespace(log=parts, end=end, full=False))
        return logs
