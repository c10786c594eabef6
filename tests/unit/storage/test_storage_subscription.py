"""Which crossbar a replica listens to, while crossbars come and go."""

from types import SimpleNamespace

import pytest

from tausql.protocol.crossbar import Subscribe
from tausql.protocol.fleet import Member
from tausql.protocol.ranges import EVERYTHING
from tausql.rpc.interface import Cause, Failure
from tausql.runtime.fleet import Neighbour
from tausql.storage.subscription import NEARER_SECONDS, Subscription


class Host:
    def __init__(self):
        self.now = 0.0
        self.timers = []

    def monotonic(self):
        return self.now

    def later(self, seconds, function, *arguments):
        entry = [self.now + seconds, function, arguments]
        self.timers.append(entry)
        return SimpleNamespace(cancel=lambda: self.timers.remove(entry) if entry in self.timers else None)

    def run(self, seconds):
        end = self.now + seconds
        while due := sorted((one for one in self.timers if one[0] <= end), key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1](*due[0][2])
        self.now = end


class Crossbar:
    def __init__(self, name):
        self.name = name
        self.channel = SimpleNamespace(connected=True)
        self.subscribed = 0
        self.cancelled = 0
        self.wanted = []

    def subscribe(self, request, on_delivery, on_end):
        self.subscribed += 1
        self.deliver, self.end = on_delivery, on_end
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self):
        self.cancelled += 1

    def want(self, tau):
        self.wanted.append(tau)


class Ground:
    def __init__(self, *names):
        self.host = Host()
        self.crossbars = SimpleNamespace(all=())
        self.made = {}
        self.trimmed = 0
        self.delivered = []
        self.there(*names)
        self.subscription = Subscription(
            self.host,
            self.crossbars,
            lambda: Subscribe("", "me", EVERYTHING, 0, ()),
            self.delivered.append,
            self._trimmed,
            5.0,
        )
        self.subscription.start()

    def _trimmed(self):
        self.trimmed += 1

    def there(self, *names):
        gone = [one for one in self.crossbars.all if one.member.name not in names]
        for name in names:
            self.made.setdefault(name, Crossbar(name))
        self.crossbars.all = tuple(Neighbour(Member(name, "", f"{name}:1"), self.made[name]) for name in names)
        for one in gone:
            self.subscription.left(one.client)
            del self.made[one.member.name]


def test_the_nearest_is_taken_and_hears_what_reads_want():
    ground = Ground("near", "far")
    assert ground.subscription.crossbar == "near"
    ground.subscription.want(7)
    assert ground.made["near"].wanted == [7]
    assert ground.made["far"].subscribed == 0


def test_none_at_first_is_no_error_and_the_first_that_joins_is_taken():
    ground = Ground()
    ground.subscription.want(7)
    ground.host.run(3)
    assert ground.subscription.running
    ground.there("one")
    ground.host.run(2)
    assert ground.subscription.crossbar == "one"
    assert ground.made["one"].subscribed == 1


def test_one_that_left_the_fleet_is_left_and_one_that_was_not_in_use_is_not_missed():
    ground = Ground("near", "middle", "far")
    ground.there("near", "middle")
    assert ground.subscription.changes == 0
    near = ground.made["near"]
    ground.there("middle")
    assert near.cancelled == 1
    ground.host.run(1)
    assert ground.subscription.crossbar == "middle"
    ground.there()
    ground.host.run(10)
    assert ground.subscription.running
    ground.there("new")
    ground.host.run(2)
    assert ground.subscription.crossbar == "new"


@pytest.mark.parametrize("connected", [True, False])
def test_a_nearer_one_is_gone_back_to_once_it_can_be_reached(connected):
    ground = Ground("far")
    ground.there("near", "far")
    ground.made["near"].channel.connected = connected
    for _ in range(int(NEARER_SECONDS) + 1):
        ground.host.run(1)
        ground.made["far"].deliver("delivery")  # never silent
        ground.subscription.look()
    assert ground.subscription.crossbar == ("near" if connected else "far")
    assert ground.made["far"].cancelled == connected
    ground.made["far"].deliver("late")
    assert ("late" in ground.delivered) == (not connected)


def test_silence_and_failures_move_on_and_a_trimmed_journal_stops():
    ground = Ground("near", "far")
    ground.host.run(6)
    ground.subscription.look()
    ground.host.run(1)
    assert ground.subscription.crossbar == "far"
    ground.made["far"].end(Failure(Cause.unavailable, "gone"))
    ground.host.run(2)
    assert ground.subscription.crossbar == "near"
    ground.made["near"].end(Failure(Cause.refused, "trimmed past you"))
    assert ground.trimmed == 1
    assert not ground.subscription.running
