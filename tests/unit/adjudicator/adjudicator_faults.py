"""Random faults for a fleet of adjudicators: deaths, pauses, cuts, loss, wiped disks, full disks, lost clocks."""

from __future__ import annotations


class Faults:
    """One fault every `every` virtual seconds or so, until `end`; most heal by themselves."""

    def __init__(self, fleet, every=0.25, end=4.0, kinds=None):
        self.fleet, self.world, self.every, self.end = fleet, fleet.world, every, end
        self.chance = fleet.world.random
        self.kinds = kinds or (
            self.kill_holder,
            self.kill_holder,
            self.kill_journal,
            self.pause_holder,
            self.cut_holder,
            self.cut_journal,
            self.leave_one,
            self.lossy,
            self.wipe,
            self.hand_over,
            self.lose_clock,
            self.fill_disk,
        )
        self.world.at(0.5, None, self.strike)

    def strike(self):
        if self.world.now >= self.end:
            return
        self.world.at(self.chance.uniform(0.3, 1.7) * self.every, None, self.strike)
        fault = self.chance.choice(self.kinds)
        self.world.mark(fault.__name__)
        fault()

    def after(self, low, high, function, *arguments):
        self.world.at(self.chance.uniform(low, high), None, function, *arguments)

    def holder(self):
        holders = self.fleet.holders()
        return self.chance.choice(holders)[0] if holders else self.chance.choice(self.fleet.adjudicators)

    def replica(self):
        return self.chance.choice(self.fleet.journal.processes)

    def kill_holder(self):
        process = self.holder()
        process.kill()
        self.after(0.05, 1.0, process.start)

    def kill_journal(self):
        process = self.replica()
        process.kill()
        self.after(0.01, 0.5, process.start)

    def pause_holder(self):
        self.holder().pause(self.chance.uniform(0.1, 1.5))

    def cut_holder(self):
        self.world.links.sever({self.holder().name}, one_way=self.chance.random() < 0.5)
        self.after(0.1, 1.5, self.world.links.heal)

    def leave_one(self):
        """The holder still reaches one replica: what it appends there may be cut later."""
        holder, kept = self.holder(), self.replica()
        for process in self.fleet.journal.processes:
            if process is not kept:
                self.world.links.cut |= {(holder.name, process.name), (process.name, holder.name)}
        self.after(0.05, 0.6, holder.kill)
        self.after(0.7, 1.5, holder.start)
        self.after(0.05, 1.5, self.world.links.heal)

    def cut_journal(self):
        self.world.links.sever({self.replica().name}, one_way=self.chance.random() < 0.5)
        self.after(0.1, 1.0, self.world.links.heal)

    def lossy(self):
        self.world.links.loss = self.chance.choice((0.01, 0.05, 0.2))
        self.after(0.1, 0.5, setattr, self.world.links, "loss", 0.0)

    def wipe(self):
        process = self.replica()
        process.kill()
        self.fleet.journal.wipe(self.fleet.journal.processes.index(process))
        self.after(0.0, 0.2, process.start)
        self.after(0.2, 0.6, self.fleet.journal.rejoin)

    def hand_over(self):
        process = self.holder()
        if process.alive:
            self.world.within(process, process.services.hand_over)
            self.after(0.1, 0.4, self.restart, process)

    def restart(self, process):
        process.kill("restarts")
        self.world.at(0.05, None, process.start)

    def lose_clock(self):
        clock = self.holder().clock
        clock.lost = True
        self.after(0.1, 1.0, setattr, clock, "lost", False)

    def fill_disk(self):
        disk = self.chance.choice(self.fleet.journal.disks)
        disk.full = True
        self.after(0.1, 0.6, setattr, disk, "full", False)
