"""The crossbar's shell: beats from every adjudicator, tails from the journal, subscriptions of storage."""

from __future__ import annotations

from functools import partial
from typing import Any

from tausql.crossbar.durability import Durability
from tausql.crossbar.feed import Feed, FeedLimits
from tausql.crossbar.metrics import CrossbarMetrics
from tausql.crossbar.nudges import Nudges
from tausql.crossbar.settings import CrossbarSettings
from tausql.crossbar.subscribers import Subscriber
from tausql.protocol.adjudicator import AdjudicatorClient, Beat
from tausql.protocol.crossbar import Durable, Subscribe, Want
from tausql.protocol.fleet import Member
from tausql.protocol.journal import Description, JournalClient
from tausql.protocol.tau import micros_of, opening
from tausql.rpc.interface import Cause, Failure, Network, Peer, Routes, Sink, Stream
from tausql.runtime import logs
from tausql.runtime.fleet import Directory, Neighbour, Neighbours
from tausql.runtime.host import ClockUnsure, Host
from tausql.runtime.process import Process

DESCRIBE_SECONDS = 0.2
WATCH_SECONDS = 0.1  # before beats are asked for again at a process that was not there
WATCH_SECONDS_MAX = 2.0
TICK_SECONDS = 1.0

log = logs.get("crossbar")


class _Watch:
    """What one adjudicator process says of the streams it holds."""

    __slots__ = ("client", "name", "pause_seconds", "stream")

    def __init__(self, adjudicator: Neighbour[AdjudicatorClient]) -> None:
        self.name = adjudicator.member.name
        self.client = adjudicator.client
        self.stream: Stream | None = None
        self.pause_seconds = WATCH_SECONDS

    def cancel(self) -> None:
        if self.stream is not None:
            self.stream.cancel()
            self.stream = None


class CrossbarService:
    """One crossbar process. Nothing of it outlives the process."""

    def __init__(
        self, host: Host, network: Network, fleet: Directory, settings: CrossbarSettings, member: Member | None = None
    ) -> None:
        self.host, self._fleet, self.settings = host, fleet, settings
        self.name = member.name if member is not None else host.name
        self.metrics = CrossbarMetrics()
        self.metrics.sample = self._sample
        self._journal = Neighbours(
            fleet, "journal", host.zone, lambda address: JournalClient(network.connect(address, "journal"))
        )
        self._adjudicators = Neighbours(
            fleet,
            "adjudicator",
            host.zone,
            lambda address: AdjudicatorClient(network.connect(address, "adjudicator")),
            joined=self._adjudicator_joined,
            left=self._adjudicator_left,
        )
        self._watches: dict[str, _Watch] = {one.member.name: _Watch(one) for one in self._adjudicators.all}
        self._listening = False
        self._beats: dict[int, Beat] = {}  # the newest of each stream
        self._holders: dict[int, str] = {}  # stream -> the adjudicator it came from
        self._limits = FeedLimits(
            settings.ring_bytes_max,
            settings.ring_records_max,
            settings.catch_up_bytes_max,
            settings.ready_bytes_max,
            settings.lag_seconds,
            settings.pause_seconds,
        )
        self._nudges = Nudges()
        self._durability = Durability(host, fleet, settings, self.metrics, self._journal, self._adjudicators)
        self._journal_fleet = ""
        self._main: Feed | None = None
        self._aside: list[Feed] = []
        self._waiting: list[tuple[Subscribe, Sink]] = []  # until the fleet is known
        self._lonely_since = host.monotonic()
        self._trimmed_at = host.monotonic()
        self._draining = False
        self._leaving = False
        network.serve(
            "crossbar",
            Routes(streams={Subscribe: self._subscribe}, casts={Want: self._want, Durable: self._durable}),
        )

    # life

    def start(self) -> None:
        """Find out which fleet the journal is. Beats are listened for once somebody subscribes: a crossbar that only
        stands by would otherwise cost the adjudicators a message a commit."""
        for journal in self._journal.all:
            self._describe(journal.client)
        self.host.later(TICK_SECONDS, self._tick)

    def drain(self) -> None:
        """Not ready any more; the feed goes on, for whoever in this process is still finishing work."""
        self._draining = True

    def stop(self) -> None:
        """Send the subscribers to another crossbar."""
        self._draining = self._leaving = True
        for feed in self._feeds():
            feed.close()
            for subscriber in tuple(feed.subscribers):
                feed.detach(subscriber)
                subscriber.sink.end(Failure(Cause.unavailable, "the crossbar is leaving"))
        self._stop_listening()
        self._main, self._aside = None, []

    def ready(self) -> tuple[bool, str]:
        if self._draining:
            return False, "draining"
        if not self._journal_fleet:
            return False, "no journal replica has told its fleet yet"
        if self._main is not None and not self._beats:
            return False, "no heartbeat heard yet"
        return True, ""

    def status(self) -> dict[str, Any]:
        feeds = [
            {
                "main": feed.main,
                "watermark": feed.ring.watermark,
                "ring_records": len(feed.ring.entries),
                "ring_bytes": feed.ring.bytes,
                "tails": {
                    str(stream): {
                        "replica": reader.replica,
                        "running": reader.running,
                        "released_seq": reader.tail.released_seq,
                        "unreleased": len(reader.tail.unreleased),
                        "waiting": len(reader.tail.ready),
                        "closed": reader.tail.closed,
                    }
                    for stream, reader in feed.readers.items()
                },
                "subscribers": [
                    {"replica": one.replica, "watermark": one.watermark, "full": one.blocked}
                    for one in feed.subscribers
                ],
            }
            for feed in self._feeds()
        ]
        holders = {str(stream): name for stream, name in self._holders.items()}
        return {"name": self.name, "fleet": self._journal_fleet, "holders": holders, "feeds": feeds}

    def _feeds(self) -> list[Feed]:
        return [*([self._main] if self._main is not None else []), *self._aside]

    # which fleet

    def _describe(self, journal: JournalClient) -> None:
        if not self._journal_fleet and not self._leaving:
            journal.describe(1.0, partial(self._described, journal))

    def _described(self, journal: JournalClient, answer: Any) -> None:
        if self._journal_fleet or self._leaving:
            return
        if isinstance(answer, Description) and answer.fleet:
            self._journal_fleet = answer.fleet
            waiting, self._waiting = self._waiting, []
            for request, sink in waiting:
                if sink.open:
                    self._subscribe(request, sink)
            return
        self.host.later(DESCRIBE_SECONDS, self._describe, journal)

    # beats

    def _listen(self) -> None:
        """Hear every adjudicator's beats from now on."""
        if not self._listening:
            self._listening = True
            for watch in self._watches.values():
                self._watch(watch)

    def _stop_listening(self) -> None:
        self._listening = False
        for watch in self._watches.values():
            watch.cancel()
        self._holders.clear()

    def _adjudicator_joined(self, adjudicator: Neighbour[AdjudicatorClient]) -> None:
        watch = self._watches[adjudicator.member.name] = _Watch(adjudicator)
        self._watch(watch)

    def _adjudicator_left(self, adjudicator: Neighbour[AdjudicatorClient]) -> None:
        name = adjudicator.member.name
        watch = self._watches.get(name)
        if watch is not None and watch.client is adjudicator.client:
            del self._watches[name]
            watch.cancel()
            self._forget_holder(name)

    def _watch(self, watch: _Watch) -> None:
        if not self._listening or watch.stream is not None or self._watches.get(watch.name) is not watch:
            return
        watch.stream = watch.client.watch_beats(partial(self._beat, watch), partial(self._watch_ended, watch))

    def _watch_ended(self, watch: _Watch, _: Failure | None) -> None:
        watch.stream = None
        if not self._listening:
            return
        self._forget_holder(watch.name)
        self.host.later(watch.pause_seconds, self._watch, watch)
        watch.pause_seconds = min(watch.pause_seconds * 2, WATCH_SECONDS_MAX)

    def _forget_holder(self, name: str) -> None:
        self._holders = {stream: holder for stream, holder in self._holders.items() if holder != name}

    def _beat(self, watch: _Watch, beat: Beat) -> None:
        self.metrics.beats += 1
        watch.pause_seconds = WATCH_SECONDS
        known = self._beats.get(beat.stream)
        if known is None or beat.epoch >= known.epoch:
            self._beats[beat.stream] = beat
            self._holders[beat.stream] = watch.name
            if self._main is not None:
                self._main.hear(beat)
            if self._aside:
                for feed in tuple(self._aside):
                    feed.hear(beat)

    # subscriptions

    def _subscribe(self, request: Subscribe, sink: Sink) -> None:
        if self._leaving:
            sink.end(Failure(Cause.unavailable, "the crossbar is leaving"))
            return
        if not self._journal_fleet:
            if len(self._waiting) >= self.settings.subscribers_max:
                sink.end(Failure(Cause.overloaded, "too many subscriptions"))
            else:
                self._waiting.append((request, sink))
            return
        if request.fleet and request.fleet != self._journal_fleet:
            self._refuse(sink, f"stranger: this is fleet {self._journal_fleet}, not {request.fleet}")
            return
        if sum(len(feed.subscribers) for feed in self._feeds()) >= self.settings.subscribers_max:
            self.metrics.refused += 1
            sink.end(Failure(Cause.overloaded, "too many subscriptions"))
            return
        subscriber = Subscriber(sink, request.replica, request.ranges, request.watermark, request.cursors)
        sink.when_closed(lambda: self._gone(subscriber))
        self._place(subscriber)

    def _refuse(self, sink: Sink, why: str) -> None:
        self.metrics.refused += 1
        log.warning("a subscription was refused", why=why, peer=sink.peer.name)
        sink.end(Failure(Cause.refused, why))

    def _place(self, subscriber: Subscriber) -> None:
        """Find or make the feed that this subscriber can stand on."""
        main = self._main
        if main is None:
            self._main = self._new_feed(subscriber, main=True)
        elif subscriber.watermark > main.ring.watermark + opening(int(self.settings.jump_seconds * 1e6)):
            log.info("a subscriber is far ahead of the main feed, which starts anew there", replica=subscriber.replica)
            stragglers = main.subscribers
            main.close()
            self._main = self._new_feed(subscriber, main=True)
            for straggler in stragglers:
                if straggler.sink.open:
                    self._place(straggler)
        elif main.holds(subscriber.watermark):
            main.attach(subscriber)
        elif len(self._aside) >= self.settings.feeds_max:
            self.metrics.refused += 1
            subscriber.sink.end(Failure(Cause.overloaded, "too many subscribers catch up already"))
        else:
            self._aside.append(self._new_feed(subscriber, main=False))

    def _new_feed(self, subscriber: Subscriber, main: bool) -> Feed:
        feed = Feed(
            self.host,
            self._journal.named(),
            self._journal_fleet,
            subscriber,
            self._limits,
            self.metrics,
            self._turned,
            self._fallen,
            main,
        )
        feed.attach(subscriber)
        feed.start(self._beats.values())
        self._listen()
        return feed

    def _turned(self, feed: Feed) -> None:
        """A feed has moved on: one of its own goes over to the main ring once it has reached it."""
        if feed.closed:
            if feed is self._main:
                self._main = None
            elif feed in self._aside:
                self._aside.remove(feed)
            return
        main = self._main
        if feed.main or main is None or not feed.subscribers:
            return
        subscriber = feed.subscribers[0]
        if not subscriber.blocked and subscriber.watermark >= main.ring.base and subscriber.position == feed.ring.end:
            feed.detach(subscriber)
            feed.close()
            self._aside.remove(feed)
            main.attach(subscriber)

    def _fallen(self, feed: Feed, subscriber: Subscriber) -> None:
        log.info("a subscriber was too slow for the ring and reads again", replica=subscriber.replica)
        self._place(subscriber)

    def _gone(self, subscriber: Subscriber) -> None:
        for feed in self._feeds():
            feed.detach(subscriber)
        for feed in tuple(self._aside):
            if not feed.subscribers:
                feed.close()
                self._aside.remove(feed)

    # reads that wait

    def _want(self, want: Want, peer: Peer) -> None:
        self.metrics.wants += 1
        main = self._main
        if main is None:
            return
        main.want(want.tau)
        if main.ring.watermark >= want.tau:
            return
        for nudge in self._nudges.want(want.tau, main.closed_to(), self.host.monotonic()):
            holder = self._watches.get(self._holders.get(nudge.stream, ""))
            for watch in self._watches.values() if holder is None else (holder,):
                watch.client.nudge(nudge)
                self.metrics.nudges += 1

    # trimming

    def _durable(self, report: Durable, _: Peer) -> None:
        self._durability.report(report)

    def _tick(self) -> None:
        if self._leaving:
            return
        self.host.later(TICK_SECONDS, self._tick)
        now = self.host.monotonic()
        main = self._main
        if main is None or main.subscribers:
            self._lonely_since = now
        elif now - self._lonely_since > self.settings.idle_seconds:
            main.close()
            self._main = None
            if not self._aside:
                self._stop_listening()
        try:
            earliest = self.host.clock.now().earliest
        except ClockUnsure:
            return
        self._durability.tell_lag(now)
        if now - self._trimmed_at >= self.settings.trim_seconds:
            self._trimmed_at = now
            window_start = opening(earliest - self.settings.window_seconds * 1_000_000)
            self._durability.trim(self._journal_fleet, window_start, now)

    def _sample(self) -> None:
        """What is looked at when somebody scrapes."""
        main, metrics = self._main, self.metrics
        metrics.subscribers = sum(len(feed.subscribers) for feed in self._feeds())
        metrics.catching_up = len(self._aside)
        metrics.ring_bytes = main.ring.bytes if main is not None else 0
        metrics.switches = sum(reader.switches for feed in self._feeds() for reader in feed.readers.values())
        metrics.lag_seconds, metrics.stream_lag_seconds, metrics.waiting_records = None, {}, {}
        if main is None:
            return
        tails = main.merge.tails
        metrics.waiting_records = {stream: len(tail.unreleased) + len(tail.ready) for stream, tail in tails.items()}
        try:
            earliest = self.host.clock.now().earliest
        except ClockUnsure:
            return
        metrics.lag_seconds = (earliest - micros_of(main.ring.watermark)) / 1e6
        metrics.stream_lag_seconds = {
            stream: (earliest - micros_of(tail.closed)) / 1e6 for stream, tail in tails.items()
        }


def build(process: Process) -> CrossbarService:
    """The service of a process, as `runtime.process` starts it."""
    return CrossbarService(process.host, process.network, process.fleet, CrossbarSettings(), process.member("crossbar"))
