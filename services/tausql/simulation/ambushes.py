"""Faults that wait for the moment when they hurt most.

Chance alone seldom loses the one disk that holds a record just as its holder goes. Each of these sets up one of the
protocol's counter-examples: a tail on one disk, a wiped disk that voted, a holder that does not know it is over.
"""

from __future__ import annotations

from collections.abc import Callable

from tausql.protocol.journal import Append, Kind
from tausql.simulation.fleet import SimulatedFleet
from tausql.simulation.world import Process, World

TRIES_MAX = 400
TRY_SECONDS = 0.001


class Ambushes:
    """`kinds`: name, what sets it up (False: not now) and how often it is chosen."""

    def __init__(self, world: World, fleet: SimulatedFleet) -> None:
        self._world = world
        self._fleet = fleet
        self._late: list[str] = []  # journals that the next EpochStart reaches after what follows it
        self._hear_starts()
        self.kinds: list[tuple[str, Callable[[], bool], int]] = [
            ("lonely tail", self._lonely_tail, 5),
            ("zombie", self._zombie, 2),
            ("kill in flight", self._kill_in_flight, 2),
            ("wiped while it counts", self._wiped_while_it_counts, 5),
            ("outvoted disk", self._outvoted_disk, 1),
            ("slow request", self._slow_request, 2),
            ("checkpoint torn", self._checkpoint_torn, 3),
            ("taking torn", self._taking_torn, 2),
            ("one zone of storage alone", self._one_zone_alone, 1),
        ]

    def _hear_starts(self) -> None:
        """Make the next EpochStart late at the disks of `_late`: what comes after it overtakes it."""
        links = self._world.links
        before = links.observers.get(Append)

        def heard(speaker: str, append: Append) -> None:
            if before is not None:
                before(speaker, append)
            if not self._late or not append.records or append.records[0].kind != Kind.epoch_start:
                return
            pairs = [(speaker, name) for name in self._late]
            self._late.clear()
            for pair in pairs:
                links.late[pair] = self._world.random.choice((0.02, 0.4))

            def over() -> None:
                for pair in pairs:
                    links.late.pop(pair, None)

            self._world.at(0.0002, None, over)

        links.observers[Append] = heard

    def _hunted(self) -> tuple[int, Process | None]:
        """A stream, and who holds it."""
        stream = self._world.random.randrange(self._fleet.wanted.streams)
        return stream, self._fleet.holder(stream)

    def _soon(self) -> float:
        return self._world.random.choice((0.001, 0.005, 0.03, 0.15)) * self._world.random.uniform(0.5, 1.5)

    def _journals(self) -> list[Process]:
        """In random order."""
        journals = self._fleet.processes("journal")
        self._world.random.shuffle(journals)
        return journals

    def _restart_later(self, process: Process, seconds: float) -> None:
        self._world.at(seconds, None, process.start)

    def _when_in_flight(self, stream: int, holder: Process, act: Callable[[], None]) -> None:
        """`act` as soon as the holder has enqueued what no majority has; or after a while anyway."""
        generation = holder.generation
        left = TRIES_MAX

        def look() -> None:
            nonlocal left
            left -= 1
            tenure = None
            if holder.generation == generation and holder.services is not None:
                tenure = holder.services.tenures.get(stream)
            proposer = tenure.proposer if tenure is not None else None
            if left <= 0 or proposer is None or proposer.log.last_seq > proposer.commit_seq:
                act()
            else:
                self._world.at(TRY_SECONDS, None, look)

        look()

    def _lonely_tail(self) -> bool:
        """The holder reaches one disk only; then it goes, perhaps with that disk, which comes back later."""
        stream, holder = self._hunted()
        if holder is None:
            return False
        one, *others = self._journals()
        mend = self._world.links.sever({holder.name}, {other.name for other in others})
        with_disk, cut_off = self._world.random.random() < 0.4, self._world.random.random() < 0.3

        def strike() -> None:
            if cut_off:
                self._world.at(self._soon() + 2.0, None, self._world.links.sever({holder.name}))
            else:
                holder.kill("killed with a tail on one disk")
                self._restart_later(holder, self._soon() * 10)
            if not with_disk:
                self._slow_for_a_while(one)
                self._late.append(one.name)
            else:
                one.kill("killed with a tail of its own")
                self._restart_later(one, self._soon() * 10 + self._world.random.choice((0.0, 0.5)))
            mend()

        self._world.at(self._soon(), None, self._when_in_flight, stream, holder, strike)
        return True

    def _slow_for_a_while(self, process: Process) -> None:
        """What is sent to it overtakes each other by far."""
        links = self._world.links
        links.slow[process.name] = self._world.random.choice((0.03, 0.1, 0.3))

        def over() -> None:
            links.slow.pop(process.name, None)

        self._world.at(self._world.random.uniform(0.5, 2.0), None, over)

    def _zombie(self) -> bool:
        """The holder sleeps or is cut off for long enough to be replaced, and wakes up none the wiser."""
        _, holder = self._hunted()
        if holder is None:
            return False
        seconds = self._world.random.uniform(1.4, 3.5)
        if self._world.random.random() < 0.5:
            holder.pause(seconds)
            return True
        journals = {process.name for process in self._fleet.processes("journal")}
        one_way = self._world.random.random() < 0.5
        self._world.at(seconds, None, self._world.links.sever({holder.name}, journals, one_way))
        return True

    def _kill_in_flight(self) -> bool:
        """The holder dies with an append on its way; a while later so does its successor."""
        stream, holder = self._hunted()
        if holder is None:
            return False

        def successor() -> None:
            following = self._fleet.holder(stream)
            if following is not None and following is not holder:
                following.kill("killed as a successor")
                self._restart_later(following, self._soon() * 5)

        def strike() -> None:
            holder.kill("killed in flight")
            self._restart_later(holder, self._soon() * 5)
            if self._world.random.random() < 0.5:
                self._world.at(self._world.random.uniform(0.02, 0.4), None, successor)

        self._when_in_flight(stream, holder, strike)
        return True

    def _wiped_while_it_counts(self) -> bool:
        """A disk acknowledges what the others have not got yet, is lost, and is back before they get it."""
        stream, holder = self._hunted()
        if holder is None or not self._fleet.journals_whole():
            return False
        one, *others = self._journals()
        mends = [self._world.links.sever({holder.name}, {other.name}) for other in others]

        def strike() -> None:
            if self._fleet.journals_whole():
                one.kill()
                one.wipe()
                one.start()
            seconds = self._world.random.uniform(0.15, 0.7)
            if self._world.random.random() < 0.4:  # and the holder does not hear of the new disk by itself
                self._world.at(seconds + 1.0, None, self._world.links.sever({holder.name}, {one.name}))
            for mend in mends:
                self._world.at(seconds, None, mend)
                seconds += 0.4

        def in_flight() -> None:  # and on the one disk a moment later
            self._world.at(0.008, None, strike)

        self._world.at(self._soon(), None, self._when_in_flight, stream, holder, in_flight)
        return True

    def _outvoted_disk(self) -> bool:
        """A majority of the disks holds what the others lack; one of them is lost, the rest of them cut off, and the
        holder goes."""
        stream, holder = self._hunted()
        if holder is None or not self._fleet.journals_whole():
            return False
        journals = self._journals()
        majority = len(journals) // 2 + 1
        lost, kept, behind = journals[0], journals[1:majority], journals[majority:]
        mend_behind = self._world.links.sever({one.name for one in behind})

        def strike() -> None:
            if not self._fleet.journals_whole():
                mend_behind()
                return
            lost.kill()
            lost.wipe()
            holder.kill("killed")
            mend_kept = self._world.links.sever({one.name for one in kept})
            mend_behind()
            self._restart_later(lost, 0.002)
            self._restart_later(holder, 0.002)
            self._world.at(self._world.random.uniform(0.5, 2.0), None, mend_kept)

        self._world.at(self._world.random.uniform(0.05, 0.4), None, self._when_in_flight, stream, holder, strike)
        return True

    def _slow_request(self) -> bool:
        """A client's messages take longer than its patience, and the holder may change before they arrive."""
        fleet = set(self._fleet.names)
        names = [name for name in self._world.processes if name not in fleet]
        if not names:
            return False
        name = self._world.random.choice(names)
        self._world.links.slow[name] = self._world.random.choice((0.03, 0.1, 0.4))
        _, holder = self._hunted()
        if holder is not None and self._world.random.random() < 0.6:
            self._world.at(self._soon() * 3, None, self._bounce, holder)

        def over() -> None:
            self._world.links.slow.pop(name, None)

        self._world.at(self._world.random.uniform(0.5, 2.0), None, over)
        return True

    def _checkpoint_torn(self) -> bool:
        """A storage replica dies while it takes a checkpoint: the next that does, or one that comes back without its
        disk."""
        trimmed = any(state["trim_seq"] for one in self._fleet.services("journal")
                      for state in one.status()["streams"].values())  # fmt: skip
        watched = self._fleet.processes("storage")
        if trimmed and self._fleet.storages_whole():
            process = self._world.random.choice(watched)
            process.kill()
            process.wipe()
            self._restart_later(process, 0.01)
            watched = [process]
        left = 5 * TRIES_MAX

        def look() -> None:
            nonlocal left
            left -= 1
            soon = False
            for process in watched:
                fetcher = process.services.keeper.fetcher if process.services is not None else None
                if fetcher is None:
                    continue
                if fetcher.entries:
                    self._world.mark("a checkpoint was torn")
                    process.kill("killed while it takes a checkpoint")
                    self._restart_later(process, self._soon())
                    return
                soon = True
            if left > 0:
                self._world.at(TRY_SECONDS / 10 if soon else TRY_SECONDS, None, look)

        self._world.at(0.02, None, look)
        return True

    def _taking_torn(self) -> bool:
        """The next storage replica that takes a range, besides what it has, dies with a part of it."""
        left = TRIES_MAX

        def look() -> None:
            nonlocal left
            left -= 1
            for process in self._fleet.processes("storage"):
                keeper = process.services.keeper if process.services is not None else None
                if keeper is not None and keeper.fetcher is not None and keeper.fetcher.entries and not keeper.lost:
                    self._world.mark("a range that was being taken was torn")
                    process.kill("killed while it takes a range")
                    self._restart_later(process, self._soon())
                    return
            if left > 0:
                self._world.at(5 * TRY_SECONDS, None, look)

        look()
        return True

    def _one_zone_alone(self) -> bool:
        """All storage but one zone's, or just that, is away for longer than it is waited for, and then as it was."""
        zones = sorted({member.zone for member in self._fleet.members["storage"]})
        if not self._fleet.shape.trims or len(zones) < 2 or not self._fleet.storages_whole():
            return False
        alone = self._world.random.choice(zones)
        seconds, others = self._world.random.uniform(3.0, 5.0), self._world.random.random() < 0.5
        for process in self._fleet.processes("storage"):
            if (process.zone != alone) == others:
                process.kill("killed with storage of whole zones")
                self._restart_later(process, seconds)
        return True

    def _bounce(self, process: Process) -> None:
        process.kill("bounced")
        self._restart_later(process, 0.002)
